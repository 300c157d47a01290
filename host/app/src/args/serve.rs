//! What `portcullis serve` takes: one set of settings for flags, environment
//! and configuration file. `config` merges the two and resolves them.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::ClusterSettings;

/// Answer admission reviews over HTTPS.
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// A YAML file with any of these settings, named as the flags are, in camelCase (tlsCert)
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_CONFIG")]
    pub config: Option<PathBuf>,

    /// What flags and environment say.
    #[command(flatten)]
    pub settings: ServeSettings,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

// No doc comment: clap would make it the text of the command.
#[allow(
    missing_docs,
    reason = "see above; every setting, each of which may be absent, in the order flag, environment, file, default"
)]
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServeSettings {
    /// Policy documents, or a built-in set such as builtin/strict; may be repeated [default: builtin/baseline]
    #[arg(
        long,
        value_name = "FILE|FOLDER|SET",
        env = "PORTCULLIS_POLICY",
        value_delimiter = ',',
        help_heading = "Policies"
    )]
    pub policy: Vec<PathBuf>,

    /// Connect to a cluster: policies from its ClusterPolicy and Policy objects unless --policy names others, look-ups from a watch
    #[arg(long, env = "PORTCULLIS_KUBERNETES", conflicts_with = "cluster", help_heading = "Cluster")]
    pub kubernetes: bool,

    #[command(flatten)]
    #[serde(flatten)]
    pub connection: ClusterSettings,

    /// Age from which what is known of the cluster counts no more, where its API server is gone [default: 2h]
    #[arg(long, value_name = "TIME", env = "PORTCULLIS_MAX_STALENESS", help_heading = "Cluster")]
    pub max_staleness: Option<String>,

    /// Manifests of what the cluster holds, for look-ups; may be repeated [default: no look-up is answered]
    #[arg(
        long,
        value_name = "FILE|FOLDER",
        env = "PORTCULLIS_CLUSTER",
        value_delimiter = ',',
        help_heading = "Policies"
    )]
    pub cluster: Vec<PathBuf>,

    /// Folder for compiled policies, private to this user [default: portcullis in the user's cache folder]
    #[arg(long, value_name = "FOLDER", env = "PORTCULLIS_CACHE", hide_env_values = true, help_heading = "Policies")]
    pub cache: Option<PathBuf>,

    /// Folder of policies that were compiled beforehand, as `portcullis precompile` makes it; only read [default: none]
    #[arg(long, value_name = "FOLDER", env = "PORTCULLIS_PRECOMPILED", help_heading = "Policies")]
    pub precompiled: Option<PathBuf>,

    /// Address of the webhook [default: every address]
    #[arg(long, value_name = "IP", env = "PORTCULLIS_ADDRESS", help_heading = "Addresses")]
    pub address: Option<IpAddr>,

    /// Port of the webhook [default: 8443]
    #[arg(long, value_name = "PORT", env = "PORTCULLIS_PORT", help_heading = "Addresses")]
    pub port: Option<u16>,

    /// Address of /livez, /readyz and /metrics [default: as the webhook's]
    #[arg(long, value_name = "IP", env = "PORTCULLIS_METRICS_ADDRESS", help_heading = "Addresses")]
    pub metrics_address: Option<IpAddr>,

    /// Port of /livez, /readyz and /metrics, plain HTTP [default: 8081]
    #[arg(long, value_name = "PORT", env = "PORTCULLIS_METRICS_PORT", help_heading = "Addresses")]
    pub metrics_port: Option<u16>,

    /// Certificate chain as PEM, reloaded when it changes [default: self-signed at start-up]
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_TLS_CERT", help_heading = "Certificates")]
    pub tls_cert: Option<PathBuf>,

    /// Its private key as PEM
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_TLS_KEY", help_heading = "Certificates")]
    pub tls_key: Option<PathBuf>,

    /// Secret in Portcullis's namespace with tls.crt and tls.key, followed: the controller's or cert-manager's
    #[arg(long, value_name = "NAME", env = "PORTCULLIS_TLS_SECRET", help_heading = "Certificates")]
    pub tls_secret: Option<String>,

    /// Further name or address of the self-signed certificate; may be repeated
    #[arg(
        long,
        value_name = "NAME|IP",
        env = "PORTCULLIS_TLS_SAN",
        value_delimiter = ',',
        help_heading = "Certificates"
    )]
    pub tls_san: Vec<String>,

    /// CA bundle; where set, clients must show a certificate that it signed
    #[arg(long, value_name = "FILE", env = "PORTCULLIS_CLIENT_CA", help_heading = "Certificates")]
    pub client_ca: Option<PathBuf>,

    /// Largest body [default: 32Mi]
    #[arg(long, value_name = "BYTES", env = "PORTCULLIS_MAX_BODY", help_heading = "Limits")]
    pub max_body: Option<String>,

    /// Connections at a time [default: 1024]
    #[arg(long, value_name = "N", env = "PORTCULLIS_MAX_CONNECTIONS", help_heading = "Limits")]
    pub max_connections: Option<usize>,

    /// Reviews at a time; more wait for their turn [default: 256]
    #[arg(long, value_name = "N", env = "PORTCULLIS_MAX_REQUESTS", help_heading = "Limits")]
    pub max_requests: Option<usize>,

    /// Time for a TLS handshake [default: 10s]
    #[arg(long, value_name = "TIME", env = "PORTCULLIS_HANDSHAKE_TIMEOUT", help_heading = "Limits")]
    pub handshake_timeout: Option<String>,

    /// Time for a request's headers [default: 10s]
    #[arg(long, value_name = "TIME", env = "PORTCULLIS_HEADER_TIMEOUT", help_heading = "Limits")]
    pub header_timeout: Option<String>,

    /// How long an idle connection is kept; the API server keeps its own for 90s [default: 120s]
    #[arg(long, value_name = "TIME", env = "PORTCULLIS_IDLE_TIMEOUT", help_heading = "Limits")]
    pub idle_timeout: Option<String>,

    /// After SIGTERM, how long new requests are still taken [default: 5s]
    #[arg(long, value_name = "TIME", env = "PORTCULLIS_DRAIN_DELAY", help_heading = "Shutdown")]
    pub drain_delay: Option<String>,

    /// How long requests in flight are waited for after that [default: 30s]
    #[arg(long, value_name = "TIME", env = "PORTCULLIS_DRAIN_TIMEOUT", help_heading = "Shutdown")]
    pub drain_timeout: Option<String>,

    /// How log lines are written [default: text]
    #[arg(long, value_enum, value_name = "FORMAT", env = "PORTCULLIS_LOG_FORMAT", help_heading = "Logs")]
    pub log_format: Option<LogFormat>,

    /// What is logged: off, error, warn, info, debug, or target=level pairs [default: info; RUST_LOG is read too]
    #[arg(long, value_name = "FILTER", env = "PORTCULLIS_LOG", help_heading = "Logs")]
    pub log: Option<String>,
}
