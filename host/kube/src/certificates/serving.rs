//! The replica's side: the Secret with the serving certificate, followed.
//!
//! Invariants: a Secret that is deleted or can't be read takes nothing away from
//! who serves already, and a key is in no log line. Whether the key is the
//! certificate's is for who serves to check, whose library knows every kind of
//! key: cert-manager's Secrets have others than ours.

use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::parsed::{PairError, leaf};
use super::{CERTIFICATE, KEY};
use crate::mirror::Mirror;

/// A certificate to serve, and its key.
#[derive(Clone, PartialEq, Eq)]
pub struct ServingPair {
    /// The certificate, then its issuers where there are any, in PEM.
    pub certificate_pem: Vec<u8>,
    /// Its key in PEM.
    pub key_pem: Vec<u8>,
    /// SHA-256 of the certificate (DER) in hex, for
    /// [`ReplicaState::certificate`](crate::ReplicaState::certificate).
    pub fingerprint: String,
    /// When it ends, in seconds since the epoch.
    pub not_after: i64,
}

impl fmt::Debug for ServingPair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ServingPair").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// The Secret, followed until this is dropped.
#[derive(Debug)]
pub struct ServingSecret {
    pairs: watch::Receiver<Option<Arc<ServingPair>>>,
    task: JoinHandle<()>,
}

impl Drop for ServingSecret {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ServingSecret {
    /// Begins to follow the Secret of this name. It may come later, and it may be
    /// another's than ours: cert-manager's has the same entries.
    #[must_use]
    pub fn follow(client: &Client, namespace: &str, name: &str) -> ServingSecret {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let what = format!("the Secret {namespace}/{name}");
        let secrets = Mirror::start(Api::namespaced(client.clone(), namespace), config, what.clone());
        let (sender, pairs) = watch::channel(None);
        let task = tokio::spawn(hand_out(secrets, sender, what));
        ServingSecret { pairs, task }
    }

    /// The newest good pair, each time there is one; None before the first.
    #[must_use]
    pub fn pairs(&self) -> watch::Receiver<Option<Arc<ServingPair>>> {
        self.pairs.clone()
    }
}

/// Hands out each good version once; says of each bad one what is wrong.
async fn hand_out(mut secrets: Mirror<Secret>, sender: watch::Sender<Option<Arc<ServingPair>>>, secret: String) {
    let mut told = None;
    loop {
        let held = secrets.now();
        let problem = match held.objects.values().next().map(|secret| read(secret)) {
            Some(Ok(pair)) => {
                sender.send_if_modified(|before| {
                    let news = before.as_deref() != Some(&pair);
                    if news {
                        *before = Some(Arc::new(pair));
                    }
                    news
                });
                None
            }
            Some(Err(problem)) => Some(problem.to_string()),
            None if held.synced => Some("it isn't there; the controller or cert-manager makes it".to_owned()),
            None => None,
        };
        if let Some(reason) = problem.as_ref().filter(|_| problem != told) {
            let serving = sender.borrow().is_some();
            tracing::warn!(secret, reason, serving, "no certificate can be taken from the Secret");
        }
        told = problem;
        secrets.changed().await;
    }
}

fn read(secret: &Secret) -> Result<ServingPair, PairError> {
    let entry = |entry: &'static str| {
        let data = secret.data.as_ref().and_then(|data| data.get(entry));
        data.map(|bytes| bytes.0.clone()).filter(|bytes| !bytes.is_empty()).ok_or(PairError::Missing { entry })
    };
    let (certificate_pem, key_pem) = (entry(CERTIFICATE)?, entry(KEY)?);
    let leaf = leaf(&certificate_pem, CERTIFICATE)?;
    Ok(ServingPair { certificate_pem, key_pem, fingerprint: leaf.fingerprint.to_string(), not_after: leaf.not_after })
}
