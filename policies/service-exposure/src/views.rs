//! What the policy reads of each kind.

use std::collections::BTreeMap;

use portcullis_sdk::pod::Workload;
use portcullis_sdk::serde_json::Value;
use portcullis_sdk::{Metadata, Objects, View};
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
    pub load_balancer_class: Option<String>,
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
