//! What the API server fills in, as data: Kubernetes 1.36, each row with the
//! function that does it (`core/v1 SetDefaults_Service` is that function in
//! `pkg/apis/core/v1/defaults.go`; `zz` stands for `zz_generated.defaults.go`
//! beside it, made from `+default` marks of the API types).
//!
//! Left out is what no policy can care for and what needs a feature gate that is
//! off. Rows of a base stand in the order in which the functions fill them in.

use super::{Fill, Row, When};
use Fill::{Copied, EachOf, Json, PullPolicy};
use When::{Always, Has, Is, Lacks};

/// Rows for one part of a kind.
#[derive(Debug)]
pub(super) struct Base {
    /// Where the part is; `[*]` is each element of a list. The part must be there.
    pub(super) at: &'static str,
    /// In the order in which they are filled in.
    pub(super) rows: &'static [Row],
}

/// A kind, in the version that is judged.
#[derive(Debug)]
pub(super) struct OfKind {
    pub(super) api_version: &'static str,
    pub(super) kind: &'static str,
    /// Where its pod's spec stands.
    pub(super) pod: Option<&'static str>,
    pub(super) bases: &'static [Base],
}

const fn row(field: &'static str, fill: Fill, when: When, source: &'static str) -> Row {
    Row { field, fill, when, source }
}

const SERVICE: &str = "core/v1 SetDefaults_Service";
const POD: &str = "core/v1 SetDefaults_Pod";
const POD_SPEC: &str = "core/v1 SetDefaults_PodSpec";
const CONTAINER: &str = "core/v1 SetDefaults_Container";
const PROBE: &str = "core/v1 SetDefaults_Probe";
const VOLUME_SPEC: &str = "core/v1 SetDefaults_PersistentVolume";
const CLAIM_SPEC: &str = "core/v1 SetDefaults_PersistentVolumeClaimSpec";
const STATEFUL_SET: &str = "apps/v1 SetDefaults_StatefulSet";
/// In `conversion.go` beside `defaults.go`.
const CLAIM_TEMPLATES: &str = "apps/v1 Convert_apps_StatefulSetSpec_To_v1_StatefulSetSpec";
const DEPLOYMENT: &str = "apps/v1 SetDefaults_Deployment";
const DAEMON_SET: &str = "apps/v1 SetDefaults_DaemonSet";
const JOB: &str = "batch/v1 SetDefaults_Job";
const CRON_JOB: &str = "batch/v1 SetDefaults_CronJob";
const STORAGE_CLASS: &str = "storage/v1 SetDefaults_StorageClass";
const CSI_DRIVER: &str = "storage/v1 SetDefaults_CSIDriver";

/// Modes that files of such volumes get: 0644.
const FILE_MODE: Fill = Json("420");

const PROBE_ROWS: &[Row] = &[
    row("timeoutSeconds", Json("1"), Always, PROBE),
    row("periodSeconds", Json("10"), Always, PROBE),
    row("successThreshold", Json("1"), Always, PROBE),
    row("failureThreshold", Json("3"), Always, PROBE),
];
const HTTP_ROWS: &[Row] = &[
    row("path", Json("\"/\""), Always, "core/v1 SetDefaults_HTTPGetAction"),
    row("scheme", Json("\"HTTP\""), Always, "core/v1 SetDefaults_HTTPGetAction"),
];

/// Of every pod, below its spec.
pub(super) const POD_BASES: &[Base] = &[
    Base {
        at: "",
        rows: &[
            row("dnsPolicy", Json("\"ClusterFirst\""), Always, POD_SPEC),
            row("restartPolicy", Json("\"Always\""), Always, POD_SPEC),
            row("securityContext", Json("{}"), Always, POD_SPEC),
            row("terminationGracePeriodSeconds", Json("30"), Always, POD_SPEC),
            row("schedulerName", Json("\"default-scheduler\""), Always, POD_SPEC),
        ],
    },
    Base { at: "volumes[*]", rows: &[row("emptyDir", Json("{}"), When::Only("name"), "core/v1 SetDefaults_Volume")] },
    Base {
        at: "volumes[*].secret",
        rows: &[row("defaultMode", FILE_MODE, Always, "core/v1 SetDefaults_SecretVolumeSource")],
    },
    Base {
        at: "volumes[*].configMap",
        rows: &[row("defaultMode", FILE_MODE, Always, "core/v1 SetDefaults_ConfigMapVolumeSource")],
    },
    Base {
        at: "volumes[*].downwardAPI",
        rows: &[row("defaultMode", FILE_MODE, Always, "core/v1 SetDefaults_DownwardAPIVolumeSource")],
    },
    Base {
        at: "volumes[*].projected",
        rows: &[row("defaultMode", FILE_MODE, Always, "core/v1 SetDefaults_ProjectedVolumeSource")],
    },
    Base {
        at: "volumes[*].projected.sources[*].serviceAccountToken",
        rows: &[row("expirationSeconds", Json("3600"), Always, "core/v1 SetDefaults_ServiceAccountTokenProjection")],
    },
    Base {
        at: "volumes[*].hostPath",
        rows: &[row("type", Json("\"\""), Always, "core/v1 SetDefaults_HostPathVolumeSource")],
    },
    Base {
        at: "volumes[*].iscsi",
        rows: &[row("iscsiInterface", Json("\"default\""), Always, "core/v1 zz SetObjectDefaults_Pod")],
    },
    Base {
        at: "volumes[*].ephemeral.volumeClaimTemplate.spec",
        rows: &[row("volumeMode", Json("\"Filesystem\""), Always, CLAIM_SPEC)],
    },
];

/// Of every container, below it.
pub(super) const CONTAINER_BASES: &[Base] = &[
    Base {
        at: "",
        rows: &[
            row("imagePullPolicy", PullPolicy("image"), Always, CONTAINER),
            row("terminationMessagePath", Json("\"/dev/termination-log\""), Always, CONTAINER),
            row("terminationMessagePolicy", Json("\"File\""), Always, CONTAINER),
        ],
    },
    Base { at: "ports[*]", rows: &[row("protocol", Json("\"TCP\""), Always, "core/v1 zz SetObjectDefaults_Pod")] },
    Base {
        at: "env[*].valueFrom.fieldRef",
        rows: &[row("apiVersion", Json("\"v1\""), Always, "core/v1 SetDefaults_ObjectFieldSelector")],
    },
    Base { at: "livenessProbe", rows: PROBE_ROWS },
    Base { at: "readinessProbe", rows: PROBE_ROWS },
    Base { at: "startupProbe", rows: PROBE_ROWS },
    Base { at: "livenessProbe.httpGet", rows: HTTP_ROWS },
    Base { at: "readinessProbe.httpGet", rows: HTTP_ROWS },
    Base { at: "startupProbe.httpGet", rows: HTTP_ROWS },
    Base { at: "lifecycle.postStart.httpGet", rows: HTTP_ROWS },
    Base { at: "lifecycle.preStop.httpGet", rows: HTTP_ROWS },
];

const BARE_POD_CONTAINER: &[Row] = &[row("resources.requests", EachOf("resources.limits"), Always, POD)];

/// The kinds that are filled in.
pub(super) const KINDS: &[OfKind] = &[
    OfKind {
        api_version: "v1",
        kind: "Pod",
        pod: Some("spec"),
        bases: &[
            Base { at: "spec.containers[*]", rows: BARE_POD_CONTAINER },
            Base { at: "spec.initContainers[*]", rows: BARE_POD_CONTAINER },
            Base { at: "spec", rows: &[row("enableServiceLinks", Json("true"), Always, POD)] },
        ],
    },
    OfKind { api_version: "v1", kind: "PodTemplate", pod: Some("template.spec"), bases: &[] },
    OfKind {
        api_version: "v1",
        kind: "ReplicationController",
        pod: Some("spec.template.spec"),
        bases: &[
            Base {
                at: "spec",
                rows: &[
                    row(
                        "selector",
                        Copied("template.metadata.labels"),
                        Always,
                        "core/v1 SetDefaults_ReplicationController",
                    ),
                    row("replicas", Json("1"), Always, "core/v1 zz SetObjectDefaults_ReplicationController"),
                ],
            },
            Base {
                at: "",
                rows: &[row(
                    "metadata.labels",
                    Copied("spec.template.metadata.labels"),
                    Always,
                    "core/v1 SetDefaults_ReplicationController",
                )],
            },
        ],
    },
    OfKind {
        api_version: "v1",
        kind: "Service",
        pod: None,
        bases: &[
            Base {
                at: "spec",
                rows: &[
                    row("sessionAffinity", Json("\"None\""), Always, SERVICE),
                    row(
                        "sessionAffinityConfig.clientIP.timeoutSeconds",
                        Json("10800"),
                        Is("sessionAffinity", &["ClientIP"]),
                        SERVICE,
                    ),
                    row("type", Json("\"ClusterIP\""), Always, SERVICE),
                    row(
                        "externalTrafficPolicy",
                        Json("\"Cluster\""),
                        Is("type", &["NodePort", "LoadBalancer"]),
                        SERVICE,
                    ),
                    row(
                        "internalTrafficPolicy",
                        Json("\"Cluster\""),
                        Is("type", &["", "ClusterIP", "NodePort", "LoadBalancer"]),
                        SERVICE,
                    ),
                    row("allocateLoadBalancerNodePorts", Json("true"), Is("type", &["LoadBalancer"]), SERVICE),
                ],
            },
            Base {
                at: "spec.ports[*]",
                rows: &[
                    row("protocol", Json("\"TCP\""), Always, SERVICE),
                    row("targetPort", Copied("port"), Always, SERVICE),
                ],
            },
        ],
    },
    OfKind {
        api_version: "v1",
        kind: "Secret",
        pod: None,
        bases: &[Base { at: "", rows: &[row("type", Json("\"Opaque\""), Always, "core/v1 SetDefaults_Secret")] }],
    },
    OfKind {
        api_version: "v1",
        kind: "PersistentVolume",
        pod: None,
        bases: &[
            Base {
                at: "spec",
                rows: &[
                    row("persistentVolumeReclaimPolicy", Json("\"Retain\""), Always, VOLUME_SPEC),
                    row("volumeMode", Json("\"Filesystem\""), Always, VOLUME_SPEC),
                ],
            },
            Base {
                at: "spec.hostPath",
                rows: &[row("type", Json("\"\""), Always, "core/v1 SetDefaults_HostPathVolumeSource")],
            },
            Base {
                at: "spec.iscsi",
                rows: &[row(
                    "iscsiInterface",
                    Json("\"default\""),
                    Always,
                    "core/v1 zz SetObjectDefaults_PersistentVolume",
                )],
            },
        ],
    },
    OfKind {
        api_version: "v1",
        kind: "PersistentVolumeClaim",
        pod: None,
        bases: &[Base { at: "spec", rows: &[row("volumeMode", Json("\"Filesystem\""), Always, CLAIM_SPEC)] }],
    },
    OfKind {
        api_version: "apps/v1",
        kind: "StatefulSet",
        pod: Some("spec.template.spec"),
        bases: &[
            Base {
                at: "spec",
                rows: &[
                    row("podManagementPolicy", Json("\"OrderedReady\""), Always, STATEFUL_SET),
                    row(
                        "updateStrategy.rollingUpdate.partition",
                        Json("0"),
                        Lacks("updateStrategy.type"),
                        STATEFUL_SET,
                    ),
                    row("updateStrategy.type", Json("\"RollingUpdate\""), Always, STATEFUL_SET),
                    row("persistentVolumeClaimRetentionPolicy.whenDeleted", Json("\"Retain\""), Always, STATEFUL_SET),
                    row("persistentVolumeClaimRetentionPolicy.whenScaled", Json("\"Retain\""), Always, STATEFUL_SET),
                    row("replicas", Json("1"), Always, STATEFUL_SET),
                    row("revisionHistoryLimit", Json("10"), Always, STATEFUL_SET),
                ],
            },
            Base {
                at: "spec.updateStrategy.rollingUpdate",
                rows: &[row("partition", Json("0"), Always, STATEFUL_SET)],
            },
            Base {
                at: "spec.volumeClaimTemplates[*]",
                rows: &[
                    row("apiVersion", Json("\"v1\""), Always, CLAIM_TEMPLATES),
                    row("kind", Json("\"PersistentVolumeClaim\""), Always, CLAIM_TEMPLATES),
                ],
            },
            Base {
                at: "spec.volumeClaimTemplates[*].spec",
                rows: &[row("volumeMode", Json("\"Filesystem\""), Always, CLAIM_SPEC)],
            },
        ],
    },
    OfKind {
        api_version: "apps/v1",
        kind: "Deployment",
        pod: Some("spec.template.spec"),
        bases: &[Base {
            at: "spec",
            rows: &[
                row("replicas", Json("1"), Always, DEPLOYMENT),
                row("strategy.type", Json("\"RollingUpdate\""), Always, DEPLOYMENT),
                row(
                    "strategy.rollingUpdate.maxUnavailable",
                    Json("\"25%\""),
                    Is("strategy.type", &["", "RollingUpdate"]),
                    DEPLOYMENT,
                ),
                row(
                    "strategy.rollingUpdate.maxSurge",
                    Json("\"25%\""),
                    Is("strategy.type", &["", "RollingUpdate"]),
                    DEPLOYMENT,
                ),
                row("revisionHistoryLimit", Json("10"), Always, DEPLOYMENT),
                row("progressDeadlineSeconds", Json("600"), Always, DEPLOYMENT),
            ],
        }],
    },
    OfKind {
        api_version: "apps/v1",
        kind: "DaemonSet",
        pod: Some("spec.template.spec"),
        bases: &[Base {
            at: "spec",
            rows: &[
                row("updateStrategy.type", Json("\"RollingUpdate\""), Always, DAEMON_SET),
                row(
                    "updateStrategy.rollingUpdate.maxUnavailable",
                    Json("1"),
                    Is("updateStrategy.type", &["", "RollingUpdate"]),
                    DAEMON_SET,
                ),
                row(
                    "updateStrategy.rollingUpdate.maxSurge",
                    Json("0"),
                    Is("updateStrategy.type", &["", "RollingUpdate"]),
                    DAEMON_SET,
                ),
                row("revisionHistoryLimit", Json("10"), Always, DAEMON_SET),
            ],
        }],
    },
    OfKind {
        api_version: "apps/v1",
        kind: "ReplicaSet",
        pod: Some("spec.template.spec"),
        bases: &[Base { at: "spec", rows: &[row("replicas", Json("1"), Always, "apps/v1 SetDefaults_ReplicaSet")] }],
    },
    OfKind {
        api_version: "batch/v1",
        kind: "Job",
        pod: Some("spec.template.spec"),
        bases: &[
            Base {
                at: "spec",
                rows: &[
                    row("completions", Json("1"), Lacks("parallelism"), JOB),
                    row("parallelism", Json("1"), Always, JOB),
                    row("backoffLimit", Json("2147483647"), Has("backoffLimitPerIndex"), JOB),
                    row("backoffLimit", Json("6"), Lacks("backoffLimitPerIndex"), JOB),
                    row("completionMode", Json("\"NonIndexed\""), Always, JOB),
                    row("suspend", Json("false"), Always, JOB),
                    row("podReplacementPolicy", Json("\"Failed\""), Has("podFailurePolicy"), JOB),
                    row("podReplacementPolicy", Json("\"TerminatingOrFailed\""), Lacks("podFailurePolicy"), JOB),
                    row("manualSelector", Json("false"), Always, JOB),
                ],
            },
            Base { at: "", rows: &[row("metadata.labels", Copied("spec.template.metadata.labels"), Always, JOB)] },
        ],
    },
    OfKind {
        api_version: "batch/v1",
        kind: "CronJob",
        pod: Some("spec.jobTemplate.spec.template.spec"),
        bases: &[Base {
            at: "spec",
            rows: &[
                row("concurrencyPolicy", Json("\"Allow\""), Always, CRON_JOB),
                row("suspend", Json("false"), Always, CRON_JOB),
                row("successfulJobsHistoryLimit", Json("3"), Always, CRON_JOB),
                row("failedJobsHistoryLimit", Json("1"), Always, CRON_JOB),
            ],
        }],
    },
    OfKind {
        api_version: "storage.k8s.io/v1",
        kind: "StorageClass",
        pod: None,
        bases: &[Base {
            at: "",
            rows: &[
                row("reclaimPolicy", Json("\"Delete\""), Always, STORAGE_CLASS),
                row("volumeBindingMode", Json("\"Immediate\""), Always, STORAGE_CLASS),
            ],
        }],
    },
    OfKind {
        api_version: "storage.k8s.io/v1",
        kind: "CSIDriver",
        pod: None,
        bases: &[Base {
            at: "spec",
            rows: &[
                row("attachRequired", Json("true"), Always, CSI_DRIVER),
                row("podInfoOnMount", Json("false"), Always, CSI_DRIVER),
                row("storageCapacity", Json("false"), Always, CSI_DRIVER),
                row("fsGroupPolicy", Json("\"ReadWriteOnceWithFSType\""), Always, CSI_DRIVER),
                row("volumeLifecycleModes", Json("[\"Persistent\"]"), Always, CSI_DRIVER),
                row("requiresRepublish", Json("false"), Always, CSI_DRIVER),
            ],
        }],
    },
    OfKind {
        api_version: "networking.k8s.io/v1",
        kind: "IngressClass",
        pod: None,
        bases: &[Base {
            at: "spec.parameters",
            rows: &[row("scope", Json("\"Cluster\""), Always, "networking/v1 SetDefaults_IngressClass")],
        }],
    },
];
