//! The rules that the policy reports, each with its reason and its remedy.

use portcullis_sdk::Rules;

/// What can be wrong with a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Rules)]
#[rules(examples)]
pub enum Rule {
    /// a size is no quantity, or not more than nothing
    ///
    /// A size is a number with an optional suffix. The API server refuses a claim that asks for anything else, and a StatefulSet with such a template is accepted and never gets a pod.
    ///
    /// Write a number above zero with a suffix such as `Gi`: `10Gi`.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/")]
    InvalidQuantity,
    /// the claim doesn't say how much storage it asks for
    ///
    /// Without `resources.requests.storage` the API server refuses a claim. A StatefulSet's template isn't checked, so there the pods are what never comes.
    ///
    /// Set `resources.requests.storage`, also for a claim that names its volume.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#resources")]
    SizeMissing,
    /// the size is hardly what was meant
    ///
    /// The suffix `m` means a thousandth, so `500m` is half a byte, and a number without a suffix is bytes. Provisioners round such sizes up to their smallest disk, which then is full soon.
    ///
    /// Use `Mi`, `Gi` or `Ti`.
    #[rule(
        severity = "medium",
        url = "https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/"
    )]
    ImplausibleSize,
    /// the claim asks for less than its class may be asked for
    ///
    /// The setting `sizes` gives a least size for the class: small disks of many kinds are slow, and a database that fills one stops.
    ///
    /// Ask for at least the least size, or name another class.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#resources")]
    TooSmall,
    /// the claim asks for more than its class may be asked for
    ///
    /// The setting `sizes` gives a greatest size for the class. Storage is shared, and a claim can't be made smaller again.
    ///
    /// Ask for no more than the greatest size; a claim can grow later.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#resources")]
    TooLarge,
    /// the limit is below the request
    ///
    /// Provisioners take the limit as the most that the volume may have, and can't make one that has more and less at once: the claim stays pending.
    ///
    /// Remove `resources.limits`, or raise it to the request.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#resources")]
    LimitBelowRequest,
    /// the claim doesn't say how its volume is mounted
    ///
    /// Without `accessModes` the API server refuses a claim. A StatefulSet's template isn't checked, so there the pods are what never comes.
    ///
    /// Set `accessModes: [ReadWriteOnce]`, or another mode that the class offers.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes")]
    AccessModeMissing,
    /// the field holds a word that Kubernetes doesn't know
    ///
    /// Access modes and volume modes are read exactly, upper and lower case included; the API server refuses any other word in a claim, and takes it in a template whose claims it then refuses.
    ///
    /// Use one of the words that the message lists.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes")]
    UnknownValue,
    /// one pod only, and others as well
    ///
    /// `ReadWriteOncePod` promises that a single pod has the volume. It can't be combined with another mode; the API server refuses the claim.
    ///
    /// Keep `ReadWriteOncePod` alone, or leave it out.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes")]
    ExclusiveAccessMode,
    /// the class can't mount its volumes as the claim asks
    ///
    /// A disk that is attached to one node at a time can't carry one file system for several. The provisioner refuses such a claim, which then stays pending, or takes it, and the second node's pod never starts.
    ///
    /// Ask for `ReadWriteOnce`, or name a class of a shared file system (NFS, CephFS, EFS, Azure Files, Filestore).
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes")]
    AccessModeNotOffered,
    /// the class isn't meant to be mounted so
    ///
    /// The setting `accessModes` lists the modes that claims of the class may ask for.
    ///
    /// Ask for one of the listed modes, or name another class.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes")]
    AccessModeNotAllowed,
    /// several nodes may write a database's data at once
    ///
    /// A database takes for granted that nobody else writes its files. With `ReadWriteMany` nothing stops a second pod, in a rolling update or after a node was lost, from opening the same files and destroying them.
    ///
    /// Ask for `ReadWriteOncePod`, or `ReadWriteOnce`, and let every replica have a volume of its own.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes")]
    ManyWriters,
    /// the class that is named doesn't exist
    ///
    /// The claim waits until somebody makes the class, or a volume of it by hand.
    ///
    /// Name a class that the cluster has, or make this one first.
    #[rule(severity = "low", url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#class-1")]
    ClassAbsent,
    /// whether the size is allowed depends on a class that isn't known
    ///
    /// The claim names no class, the settings limit sizes by class, and the cluster didn't say which class is the default.
    ///
    /// Name a class in `storageClassName`.
    #[rule(severity = "low", url = "https://kubernetes.io/docs/concepts/storage/storage-classes/#default-storageclass")]
    ClassUnknown,
    /// a block device is mounted as a directory, or a file system given as a device
    ///
    /// A claim with `volumeMode: Block` has no file system and belongs into `volumeDevices`; any other belongs into `volumeMounts`. The kubelet starts no pod that mixes them up.
    ///
    /// Move the volume to the other list, or change the claim's `volumeMode`.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#volume-mode")]
    VolumeModeMismatch,
    /// a claim can't be filled from such an object
    ///
    /// `dataSource` takes a claim (no group) or a VolumeSnapshot of the group snapshot.storage.k8s.io. Anything else is dropped without a word, and the volume comes up empty; `dataSourceRef` is refused.
    ///
    /// Name a PersistentVolumeClaim without `apiGroup`, or a VolumeSnapshot with `apiGroup: snapshot.storage.k8s.io`; what a populator serves belongs into `dataSourceRef`.
    #[rule(
        severity = "high",
        url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#volume-populators-and-data-sources"
    )]
    DataSourceKind,
    /// `dataSource` and `dataSourceRef` name two sources
    ///
    /// Both fields stand for one thing, the second being the newer name; the API server refuses a claim in which they differ.
    ///
    /// Keep `dataSourceRef`.
    #[rule(
        severity = "medium",
        url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#data-source-references"
    )]
    DataSourceConflict,
    /// what the claim shall be filled from doesn't exist
    ///
    /// The claim waits until there is a source of that name in its own namespace.
    ///
    /// Make the source first, in the claim's namespace, or correct its name.
    #[rule(
        severity = "low",
        url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#volume-snapshot-and-restore-volume-from-snapshot-support"
    )]
    DataSourceAbsent,
    /// the claim can't hold what it shall be filled from
    ///
    /// A copy can't be smaller than its source, nor be a block device of a file system. The provisioner refuses, and the claim stays pending.
    ///
    /// Ask for at least the source's size, with the source's `volumeMode`.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/storage/volume-pvc-datasource/")]
    DataSourceMismatch,
    /// the volume that is named doesn't exist
    ///
    /// A claim that names its volume waits for that one, and no other is made for it.
    ///
    /// Make the volume first, or leave `volumeName` out so that one is provisioned.
    #[rule(
        severity = "low",
        url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reserving-a-persistentvolume"
    )]
    VolumeAbsent,
    /// the volume that is named belongs to another claim
    ///
    /// A volume is bound to one claim. One that was released still remembers its old claim, and waits for an administrator to look after the data.
    ///
    /// Name a free volume; an administrator can free this one by removing `spec.claimRef` from it.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#binding")]
    VolumeTaken,
    /// the volume that is named isn't what the claim asks for
    ///
    /// Class, size, access modes and volume mode of both must agree, or the claim stays pending for ever. A claim without `storageClassName` gets the default class, so for a volume without one it must say `storageClassName: ""`.
    ///
    /// Make the claim agree with the volume.
    #[rule(
        severity = "high",
        url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reserving-a-persistentvolume"
    )]
    VolumeMismatch,
    /// every replica would claim the same volume
    ///
    /// A claim template makes one claim for each replica, and a volume can be bound to one of them. The second replica stays pending.
    ///
    /// Leave `volumeName` out of the template and let volumes be chosen by class or `selector`.
    #[rule(
        severity = "high",
        url = "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-storage"
    )]
    VolumeForReplicas,
    /// a selector keeps the class from making a volume
    ///
    /// With a `selector` a claim is only bound to volumes that exist. Provisioners refuse it, so without a volume of the class with these labels it stays pending.
    ///
    /// Remove the selector, or name a class for volumes made by hand.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#selector")]
    SelectorNotServed,
    /// no free volume fits the claim
    ///
    /// Nobody provisions volumes for such a claim, and among those that were made by hand none is free, large enough, and can be mounted as the claim asks. Volumes made by hand must be there before the pods that need them.
    ///
    /// Make a volume that fits, or name a class that provisions volumes.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#binding")]
    NoVolumeToBind,
    /// the claim that the pod names isn't in its namespace
    ///
    /// A pod can only use claims of its own namespace. It waits until there is one of that name.
    ///
    /// Make the claim in the pod's namespace, under exactly that name.
    #[rule(severity = "low", url = "https://kubernetes.io/docs/concepts/storage/persistent-volumes/#claims-as-volumes")]
    ClaimAbsent,
}
