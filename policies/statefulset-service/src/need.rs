//! Why a StatefulSet's pods need names of their own: it runs a data store, or
//! its containers call each other by them.

use portcullis_sdk::FieldPath;
use portcullis_workloads::{ContainerView, DataStore, Recognition, recognise};

use crate::settings::Settings;
use crate::views::StatefulSet;

/// Systems that agree among themselves, and find each other before they are
/// ready: by their own documentation members of one cluster, by the catalogue's names.
const QUORUMS: [&str; 17] = [
    "cassandra",
    "clickhouse-keeper",
    "cockroachdb",
    "consul",
    "elasticsearch",
    "etcd",
    "foundationdb",
    "kafka",
    "mariadb-galera",
    "mongodb",
    "nats",
    "opensearch",
    "percona-xtradb-cluster",
    "rabbitmq",
    "scylladb",
    "vault",
    "zookeeper",
];

/// Systems with one writer, whose replicas copy from a pod that must be there before them.
const SINGLE_WRITERS: [&str; 10] = [
    "harbor-db",
    "keydb",
    "mariadb",
    "mssql",
    "mysql",
    "percona-server-mysql",
    "postgresql",
    "redis",
    "timescaledb",
    "valkey",
];

/// Why pods need names of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Need {
    /// They are a data store.
    DataStore {
        /// The container.
        container: String,
        /// The system's name.
        system: String,
    },
    /// Container so-and-so calls one of them by its name.
    Peers {
        /// The container.
        container: String,
        /// What it calls.
        peer: String,
    },
    /// As far as can be seen they don't.
    None,
}

impl Need {
    /// The system, where it is a data store of several members that agree among themselves.
    pub(crate) fn quorum(&self) -> Option<&str> {
        self.system().filter(|system| QUORUMS.contains(system))
    }

    /// The system, where it has one writer.
    pub(crate) fn single_writer(&self) -> Option<&str> {
        self.system().filter(|system| SINGLE_WRITERS.contains(system))
    }

    /// The system, where it is a data store.
    pub(crate) fn system(&self) -> Option<&str> {
        match self {
            Self::DataStore { system, .. } => Some(system),
            Self::Peers { .. } | Self::None => None,
        }
    }

    /// Who needs it, for a message; nothing where nobody does.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::DataStore { container, system } => format!(" (container `{container}` is {system})"),
            Self::Peers { container, peer } => format!(" (container `{container}` calls `{peer}`)"),
            Self::None => String::new(),
        }
    }
}

/// Why the pods of this set need names of their own.
pub(crate) fn need(settings: &Settings, set: &StatefulSet) -> Need {
    let own = settings.custom_stores();
    let containers = || set.spec.template.spec.containers(FieldPath::root());
    let mut likely = None;
    for container in containers() {
        let recognition = recognise(container.name, container.role, container.view, &own, &settings.not_data_stores);
        let Recognition::DataStore(store) = recognition else { continue };
        if settings.ignored_systems.iter().any(|ignored| ignored == store.name()) {
            continue;
        }
        let found = data_store(container.name, &store);
        if store.is_certain() {
            return found;
        }
        likely.get_or_insert(found);
    }
    if let Some(likely) = likely {
        return likely;
    }
    containers()
        .find_map(|container| {
            let peer = peer_in(container.view, set.name())?;
            Some(Need::Peers { container: container.name.to_owned(), peer })
        })
        .unwrap_or(Need::None)
}

fn data_store(container: &str, store: &DataStore<'_>) -> Need {
    Need::DataStore { container: container.to_owned(), system: store.name().to_owned() }
}

/// The name of a pod of the set, with a domain behind it, in a container's command or variables.
fn peer_in(container: &ContainerView, set: &str) -> Option<String> {
    let variables = container.env.iter().filter_map(|variable| variable.value.as_deref());
    let texts = container.command.iter().chain(&container.args).map(String::as_str).chain(variables);
    texts.into_iter().find_map(|text| peer_name(text, set))
}

/// `web-0.web` in `--peers=web-0.web:80,web-1.web:80` for the set `web`.
fn peer_name(text: &str, set: &str) -> Option<String> {
    if set.is_empty() {
        return None;
    }
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '.';
    text.split(|letter| !is_part(letter)).find_map(|name| {
        let (host, domain) = name.split_once('.')?;
        let ordinal = host.strip_prefix(set)?.strip_prefix('-')?;
        let is_ordinal = !ordinal.is_empty() && ordinal.bytes().all(|digit| digit.is_ascii_digit());
        (is_ordinal && domain.starts_with(|letter: char| letter.is_ascii_alphabetic())).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_pod_of_the_set_with_a_domain() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(peer_name(text, "web").as_deref(), expected, "{text}");
        };
        check("--peers=http://web-0.web:80,web-1.web:80", Some("web-0.web"));
        check("web-12.web.shop.svc.cluster.local", Some("web-12.web.shop.svc.cluster.local"));
        check("web-0", None);
        check("my-web-0.web", None);
        check("web-a.web", None);
        check("web-0.1", None);
        check("web.example.org", None);
    }

    #[test]
    fn the_systems_that_are_named_here_are_in_the_catalogue() {
        for system in QUORUMS.iter().chain(&SINGLE_WRITERS) {
            assert!(portcullis_workloads::is_known_system(system), "{system}");
        }
    }
}
