//! Which of a container's volumes hold its data.
//!
//! ```text
//! told (--datadir, PGDATA)  ->  the deepest mount that covers that directory
//! known directories         ->  mounts at them, else below them, else above them
//! unknown layout            ->  claims anywhere but at configuration, else what looks like data
//! ```
//!
//! Configuration volumes and read-only mounts never hold data.

use crate::catalogue::SourcePlace;
use crate::command::CommandLine;
use crate::container::ContainerView;
use crate::recognise::DataStore;
use crate::volume::{Volume, VolumeSource};

/// Directories that a mount above a data directory doesn't speak for: what they
/// hold is scratch, even where a data directory lies below by default.
const SCRATCH: [&str; 7] = ["/dev", "/dev/shm", "/run", "/tmp", "/var/log", "/var/run", "/var/tmp"];
/// Words in a mount's path that say that it isn't the data.
const NOT_DATA_WORDS: [&str; 33] = [
    "backup",
    "backups",
    "bin",
    "cache",
    "cert",
    "certs",
    "conf",
    "config",
    "configmap",
    "configs",
    "dev",
    "entrypoint",
    "etc",
    "extensions",
    "init",
    "initdb",
    "keys",
    "lib64",
    "log",
    "logs",
    "plugins",
    "private",
    "restore",
    "run",
    "scripts",
    "secret",
    "secrets",
    "ssl",
    "tls",
    "tmp",
    "import",
    "dump",
    "dumps",
];
/// Words in a mount's path that say that it is.
const DATA_WORDS: [&str; 12] = [
    "data",
    "database",
    "databases",
    "datadir",
    "datalog",
    "db",
    "journal",
    "persistence",
    "persistent",
    "storage",
    "store",
    "wal",
];

/// The volumes of the pod that a container belongs to.
#[derive(Debug, Clone, Copy)]
pub struct PodStorage<'a> {
    /// `spec.volumes`.
    pub volumes: &'a [Volume],
    /// The names of a StatefulSet's claim templates, which stand before volumes of the same name.
    pub claim_templates: &'a [&'a str],
}

/// Where a container keeps its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holding<'a> {
    /// Nowhere, by design or because it is told so.
    Nothing,
    /// On these volumes.
    Volumes(Vec<DataVolume<'a>>),
    /// In its own writable layer, which is gone with it; here.
    Layer(Vec<String>),
}

/// A volume that holds data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataVolume<'a> {
    /// Its name in the pod.
    pub name: &'a str,
    /// The mount's index in `volumeMounts`, or the device's in `volumeDevices`.
    pub index: usize,
    /// Whether it is given as a block device.
    pub is_device: bool,
}

/// What a volume may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Configuration,
    /// A claim, or a network volume: somebody meant it to last.
    Lasting,
    /// An emptyDir, a path of the node.
    Passing,
}

impl PodStorage<'_> {
    fn shape(&self, name: &str) -> Shape {
        if self.claim_templates.contains(&name) {
            return Shape::Lasting;
        }
        match self.volumes.iter().find(|volume| volume.name == name) {
            None => Shape::Configuration,
            Some(Volume { source: VolumeSource::Csi { .. } | VolumeSource::HostPath { .. }, .. }) => Shape::Passing,
            Some(volume) => match volume.source.place() {
                SourcePlace::NotData => Shape::Configuration,
                SourcePlace::Remote | SourcePlace::Depends => Shape::Lasting,
                SourcePlace::Local | SourcePlace::Ephemeral => Shape::Passing,
            },
        }
    }
}

/// A mount that may hold data.
#[derive(Debug, Clone, Copy)]
struct Mount<'a> {
    volume: DataVolume<'a>,
    path: &'a str,
    shape: Shape,
}

/// The volumes that hold a data store's data.
#[must_use]
pub fn data_volumes<'a>(store: &DataStore<'_>, container: &'a ContainerView, storage: PodStorage<'_>) -> Holding<'a> {
    let command = CommandLine::read(&container.command, &container.args);
    if store.keeps_nothing(container, &command) {
        return Holding::Nothing;
    }
    let mounts: Vec<Mount<'a>> = candidates(container, storage);
    let devices = container.volume_devices.iter().enumerate().map(|(index, device)| DataVolume {
        name: &device.name,
        index,
        is_device: true,
    });
    let told = told_directories(store, container, &command);
    let known: Vec<String> = store.directories().into_iter().map(str::to_owned).collect();
    let mut found = at_directories(&mounts, &told, true);
    if found.is_empty() {
        found = at_directories(&mounts, &known, false);
    }
    if found.is_empty() && !store.is_in_memory() {
        found = unknown_layout(&mounts, store.name());
    }
    let mut volumes: Vec<DataVolume<'a>> = found.into_iter().map(|mount| mount.volume).chain(devices).collect();
    let mut seen = Vec::new();
    volumes.retain(|volume| {
        !seen.contains(&volume.name) && {
            seen.push(volume.name);
            true
        }
    });
    match volumes.is_empty() {
        false => Holding::Volumes(volumes),
        true if store.is_in_memory() => Holding::Nothing,
        true => Holding::Layer(if told.is_empty() { known } else { told }),
    }
}

/// Whether `mount` is `directory` or one of its parents.
pub(crate) fn covers(mount: &str, directory: &str) -> bool {
    let mount = mount.trim_end_matches('/');
    let directory = directory.trim_end_matches('/');
    match directory.strip_prefix(mount) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

fn candidates<'a>(container: &'a ContainerView, storage: PodStorage<'_>) -> Vec<Mount<'a>> {
    let mounts = container.volume_mounts.iter().enumerate().filter(|(_, mount)| !mount.read_only);
    let mounts = mounts.map(|(index, mount)| Mount {
        volume: DataVolume { name: &mount.name, index, is_device: false },
        path: mount.mount_path.trim_end_matches('/'),
        shape: storage.shape(&mount.name),
    });
    mounts.filter(|mount| mount.shape != Shape::Configuration).collect()
}

/// The directories that flags and variables name.
fn told_directories(store: &DataStore<'_>, container: &ContainerView, command: &CommandLine) -> Vec<String> {
    let Some(system) = store.system() else { return Vec::new() };
    let flags = system.directory_flags.iter().flat_map(|flag| command.values(flag));
    let variables = system.directory_environment.iter().filter_map(|name| container.variable(name));
    let mut directories: Vec<String> = flags.chain(variables).flat_map(paths_in).collect();
    if system.name == "minio" {
        directories.extend(minio_drives(command));
    }
    directories
}

/// The paths in a flag's value: `/a,/b`, `path=/a,attrs=ssd`, `file:///a`. What
/// holds a variable isn't known here.
fn paths_in(value: &str) -> Vec<String> {
    let pieces = value.trim_matches(['"', '\'']).split([',', ' ']);
    let paths = pieces.filter_map(|piece| {
        let piece = piece.trim_start_matches("path=").trim_start_matches("file:").trim_matches(['"', '\'']);
        let path = piece.strip_prefix("//").map_or(piece, |rest| rest);
        (path.starts_with('/') && path.len() > 1 && !path.contains('$')).then(|| path.trim_end_matches('/').to_owned())
    });
    paths.collect()
}

/// The drives that `minio server` is given: `/data`, `/mnt/data{1...4}`, `http://minio-{0...3}.minio/export`.
fn minio_drives(command: &CommandLine) -> Vec<String> {
    let words =
        command.words().iter().skip_while(|word| *word != "server").skip(1).take_while(|word| !word.starts_with('-'));
    let paths = words.filter_map(|word| match word.split_once("://") {
        Some((_, rest)) => rest.find('/').map(|slash| rest[slash..].to_owned()),
        None => word.starts_with('/').then(|| word.clone()),
    });
    paths.filter(|path| path.len() > 1 && !path.contains('$')).collect()
}

/// The mounts at these directories, else below them, else above them. Where the
/// directory is told, the deepest mount that covers it counts before those below.
fn at_directories<'a>(mounts: &[Mount<'a>], directories: &[String], told: bool) -> Vec<Mount<'a>> {
    let at = collect(mounts, directories, is_at);
    if !at.is_empty() {
        return without_parents(at);
    }
    let above = deepest_above(mounts, directories, told);
    if told && !above.is_empty() {
        return above;
    }
    let below = collect(mounts, directories, |mount, directory| {
        covers(directory, mount) && !has_word(&mount[directory.len()..], &NOT_DATA_WORDS)
    });
    if below.is_empty() { above } else { below }
}

/// The mounts that stand so to one of the directories.
fn collect<'a>(mounts: &[Mount<'a>], directories: &[String], stands: impl Fn(&str, &str) -> bool) -> Vec<Mount<'a>> {
    mounts.iter().filter(|mount| directories.iter().any(|directory| stands(mount.path, directory))).copied().collect()
}

/// Whether a mount is at a directory; `/mnt/data{1...4}` stands for several.
fn is_at(mount: &str, directory: &str) -> bool {
    match directory.split_once('{') {
        Some((prefix, _)) => mount.strip_prefix(prefix).is_some_and(|rest| !rest.contains('/')),
        None => mount == directory.trim_end_matches('/'),
    }
}

/// For each directory the deepest mount above it, unless that is scratch.
fn deepest_above<'a>(mounts: &[Mount<'a>], directories: &[String], told: bool) -> Vec<Mount<'a>> {
    let deepest = |directory: &String| {
        let parents = mounts.iter().filter(|mount| !mount.path.is_empty() && covers(mount.path, directory));
        parents.max_by_key(|mount| mount.path.len()).filter(|mount| told || !SCRATCH.contains(&mount.path)).copied()
    };
    directories.iter().filter_map(deepest).collect()
}

/// Of known directories that lie in each other the deeper is the data:
/// `/var/lib/postgresql/data` beside a scratch volume at `/var/lib/postgresql`.
fn without_parents(mounts: Vec<Mount<'_>>) -> Vec<Mount<'_>> {
    let is_parent = |mount: &Mount<'_>| {
        mounts.iter().any(|other| other.path.len() > mount.path.len() && covers(mount.path, other.path))
    };
    // A claim above is the data too: what lies deeper may be a part of it.
    mounts.iter().filter(|mount| mount.shape == Shape::Lasting || !is_parent(mount)).copied().collect()
}

/// What most likely is the data where the layout isn't known: claims first,
/// whatever their path but for configuration and backups; then what looks like data.
fn unknown_layout<'a>(mounts: &[Mount<'a>], system: &str) -> Vec<Mount<'a>> {
    let possible: Vec<Mount<'a>> =
        mounts.iter().filter(|mount| !has_word(mount.path, &NOT_DATA_WORDS)).copied().collect();
    let looks_like_data = |mount: &&Mount<'a>| has_word(mount.path, &DATA_WORDS) || has_word(mount.path, &[system]);
    let lasting: Vec<Mount<'a>> = possible.iter().filter(|mount| mount.shape == Shape::Lasting).copied().collect();
    let telling: Vec<Mount<'a>> = lasting.iter().filter(looks_like_data).copied().collect();
    match (lasting.is_empty(), telling.is_empty()) {
        (false, false) => telling,
        (false, true) => lasting,
        (true, _) => possible.iter().filter(looks_like_data).copied().collect(),
    }
}

fn has_word(path: &str, known: &[&str]) -> bool {
    path.split(['/', '-', '_', '.']).any(|word| known.iter().any(|known| word.eq_ignore_ascii_case(known)))
}
