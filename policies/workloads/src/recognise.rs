//! Whether a container is a data store, and which.
//!
//! The image says most: its whole path, or a last segment that is a well-known
//! name. The command line can contradict it either way (`mysqldump` on a
//! database's image, `redis-server` on a plain one). Where neither says
//! anything, signs are weighed together: a port, its name, the container's name,
//! a variable that initialises a server, a volume at a data directory. One sign
//! alone is never enough, since clients carry every one of them too.

use portcullis_sdk::pod;

use crate::catalogue::{
    self, DIRECTORIES, ENVIRONMENT, GENERIC_NAMES, Keeps, LOOKALIKE_NAMES, NAMES, PORTS, Program, REPOSITORIES,
    Repository, Role, Switch, System,
};
use crate::command::CommandLine;
use crate::container::ContainerView;
use crate::data::covers;
use crate::image::{Image, words};

/// What the signs must weigh together where the image and the command say nothing.
const ENOUGH: u32 = 3;
/// A volume at a system's own data directory: few but the system itself have one.
const DIRECTORY_WEIGHT: u32 = 2;
/// Any other sign.
const SIGN_WEIGHT: u32 = 1;

/// What a container is.
#[derive(Debug, Clone, PartialEq)]
pub enum Recognition<'a> {
    /// A data store.
    DataStore(DataStore<'a>),
    /// Something known that isn't one.
    Other(Role),
    /// Nothing known, which isn't one either.
    Unknown,
}

/// A data store.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DataStore<'a> {
    /// One of the catalogue.
    Known(Known),
    /// One that an administrator named.
    Custom(&'a CustomStore),
}

/// A data store of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    system: &'static System,
    certain: bool,
}

/// A data store that the catalogue doesn't have, or images that it doesn't know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomStore {
    /// What it is called in reports.
    pub name: String,
    /// Repositories, matched by whole path segments from the right.
    pub images: Vec<String>,
    /// Where it keeps its data.
    pub data_directories: Vec<String>,
}

impl<'a> DataStore<'a> {
    /// The system's name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        match self {
            Self::Known(known) => known.system.name,
            Self::Custom(custom) => &custom.name,
        }
    }

    /// Whether the image's own name or the command says so, rather than a part
    /// of the name or signs together. In one pod the certain one is the data
    /// store, and a likely one of the same system beside it its client: `opa-mongo` beside `mongo`.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        match self {
            Self::Known(known) => known.certain,
            Self::Custom(_) => true,
        }
    }

    /// Where its images keep their data.
    pub(crate) fn directories(&self) -> Vec<&'a str> {
        match self {
            Self::Known(known) => known.system.directories.to_vec(),
            Self::Custom(custom) => custom.data_directories.iter().map(String::as_str).collect(),
        }
    }

    pub(crate) fn system(&self) -> Option<&'static System> {
        match self {
            Self::Known(known) => Some(known.system),
            Self::Custom(_) => None,
        }
    }

    /// Whether the container keeps nothing, by design or because it is told so.
    pub(crate) fn keeps_nothing(&self, container: &ContainerView, command: &CommandLine) -> bool {
        let is_set = |switch: &Switch| match switch {
            Switch::Flag(flag, value) => command.has(flag, *value),
            Switch::Environment(name, value) => {
                container.variable(name).is_some_and(|given| given.eq_ignore_ascii_case(value))
            }
        };
        self.system().is_some_and(|system| system.persistence_off.iter().any(|way| way.iter().all(is_set)))
    }

    /// Whether a flag or a variable says that it keeps nothing.
    #[must_use]
    pub fn is_told_to_keep_nothing(&self, container: &ContainerView) -> bool {
        self.keeps_nothing(container, &CommandLine::read(&container.command, &container.args))
    }

    /// Whether it keeps its data in memory unless told otherwise.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.system().is_some_and(|system| system.keeps == Keeps::Memory)
    }
}

/// What an image's repository says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ImageSays {
    DataStore(u16),
    /// By a part of its name.
    Likely(u16),
    /// A data store's name that other programs have too.
    Perhaps(u16),
    LookAlike(Role),
    /// A data store's name beside a word such as `exporter`.
    LikelyNot,
    Nothing,
}

/// Recognises a container by its view, its name and its place in the pod.
/// `own` are the administrator's data stores, `never` repositories that are none.
#[must_use]
pub fn recognise<'a>(
    name: &str,
    role: pod::Role,
    container: &ContainerView,
    own: &'a [CustomStore],
    never: &[String],
) -> Recognition<'a> {
    match role {
        pod::Role::Init => return Recognition::Other(Role::Init),
        pod::Role::Ephemeral => return Recognition::Other(Role::Client),
        pod::Role::Sidecar | pod::Role::Regular => {}
    }
    let image = Image::parse(&container.image);
    if image.suffixes().any(|suffix| never.iter().any(|path| path == suffix)) {
        return Recognition::Other(Role::Application);
    }
    let command = CommandLine::read(&container.command, &container.args);
    let program = command.program(image.name());
    if let Some(Program::Other(role)) = program {
        return Recognition::Other(role);
    }
    if let Some(custom) =
        own.iter().find(|custom| image.suffixes().any(|suffix| custom.images.iter().any(|path| path == suffix)))
    {
        return Recognition::DataStore(DataStore::Custom(custom));
    }
    let says = image_says(&image);
    let index = match (says, program) {
        (ImageSays::DataStore(index), _) => Some((index, true)),
        // An image that is known may still be told to run another known server.
        (_, Some(Program::Server(index))) => Some((index, true)),
        (ImageSays::Likely(index), _) => Some((index, false)),
        (ImageSays::LookAlike(role), _) => return Recognition::Other(role),
        (ImageSays::Perhaps(index), _) => has_a_sign(name, container, index).then_some((index, false)),
        (ImageSays::LikelyNot, _) => {
            weigh(name, container).filter(|weighed| weighed.directory).map(|weighed| (weighed.system, false))
        }
        (ImageSays::Nothing, _) => weigh(name, container).map(|weighed| (weighed.system, false)),
    };
    index.map_or(Recognition::Unknown, |(index, certain)| {
        Recognition::DataStore(DataStore::Known(Known { system: catalogue::system(index), certain }))
    })
}

/// Whether the catalogue has a data store of this name.
#[must_use]
pub fn is_known_system(name: &str) -> bool {
    catalogue::SYSTEMS.iter().any(|system| system.name == name)
}

/// The system that usually listens on a port.
#[must_use]
pub fn system_of_port(port: i64) -> Option<&'static str> {
    port_system(port).map(|index| catalogue::system(index).name)
}

/// The system that a name speaks of, such as a port's: `redis-client`. None where
/// another word says that it is something beside it: `mysql-exporter`.
#[must_use]
pub fn system_of_name(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let (index, is_distinctive) = name_in(&name)?;
    let is_beside = words(&name).any(catalogue::is_lookalike_word);
    (is_distinctive && !is_beside).then(|| catalogue::system(index).name)
}

/// The longest known path first, then the name, then the words of the name.
fn image_says(image: &Image) -> ImageSays {
    let is_whole = |suffix: &str| suffix.len() == image.path().len();
    for suffix in image.suffixes() {
        // One segment alone is a whole path or nothing: `registry`, `crate`.
        if !suffix.contains('/') && !is_whole(suffix) {
            continue;
        }
        match catalogue::find(REPOSITORIES, suffix) {
            Some(Repository::DataStore(index)) => return ImageSays::DataStore(index),
            Some(Repository::LookAlike(role)) => return ImageSays::LookAlike(role),
            None => {}
        }
    }
    let name = image.name();
    if let Some(index) = catalogue::find(NAMES, name) {
        return ImageSays::DataStore(index);
    }
    if let Some(role) = catalogue::find(LOOKALIKE_NAMES, name) {
        return ImageSays::LookAlike(role);
    }
    let found = name_in(name);
    match found {
        Some(_) if words(name).any(catalogue::is_lookalike_word) => ImageSays::LikelyNot,
        Some((index, true)) => ImageSays::Likely(index),
        Some((index, false)) => ImageSays::Perhaps(index),
        None => ImageSays::Nothing,
    }
}

/// A system's name among the words of a name, and whether it is distinctive:
/// `percona_xtradb_cluster_5_6`, `examples-bookinfo-mysqldb`, `etcd-20-centos7`.
fn name_in(name: &str) -> Option<(u16, bool)> {
    let words: Vec<&str> = words(name).collect();
    // Names of several words first: `percona-xtradb-cluster` isn't `percona`.
    for length in (1..=words.len().min(4)).rev() {
        for window in words.windows(length) {
            let joined = window.join("-");
            for spelling in spellings(&joined) {
                if let Some(index) = catalogue::find(NAMES, spelling) {
                    return Some((index, true));
                }
                if let Some(index) = catalogue::find(GENERIC_NAMES, spelling) {
                    return Some((index, false));
                }
            }
        }
    }
    None
}

/// A word as it stands, without the version behind it (`postgres15`), without `db` (`mysqldb`).
fn spellings(word: &str) -> impl Iterator<Item = &str> {
    let unversioned = word.trim_end_matches(|letter: char| letter.is_ascii_digit());
    [word, unversioned, word.strip_suffix("db").unwrap_or_default()].into_iter().filter(|spelling| spelling.len() > 1)
}

/// Whether anything else speaks for this system.
fn has_a_sign(name: &str, container: &ContainerView, index: u16) -> bool {
    let ports = container.ports.iter().any(|port| {
        port_system(port.container_port) == Some(index)
            || port.name.as_deref().and_then(name_in).is_some_and(|(system, _)| system == index)
    });
    let directory = container.volume_mounts.iter().any(|mount| {
        !mount.read_only
            && catalogue::system(index)
                .directories
                .iter()
                .any(|directory| covers(&mount.mount_path, directory) || covers(directory, &mount.mount_path))
    });
    let variable = container.env.iter().any(|variable| catalogue::find(ENVIRONMENT, &variable.name) == Some(index));
    let named =
        name_in(name).is_some_and(|(system, _)| system == index) && !words(name).any(catalogue::is_lookalike_word);
    ports || directory || variable || named
}

struct Weighed {
    system: u16,
    directory: bool,
}

/// The system for which enough speaks, if there is one.
fn weigh(name: &str, container: &ContainerView) -> Option<Weighed> {
    let mut weights: Vec<(u16, u32, bool)> = Vec::new();
    let mut add = |index: Option<u16>, weight: u32| {
        let Some(index) = index else { return };
        let at = weights.iter().position(|(system, ..)| *system == index).unwrap_or_else(|| {
            weights.push((index, 0, false));
            weights.len() - 1
        });
        weights[at].1 += weight;
        weights[at].2 |= weight == DIRECTORY_WEIGHT;
    };
    let each_once = |systems: Vec<Option<u16>>| {
        let mut systems: Vec<_> = systems.into_iter().flatten().collect();
        systems.sort_unstable();
        systems.dedup();
        systems
    };
    let ports = each_once(container.ports.iter().map(|port| port_system(port.container_port)).collect());
    let port_names = each_once(
        container
            .ports
            .iter()
            .filter_map(|port| port.name.as_deref())
            .map(|name| name_in(name).map(|(system, _)| system))
            .collect(),
    );
    let variables =
        each_once(container.env.iter().map(|variable| catalogue::find(ENVIRONMENT, &variable.name)).collect());
    let mounts = container.volume_mounts.iter().filter(|mount| !mount.read_only);
    let directories = each_once(mounts.map(|mount| directory_system(&mount.mount_path)).collect());
    ports.iter().chain(&port_names).chain(&variables).for_each(|index| add(Some(*index), SIGN_WEIGHT));
    directories.iter().for_each(|index| add(Some(*index), DIRECTORY_WEIGHT));
    if !words(name).any(catalogue::is_lookalike_word) {
        add(name_in(name).map(|(system, _)| system), SIGN_WEIGHT);
        // `user-db` on a database's port; the name alone says nothing of the system.
        if words(name).any(|word| matches!(word, "db" | "database")) {
            ports.iter().for_each(|index| add(Some(*index), SIGN_WEIGHT));
        }
    }
    // Without a port or a directory only names and variables speak, and clients have those.
    let speaks = |index: &u16| ports.contains(index) || directories.contains(index);
    let best = weights
        .into_iter()
        .filter(|(index, weight, _)| *weight >= ENOUGH && speaks(index))
        .max_by_key(|(_, weight, _)| *weight);
    best.map(|(system, _, directory)| Weighed { system, directory })
}

fn port_system(port: i64) -> Option<u16> {
    let port = u16::try_from(port).ok()?;
    PORTS.binary_search_by_key(&port, |(known, _)| *known).ok().map(|index| PORTS[index].1)
}

/// The system whose own directory lies at or above a mount.
fn directory_system(mount: &str) -> Option<u16> {
    let mount = mount.trim_end_matches('/');
    DIRECTORIES
        .iter()
        .filter(|(directory, _)| covers(directory, mount))
        .max_by_key(|(directory, _)| directory.len())
        .map(|(_, index)| *index)
}
