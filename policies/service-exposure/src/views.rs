//! What the policy reads of each kind.

use std::collections::BTreeMap;

use portcullis_sdk::pod::Workload;
use portcullis_sdk::serde_json::Value;
use portcullis_sdk::{Metadata, Objects, Present, View};
use portcullis_workloads::ContainerView;
use serde::Deserialize;

/// Every kind that carries a pod template.
pub(crate) type AnyWorkload = Workload<ContainerView>;

/// What the policy judges.
#[derive(Debug, Objects)]
pub enum Subject {
    /// What is reached, and how.
    Service(Service),
    /// What leads to Services from outside.
    Ingress(Ingress),
    /// What may be a data store that a Service selects.
    Workload(AnyWorkload),
}

/// A Service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
#[view(api_version = "v1", kind = "Service", resource = "services")]
pub struct Service {
    /// Its name, and annotations by which clouds are told what load balancer to make.
    pub metadata: Metadata,
    /// What is asked for.
    pub spec: ServiceSpec,
}

/// What is asked of a Service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// `ClusterIP` where absent.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Labels of the pods that it leads to.
    pub selector: BTreeMap<String, String>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// Addresses that it takes over.
    #[serde(rename = "externalIPs")]
    pub external_ips: Vec<String>,
    /// Who may reach its load balancer, as CIDRs.
    pub load_balancer_source_ranges: Vec<String>,
    /// Which controller makes the load balancer.
    pub load_balancer_class: Present,
    /// Its address.
    #[serde(rename = "loadBalancerIP")]
    pub load_balancer_ip: Present,
    /// Whether a load balancer needs node ports.
    pub allocate_load_balancer_node_ports: Present,
    /// How what comes from outside is led to pods.
    pub external_traffic_policy: Present,
    /// Where the load balancer asks for health.
    pub health_check_node_port: Present,
}

impl ServiceSpec {
    /// Whether it is a valid `ClusterIP` by its type alone: nothing else speaks of a way in.
    pub(crate) fn is_inside_but_for_its_type(&self) -> bool {
        let marks = [
            self.load_balancer_class,
            self.load_balancer_ip,
            self.allocate_load_balancer_node_ports,
            self.external_traffic_policy,
            self.health_check_node_port,
        ];
        let node_ports = self.ports.iter().any(|port| port.node_port.is_some());
        !node_ports && self.load_balancer_source_ranges.is_empty() && !marks.iter().any(|mark| mark.0)
    }
}

/// A port of a Service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// Its name.
    pub name: String,
    /// Its number.
    pub port: i64,
    /// The pods' port, by number or by name; `port` where absent.
    pub target_port: Value,
    /// Its number on the nodes.
    pub node_port: Option<i64>,
}

/// An Ingress.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
#[view(api_version = "networking.k8s.io/v1", kind = "Ingress", resource = "ingresses")]
pub struct Ingress {
    /// Its name.
    pub metadata: Metadata,
    /// Where it leads.
    pub spec: IngressSpec,
}

/// Where an Ingress leads.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressSpec {
    /// What no rule matches.
    pub default_backend: Option<Backend>,
    /// By host and path.
    pub rules: Vec<IngressRule>,
}

/// A rule of an Ingress.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
pub struct IngressRule {
    /// Its paths.
    pub http: Paths,
}

/// The paths of a rule.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
pub struct Paths {
    /// Each with its backend.
    pub paths: Vec<Path>,
}

/// A path of a rule.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
pub struct Path {
    /// Where it leads.
    pub backend: Backend,
}

/// Where something leads.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
pub struct Backend {
    /// To a Service, unless it is something else.
    pub service: BackendService,
}

/// A Service by name and port.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
pub struct BackendService {
    /// Its name.
    pub name: String,
    /// Its port.
    pub port: BackendPort,
}

/// A port by number or by name.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, View)]
#[serde(default)]
pub struct BackendPort {
    /// By number.
    pub number: Option<i64>,
    /// By name.
    pub name: String,
}
