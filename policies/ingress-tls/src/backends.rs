//! The Services that an Ingress forwards to: there, with that port, and inside the cluster.

use portcullis_sdk::{Answer, FieldPath, Host, Review};

use crate::IngressTls;
use crate::rules::Rule;
use crate::settings::Settings;
use crate::views::{Ingress, Service, ServiceBackend};

/// More backends than these aren't looked at: each is a look-up.
const MOST_BACKENDS: usize = 32;

/// Judges the backends of an Ingress, each Service once.
pub(crate) fn judge(
    settings: &Settings,
    ingress: &Ingress,
    namespace: &str,
    host: &Host,
    review: &mut Review<IngressTls>,
) {
    let mut backends = services(ingress);
    backends.truncate(MOST_BACKENDS);
    let mut known: Vec<(&str, Answer<Service>)> = Vec::new();
    let mut reported: Vec<&str> = Vec::new();
    for (path, backend) in &backends {
        let name = backend.name.as_str();
        let index = known.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            known.push((name, host.get_in::<Service>(namespace, name)));
            known.len() - 1
        });
        let is_first = !reported.contains(&name);
        reported.push(name);
        match &known[index].1 {
            Answer::Unknown(_) => {}
            Answer::Absent if is_first => {
                review
                    .warn(Rule::BackendAbsent, format!("there is no Service `{name}` in the namespace `{namespace}` of the Ingress, and an Ingress reaches no other"))
                    .at(&path.field("name"))
                    .subject(format!("service={name}"))
                    .value(name)
                    .fix(format!("make the Service in `{namespace}`, or the Ingress where the Service is"));
            }
            Answer::Absent => {}
            Answer::Found(service) => {
                if is_first {
                    internal(settings, name, service, path, review);
                }
                port(backend, service, path, review);
            }
        }
    }
}

fn internal(settings: &Settings, name: &str, service: &Service, path: &FieldPath, review: &mut Review<IngressTls>) {
    let message = match service.spec.kind.as_str() {
        "ExternalName" => format!(
            "the Service `{name}` is an ExternalName: the Ingress forwards out of the cluster, past its network policies"
        ),
        "LoadBalancer" if settings.internal_backends => {
            format!("the Service `{name}` is a LoadBalancer: it is reachable without the Ingress and its TLS")
        }
        _ => return,
    };
    review
        .warn(Rule::BackendNotInternal, message)
        .at(&path.field("name"))
        .subject(format!("service={name}"))
        .value(&service.spec.kind)
        .fix("forward to a Service of the type ClusterIP");
}

fn port(backend: &ServiceBackend, service: &Service, path: &FieldPath, review: &mut Review<IngressTls>) {
    let wanted = &backend.port;
    let (said, is_there) = if wanted.name.is_empty() {
        (wanted.number.to_string(), service.spec.ports.iter().any(|port| port.port == wanted.number))
    } else {
        (wanted.name.clone(), service.spec.ports.iter().any(|port| port.name == wanted.name))
    };
    // An ExternalName needs no ports, and a backend without one is the API server's to refuse.
    if is_there || said == "0" || service.spec.kind == "ExternalName" {
        return;
    }
    let name = &backend.name;
    let ports: Vec<String> = service
        .spec
        .ports
        .iter()
        .map(|port| if port.name.is_empty() { port.port.to_string() } else { format!("{} ({})", port.port, port.name) })
        .collect();
    review
        .warn(
            Rule::BackendPort,
            format!(
                "the Service `{name}` has no port `{said}`; it has {}",
                if ports.is_empty() { "none".to_owned() } else { ports.join(", ") }
            ),
        )
        .at(&path.field("port"))
        .subject(format!("service={name},port={said}"))
        .value(said)
        .fix("name a port of the Service, by its number or its name");
}

/// Every Service that is forwarded to, with its place.
fn services(ingress: &Ingress) -> Vec<(FieldPath, &ServiceBackend)> {
    let default =
        ingress.spec.default_backend.iter().map(|backend| (FieldPath::fields(["spec", "defaultBackend"]), backend));
    let paths = ingress.spec.rules.iter().enumerate().flat_map(|(rule, contents)| {
        contents.http.paths.iter().enumerate().map(move |(path, contents)| {
            let place = FieldPath::fields(["spec", "rules"])
                .index(rule)
                .field("http")
                .field("paths")
                .index(path)
                .field("backend");
            (place, &contents.backend)
        })
    });
    default
        .chain(paths)
        .filter_map(|(path, backend)| {
            Some((path.field("service"), backend.service.as_ref().filter(|service| !service.name.is_empty())?))
        })
        .collect()
}
