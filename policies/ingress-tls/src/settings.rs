//! What an administrator may set.

use std::collections::BTreeSet;

use portcullis_sdk::{FieldPath, SettingsFindings};
use schemars::JsonSchema;
use serde::Deserialize;

/// A century: a longer margin is a slip.
const MOST_DAYS: u32 = 36_500;

/// What counts as covered, and how far the policy looks.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /// Whether the Secrets that `tls` names are looked up and their certificates checked. Without it the policy never asks for a Secret.
    pub secrets: bool,
    /// With `secrets`: a certificate that runs out within so many days is warned of.
    pub expiry_margin_days: u32,
    /// Whether the Services that the Ingress forwards to are looked up.
    pub backends: bool,
    /// Whether a backend that is reachable past the Ingress (a Service of type LoadBalancer) is warned of too.
    pub internal_backends: bool,
    /// Whether an entry of `tls` without a `secretName` counts, because the controller has a certificate of its own.
    pub default_certificate: bool,
    /// Further annotations that explain where the certificate comes from, by their names; one that ends in `/` stands for all that begin so.
    pub certificate_annotations: BTreeSet<String>,
    /// Hosts that need no TLS; `*.test` stands for every name below `test`.
    pub plain_hosts: BTreeSet<String>,
    /// Whether every rule must name a host.
    pub require_host: bool,
    /// Whether annotations that switch the redirect to HTTPS off are warned of.
    pub redirect: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            secrets: false,
            expiry_margin_days: 30,
            backends: true,
            internal_backends: false,
            default_certificate: true,
            certificate_annotations: BTreeSet::new(),
            plain_hosts: BTreeSet::new(),
            require_host: false,
            redirect: false,
        }
    }
}

impl portcullis_sdk::Settings for Settings {
    fn validate(&self, findings: &mut SettingsFindings) {
        if self.expiry_margin_days > MOST_DAYS {
            findings.add(
                FieldPath::root().field("expiryMarginDays"),
                format!("{} days are more than a century; at most {MOST_DAYS}", self.expiry_margin_days),
            );
        }
        if self.internal_backends && !self.backends {
            findings
                .add(FieldPath::root().field("internalBackends"), "Services are looked up only with `backends: true`");
        }
        for host in self
            .plain_hosts
            .iter()
            .filter(|host| host.strip_prefix("*.").unwrap_or(host).contains('*') || host.is_empty())
        {
            findings.add(
                FieldPath::root().field("plainHosts"),
                format!("`{host}` is no host: write a name, or `*.` and a name for everything below it"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
    use portcullis_sdk::Settings as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_can_not_be_meant_is_refused_with_its_place() {
        for (settings, paths) in [
            (json!({}), vec![]),
            (json!({"expiryMarginDays": 36501}), vec!["expiryMarginDays"]),
            (json!({"internalBackends": true, "backends": false}), vec!["internalBackends"]),
            (json!({"plainHosts": ["*.test", "localhost"]}), vec![]),
            (json!({"plainHosts": ["a.*.test", ""]}), vec!["plainHosts", "plainHosts"]),
        ] {
            let settings: Settings = serde_json::from_value(settings).unwrap();
            let mut findings = SettingsFindings::default();
            settings.validate(&mut findings);
            let found: Vec<&str> = findings.0.iter().map(|finding| finding.path.as_str()).collect();
            assert_eq!(found, paths, "{settings:?}");
        }
    }
}
