//! The catalogue as the code sees it: sorted static tables, made from
//! `catalogue/*.tsv` by the build script.
//!
//! Invariant: every table is sorted by its first column, so that a look-up is a
//! binary search and a fresh instance has nothing to set up.

use crate::provisioner::ProvisionerFacts;

/// A data store.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct System {
    pub(crate) name: &'static str,
    pub(crate) keeps: Keeps,
    /// Where its images keep their data.
    pub(crate) directories: &'static [&'static str],
    /// Variables that move the directory: `PGDATA`.
    pub(crate) directory_environment: &'static [&'static str],
    /// Flags that move the directory: `--datadir`.
    pub(crate) directory_flags: &'static [&'static str],
    /// Ways to switch persistence off; of one way, all switches must be set.
    pub(crate) persistence_off: &'static [&'static [Switch]],
}

/// Whether a system keeps its data on a volume unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// On a volume.
    Durable,
    /// In memory: a missing volume is by design, a mounted one holds data.
    Memory,
}

/// What is set on the command line or in the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Switch {
    /// A flag, with its value where it takes one.
    Flag(&'static str, Option<&'static str>),
    /// A variable and its value.
    Environment(&'static str, &'static str),
}

/// How a system takes credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// Flags that carry a credential though their names don't say so.
    pub(crate) flags: &'static [&'static str],
    /// Ways to let everybody in; of one way, all terms must hold.
    pub(crate) ways: &'static [&'static [Term]],
    /// Without any of these it runs open, or with the credentials that everybody knows; empty where that isn't so.
    pub(crate) needs: &'static [Term],
}

/// A switch that must be set, or must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) absent: bool,
    pub(crate) switch: Switch,
}

/// What an image's repository is known as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repository {
    /// The system's index.
    DataStore(u16),
    /// Carries a data store's name and holds no data.
    LookAlike(Role),
}

/// What a program on a command line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// Starts the system with this index.
    Server(u16),
    /// Does something else.
    Other(Role),
}

/// What a program is, by the words that must follow it, the more particular first.
pub(crate) type Meanings = &'static [(&'static [&'static str], Program)];

/// Where a provisioner puts volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Provisioner {
    /// Unless a parameter says otherwise.
    pub(crate) place: Place,
    /// Parameters that must all have these values, and what it means then.
    pub(crate) rules: &'static [(&'static [(&'static str, &'static str)], Place)],
}

/// Where bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Reachable from more than one node.
    Remote,
    /// On one node.
    Local,
    /// It can't be told from the class.
    Unknown,
}

/// What a volume source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourcePlace {
    /// Reachable from more than one node.
    Remote,
    /// On one node.
    Local,
    /// Dies with the pod.
    Ephemeral,
    /// Configuration, never data.
    NotData,
    /// Something that the source names decides.
    Depends,
}

/// An operator's resource.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CustomKind {
    pub(crate) kind: &'static str,
    pub(crate) group: &'static str,
    pub(crate) plural: &'static str,
    /// The newest first.
    pub(crate) versions: &'static [&'static str],
    /// The system whose data it keeps.
    pub(crate) system: &'static str,
    /// Where it says how many of it there are; `#` at the end counts a list.
    pub(crate) replicas: &'static [&'static str],
    pub(crate) places: &'static [StoragePlace],
}

/// One place at which an operator's resource speaks of storage. All other paths begin there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StoragePlace {
    /// From the root; `[*]` stands for each element of a list or value of a map.
    pub(crate) at: &'static str,
    /// Conditions that must all hold: `path`, `!path`, `path=value`, `path!=value`;
    /// `@` before a value is a path from the root to it.
    pub(crate) when: &'static [&'static str],
    pub(crate) claim: Option<ClaimPlace>,
    /// Conditions of which one says that the data goes with the pod.
    pub(crate) ephemeral: &'static [&'static str],
    /// Where a directory of the node is named.
    pub(crate) host_path: &'static [&'static str],
    /// What it means where there is no claim.
    pub(crate) absent: Absent,
    /// Unless one of these conditions holds.
    pub(crate) unless: &'static [&'static str],
}

/// Where a claim is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClaimPlace {
    /// `.` where it is described at the place itself.
    pub(crate) path: &'static str,
    /// From the claim; the first that is set counts.
    pub(crate) class: &'static [&'static str],
    pub(crate) size: &'static [&'static str],
    /// Whether it is a claim's spec or template, which names modes and volume too and
    /// in which the empty class is a class.
    pub(crate) is_spec: bool,
}

/// What an operator does where no claim is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// Nothing that is known.
    Nothing,
    /// It claims a volume of the default class.
    DefaultClass,
    /// It lets the data go with the pod.
    Ephemeral,
}

/// What a container is that isn't a data store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Publishes a data store's metrics.
    Exporter,
    /// Talks to a data store.
    Client,
    /// Shows a data store to people.
    Ui,
    /// Copies a data store's data elsewhere.
    Backup,
    /// Stands in front of a data store.
    Proxy,
    /// Runs data stores.
    Operator,
    /// Moves data between a data store and something else.
    Connector,
    /// Helps the container beside it.
    Sidecar,
    /// Changes a data store's schema.
    Migration,
    /// Puts load on a data store.
    Test,
    /// Prepares a pod and ends.
    Init,
    /// Watches over data stores and keeps nothing itself.
    Coordinator,
    /// An application with state of its own that isn't a store for others.
    Application,
    /// Does nothing, so that somebody can `exec` into it.
    Idle,
}

impl Role {
    /// In one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exporter => "exporter",
            Self::Client => "client",
            Self::Ui => "ui",
            Self::Backup => "backup",
            Self::Proxy => "proxy",
            Self::Operator => "operator",
            Self::Connector => "connector",
            Self::Sidecar => "sidecar",
            Self::Migration => "migration",
            Self::Test => "test",
            Self::Init => "init",
            Self::Coordinator => "coordinator",
            Self::Application => "application",
            Self::Idle => "idle",
        }
    }
}

include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// The value at a key of a sorted table.
pub(crate) fn find<V: Copy>(table: &[(&'static str, V)], key: &str) -> Option<V> {
    table.binary_search_by(|(candidate, _)| (*candidate).cmp(key)).ok().map(|index| table[index].1)
}

/// The system with this index; the build script writes no index without its system.
pub(crate) fn system(index: u16) -> &'static System {
    &SYSTEMS[usize::from(index)]
}

/// Whether this word beside a data store's name says that it isn't the data store.
pub(crate) fn is_lookalike_word(word: &str) -> bool {
    LOOKALIKE_WORDS.binary_search(&word).is_ok()
}

/// Whether the catalogue has a provisioner by its whole name, or by a part that only its own names have.
pub(crate) fn is_exact_provisioner(name: &str) -> bool {
    find(PROVISIONERS, name).is_some()
        || PROVISIONER_PREFIXES.iter().any(|(prefix, _)| name.starts_with(prefix))
        || PROVISIONER_SUFFIXES.iter().any(|(suffix, _)| name.ends_with(suffix))
}
