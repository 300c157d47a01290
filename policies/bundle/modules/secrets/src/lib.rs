//! The built-in module of policies on Secrets: one component of its own, because
//! nothing else of the default set reads the values of Secrets.

portcullis_sdk::module!(secret_content::SecretContent);
