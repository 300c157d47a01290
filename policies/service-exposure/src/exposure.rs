//! How a Service is reached from outside the cluster.

use crate::views::Service;

/// How far a Service reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exposure {
    /// It isn't: `ClusterIP`, headless, `ExternalName`.
    Inside,
    /// On every node.
    NodePort,
    /// By a load balancer that only the private network reaches.
    Internal,
    /// By a load balancer.
    LoadBalancer,
}

/// Annotations that ask a cloud, or a controller, for an internal load balancer,
/// and the value that does so; none: any but `false`. Sources: the documentation
/// of each cloud's controller, and of Kubernetes on internal load balancers.
const INTERNAL: [(&str, Option<&str>); 17] = [
    ("alb.ingress.kubernetes.io/scheme", Some("internal")),
    ("cloud.google.com/load-balancer-type", Some("internal")),
    ("networking.gke.io/load-balancer-type", Some("internal")),
    ("service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type", Some("intranet")),
    ("service.beta.kubernetes.io/aws-load-balancer-internal", None),
    ("service.beta.kubernetes.io/aws-load-balancer-scheme", Some("internal")),
    ("service.beta.kubernetes.io/azure-load-balancer-internal", Some("true")),
    ("service.beta.kubernetes.io/cce-load-balancer-internal-vpc", Some("true")),
    ("service.beta.kubernetes.io/oci-load-balancer-internal", Some("true")),
    ("service.beta.kubernetes.io/openstack-internal-load-balancer", Some("true")),
    ("service.kubernetes.io/ibm-load-balancer-cloud-provider-ip-type", Some("private")),
    ("service.kubernetes.io/qcloud-loadbalancer-internal-subnetid", None),
    ("load-balancer.hetzner.cloud/disable-public-network", Some("true")),
    ("loadbalancer.openstack.org/internal", Some("true")),
    ("oci-network-load-balancer.oraclecloud.com/internal", Some("true")),
    ("service.beta.kubernetes.io/scw-loadbalancer-private", Some("true")),
    ("kubernetes.digitalocean.com/load-balancer-network", Some("internal")),
];

impl Exposure {
    /// How far a Service reaches.
    pub(crate) fn of(service: &Service) -> Self {
        match service.spec.kind.as_deref() {
            Some("NodePort") => Self::NodePort,
            Some("LoadBalancer") if is_internal(service) => Self::Internal,
            Some("LoadBalancer") => Self::LoadBalancer,
            _ => Self::Inside,
        }
    }
}

/// Words by which the Services of Ingress controllers and Gateways are known: they are the way in.
const WAYS_IN: [&str; 10] = [
    "ambassador",
    "contour",
    "emissary",
    "envoy",
    "gateway",
    "haproxy",
    "ingress",
    "ingressgateway",
    "kong",
    "traefik",
];

/// Whether a Service is the way into the cluster, by its name, its labels or those of its pods.
pub(crate) fn is_way_in(service: &Service) -> bool {
    let metadata = &service.metadata;
    let labels = metadata.labels.iter().chain(&service.spec.selector);
    let telling = labels
        .filter(|(key, _)| matches!(key.rsplit('/').next(), Some("app" | "name" | "component" | "part-of" | "istio")));
    let mut names = telling.map(|(_, value)| value.as_str()).chain([metadata.display_name()]);
    let is_gateway = metadata.labels.contains_key("gateway.networking.k8s.io/gateway-name");
    is_gateway || names.any(|name| name.split(['-', '_', '.']).any(|word| WAYS_IN.contains(&word)))
}

fn is_internal(service: &Service) -> bool {
    let asked = INTERNAL.iter().any(|(annotation, wanted)| {
        let value = service.metadata.annotations.get(*annotation).map(String::as_str);
        value.is_some_and(|value| wanted.map_or(value != "false", |wanted| value.eq_ignore_ascii_case(wanted)))
    });
    let ranges = &service.spec.load_balancer_source_ranges;
    asked || !ranges.is_empty() && ranges.iter().all(|range| is_private(range))
}

/// Whether a CIDR lies in the private networks of RFC 1918, RFC 6598 and RFC 4193.
fn is_private(range: &str) -> bool {
    let (address, length) = range.trim().split_once('/').unwrap_or((range, "128"));
    let Ok(length) = length.parse::<u8>() else { return false };
    match address.parse() {
        Ok(std::net::IpAddr::V4(address)) => {
            let [first, second, ..] = address.octets();
            first == 10 && length >= 8
                || first == 172 && (16..32).contains(&second) && length >= 12
                || first == 192 && second == 168 && length >= 16
                || first == 100 && (64..128).contains(&second) && length >= 10
        }
        Ok(std::net::IpAddr::V6(address)) => address.segments()[0] & 0xfe00 == 0xfc00 && length >= 7,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may end in a panic")]

    use portcullis_sdk::serde_json::{Value, from_value, json};

    use super::*;

    fn check(spec: Value, annotations: Value, expected: Exposure) {
        let service: Service = from_value(json!({"metadata": {"annotations": annotations}, "spec": spec})).unwrap();
        assert_eq!(Exposure::of(&service), expected, "{service:?}");
    }

    #[test]
    fn only_node_ports_and_load_balancers_reach_outside() {
        check(json!({}), json!({}), Exposure::Inside);
        check(json!({"type": "ClusterIP", "clusterIP": "None"}), json!({}), Exposure::Inside);
        check(json!({"type": "ExternalName"}), json!({}), Exposure::Inside);
        check(json!({"type": "NodePort"}), json!({}), Exposure::NodePort);
        check(json!({"type": "LoadBalancer"}), json!({}), Exposure::LoadBalancer);
    }

    #[test]
    fn an_internal_load_balancer_is_known_by_annotation_and_by_its_ranges() {
        let aws = "service.beta.kubernetes.io/aws-load-balancer-internal";
        let balancer = json!({"type": "LoadBalancer"});
        check(balancer.clone(), json!({aws: "0.0.0.0/0"}), Exposure::Internal);
        check(balancer.clone(), json!({aws: "false"}), Exposure::LoadBalancer);
        check(balancer.clone(), json!({"networking.gke.io/load-balancer-type": "Internal"}), Exposure::Internal);
        let ranges = |ranges: Value| json!({"type": "LoadBalancer", "loadBalancerSourceRanges": ranges});
        check(ranges(json!(["10.0.0.0/8", "192.168.1.0/24"])), json!({}), Exposure::Internal);
        check(ranges(json!(["10.0.0.0/8", "203.0.113.0/24"])), json!({}), Exposure::LoadBalancer);
        check(ranges(json!(["fd00::/8"])), json!({}), Exposure::Internal);
        check(ranges(json!(["0.0.0.0/0"])), json!({}), Exposure::LoadBalancer);
        check(ranges(json!(["nonsense"])), json!({}), Exposure::LoadBalancer);
    }
}
