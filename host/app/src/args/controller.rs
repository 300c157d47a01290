//! What `portcullis controller` takes.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::{ClusterSettings, LogFormat};

/// Register webhooks for the policies of a cluster, and write their status.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("reach").args(["service", "url"]))]
pub struct ControllerArguments {
    /// How the cluster is reached.
    #[command(flatten)]
    pub cluster: ClusterSettings,

    /// The Service through which the API server reaches the replicas [default: portcullis]
    #[arg(long, value_name = "NAME", env = "PORTCULLIS_SERVICE", help_heading = "Webhooks")]
    pub service: Option<String>,

    /// Port of the Service [default: 443]
    #[arg(long, value_name = "PORT", requires = "service", help_heading = "Webhooks")]
    pub service_port: Option<u16>,

    /// An address instead of a Service, for a server outside the cluster: https://HOST:PORT
    #[arg(long, value_name = "URL", help_heading = "Webhooks")]
    pub url: Option<String>,

    /// CA bundle of the replicas' certificate as PEM [default: left to whoever injects it, such as cert-manager]
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_CA_BUNDLE", help_heading = "Webhooks")]
    pub ca_bundle: Option<PathBuf>,

    /// The Certificate, NAMESPACE/NAME, whose CA cert-manager injects
    #[arg(long, value_name = "NAMESPACE/NAME", conflicts_with = "ca_bundle", help_heading = "Webhooks")]
    pub inject_ca_from: Option<String>,

    /// Keep a CA and a serving certificate in Secrets, and rotate both before they end
    #[arg(long, conflicts_with_all = ["ca_bundle", "inject_ca_from"], env = "PORTCULLIS_MANAGE_CERTIFICATES", help_heading = "Certificates")]
    pub manage_certificates: bool,

    /// How long a CA lasts; the next comes when a third of that is left [default: 8760h, a year]
    #[arg(long, value_name = "TIME", requires = "manage_certificates", help_heading = "Certificates")]
    pub ca_lifetime: Option<String>,

    /// How long a serving certificate lasts, likewise [default: 2160h, 90 days]
    #[arg(long, value_name = "TIME", requires = "manage_certificates", help_heading = "Certificates")]
    pub certificate_lifetime: Option<String>,

    /// After a change of the bundle, how long until every API server surely knows of it [default: 10s]
    #[arg(long, value_name = "TIME", requires = "manage_certificates", help_heading = "Certificates")]
    pub bundle_settle: Option<String>,

    /// Policies that are created once, where they never were: a built-in set; what is changed or deleted of them stays so [default: none]
    #[arg(long, value_name = "SET", env = "PORTCULLIS_INITIAL_POLICIES", help_heading = "Policies")]
    pub initial_policies: Option<PathBuf>,

    /// How long webhook configurations that somebody deleted stay gone [default: 4h]
    #[arg(long, value_name = "TIME", help_heading = "Webhooks")]
    pub break_glass_expiry: Option<String>,

    /// Address of /livez, /readyz and /metrics [default: every address]
    #[arg(long, value_name = "IP", env = "PORTCULLIS_METRICS_ADDRESS", help_heading = "Addresses")]
    pub metrics_address: Option<IpAddr>,

    /// Port of /livez, /readyz and /metrics, plain HTTP [default: 8081]
    #[arg(long, value_name = "PORT", env = "PORTCULLIS_METRICS_PORT", help_heading = "Addresses")]
    pub metrics_port: Option<u16>,

    /// A namespace that no webhook calls for, beside Portcullis's own; may be repeated [default: kube-system, kube-public, kube-node-lease]
    #[arg(long, value_name = "NAME", value_delimiter = ',', help_heading = "Webhooks")]
    pub exempt_namespace: Vec<String>,

    /// Folder for compiled policies, private to this user [default: portcullis in the user's cache folder]
    #[arg(long, value_name = "FOLDER", env = "PORTCULLIS_CACHE", hide_env_values = true)]
    pub cache: Option<PathBuf>,

    /// Folder of policies that were compiled beforehand, as `portcullis precompile` makes it; only read [default: none]
    #[arg(long, value_name = "FOLDER", env = "PORTCULLIS_PRECOMPILED")]
    pub precompiled: Option<PathBuf>,

    /// How log lines are written [default: text]
    #[arg(long, value_enum, value_name = "FORMAT", env = "PORTCULLIS_LOG_FORMAT", help_heading = "Logs")]
    pub log_format: Option<LogFormat>,

    /// What is logged: off, error, warn, info, debug, or target=level pairs [default: info; RUST_LOG is read too]
    #[arg(long, value_name = "FILTER", env = "PORTCULLIS_LOG", help_heading = "Logs")]
    pub log: Option<String>,
}
