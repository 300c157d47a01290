//! The built-in module of policies on storage: one component, so that one
//! instance and one parse of a workload serve both.

portcullis_sdk::module!(database_remote_storage::DatabaseRemoteStorage, default_storage_class::DefaultStorageClass,);
