//! From what is reached, and how, to findings.

use std::collections::BTreeMap;

use portcullis_sdk::{Edit, FieldPath, Host, Level, Metadata, Operation, Review};

use crate::ServiceExposure;
use crate::cluster::{selected, selecting};
use crate::exposure::{Exposure, is_way_in};
use crate::rules::Rule;
use crate::settings::{ServiceType, Settings};
use crate::stores::{Behind, behind, behind_port, display, has_store, of_number};
use crate::views::{AnyWorkload, Backend, Ingress, Service};

/// The namespace of an object that names none, as kubectl has it.
const DEFAULT_NAMESPACE: &str = "default";

/// What judges: the settings, the cluster, and where the findings go.
pub(crate) struct Reporter<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) operation: Operation,
    pub(crate) host: &'a Host,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) namespace_labels: Option<&'a BTreeMap<String, String>>,
    pub(crate) review: &'a mut Review<ServiceExposure>,
}

impl Reporter<'_> {
    /// Judges a Service.
    pub(crate) fn service(&mut self, service: &Service) {
        self.ports(service);
        let exposure = Exposure::of(service);
        let external = self.external_addresses(service);
        if exposure == Exposure::Inside && external.is_empty() {
            return;
        }
        let namespace = self.namespace_of(&service.metadata);
        let pods = selected(self.host, &namespace, service);
        let behind = behind(self.settings, service, &pods);
        self.addresses(&external, behind.as_ref());
        match &behind {
            Some(behind) => self.data_store(service, exposure, behind),
            None if is_way_in(service) => {}
            None => self.other(exposure, &namespace),
        }
    }

    /// Judges an Ingress by the ports that it leads to.
    pub(crate) fn ingress(&mut self, ingress: &Ingress) {
        let spec = FieldPath::root().field("spec");
        let mut backends: Vec<(FieldPath, &Backend)> = Vec::new();
        backends.extend(ingress.spec.default_backend.iter().map(|backend| (spec.field("defaultBackend"), backend)));
        for (index, rule) in ingress.spec.rules.iter().enumerate() {
            let paths = spec.field("rules").index(index).field("http").field("paths");
            let paths_of_rule = rule.http.paths.iter().enumerate();
            backends.extend(paths_of_rule.map(|(index, path)| (paths.index(index).field("backend"), &path.backend)));
        }
        let mut told: Vec<&str> = Vec::new();
        for (path, backend) in backends {
            let service = &backend.service;
            let Some(number) = service.port.number else { continue };
            let Some(system) = of_number(self.settings, number).filter(|_| !told.contains(&service.name.as_str()))
            else {
                continue;
            };
            told.push(&service.name);
            self.review
                .warn(Rule::IngressToDataStore, format!("the Ingress leads to port {number} of Service `{}`, which is {system}'s: what is behind an Ingress is open at the edge of the cluster", service.name))
                .at(&path.field("service").field("port").field("number"))
                .subject(format!("service={}", service.name))
                .value(number.to_string())
                .fix("lead to the application in front of the data store");
        }
    }

    /// Judges a workload by the Services that select its pods already.
    pub(crate) fn workload(&mut self, workload: &AnyWorkload) {
        let labels = &workload.pod_metadata.labels;
        if labels.is_empty() || !has_store(self.settings, workload) {
            return;
        }
        let namespace = self.namespace_of(&workload.metadata);
        for service in selecting(self.host, &namespace, labels) {
            let exposure = Exposure::of(&service);
            let behind = service.spec.ports.iter().find_map(|port| behind_port(self.settings, port, workload));
            let (Some(behind), Some((rule, level, how))) = (behind, self.of_data_store(exposure)) else { continue };
            let name = service.metadata.display_name();
            let message = format!(
                "{} runs {}, and Service `{name}` leads to its port `{}` already, {how}",
                display(workload),
                behind.system,
                behind.port
            );
            self.review
                .find(rule, level, message)
                .at(&workload.pod_metadata_path().field("labels"))
                .subject(format!("service={name}"))
                .value(type_of(exposure))
                .fix(format!(
                    "make Service `{name}` `type: ClusterIP` first, or give these pods labels that it doesn't select"
                ));
        }
    }

    fn data_store(&mut self, service: &Service, exposure: Exposure, behind: &Behind) {
        let Some((rule, level, how)) = self.of_data_store(exposure) else { return };
        let Behind { system, port, pods } = behind;
        let why = match pods {
            Some(pods) => format!("it selects the pods of {pods}"),
            None => "as the port says".to_owned(),
        };
        let message =
            format!("Service `{}` leads to {system} at port `{port}` ({why}), {how}", service.metadata.display_name());
        let path = FieldPath::fields(["spec", "type"]);
        // Node ports and the like would have to go too, and what the cluster filled in can't be told from what was asked for.
        let is_certain = self.operation == Operation::Create && service.spec.is_inside_but_for_its_type();
        let edits = is_certain.then(|| Edit::Replace(path.clone(), "ClusterIP".into()));
        self.review
            .find(rule, level, message)
            .at(&path)
            .subject("type")
            .value(type_of(exposure))
            .fix_with("use `type: ClusterIP`, and `kubectl port-forward` to look in from outside", edits);
    }

    /// What an exposure of a data store comes to.
    fn of_data_store(&self, exposure: Exposure) -> Option<(Rule, Level, &'static str)> {
        Some(match exposure {
            Exposure::Inside => return None,
            Exposure::NodePort => (Rule::DataStoreNodePort, Level::Deny, "on a port of every node"),
            Exposure::LoadBalancer => {
                (Rule::DataStoreLoadBalancer, Level::Deny, "by a load balancer outside the cluster")
            }
            Exposure::Internal => {
                (Rule::InternalLoadBalancer, self.settings.internal_data_store.level()?, "by an internal load balancer")
            }
        })
    }

    fn other(&mut self, exposure: Exposure, namespace: &str) {
        let settings = self.settings;
        let (rule, weight, kind, message) = match exposure {
            Exposure::Inside => return,
            Exposure::NodePort => (
                Rule::NodePort,
                settings.node_port,
                ServiceType::NodePort,
                "a NodePort is open on every node, without TLS and without a name: it is for tests",
            ),
            Exposure::LoadBalancer => (
                Rule::LoadBalancer,
                settings.load_balancer,
                ServiceType::LoadBalancer,
                "a load balancer for one Service costs an address of its own and passes by the Ingress",
            ),
            Exposure::Internal => (
                Rule::LoadBalancer,
                settings.internal_load_balancer,
                ServiceType::LoadBalancer,
                "an internal load balancer for one Service costs an address of its own and passes by the Ingress",
            ),
        };
        if settings.allows(kind, namespace, self.namespace_labels) {
            return;
        }
        let Some(level) = weight.level() else { return };
        self.review
            .find(rule, level, message.to_owned())
            .at(&FieldPath::fields(["spec", "type"]))
            .subject("type")
            .value(type_of(exposure))
            .fix("use `type: ClusterIP` behind an Ingress or a Gateway");
    }

    /// The addresses that a Service takes over and may not.
    fn external_addresses<'a>(&self, service: &'a Service) -> Vec<(usize, &'a str)> {
        let addresses = service.spec.external_ips.iter().map(String::as_str).enumerate();
        addresses
            .filter(|(_, address)| !self.settings.allowed_external_ips.iter().any(|allowed| allowed == address))
            .collect()
    }

    fn addresses(&mut self, addresses: &[(usize, &str)], behind: Option<&Behind>) {
        let Some(level) = self.settings.external_ips.level() else { return };
        let to = behind.map_or_else(String::new, |behind| format!(", and leads it to {}", behind.system));
        for (index, address) in addresses {
            self.review
                .find(Rule::ExternalIps, level, format!("the Service takes what the cluster sends to {address}, whoever has that address{to} (CVE-2020-8554)"))
                .at(&FieldPath::fields(["spec", "externalIPs"]).index(*index))
                .subject(format!("address={address}"))
                .value(*address)
                .fix("leave `externalIPs` away; use a load balancer or an Ingress");
        }
    }

    /// What the API server would refuse, told before anything reaches it.
    fn ports(&mut self, service: &Service) {
        let list = FieldPath::fields(["spec", "ports"]);
        let ports = &service.spec.ports;
        for (index, port) in ports.iter().enumerate() {
            if ports.len() > 1 && port.name.is_empty() {
                self.review
                    .deny(
                        Rule::UnnamedPort,
                        format!("port {} has no name, and the Service has several ports: each needs one", port.port),
                    )
                    .at(&list.index(index))
                    .subject(format!("port={}", port.port))
                    .value(port.port.to_string())
                    .fix("give each port a name of its own, such as `http` and `metrics`");
            }
            let range = self.settings.node_ports;
            if let Some(number) =
                port.node_port.filter(|number| *number != 0 && !(range.least..=range.most).contains(number))
            {
                self.review
                    .warn(
                        Rule::NodePortRange,
                        format!(
                            "node port {number} is outside {}-{}, and the API server will refuse it",
                            range.least, range.most
                        ),
                    )
                    .at(&list.index(index).field("nodePort"))
                    .subject(format!("port={}", port.port))
                    .value(number.to_string())
                    .fix("leave `nodePort` away, and a free one is taken");
            }
        }
    }

    fn namespace_of(&self, metadata: &Metadata) -> String {
        let own = if metadata.namespace.is_empty() { DEFAULT_NAMESPACE } else { &metadata.namespace };
        self.namespace.unwrap_or(own).to_owned()
    }
}

fn type_of(exposure: Exposure) -> &'static str {
    match exposure {
        Exposure::Inside => "ClusterIP",
        Exposure::NodePort => "NodePort",
        Exposure::Internal | Exposure::LoadBalancer => "LoadBalancer",
    }
}
