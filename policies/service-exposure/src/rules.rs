//! The rules that the policy reports, each with its reason and its remedy.

use portcullis_sdk::Rules;

/// What can be wrong with how a Service is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Rules)]
#[rules(examples)]
pub enum Rule {
    /// a data store listens on a port of every node
    ///
    /// A NodePort opens the data store on all nodes to whoever reaches one, past every NetworkPolicy that goes by pods, and usually without TLS.
    ///
    /// Make the Service `type: ClusterIP`. To look into the data from outside use `kubectl port-forward`.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/services-networking/service/#type-nodeport")]
    DataStoreNodePort,
    /// a data store has a load balancer of its own
    ///
    /// A load balancer gives the data store an address outside the cluster, in most clouds a public one, which is scanned within minutes.
    ///
    /// Make the Service `type: ClusterIP`; where clients outside the cluster need it, ask for an internal load balancer by your cloud's annotation and restrict `loadBalancerSourceRanges`.
    #[rule(
        severity = "critical",
        url = "https://kubernetes.io/docs/concepts/services-networking/service/#loadbalancer"
    )]
    DataStoreLoadBalancer,
    /// a data store is reached from the whole private network
    ///
    /// An internal load balancer isn't public, but everything in the network of the cluster reaches the data store.
    ///
    /// Restrict `loadBalancerSourceRanges` to those who need it, and let nobody in without TLS and a password.
    #[rule(
        severity = "medium",
        url = "https://kubernetes.io/docs/concepts/services-networking/service/#internal-load-balancer"
    )]
    InternalLoadBalancer,
    /// the Service takes over addresses by `externalIPs`
    ///
    /// Whoever may make a Service can name any address there, and get what the cluster sends to it: that is CVE-2020-8554, which can't be mended in Kubernetes itself.
    ///
    /// Leave `externalIPs` away and use a load balancer or an Ingress. Addresses that are yours may be named in the setting `allowedExternalIPs`.
    #[rule(severity = "high", url = "https://github.com/kubernetes/kubernetes/issues/97076")]
    ExternalIps,
    /// a Service listens on a port of every node
    ///
    /// A NodePort is open on all nodes, on a number that clients have to know, without TLS and without a name; it is for tests.
    ///
    /// Make the Service `type: ClusterIP` and put an Ingress or a Gateway in front. Where NodePorts are wanted, allow the namespace in the settings.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/services-networking/service/#type-nodeport")]
    NodePort,
    /// a Service has a load balancer of its own
    ///
    /// Each costs money and an address, and its traffic passes by what the Ingress does for everybody: TLS, names, logs.
    ///
    /// Put an Ingress or a Gateway in front of several Services. For the one that is the way in allow the namespace in the settings.
    #[rule(severity = "low", url = "https://kubernetes.io/docs/concepts/services-networking/ingress/")]
    LoadBalancer,
    /// an Ingress leads to a data store
    ///
    /// An Ingress speaks HTTP and stands at the edge of the cluster: behind it a data store is open to everybody, or doesn't work at all.
    ///
    /// Let the Ingress lead to the application, and the application to the data store.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/services-networking/ingress/")]
    IngressToDataStore,
    /// a Service with several ports leaves one without a name
    ///
    /// The API server refuses it: with several ports each needs a name of its own, by which it is told apart.
    ///
    /// Name each port, such as `http` and `metrics`.
    #[rule(
        severity = "low",
        url = "https://kubernetes.io/docs/concepts/services-networking/service/#multi-port-services"
    )]
    UnnamedPort,
    /// a node port is outside the range of node ports
    ///
    /// The API server refuses it: node ports lie between 30000 and 32767 unless the cluster is set up otherwise.
    ///
    /// Leave `nodePort` away, and a free one is taken. Where the cluster has another range, say so in the setting `nodePorts`.
    #[rule(severity = "low", url = "https://kubernetes.io/docs/concepts/services-networking/service/#type-nodeport")]
    NodePortRange,
}
