//! How data stores take credentials: by which variables and flags, what opens
//! them to everybody, and which run open unless told otherwise.
//!
//! Invariant: nothing here returns a value that a manifest gave; names come from
//! the catalogue.

use crate::catalogue::{self, CREDENTIAL_VARIABLES, CREDENTIALS, Credentials, Program, Switch, Term};
use crate::command::CommandLine;
use crate::container::ContainerView;
use crate::image::Image;
use crate::recognise::DataStore;

/// What stands for a value of any sort.
const ANY: &str = "*";
/// Words that mean the same to nearly every program.
const YES: [&str; 4] = ["yes", "true", "1", "on"];
/// Likewise.
const NO: [&str; 4] = ["no", "false", "0", "off"];

/// A switch that lets everybody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwitchedOff {
    /// The variable or the flag.
    pub name: &'static str,
    /// Its value, where that decides.
    pub value: Option<&'static str>,
    /// Whether it is a variable.
    pub is_variable: bool,
    /// Whether a password that comes from elsewhere would make it harmless.
    pub unless_password: bool,
}

/// The switch by which a data store is told to let everybody in.
#[must_use]
pub fn authentication_off(store: &DataStore<'_>, container: &ContainerView) -> Option<SwitchedOff> {
    let known = of(store)?;
    let command = CommandLine::read(&container.command, &container.args);
    let way = known.ways.iter().find(|way| way.iter().all(|term| holds(term, container, &command)))?;
    let switch = way.iter().find(|term| !term.absent)?.switch;
    let unless_password = way.iter().any(|term| term.absent && matches!(term.switch, Switch::Environment(..)));
    Some(match switch {
        Switch::Environment(name, value) => {
            SwitchedOff { name, value: (value != ANY).then_some(value), is_variable: true, unless_password }
        }
        Switch::Flag(name, value) => SwitchedOff { name, value, is_variable: false, unless_password },
    })
}

/// Whether a data store that needs credentials to be given is given none: it
/// then runs open, or with those that everybody knows. What starts by a command
/// that isn't understood, or is a data store only by its looks, isn't judged.
#[must_use]
pub fn lacks_credentials(store: &DataStore<'_>, container: &ContainerView) -> bool {
    let Some(known) = of(store).filter(|known| !known.needs.is_empty() && store.is_certain()) else { return false };
    let command = CommandLine::read(&container.command, &container.args);
    let starts_server = matches!(command.program(Image::parse(&container.image).name()), Some(Program::Server(_)));
    (container.command.is_empty() || starts_server)
        && !known.needs.iter().any(|term| is_mentioned(term, container, &command))
}

/// Flags of a data store that carry a credential though their names don't say so: `--auth` of nats.
#[must_use]
pub fn credential_flags(store: &DataStore<'_>) -> &'static [&'static str] {
    of(store).map_or(&[], |known| known.flags)
}

/// Whether images of the catalogue take a credential by a variable of this name.
#[must_use]
pub fn is_credential_variable(name: &str) -> bool {
    CREDENTIAL_VARIABLES.binary_search(&name).is_ok()
}

/// Whether a variable with this value opens some data store, for want of a password or for good.
#[must_use]
pub fn opens_a_data_store(name: &str, value: &str) -> bool {
    let is_it = |term: &Term| matches!(term.switch, Switch::Environment(known, wanted) if !term.absent && known == name && means(value, wanted));
    let ways = CREDENTIALS.iter().flat_map(|(_, known)| known.ways.iter());
    ways.filter(|way| way.iter().filter(|term| !term.absent).count() == 1).any(|way| way.iter().any(is_it))
}

fn of(store: &DataStore<'_>) -> Option<Credentials> {
    store.system().and_then(|system| catalogue::find(CREDENTIALS, system.name))
}

fn holds(term: &Term, container: &ContainerView, command: &CommandLine) -> bool {
    let is_set = match term.switch {
        Switch::Environment(name, wanted) => {
            container.env.iter().rev().find(|variable| variable.name == name).is_some_and(|variable| {
                match variable.value.as_deref() {
                    // By reference: what it is can't be told, but it is something.
                    None => wanted == ANY,
                    Some(given) => means(given, wanted),
                }
            })
        }
        Switch::Flag(_, None) if term.absent => is_mentioned(term, container, command),
        Switch::Flag(name, None) => command.has(name, None),
        Switch::Flag(name, Some(wanted)) => command.values(name).any(|given| means(given, wanted)),
    };
    is_set != term.absent
}

/// Whether the variable or the flag stands there, with whatever value.
fn is_mentioned(term: &Term, container: &ContainerView, command: &CommandLine) -> bool {
    match term.switch {
        Switch::Environment(..) => holds(term, container, command),
        Switch::Flag(name, _) => command.has(name, None) || command.values(name).next().is_some(),
    }
}

/// Whether a given value is the wanted one, in any of the words that mean it.
fn means(given: &str, wanted: &str) -> bool {
    let given = given.trim().trim_matches(['"', '\'']);
    let is_among = |words: &[&str], word: &str| words.iter().any(|known| known.eq_ignore_ascii_case(word));
    if wanted == ANY {
        return !given.is_empty();
    }
    given.eq_ignore_ascii_case(wanted)
        || is_among(&YES, wanted) && is_among(&YES, given)
        || is_among(&NO, wanted) && is_among(&NO, given)
        || given.split_whitespace().any(|word| word == wanted)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may end in a panic")]

    use portcullis_sdk::pod::Role;

    use super::*;
    use crate::container::EnvVar;
    use crate::recognise::{Recognition, recognise};

    fn container(image: &str, args: &[&str], env: &[(&str, Option<&str>)]) -> ContainerView {
        ContainerView {
            image: image.to_owned(),
            args: args.iter().map(|&word| word.to_owned()).collect(),
            env: env
                .iter()
                .map(|(name, value)| EnvVar { name: (*name).to_owned(), value: value.map(str::to_owned) })
                .collect(),
            ..ContainerView::default()
        }
    }

    /// The switch that is found, and whether credentials are lacking.
    fn check(image: &str, args: &[&str], env: &[(&str, Option<&str>)], switch: Option<&str>, lacks: bool) {
        let container = container(image, args, env);
        let Recognition::DataStore(store) = recognise("db", Role::Regular, &container, &[], &[]) else {
            panic!("{image} is a data store");
        };
        let found = authentication_off(&store, &container).map(|switch| switch.name);
        assert_eq!(found, switch, "{image} {args:?} {env:?}");
        assert_eq!(lacks_credentials(&store, &container), lacks, "{image} {args:?} {env:?}");
    }

    #[test]
    fn switches_count_for_their_own_system_and_only_where_nothing_makes_them_harmless() {
        let empty = "MYSQL_ALLOW_EMPTY_PASSWORD";
        check("mysql:8", &[], &[(empty, Some("1"))], Some(empty), false);
        check("mysql:8", &[], &[(empty, Some("no"))], Some(empty), false);
        check("mysql:8", &[], &[(empty, Some(""))], None, false);
        check("mysql:8", &[], &[(empty, Some("1")), ("MYSQL_ROOT_PASSWORD", None)], None, false);
        check("mysql:8", &[], &[(empty, Some("1")), ("MYSQL_ROOT_PASSWORD", Some(""))], Some(empty), false);
        check("mysql:8", &["--skip-grant-tables"], &[], Some("--skip-grant-tables"), false);
        let method = "POSTGRES_HOST_AUTH_METHOD";
        check("postgres", &[], &[(method, Some("trust")), ("POSTGRES_PASSWORD", None)], Some(method), false);
        check("postgres", &[], &[(method, Some("scram-sha-256"))], None, false);
        let arguments = "POSTGRES_INITDB_ARGS";
        check("postgres", &[], &[(arguments, Some("-E UTF8 --auth=trust"))], Some(arguments), false);
        check("redis", &["--protected-mode", "no"], &[], Some("--protected-mode"), false);
        check("redis", &["--protected-mode", "no", "--requirepass", "$(P)"], &[], None, false);
        check("cockroachdb/cockroach", &["start", "--insecure"], &[], Some("--insecure"), false);
        check("cockroachdb/cockroach", &["start", "--insecure=false"], &[], None, false);
        let security = "xpack.security.enabled";
        check("elasticsearch:8.1", &[], &[(security, Some("False"))], Some(security), false);
        check("elasticsearch:8.1", &["elasticsearch", "-Expack.security.enabled=false"], &[], Some(security), false);
        check("elasticsearch:8.1", &[], &[(security, Some("true"))], None, false);
    }

    #[test]
    fn a_data_store_that_runs_open_unless_told_is_asked_for_credentials() {
        check("mongo:7", &[], &[], None, true);
        check("mongo:7", &["--replSet", "rs0"], &[], None, true);
        check("mongo:7", &["--noauth"], &[], Some("--noauth"), true);
        check("mongo:7", &[], &[("MONGO_INITDB_ROOT_PASSWORD", None)], None, false);
        check("mongo:7", &["--auth"], &[], None, false);
        check("mongo:7", &["--config", "/etc/mongod.conf"], &[], None, false);
        check("mongo:7", &["--keyFile=/keys/a"], &[], None, false);
        check("postgres", &[], &[], None, false);
        check("minio/minio", &["server", "/data"], &[], None, true);
    }

    #[test]
    fn variables_of_the_catalogue_are_credentials() {
        assert!(is_credential_variable("RABBITMQ_ERLANG_COOKIE"));
        assert!(!is_credential_variable("MINIO_ROOT_USER"));
        assert!(opens_a_data_store("POSTGRES_HOST_AUTH_METHOD", "trust"));
        assert!(!opens_a_data_store("POSTGRES_HOST_AUTH_METHOD", "scram-sha-256"));
        assert!(CREDENTIALS.iter().all(|(_, known)| known.ways.iter().all(|way| way.iter().any(|term| !term.absent))));
    }
}
