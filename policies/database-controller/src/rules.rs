//! The rules that the policy reports, each with its reason.

use portcullis_sdk::Rules;

/// What can be wrong with what runs a data store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Rules)]
#[rules(examples)]
pub enum Rule {
    /// several pods of a Deployment run one data store
    ///
    /// The pods of a Deployment, a ReplicaSet or a ReplicationController are interchangeable: none has a name or a volume of its own. So several of them either write the same files, which corrupts them, or keep different data behind one Service, so that what was written to one is missing from the next.
    ///
    /// Run the data store in a StatefulSet whose `volumeClaimTemplates` give each pod its own volume, or let its operator do it. Where it has to stay a Deployment, run one replica; only if it can share its files, put all its data on claims that are ReadWriteMany and remote.
    #[rule(
        severity = "critical",
        url = "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#using-statefulsets"
    )]
    SeveralReplicas,
    /// the data store runs in a Deployment
    ///
    /// A pod of a Deployment, a ReplicaSet or a ReplicationController gets a new name with every restart, and nothing ties it to its volume. It does work with one replica, but it can't be scaled, and after a node is lost a second pod may start while the first still runs.
    ///
    /// Run it in a StatefulSet with one replica, or under its operator.
    #[rule(
        severity = "medium",
        url = "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#using-statefulsets"
    )]
    SingleReplica,
    /// an update starts the new pod before the old one has stopped
    ///
    /// The strategy RollingUpdate starts the new pod first: for a while two pods hold the same data. They write the same files if they land on one node, and wait for each other forever if the volume can be mounted by one node only.
    ///
    /// Set `strategy: {type: Recreate}`, which stops the old pod first, or run the data store in a StatefulSet, which always does.
    #[rule(
        severity = "high",
        url = "https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#recreate-deployment"
    )]
    RollingUpdate,
    /// the data store runs in a Pod that nothing restarts
    ///
    /// A Pod without a controller is gone with its node, and after an eviction or a drain nobody makes it again.
    ///
    /// Run it in a StatefulSet with one replica, or under its operator.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/workloads/pods/#using-pods")]
    BarePod,
    /// the data store runs once on every node
    ///
    /// A DaemonSet has as many pods as the cluster has nodes: with every node that comes or goes a member of the data store does, and its data is what lies on that node.
    ///
    /// Run it in a StatefulSet with as many replicas as it has members.
    #[rule(
        severity = "medium",
        url = "https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#alternatives-to-daemonset"
    )]
    DaemonSet,
    /// the data store runs in a Job that ends
    ///
    /// A Job runs until its containers end, and may run a pod twice. A data store that keeps its data on a lasting volume serves it only as long as the Job runs, and stopping it with the Job risks the files.
    ///
    /// Run the data store in a StatefulSet, and let the Job be its client.
    #[rule(
        severity = "low",
        url = "https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy"
    )]
    Job,
    /// all pods of the workload share one volume for their data
    ///
    /// A claim in the pod's volumes is one volume for every pod: each of them opens the files of all others. A data store locks its files against that or is corrupted by it.
    ///
    /// Name the volume in `volumeClaimTemplates` of a StatefulSet, which makes a claim for each pod, or give each pod a directory of its own with `subPathExpr: $(POD_NAME)`.
    #[rule(
        severity = "critical",
        url = "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-storage"
    )]
    OneClaimForReplicas,
    /// two workloads use one claim for a data store's data
    ///
    /// A data store takes its files to be its own. A second data store on the same claim writes over them; another program that writes there changes them behind the data store's back.
    ///
    /// Give each data store a claim of its own, or at least a directory of its own with `subPath`. Let other programs talk to the data store, or mount the claim read-only.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes")]
    SharedClaim,
    /// several pods mount a claim that only one node may mount
    ///
    /// A claim that is ReadWriteOnce can be mounted on one node at a time, and one that is ReadWriteOncePod by one pod. Of several pods those that are scheduled to another node wait for it forever, and an update can't finish.
    ///
    /// Make the claim ReadWriteMany, of a class that offers it, or give each pod a claim of its own with a StatefulSet's `volumeClaimTemplates`. Where one pod is enough, run one replica.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes")]
    SingleNodeClaim,
}
