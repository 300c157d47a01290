//! The configuration of `serve`, resolved once into types that can't be wrong.
//!
//! A flag goes before its environment variable, that before the file, that
//! before the default. Nothing deeper reads the environment.

mod cluster;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use portcullis_core::policy::{duration, unknown_field};
use rustls_pki_types::ServerName;

use crate::args::{ClusterSettings, LogFormat, ServeArguments, ServeSettings};
use crate::store;
use crate::yaml;

pub use cluster::{ClusterConfig, DEFAULT_NAMESPACE};

/// Where the API server's Service sends its calls to.
pub const DEFAULT_PORT: u16 = 8443;
/// Where probes and Prometheus ask.
pub const DEFAULT_METRICS_PORT: u16 = 8081;
/// A 3 MiB write can make a review of 28.3 MB, because Go escapes `<` sixfold
/// and an UPDATE carries both objects (measured).
pub const DEFAULT_MAX_BODY: usize = 32 << 20;
/// More than this is no review: the same write can't grow to it.
pub const LARGEST_MAX_BODY: usize = 256 << 20;
/// An API server keeps up to 25 idle connections a host; this is 40 of them.
pub const DEFAULT_MAX_CONNECTIONS: usize = 1024;
/// Reviews in flight: far more than cores, so that look-ups can overlap.
pub const DEFAULT_MAX_REQUESTS: usize = 256;
/// A client that needs longer is not an API server.
pub const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Likewise for the headers of one request.
pub const DEFAULT_HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// The API server closes its idle connections after 90 s. Ours must outlive
/// them: a call on a connection that we just closed is lost, not retried.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// What the API server's 90 s need as a margin.
pub const SHORTEST_IDLE_TIMEOUT: Duration = Duration::from_secs(95);
/// Endpoints take a moment to leave every API server's list.
pub const DEFAULT_DRAIN_DELAY: Duration = Duration::from_secs(5);
/// As long as the longest call that an API server makes.
pub const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Longer than an upgrade of a control plane.
pub const DEFAULT_MAX_STALENESS: Duration = Duration::from_secs(2 * 3600);
/// No bound may be longer: a typing error, not a wish.
const LONGEST_TIME: Duration = Duration::from_secs(3600);
/// Names that the self-signed certificate always carries.
pub const DEFAULT_NAMES: [&str; 4] = ["localhost", "127.0.0.1", "::1", "portcullis.portcullis-system.svc"];

/// All that `serve` needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The webhook's and the probes' sockets, and their bounds.
    pub server: ServerConfig,
    /// Where the certificate comes from.
    pub certificates: CertificateSource,
    /// Who may connect; None: everybody.
    pub client_ca: Option<PathBuf>,
    /// Policy documents; None: the built-in ones.
    pub policies: Option<Vec<PathBuf>>,
    /// The cluster to connect to; None: no connection.
    pub kubernetes: Option<ClusterConfig>,
    /// Age from which what is known of the cluster counts no more.
    pub max_staleness: Duration,
    /// Manifests that look-ups see.
    pub cluster: Vec<PathBuf>,
    /// Folder for compiled policies; None: none is kept.
    pub cache: Option<PathBuf>,
    /// Folder of policies that were compiled beforehand.
    pub precompiled: Option<PathBuf>,
}

/// What is logged and how: needed before all else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogConfig {
    /// For people or for programs.
    pub format: LogFormat,
    /// A filter as `RUST_LOG` has it; None: the default.
    pub filter: Option<String>,
}

/// The sockets and their bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where the webhook listens.
    pub listen: Listen,
    /// Where probes and metrics listen.
    pub metrics: Listen,
    /// Largest body in bytes.
    pub max_body: usize,
    /// Connections at a time.
    pub max_connections: usize,
    /// Reviews at a time.
    pub max_requests: usize,
    /// For a TLS handshake.
    pub handshake_timeout: Duration,
    /// For a request's headers.
    pub header_timeout: Duration,
    /// For a connection without a request.
    pub idle_timeout: Duration,
    /// From the signal to the last new connection.
    pub drain_delay: Duration,
    /// From then on for requests in flight.
    pub drain_timeout: Duration,
}

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// None: every address, of both families where the machine has both.
    pub address: Option<IpAddr>,
    /// 0: one that is free.
    pub port: u16,
}

/// Where the certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateSource {
    /// From files, swapped live.
    Files {
        /// The chain as PEM.
        certificate: PathBuf,
        /// The key as PEM.
        key: PathBuf,
    },
    /// From a Secret of the cluster, swapped live.
    Secret {
        /// In Portcullis's namespace.
        name: String,
    },
    /// Made at start-up for these names.
    SelfSigned {
        /// DNS names and addresses.
        names: Vec<String>,
    },
}

impl Listen {
    /// The addresses to try, in this order.
    pub fn candidates(&self) -> Vec<SocketAddr> {
        match self.address {
            Some(address) => vec![SocketAddr::new(address, self.port)],
            None => vec![
                SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), self.port),
                SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), self.port),
            ],
        }
    }
}

impl Default for ServerConfig {
    fn default() -> ServerConfig {
        ServerConfig {
            listen: Listen { address: None, port: DEFAULT_PORT },
            metrics: Listen { address: None, port: DEFAULT_METRICS_PORT },
            max_body: DEFAULT_MAX_BODY,
            max_connections: DEFAULT_MAX_CONNECTIONS,
            max_requests: DEFAULT_MAX_REQUESTS,
            handshake_timeout: DEFAULT_HANDSHAKE_TIMEOUT,
            header_timeout: DEFAULT_HEADER_TIMEOUT,
            idle_timeout: DEFAULT_IDLE_TIMEOUT,
            drain_delay: DEFAULT_DRAIN_DELAY,
            drain_timeout: DEFAULT_DRAIN_TIMEOUT,
        }
    }
}

impl Config {
    /// Resolves flags, environment, file and defaults.
    ///
    /// # Errors
    /// Names the setting, what is wrong with it and what would be right.
    pub fn resolve(arguments: &ServeArguments) -> Result<(Config, LogConfig)> {
        let settings = match &arguments.config {
            Some(path) => arguments.settings.clone().over(read(path)?),
            None => arguments.settings.clone(),
        };
        Config::from_settings(settings)
    }

    fn from_settings(settings: ServeSettings) -> Result<(Config, LogConfig)> {
        let server = server(&settings)?;
        let log = LogConfig { format: settings.log_format.unwrap_or_default(), filter: settings.log };
        let given = settings.tls_cert.is_some() || settings.tls_key.is_some() || !settings.tls_san.is_empty();
        if settings.tls_secret.is_some() && (given || !settings.kubernetes) {
            bail!(
                "--tls-secret takes the certificate from a Secret of the cluster; it needs --kubernetes, \
                 and none of --tls-cert, --tls-key and --tls-san"
            );
        }
        let certificates = match (settings.tls_cert, settings.tls_key) {
            _ if settings.tls_secret.is_some() => {
                CertificateSource::Secret { name: settings.tls_secret.unwrap_or_default() }
            }
            (Some(certificate), Some(key)) => {
                if !settings.tls_san.is_empty() {
                    bail!(
                        "--tls-san is for the self-signed certificate, but --tls-cert names one; leave one of the two out"
                    );
                }
                CertificateSource::Files { certificate, key }
            }
            (None, None) => CertificateSource::SelfSigned { names: names(settings.tls_san)? },
            (Some(_), None) => bail!("--tls-cert is set without --tls-key; both belong together"),
            (None, Some(_)) => bail!("--tls-key is set without --tls-cert; both belong together"),
        };
        let max_staleness = match settings.max_staleness.as_deref() {
            None => DEFAULT_MAX_STALENESS,
            Some(text) => duration::parse(text)
                .filter(|time| !time.is_zero())
                .ok_or_else(|| anyhow!("--max-staleness is {text:?}; write 30m or 2h"))?,
        };
        if settings.kubernetes && !settings.cluster.is_empty() {
            bail!("--kubernetes asks a cluster for what --cluster names files of; leave one of the two out");
        }
        let kubernetes = match settings.kubernetes {
            true => Some(ClusterConfig::resolve(&settings.connection)?),
            false => None,
        };
        let config = Config {
            server,
            kubernetes,
            max_staleness,
            certificates,
            client_ca: settings.client_ca,
            policies: (!settings.policy.is_empty()).then_some(settings.policy),
            cluster: settings.cluster,
            cache: settings.cache.or_else(default_cache),
            precompiled: settings.precompiled,
        };
        Ok((config, log))
    }
}

impl ServeSettings {
    /// These settings, and `below` where they say nothing.
    fn over(self, below: ServeSettings) -> ServeSettings {
        fn list<T>(above: Vec<T>, below: Vec<T>) -> Vec<T> {
            if above.is_empty() { below } else { above }
        }
        let connection = ClusterSettings {
            kubeconfig: self.connection.kubeconfig.or(below.connection.kubeconfig),
            context: self.connection.context.or(below.connection.context),
            namespace: self.connection.namespace.or(below.connection.namespace),
            pod_name: self.connection.pod_name.or(below.connection.pod_name),
            pod_uid: self.connection.pod_uid.or(below.connection.pod_uid),
            modules: self.connection.modules.or(below.connection.modules),
            tenant_modules: list(self.connection.tenant_modules, below.connection.tenant_modules),
            tenant_reads: list(self.connection.tenant_reads, below.connection.tenant_reads),
            tenant_mutation: self.connection.tenant_mutation || below.connection.tenant_mutation,
        };
        ServeSettings {
            kubernetes: self.kubernetes || below.kubernetes,
            connection,
            max_staleness: self.max_staleness.or(below.max_staleness),
            policy: list(self.policy, below.policy),
            cluster: list(self.cluster, below.cluster),
            cache: self.cache.or(below.cache),
            precompiled: self.precompiled.or(below.precompiled),
            address: self.address.or(below.address),
            port: self.port.or(below.port),
            metrics_address: self.metrics_address.or(below.metrics_address),
            metrics_port: self.metrics_port.or(below.metrics_port),
            tls_cert: self.tls_cert.or(below.tls_cert),
            tls_key: self.tls_key.or(below.tls_key),
            tls_san: list(self.tls_san, below.tls_san),
            tls_secret: self.tls_secret.or(below.tls_secret),
            client_ca: self.client_ca.or(below.client_ca),
            max_body: self.max_body.or(below.max_body),
            max_connections: self.max_connections.or(below.max_connections),
            max_requests: self.max_requests.or(below.max_requests),
            handshake_timeout: self.handshake_timeout.or(below.handshake_timeout),
            header_timeout: self.header_timeout.or(below.header_timeout),
            idle_timeout: self.idle_timeout.or(below.idle_timeout),
            drain_delay: self.drain_delay.or(below.drain_delay),
            drain_timeout: self.drain_timeout.or(below.drain_timeout),
            log_format: self.log_format.or(below.log_format),
            log: self.log.or(below.log),
        }
    }
}

/// Reads a configuration file.
fn read(path: &Path) -> Result<ServeSettings> {
    let bytes = fs::read(path).with_context(|| format!("can't read the configuration file {}", path.display()))?;
    let contents = yaml::read(&path.display().to_string(), &bytes).strict();
    if let Some(error) = contents.errors.into_iter().next() {
        return Err(error.into());
    }
    let document = match &contents.documents[..] {
        [] => return Ok(ServeSettings::default()),
        [document] => document,
        [_, second, ..] => {
            bail!("{}:{}: a second document; a configuration file holds one", path.display(), second.start)
        }
    };
    let value: serde_json::Value = serde_json::from_str(&document.json).with_context(|| path.display().to_string())?;
    let Some(object) = value.as_object() else {
        bail!("{}: holds no mapping; write settings as `key: value`", path.display());
    };
    let place = |name: &str| format!("{}:{}", path.display(), document.position_of(name));
    let known = setting_names();
    for name in object.keys() {
        if !known.iter().any(|known| known == name) {
            let message = unknown_field(name, known.iter().map(String::as_str));
            bail!("{}: {name}: {message}", place(name));
        }
    }
    let mut settings = ServeSettings::default();
    for (name, value) in object {
        let mut one = serde_json::Map::new();
        one.insert(name.clone(), value.clone());
        let one: ServeSettings =
            serde_json::from_value(one.into()).map_err(|error| anyhow!("{}: {name}: {error}", place(name)))?;
        settings = settings.over(one);
    }
    Ok(settings.relative_to(path.parent().unwrap_or(Path::new("."))))
}

/// Every setting, as the file names it.
fn setting_names() -> Vec<String> {
    ServeSettings::augment_args(clap::Command::new("serve"))
        .get_arguments()
        .map(|argument| camel_case(argument.get_id().as_str()))
        .collect()
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut text = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        text.push_str(&first.to_ascii_uppercase());
        text.push_str(rest);
    }
    text
}

impl ServeSettings {
    /// Paths in a file are relative to it; a built-in set is no path.
    fn relative_to(mut self, folder: &Path) -> ServeSettings {
        let policies = self.policy.iter_mut().filter(|path| !store::is_builtin(path));
        let lists = policies.chain(&mut self.cluster);
        let single = [
            &mut self.connection.kubeconfig,
            &mut self.connection.modules,
            &mut self.cache,
            &mut self.precompiled,
            &mut self.tls_cert,
            &mut self.tls_key,
            &mut self.client_ca,
        ];
        for path in lists.chain(single.into_iter().flatten()) {
            *path = folder.join(&path);
        }
        self
    }
}

fn server(settings: &ServeSettings) -> Result<ServerConfig> {
    let default = ServerConfig::default();
    let listen = Listen { address: settings.address, port: settings.port.unwrap_or(DEFAULT_PORT) };
    let metrics = Listen {
        address: settings.metrics_address.or(settings.address),
        port: settings.metrics_port.unwrap_or(DEFAULT_METRICS_PORT),
    };
    if listen.port == metrics.port && listen.port != 0 && listen.address == metrics.address {
        bail!("--port and --metrics-port are both {}; each needs its own", listen.port);
    }
    let idle_timeout = time("--idle-timeout", settings.idle_timeout.as_deref(), default.idle_timeout)?;
    if idle_timeout < SHORTEST_IDLE_TIMEOUT {
        bail!(
            "--idle-timeout is {} s; it is at least {} s, because the API server keeps idle connections for 90 s \
             and loses the call that it sends on one that was just closed",
            idle_timeout.as_secs(),
            SHORTEST_IDLE_TIMEOUT.as_secs()
        );
    }
    let max_body = match settings.max_body.as_deref() {
        None => default.max_body,
        Some(text) => bytes(text).filter(|bytes| (1 << 20..=LARGEST_MAX_BODY).contains(bytes)).ok_or_else(|| {
            anyhow!("--max-body is {text:?}; write bytes or 32Mi, from 1Mi to {}Mi", LARGEST_MAX_BODY >> 20)
        })?,
    };
    Ok(ServerConfig {
        listen,
        metrics,
        max_body,
        max_connections: number("--max-connections", settings.max_connections, default.max_connections)?,
        max_requests: number("--max-requests", settings.max_requests, default.max_requests)?,
        handshake_timeout: positive(
            "--handshake-timeout",
            settings.handshake_timeout.as_deref(),
            default.handshake_timeout,
        )?,
        header_timeout: positive("--header-timeout", settings.header_timeout.as_deref(), default.header_timeout)?,
        idle_timeout,
        drain_delay: time("--drain-delay", settings.drain_delay.as_deref(), default.drain_delay)?,
        drain_timeout: time("--drain-timeout", settings.drain_timeout.as_deref(), default.drain_timeout)?,
    })
}

fn number(flag: &str, given: Option<usize>, default: usize) -> Result<usize> {
    /// tokio's semaphores count further; nobody needs to.
    const MOST: usize = 1 << 20;
    match given.unwrap_or(default) {
        number if (1..=MOST).contains(&number) => Ok(number),
        number => bail!("{flag} is {number}; it lies between 1 and {MOST}"),
    }
}

fn time(flag: &str, given: Option<&str>, default: Duration) -> Result<Duration> {
    let Some(text) = given else { return Ok(default) };
    match duration::parse(text) {
        Some(time) if time <= LONGEST_TIME => Ok(time),
        Some(_) => bail!("{flag} is {text}; it is at most {} s", LONGEST_TIME.as_secs()),
        None => bail!("{flag} is {text:?}, which is no duration; write 500ms, 10s or 1m30s"),
    }
}

fn positive(flag: &str, given: Option<&str>, default: Duration) -> Result<Duration> {
    match time(flag, given, default)? {
        time if time.is_zero() => bail!("{flag} is 0; nothing could ever be in time"),
        time => Ok(time),
    }
}

/// `33554432`, `32Mi`, `1Gi`.
fn bytes(text: &str) -> Option<usize> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "" => 1,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(scale)
}

fn names(further: Vec<String>) -> Result<Vec<String>> {
    let mut names: Vec<String> = DEFAULT_NAMES.iter().map(|name| (*name).to_owned()).collect();
    for name in further {
        if ServerName::try_from(name.as_str()).is_err() {
            bail!(
                "--tls-san is {name:?}, which is neither a DNS name nor an address; write portcullis.example.org or 10.0.0.1"
            );
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// `$XDG_CACHE_HOME/portcullis`, else `~/.cache/portcullis`.
pub(crate) fn default_cache() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    folder("XDG_CACHE_HOME")
        .or_else(|| Some(folder("HOME")?.join(".cache")))
        .map(|cache| cache.join("portcullis").join("compiled"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::args::{Arguments, Command};

    fn serve(flags: &[&str]) -> ServeArguments {
        let arguments = Arguments::try_parse_from(["portcullis", "serve"].iter().chain(flags)).unwrap();
        let Command::Serve(serve) = arguments.command else { unreachable!("serve was parsed") };
        *serve
    }

    fn refused(flags: &[&str], expected: &str) {
        let error = Config::resolve(&serve(flags)).unwrap_err().to_string();
        assert!(error.contains(expected), "{flags:?}: {error:?} lacks {expected:?}");
    }

    fn file(text: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portcullis.yaml");
        fs::write(&path, text).unwrap();
        (folder, path.display().to_string())
    }

    #[test]
    fn no_flags_give_the_defaults() {
        let (config, log) = Config::resolve(&serve(&[])).unwrap();
        assert_eq!(config.server, ServerConfig::default());
        assert_eq!(config.policies, None);
        assert_eq!(log, LogConfig::default());
        assert_eq!(
            config.certificates,
            CertificateSource::SelfSigned { names: DEFAULT_NAMES.map(str::to_owned).to_vec() }
        );
    }

    #[test]
    fn settings_that_can_not_be_right_are_refused() {
        for (flags, expected) in [
            (&["--idle-timeout", "60s"][..], "at least 95 s"),
            (&["--tls-cert", "a.pem"], "--tls-cert is set without --tls-key"),
            (&["--tls-key", "a.pem"], "--tls-key is set without --tls-cert"),
            (&["--tls-cert", "a", "--tls-key", "b", "--tls-san", "c"], "--tls-san is for the self-signed"),
            (&["--tls-san", "not a name"], "neither a DNS name nor an address"),
            (&["--max-body", "5"], "from 1Mi"),
            (&["--max-body", "1Gi"], "to 256Mi"),
            (&["--max-requests", "0"], "between 1 and"),
            (&["--handshake-timeout", "0s"], "nothing could ever be in time"),
            (&["--drain-delay", "soon"], "is no duration"),
            (&["--drain-delay", "2h"], "at most 3600 s"),
            (&["--port", "8081"], "each needs its own"),
        ] {
            refused(flags, expected);
        }
    }

    #[test]
    fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
        let (folder, path) =
            file("port: 9443\nmetricsPort: 9081\npolicy: [policies, builtin/strict]\nlogFormat: json\n");
        let (config, log) = Config::resolve(&serve(&["--config", &path, "--port", "7443"])).unwrap();
        assert_eq!(config.server.listen.port, 7443);
        assert_eq!(config.server.metrics.port, 9081);
        assert_eq!(config.server.max_body, DEFAULT_MAX_BODY);
        assert_eq!(config.policies, Some(vec![folder.path().join("policies"), "builtin/strict".into()]));
        assert_eq!(log.format, LogFormat::Json);
    }

    #[test]
    fn an_unknown_key_of_the_file_names_the_nearest() {
        for (text, expected) in [
            ("tlsCrt: a\n", "tlsCrt: unknown field; did you mean tlsCert?"),
            ("port: many\n", "port: invalid type"),
            ("- a\n", "holds no mapping"),
        ] {
            let (_folder, path) = file(text);
            refused(&["--config", &path], expected);
        }
    }

    #[test]
    fn an_empty_file_says_nothing() {
        let (_folder, path) = file("# nothing\n");
        assert_eq!(Config::resolve(&serve(&["--config", &path])).unwrap().0.server, ServerConfig::default());
    }

    #[test]
    fn help_names_the_true_defaults_and_every_environment_variable() {
        let command = Arguments::command();
        let serve = command.find_subcommand("serve").unwrap();
        let default = ServerConfig::default();
        let seconds = |time: Duration| format!("{}s", time.as_secs());
        for (id, expected) in [
            ("port", default.listen.port.to_string()),
            ("metrics_port", default.metrics.port.to_string()),
            ("max_body", format!("{}Mi", default.max_body >> 20)),
            ("max_connections", default.max_connections.to_string()),
            ("max_requests", default.max_requests.to_string()),
            ("handshake_timeout", seconds(default.handshake_timeout)),
            ("header_timeout", seconds(default.header_timeout)),
            ("idle_timeout", seconds(default.idle_timeout)),
            ("drain_delay", seconds(default.drain_delay)),
            ("drain_timeout", seconds(default.drain_timeout)),
        ] {
            let argument = serve.get_arguments().find(|argument| argument.get_id() == id).unwrap();
            let help = argument.get_help().unwrap().to_string();
            assert!(help.contains(&format!("[default: {expected}]")), "{id}: {help}");
        }
        for argument in serve.get_arguments().filter(|argument| argument.get_id() != "help") {
            let expected = match argument.get_id().as_str() {
                // As the downward API is usually named.
                "namespace" => "POD_NAMESPACE".to_owned(),
                id @ ("pod_name" | "pod_uid") => id.to_uppercase(),
                id => format!("PORTCULLIS_{}", id.to_uppercase()),
            };
            assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(expected.as_str()));
        }
    }
}
