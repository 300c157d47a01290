//! Data stores that let everybody in: told so by a switch, by a line of a
//! configuration file, or by being told nothing.

use portcullis_sdk::pod::ContainerRef;
use portcullis_workloads::{
    ContainerView, DataStore, Recognition, SwitchedOff, authentication_off, credential_flags, lacks_credentials,
    recognise,
};

use crate::views::Container;

/// A data store, and how it is open.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Store {
    /// Its system.
    pub(crate) system: String,
    /// Flags of its own that carry credentials.
    pub(crate) flags: &'static [&'static str],
    /// The switch that opens it.
    pub(crate) switch: Option<SwitchedOff>,
    /// Whether nothing gives it credentials, though it runs open without.
    pub(crate) lacks_credentials: bool,
    is_certain: bool,
}

/// A line of a configuration file that lets everybody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenLine {
    /// What is told of it.
    pub(crate) name: &'static str,
    /// Whether it alone does, whatever else is configured.
    pub(crate) is_certain: bool,
}

/// A file, a line's beginning in single spaces, and what makes it harmless.
type KnownLine = (&'static [&'static str], &'static str, &'static [&'static str], bool);

/// Sources: the configuration reference of each system.
const OPEN_LINES: [KnownLine; 9] = [
    (&["mosquitto.conf"], "allow_anonymous true", &[], true),
    (&["elasticsearch.yml", "elasticsearch.yaml"], "xpack.security.enabled: false", &[], true),
    (&["opensearch.yml", "opensearch.yaml"], "plugins.security.disabled: true", &[], true),
    (&["mongod.conf", "mongo.conf", "mongodb.conf"], "authorization: disabled", &[], true),
    (&["my.cnf", "mysqld.cnf", "mariadb.cnf", "server.cnf"], "skip-grant-tables", &[], true),
    (&["redis.conf", "valkey.conf"], "protected-mode no", &["requirepass", "aclfile", "include", "user "], false),
    (&["rabbitmq.conf"], "loopback_users.guest = false", &["default_pass"], false),
    (&["rabbitmq.conf"], "loopback_users = none", &["default_pass"], false),
    (&["cassandra.yaml"], "authenticator: AllowAllAuthenticator", &[], false),
];
/// Addresses of PostgreSQL's access file that only the pod itself has.
const LOOPBACK: [&str; 5] = ["127.0.0.1/32", "127.0.0.0/8", "::1/128", "localhost", "samehost"];

/// What a container is, if it is a data store.
pub(crate) fn of_container(container: &ContainerRef<'_, Container>) -> Option<Store> {
    let view: ContainerView = container.view.recognisable();
    match recognise(container.name, container.role, &view, &[], &[]) {
        Recognition::DataStore(store) => Some(judge(&store, &view, container.view)),
        Recognition::Other(_) | Recognition::Unknown => None,
    }
}

fn judge(store: &DataStore<'_>, view: &ContainerView, container: &Container) -> Store {
    let switch = authentication_off(store, view);
    Store {
        system: store.name().to_owned(),
        flags: credential_flags(store),
        // Variables that come as a whole may be the credentials.
        lacks_credentials: switch.is_none() && !container.env_from.0 && lacks_credentials(store, view),
        switch,
        is_certain: store.is_certain(),
    }
}

/// Of one system in a pod the certain one is the data store; one beside it that only looks so is its client.
pub(crate) fn is_client(store: &Store, all: &[Option<Store>]) -> bool {
    !store.is_certain && all.iter().flatten().any(|other| other.is_certain && other.system == store.system)
}

/// The line of a configuration file that lets everybody in.
pub(crate) fn open_line(file: &str, text: &str) -> Option<OpenLine> {
    let file = file.to_ascii_lowercase();
    let lines = || {
        text.lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .filter(|line| !line.starts_with(['#', ';']))
    };
    if file.ends_with("pg_hba.conf") {
        let is_open = |line: String| {
            let words: Vec<&str> = line.split(' ').collect();
            words.len() > 4
                && words[0].starts_with("host")
                && !LOOPBACK.contains(&words[3])
                && words[4..].contains(&"trust")
        };
        return lines().any(is_open).then_some(OpenLine { name: "trust", is_certain: true });
    }
    OPEN_LINES.iter().find_map(|(files, open, unless, is_certain)| {
        let here = files.iter().any(|known| file == *known) && lines().any(|line| line.starts_with(open));
        let harmless = || unless.iter().any(|word| lines().any(|line| line.starts_with(word)));
        let name = open.split([' ', ':']).next().unwrap_or(open);
        (here && !harmless()).then_some(OpenLine { name, is_certain: *is_certain })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, text: &str, expected: Option<&str>) {
        assert_eq!(open_line(file, text).map(|line| line.name), expected, "{file}: {text}");
    }

    #[test]
    fn lines_that_let_everybody_in_are_found() {
        check("pg_hba.conf", "local all all trust\nhost all all 0.0.0.0/0 trust", Some("trust"));
        check(
            "pg_hba.conf",
            "local all all trust\nhost all all 127.0.0.1/32 trust\nhost all all all scram-sha-256",
            None,
        );
        check("mosquitto.conf", "listener 1883\nallow_anonymous  true", Some("allow_anonymous"));
        check("mosquitto.conf", "# allow_anonymous true", None);
        check("redis.conf", "protected-mode no", Some("protected-mode"));
        check("redis.conf", "protected-mode no\nrequirepass x", None);
        check("elasticsearch.yml", "xpack.security.enabled: false", Some("xpack.security.enabled"));
        check("notes.txt", "xpack.security.enabled: false", None);
    }
}
