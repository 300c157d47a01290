//! The rules that the policy reports, each with its reason and its remedy.

use portcullis_sdk::Rules;

/// What can be wrong with a class or a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Rules)]
#[rules(examples)]
pub enum Rule {
    /// another storage class is the default already
    ///
    /// Claims that name no class get the newest default class. With two of them, whoever makes or restores a class last decides where everybody's data goes, without any manifest having changed.
    ///
    /// Set `storageclass.kubernetes.io/is-default-class` to "false" on the old default class before the new one is marked, so that exactly one class is the default.
    #[rule(
        severity = "medium",
        url = "https://kubernetes.io/docs/tasks/administer-cluster/change-default-storage-class/"
    )]
    SecondDefault,
    /// the mark of the default class can't be read, or contradicts another
    ///
    /// The API server takes only the text "true" for yes; whatever else is written there is no. It also obeys the beta annotation, so a class that says "false" in one and "true" in the other is the default.
    ///
    /// Write "true" or "false", and keep only the annotation `storageclass.kubernetes.io/is-default-class`.
    #[rule(severity = "low", url = "https://kubernetes.io/docs/concepts/storage/storage-classes/#default-storageclass")]
    DefaultMark,
    /// the storage class names no provisioner
    ///
    /// Nobody would make volumes for such a class; the API server refuses it.
    ///
    /// Name the CSI driver that makes the volumes, or `kubernetes.io/no-provisioner` for volumes that are made by hand.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/storage/storage-classes/#provisioner")]
    ProvisionerMissing,
    /// the provisioner isn't one that the administrator allows
    ///
    /// Where the data lies, who can read it and what it costs is decided by the provisioner, so the setting `allowedProvisioners` lists those that are meant to be used.
    ///
    /// Use an allowed provisioner, or ask for this one to be added to `allowedProvisioners`.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/storage/storage-classes/#provisioner")]
    ProvisionerNotAllowed,
    /// nobody is known to provision or mount volumes under this name
    ///
    /// The cluster has no CSI driver of this name, no Deployment announces it, and the catalogue doesn't know it. Claims of the class would wait for a volume for ever, and pods for a volume of the driver.
    ///
    /// Check the spelling, install the driver first, or name the provisioner in `localProvisioners` or `remoteProvisioners` so that it is known.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/storage/storage-classes/#provisioner")]
    ProvisionerUnknown,
    /// the external provisioner that this class needs isn't there
    ///
    /// Such a provisioner only takes the claims of classes that carry the very name that its Deployment is given, and ignores all others without a word. One letter of difference, and every claim of the class stays pending.
    ///
    /// Make the variable PROVISIONER_NAME of the provisioner's Deployment and the class's `provisioner` equal.
    #[rule(severity = "medium", url = "https://github.com/kubernetes-sigs/nfs-subdir-external-provisioner#readme")]
    ProvisionerNotRunning,
    /// the storage driver was part of Kubernetes and no longer is
    ///
    /// Kubernetes no longer has storage drivers of its own. Some of their names are still passed on to a CSI driver that must be installed, others are gone: claims of their classes wait for ever, and no pod can mount their volumes.
    ///
    /// Make a new class with the CSI driver's own name (a class's provisioner can't be changed), or a volume with `csi` as its source.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/storage/volumes/#csi-migration")]
    InTreeProvisioner,
    /// a class for databases deletes the data with the claim
    ///
    /// With the reclaim policy `Delete`, which is also what a class without one gets, removing a claim (with its namespace, its Helm release, or by mistake) destroys the volume and all data on it at once.
    ///
    /// Set `reclaimPolicy: Retain`, or tell the provisioner to archive, in a new class; or take the mark for databases off this one.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/storage/storage-classes/#reclaim-policy")]
    ReclaimPolicy,
    /// the provisioner deletes the directory when its claim goes
    ///
    /// The NFS provisioners keep the directory of a deleted claim under an `archived-` name, unless they are told not to. Then a claim that is deleted by mistake takes its data along, and no copy remains.
    ///
    /// Set `archiveOnDelete: "true"`, or `reclaimPolicy: Retain`.
    #[rule(severity = "medium", url = "https://github.com/kubernetes-sigs/nfs-subdir-external-provisioner#readme")]
    ArchiveOnDelete,
    /// volumes are placed before it is known where the pod will run
    ///
    /// With `Immediate` the volume is made on a node or in a zone that nobody chose. The pod then must run there, and where it can't (no room, another zone, anti-affinity, a second volume elsewhere) it stays pending.
    ///
    /// Set `volumeBindingMode: WaitForFirstConsumer`, so that the scheduler chooses the pod's node first.
    #[rule(
        severity = "medium",
        url = "https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode"
    )]
    BindingMode,
    /// volumes of a class for databases can't grow
    ///
    /// Databases grow until their volume is full, and then they stop. Where the class doesn't allow expansion, the data has to be moved to a larger volume by hand while the database is down.
    ///
    /// Set `allowVolumeExpansion: true`; it can be set on an existing class too.
    #[rule(
        severity = "medium",
        url = "https://kubernetes.io/docs/concepts/storage/storage-classes/#allow-volume-expansion"
    )]
    VolumeExpansion,
    /// the field holds a word that Kubernetes doesn't know
    ///
    /// These words are read exactly, upper and lower case included; the API server refuses any other.
    ///
    /// Use one of the words that the message lists.
    #[rule(
        severity = "medium",
        url = "https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/storage-class-v1/"
    )]
    UnknownValue,
    /// somebody who isn't an administrator makes cluster-wide storage
    ///
    /// Classes and volumes belong to the whole cluster: whoever makes one can offer a directory of a node, or another team's disk, to everybody's claims. Users make claims; administrators make what claims are bound to.
    ///
    /// Let an administrator (the setting `administrators`) make it, and ask for storage with a PersistentVolumeClaim.
    #[rule(
        severity = "high",
        url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#lifecycle-of-a-volume-and-claim"
    )]
    NotAnAdministrator,
    /// an object of the whole cluster names a namespace
    ///
    /// Classes and volumes lie in no namespace. The API server drops the field, so whoever wrote it will look for the object where it isn't, and expects a separation that there is none of.
    ///
    /// Remove `metadata.namespace`.
    #[rule(
        severity = "low",
        url = "https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/#not-all-objects-are-in-a-namespace"
    )]
    Namespaced,
    /// a volume doesn't have exactly one source
    ///
    /// A PersistentVolume stands for one piece of real storage. Without a source there is none behind it, and of two nobody can tell which holds the data; the API server refuses both.
    ///
    /// Keep one source, such as `csi` with its driver and volume handle.
    #[rule(
        severity = "medium",
        url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#types-of-persistent-volumes"
    )]
    VolumeSource,
    /// a local volume doesn't say on which node it is
    ///
    /// A local volume is a disk of one node. Without node affinity the scheduler can't send pods there; the API server refuses such a volume, and one that names only a zone sends pods to nodes that don't have the disk.
    ///
    /// Name the node in `nodeAffinity.required`, by the label `kubernetes.io/hostname`.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/storage/volumes/#local")]
    LocalWithoutAffinity,
    /// the volume is a directory of whatever node the pod runs on
    ///
    /// A hostPath volume is another directory on each node: a pod that moves finds it empty. Kubernetes has it for development on one node only, and it opens the node's file system to pods.
    ///
    /// Use a CSI driver, NFS, or at least a `local` volume with node affinity; for development name the claim's namespace in `hostPathVolumes.allowedNamespaces`.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/storage/volumes/#hostpath")]
    HostPathVolume,
}
