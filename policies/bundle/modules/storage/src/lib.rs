//! The built-in module of policies on workloads and what they keep: one
//! component, so that the policies that judge one workload share an instance
//! and the catalogue of data stores.

portcullis_sdk::module!(
    claim_shape::ClaimShape,
    credentials_in_plain_text::CredentialsInPlainText,
    database_controller::DatabaseController,
    database_remote_storage::DatabaseRemoteStorage,
    default_storage_class::DefaultStorageClass,
    statefulset_service::StatefulSetService,
    storage_class_rules::StorageClassRules,
);
