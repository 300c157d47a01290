//! `secret-content`: a Secret holds what its type says, nothing that everybody
//! knows, and nothing that has run out.
//!
//! ```text
//! Secret ─► values (data decoded, stringData merged) ─┬─► types ─► tls, docker, login, bootstrap, account
//!                                                     ├─► credentials: placeholders, weak values, hashes
//!                                                     └─► metadata: the annotation that holds a copy, who made it
//!                                                              └─► report ─► findings without a value in them
//! ```
//! Invariant: no byte sequence of four or more that the Secret holds as a value
//! stands in anything that the policy says (`report`, `tests/no_leak.rs`).

mod bootstrap;
mod credentials;
mod docker;
mod entries;
mod metadata;
mod names;
mod report;
mod rules;
mod settings;
mod tls;
mod types;
mod values;
mod views;
mod weak;

use portcullis_sdk::{Host, Operation, Origin, Policy, Reach, Request, Review, Sample, Unread, Validating};
use serde_json::json;

use report::Report;
pub use rules::Rule;
pub use settings::{ManagedBy, Settings};
use values::Values;
use views::Secret;

/// The policy.
#[derive(Debug)]
pub struct SecretContent;

portcullis_sdk::cases!(SecretContent);

/// What the checks look at.
struct Judged<'a> {
    settings: &'a Settings,
    secret: &'a Secret,
    values: &'a Values,
    request: &'a Request<SecretContent>,
    /// Seconds since 1970.
    now: u64,
}

impl Policy for SecretContent {
    type Settings = Settings;
    type Rule = Rule;
    type Phase = Validating;
    type Object = Secret;
    type OldObject = Unread;

    const NAME: &'static str = "secret-content";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str =
        "a Secret holds what its type says, nothing that everybody knows, and nothing that has run out";

    fn reach(_: &Settings) -> Reach {
        Reach::of::<Self>(&[Operation::Create, Operation::Update])
    }

    fn samples() -> Vec<Sample> {
        vec![
            Sample::create(json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "shop"},
                "data": {"username": "YXBw", "password": "cGFzc3dvcmQ="},
            })),
            Sample::create(json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tls", "namespace": "shop"},
                "type": "kubernetes.io/tls", "data": {"tls.crt": "L2V0Yy9zc2wvdGxzLmNydA==", "tls.key": ""},
            })),
        ]
    }

    fn review(settings: &Settings, request: &Request<Self>, host: &Host, review: &mut Review<Self>) {
        let Some(secret) = &request.object else { return };
        if !settings.kube_system && is_admission_to_kube_system(request) {
            return;
        }
        let values = Values::of(secret);
        let judged = Judged { settings, secret, values: &values, request, now: host.now().seconds };
        let mut report = Report::new(review, secret, &values);
        types::judge(&judged, &mut report);
        credentials::judge(&judged, &mut report);
        metadata::judge(&judged, &mut report);
    }
}

/// Whether the API server asks about what the cluster itself keeps: it must never wait for a Secret of ours.
fn is_admission_to_kube_system(request: &Request<SecretContent>) -> bool {
    request.attributes.origin == Origin::Admission
        && request.attributes.namespace.as_deref() == Some(bootstrap::NAMESPACE)
}

/// A span of time as people say it: `1 day`, `41 days`. Under a day it is said to be less.
fn days(seconds: u64) -> String {
    match seconds / SECONDS_A_DAY {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

const SECONDS_A_DAY: u64 = 24 * 60 * 60;
