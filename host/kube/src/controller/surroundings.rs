//! What the cluster holds that a policy could keep from coming back, looked at
//! every few minutes.

use std::time::{Duration, Instant};

use kube::Client;
use tokio::time::timeout;

use super::ControllerConfig;
use crate::certificates::CertificateSource;
use crate::lint::{self, Facts};
use crate::told;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(300);
/// How soon again where it could not.
const RETRY: Duration = Duration::from_secs(60);
/// How long one look may take: policies wait for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was last seen.
#[derive(Debug)]
pub(super) struct Surroundings {
    facts: Facts,
    next: Instant,
    failed: bool,
}

impl Surroundings {
    /// Nothing but how Portcullis is set up.
    pub(super) fn new(config: &ControllerConfig) -> Surroundings {
        let inject_ca_from = match &config.certificates {
            CertificateSource::InjectFrom(certificate) => Some(certificate.clone()),
            _ => None,
        };
        let facts = Facts { inject_ca_from, ..Facts::new(config.exempt_namespaces.clone()) };
        Surroundings { facts, next: Instant::now(), failed: false }
    }

    /// What is known, looked up again where that was long ago. What was known
    /// stays where there is no answer.
    pub(super) async fn now(&mut self, client: &Client, namespace: &str) -> &Facts {
        if Instant::now() >= self.next {
            let looked = timeout(PATIENCE, lint::facts(client, namespace, self.facts.clone())).await;
            let reason = match looked {
                Ok(Ok(facts)) => {
                    self.facts = facts;
                    None
                }
                Ok(Err(error)) => Some(told(&error)),
                Err(_) => Some(format!("no answer within {PATIENCE:?}")),
            };
            if let (Some(reason), false) = (&reason, self.failed) {
                tracing::warn!(reason, "workloads can't be listed; risks of a lock-out by them aren't seen");
            }
            self.failed = reason.is_some();
            self.next = Instant::now() + if self.failed { RETRY } else { INTERVAL };
        }
        &self.facts
    }
}
