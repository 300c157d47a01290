//! The rules that the policy reports, each with its reason.

use portcullis_sdk::Rules;

/// What can be wrong with where a data store keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Rules)]
#[rules(examples)]
pub enum Rule {
    /// the data store has no volume for its data
    ///
    /// What a container writes outside of a volume lies in its own layer, which is deleted whenever the container is replaced: after a crash, an update or an eviction the data store starts empty.
    ///
    /// Mount a volume at the data directory: from `volumeClaimTemplates` of a StatefulSet, or from a PersistentVolumeClaim.
    #[rule(severity = "critical", url = "https://kubernetes.io/docs/concepts/storage/volumes/#background")]
    NoVolume,
    /// the data lies on a volume that is deleted with the pod
    ///
    /// An emptyDir, a generic ephemeral volume and an inline CSI volume live exactly as long as their pod; a drained node, a rolling update or an eviction deletes them and the data on them.
    ///
    /// Claim the volume: from `volumeClaimTemplates` of a StatefulSet, or from a PersistentVolumeClaim that the pod names. In an operator's resource switch its persistent storage on.
    #[rule(severity = "critical", url = "https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/")]
    EphemeralVolume,
    /// the data lies in a directory of the node
    ///
    /// A hostPath is another directory on each node: a pod that is scheduled elsewhere finds none of its data, and the node's disk fails with the node. It also gives the pod a way into the node's file system.
    ///
    /// Claim the volume from a class whose volumes are reachable from every node.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/storage/volumes/#hostpath")]
    HostPath,
    /// the storage class keeps volumes on one node
    ///
    /// A node-local provisioner takes the volume from a disk of the node on which the pod first runs. The pod can never move away from that node, and when the node goes, so does the data.
    ///
    /// Name a class whose volumes are reachable from every node. A data store that replicates its data itself may stay on the drives of nodes with the label and the annotation of the setting `exemption`.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/storage/storage-classes/#local")]
    NodeLocalClass,
    /// the claim's volume is on one node
    ///
    /// A local or hostPath PersistentVolume is a directory or a disk of one node. The pod can run nowhere else, and when the node goes, so does the data.
    ///
    /// Bind the claim to a volume that is reachable from every node, or name a class that makes such volumes.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/storage/volumes/#local")]
    NodeLocalVolume,
    /// something that decides where the data lies doesn't exist
    ///
    /// The claim or the class that is named isn't in the cluster, so the pod will wait for it. Whoever makes it decides where the data lies, and is judged then.
    ///
    /// Make the claim or the class first, or in the same input, with storage that is reachable from every node.
    #[rule(severity = "low", url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#binding")]
    AbsentReference,
    /// where the data lies can't be told without the cluster
    ///
    /// The class, the claim or the volume that decides it couldn't be looked up, or its provisioner isn't one that the catalogue knows.
    ///
    /// Let the policy see the cluster's classes, claims and volumes (`--cluster` or `--context` of `check`), or name the provisioner in the settings `remoteProvisioners` or `localProvisioners`.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/storage/storage-classes/#provisioner")]
    Undecided,
}
