//! The rules that the policy reports, each with its reason.

use portcullis_sdk::Rules;

/// What can be wrong with the Service that a StatefulSet names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Rules)]
#[rules(examples)]
pub enum Rule {
    /// the StatefulSet names no Service
    ///
    /// The name of a StatefulSet's Service is the domain of its pods: `mongo-0.mongo`. Without it no pod has a name in DNS, so members of a data store can't find each other, and a client can't reach the one that it needs.
    ///
    /// Make a headless Service (`clusterIP: None`) that selects the pods, and name it in `spec.serviceName`. The field can't be changed later.
    #[rule(
        severity = "high",
        url = "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-network-id"
    )]
    NoServiceName,
    /// the Service that the StatefulSet names isn't there
    ///
    /// The pods get their names in DNS from that Service. As long as it doesn't exist they have none; often the name is a slip, and the Service is there under another one.
    ///
    /// Make the Service, headless (`clusterIP: None`) and with the labels of the pods in its selector, or name the right one.
    #[rule(
        severity = "medium",
        url = "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#limitations"
    )]
    AbsentService,
    /// the Service that the StatefulSet names isn't headless
    ///
    /// A Service with an address of its own hands out that address and spreads connections over all pods. Only a headless one gives each pod a name: with any other, the members of a data store can't reach a particular member, and a write may land on a replica that only reads.
    ///
    /// Name a Service with `clusterIP: None` in `spec.serviceName`. For clients, a second Service with an address may stand beside it.
    #[rule(
        severity = "high",
        url = "https://kubernetes.io/docs/concepts/services-networking/service/#headless-services"
    )]
    NotHeadless,
    /// the Service that the StatefulSet names doesn't select its pods
    ///
    /// A pod has a name in DNS only where the Service's selector takes it in. If the labels differ, the Service is there and its pods still have no names.
    ///
    /// Give the Service's selector the labels of the StatefulSet's pod template, all of them or a part that belongs to no other pods.
    #[rule(
        severity = "high",
        url = "https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-s-hostname-and-subdomain-fields"
    )]
    SelectsOtherPods,
    /// members that aren't ready can't be found by the others
    ///
    /// A Service leaves out pods that aren't ready. Members of a quorum often become ready only once they have found each other, so that a cluster that starts from nothing, or after a loss of power, waits for itself.
    ///
    /// Set `publishNotReadyAddresses: true` on the headless Service, and use another one for clients.
    #[rule(
        severity = "low",
        url = "https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/#ServiceSpec"
    )]
    UnreadyPeers,
    /// the pods of a data store with one writer start at the same time
    ///
    /// Replicas of such a system copy from the first pod, which must be there before them. `podManagementPolicy: Parallel` starts and stops all of them at once.
    ///
    /// Leave `podManagementPolicy` at `OrderedReady`. The field can't be changed later.
    #[rule(
        severity = "low",
        url = "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#pod-management-policies"
    )]
    ParallelStart,
    /// nothing keeps the members of a data store apart
    ///
    /// Members on one node, or in one zone, go with it together, and a copy that fails with its original is no copy.
    ///
    /// Give the pods a `podAntiAffinity` or `topologySpreadConstraints` over nodes or zones.
    #[rule(
        severity = "low",
        url = "https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/"
    )]
    OneFailureDomain,
}
