//! Whether what a Service leads to is a data store: by the pods that it selects
//! where they are known, else by its ports.
//!
//! A port leads to a data store if the container that listens there is one, and
//! the port isn't a page for people or metrics. Where the pods say nothing, a
//! number that few but data stores have does, or a name that speaks of one.

use portcullis_sdk::pod::Role;
use portcullis_sdk::serde_json::Value;
use portcullis_workloads::{ContainerView, Recognition, recognise, system_of_name, system_of_port};

use crate::settings::Settings;
use crate::views::{AnyWorkload, Service, ServicePort};

/// A data store behind a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Behind {
    /// Its system.
    pub(crate) system: String,
    /// The Service's port: its name, or its number.
    pub(crate) port: String,
    /// The pods that say so, `StatefulSet mongo`; none where the port itself does.
    pub(crate) pods: Option<String>,
}

/// Ports of systems that other programs have as well: they need a name that says so too.
const SHARED_PORTS: [i64; 28] = [
    1729, 4567, 11300, 389, 636, 1883, 2049, 3050, 3100, 3301, 4150, 5000, 5433, 6650, 7474, 7700, 8086, 8091, 8108,
    8123, 8200, 8300, 8301, 8428, 8500, 8983, 9000, 50000,
];
/// Ports at which data stores show pages to people or metrics to Prometheus.
const PAGE_PORTS: [i64; 20] = [
    80, 443, 3000, 5601, 7474, 8001, 8080, 8081, 8082, 8161, 8222, 8443, 8888, 9001, 9090, 9093, 15671, 15672, 15692,
    16010,
];
/// Words in a port's name that say the same.
const PAGE_WORDS: [&str; 18] = [
    "admin",
    "browser",
    "console",
    "dashboard",
    "exporter",
    "gui",
    "health",
    "healthz",
    "management",
    "manager",
    "metrics",
    "mgmt",
    "monitoring",
    "prometheus",
    "stats",
    "ui",
    "web",
    "webui",
];

/// The data store behind a Service, among the pods that it selects.
pub(crate) fn behind(settings: &Settings, service: &Service, pods: &[AnyWorkload]) -> Option<Behind> {
    let ports = &service.spec.ports;
    let by_pods = ports.iter().find_map(|port| pods.iter().find_map(|workload| behind_port(settings, port, workload)));
    by_pods.or_else(|| ports.iter().find_map(|port| by_port(settings, service, port)))
}

/// The data store of a workload that a port leads to.
pub(crate) fn behind_port(settings: &Settings, port: &ServicePort, workload: &AnyWorkload) -> Option<Behind> {
    let containers = containers(settings, workload);
    let target = target(port);
    let listens = |view: &ContainerView| {
        view.ports.iter().any(|declared| match target {
            Target::Number(number) => declared.container_port == number,
            Target::Name(name) => declared.name.as_deref() == Some(name),
        })
    };
    let declared: Vec<_> = containers.iter().filter(|known| listens(known.view)).collect();
    let running: Vec<_> =
        containers.iter().filter(|known| matches!(known.role, Role::Regular | Role::Sidecar)).collect();
    let alone = running.len() == 1;
    let candidates = if declared.is_empty() { running } else { declared };
    candidates.into_iter().find_map(|known| {
        let system = known.system.clone()?;
        // Of several containers that don't say where they listen, the number tells.
        let is_its_own =
            listens(known.view) || alone || number(&target).and_then(system_of_port) == Some(system.as_str());
        let pods = Some(display(workload));
        (is_its_own && !is_page(port, known.view, &target)).then(|| Behind { system, port: port_name(port), pods })
    })
}

/// The data store that a port number or a name speaks of.
pub(crate) fn by_port(settings: &Settings, service: &Service, port: &ServicePort) -> Option<Behind> {
    let target = target(port);
    if has_page_word(&port.name) || matches!(target, Target::Name(name) if has_page_word(name)) {
        return None;
    }
    let number = number(&target).or_else(|| matches!(target, Target::Name(_)).then_some(port.port));
    let named = [port.name.as_str(), if let Target::Name(name) = target { name } else { "" }]
        .into_iter()
        .find_map(system_of_name);
    let by_number = number.and_then(system_of_port);
    let is_shared = number.is_some_and(|number| SHARED_PORTS.contains(&number));
    let is_paged = number.is_some_and(|number| PAGE_PORTS.contains(&number));
    let system = match (by_number, named) {
        (_, Some(named)) if !is_paged => named,
        (Some(by_number), _) if !is_shared || system_of_name(&service.metadata.name) == Some(by_number) => by_number,
        _ => return None,
    };
    (!settings.is_ignored(system)).then(|| Behind { system: system.to_owned(), port: port_name(port), pods: None })
}

/// The data store that usually listens on a port with a number that few others have.
pub(crate) fn of_number(settings: &Settings, number: i64) -> Option<&'static str> {
    let system = system_of_port(number).filter(|_| !SHARED_PORTS.contains(&number))?;
    (!settings.is_ignored(system)).then_some(system)
}

/// Whether a workload has any data store.
pub(crate) fn has_store(settings: &Settings, workload: &AnyWorkload) -> bool {
    containers(settings, workload).iter().any(|known| known.system.is_some())
}

/// `StatefulSet mongo`.
pub(crate) fn display(workload: &AnyWorkload) -> String {
    format!("{} {}", workload.kind.as_str(), workload.metadata.display_name())
}

/// A container, and what it is.
struct Known<'a> {
    role: Role,
    view: &'a ContainerView,
    /// The data store's system, if it is one.
    system: Option<String>,
    is_certain: bool,
}

#[derive(Debug, Clone, Copy)]
enum Target<'a> {
    Number(i64),
    Name(&'a str),
}

fn target(port: &ServicePort) -> Target<'_> {
    match &port.target_port {
        Value::String(text) => text.parse().map_or(Target::Name(text), Target::Number),
        Value::Number(number) => Target::Number(number.as_i64().filter(|number| *number > 0).unwrap_or(port.port)),
        _ => Target::Number(port.port),
    }
}

fn number(target: &Target<'_>) -> Option<i64> {
    match target {
        Target::Number(number) => Some(*number),
        Target::Name(_) => None,
    }
}

/// Each container of a workload, and what it is.
fn containers<'a>(settings: &Settings, workload: &'a AnyWorkload) -> Vec<Known<'a>> {
    let custom = settings.custom_stores();
    let mut known: Vec<Known<'a>> = workload
        .containers()
        .map(|container| {
            let recognised =
                recognise(container.name, container.role, container.view, &custom, &settings.not_data_stores);
            let (system, is_certain) = match recognised {
                Recognition::DataStore(store) if !settings.is_ignored(store.name()) => {
                    (Some(store.name().to_owned()), store.is_certain())
                }
                _ => (None, false),
            };
            Known { role: container.role, view: container.view, system, is_certain }
        })
        .collect();
    // Of one system in a pod the certain one is the data store, and a likely one beside it its client.
    let certain: Vec<String> =
        known.iter().filter(|known| known.is_certain).filter_map(|known| known.system.clone()).collect();
    for likely in known.iter_mut().filter(|known| !known.is_certain) {
        likely.system.take_if(|system| certain.contains(system));
    }
    known
}

/// Whether a data store shows a page or metrics at this port.
fn is_page(port: &ServicePort, view: &ContainerView, target: &Target<'_>) -> bool {
    let declared = view.ports.iter().find(|declared| match target {
        Target::Number(number) => declared.container_port == *number,
        Target::Name(name) => declared.name.as_deref() == Some(*name),
    });
    let number = declared.map(|declared| declared.container_port).or(number(target));
    let declared_name = declared.and_then(|declared| declared.name.as_deref()).unwrap_or_default();
    has_page_word(&port.name)
        || has_page_word(declared_name)
        || number.is_some_and(|number| PAGE_PORTS.contains(&number))
}

fn has_page_word(name: &str) -> bool {
    name.split(['-', '_', '.']).any(|word| PAGE_WORDS.contains(&word.to_ascii_lowercase().as_str()))
}

fn port_name(port: &ServicePort) -> String {
    if port.name.is_empty() { port.port.to_string() } else { port.name.clone() }
}
