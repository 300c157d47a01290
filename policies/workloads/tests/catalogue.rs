//! The catalogue's own consistency.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_sdk::pod::Role as Place;
use portcullis_workloads::custom::is_custom;
use portcullis_workloads::{ContainerView, Image, Locality, Provisioners, Recognition, is_known_system, recognise};

type Row = BTreeMap<&'static str, &'static str>;

const STORES: &str = include_str!("../catalogue/datastores.tsv");
const LOOKALIKES: &str = include_str!("../catalogue/lookalikes.tsv");
const PROVISIONERS: &str = include_str!("../catalogue/provisioners.tsv");
const CLIENTS: &str = include_str!("../catalogue/clients.tsv");
const WORDS: &str = include_str!("../catalogue/lookalike-words.tsv");
const CUSTOM: &str = include_str!("../catalogue/custom-resources.tsv");
const PORTS: &str = include_str!("../catalogue/ports.tsv");
const SOURCES: &str = include_str!("../catalogue/volume-sources.tsv");

fn rows(text: &'static str) -> Vec<Row> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    lines.map(|line| header.iter().copied().zip(line.split('\t')).collect()).collect()
}

fn list(cell: &'static str) -> impl Iterator<Item = &'static str> {
    cell.split(',').filter(|element| !element.is_empty())
}

fn recognised(image: &str) -> String {
    let view = ContainerView { image: image.to_owned(), ..ContainerView::default() };
    match recognise("main", Place::Regular, &view, &[], &[]) {
        Recognition::DataStore(store) => store.name().to_owned(),
        Recognition::Other(role) => format!("<{}>", role.as_str()),
        Recognition::Unknown => String::new(),
    }
}

#[test]
fn every_row_has_a_source() {
    for (name, text) in [
        ("datastores", STORES),
        ("lookalikes", LOOKALIKES),
        ("provisioners", PROVISIONERS),
        ("clients", CLIENTS),
        ("lookalike-words", WORDS),
        ("ports", PORTS),
        ("volume-sources", SOURCES),
        ("custom-resources", CUSTOM),
    ] {
        for row in rows(text) {
            assert!(row.get("source").is_some_and(|source| !source.trim().is_empty()), "{name}: {row:?}");
        }
    }
}

#[test]
fn it_is_as_wide_as_promised() {
    assert!(rows(STORES).len() >= 80, "data stores: {}", rows(STORES).len());
    assert!(rows(CUSTOM).len() >= 25, "custom resources: {}", rows(CUSTOM).len());
    assert!(rows(PROVISIONERS).len() >= 60, "provisioners: {}", rows(PROVISIONERS).len());
}

#[test]
fn every_repository_is_recognised_as_its_own_system_and_as_no_other() {
    let mut seen = BTreeSet::new();
    for row in rows(STORES) {
        assert!(is_known_system(row["system"]));
        for repository in list(row["repositories"]) {
            assert!(seen.insert(repository), "{repository} stands twice");
            assert_eq!(recognised(repository), row["system"], "{repository}");
            assert_eq!(
                recognised(&format!("mirror.corp:5000/docker.io/{repository}:1.2@sha256:0")),
                row["system"],
                "{repository} behind a mirror"
            );
        }
    }
    for row in rows(LOOKALIKES) {
        assert!(seen.insert(row["repository"]), "{} stands twice", row["repository"]);
        assert_eq!(recognised(row["repository"]), format!("<{}>", row["role"]), "{}", row["repository"]);
    }
}

#[test]
fn names_are_of_one_list_and_of_whole_repositories() {
    let mut names = BTreeMap::new();
    for row in rows(STORES) {
        for name in list(row["names"]).chain(list(row["generic_names"])) {
            assert!(names.insert(name, row["system"]).is_none(), "{name} names two systems");
            assert!(!name.contains('/') && Image::parse(name).name() == name, "{name}");
        }
    }
    for row in rows(LOOKALIKES).into_iter().filter(|row| !row["name"].is_empty()) {
        assert!(!names.contains_key(row["name"]), "{} names a data store and a look-alike", row["name"]);
    }
}

#[test]
fn directories_are_absolute_and_parameters_name_a_locality() {
    for row in rows(STORES) {
        assert!(
            list(row["data_directories"]).all(|directory| directory.starts_with('/') && directory.len() > 1),
            "{}",
            row["system"]
        );
        assert!(matches!(row["keeps"], "durable" | "memory"), "{}", row["system"]);
    }
    for row in rows(PROVISIONERS) {
        assert!(
            list(row["parameters"]).all(|rule| rule.ends_with(":local") || rule.ends_with(":remote")),
            "{}",
            row["pattern"]
        );
    }
}

/// What is claimed of a system.
enum Fact {
    /// The image is this data store.
    Store(&'static str, &'static str),
    /// The image is none.
    NoStore(&'static str),
    /// The provisioner keeps volumes on one node.
    Local(&'static str),
    /// The provisioner's volumes are reachable from more than one node.
    Remote(&'static str),
    /// An operator makes the system of this kind.
    Custom(&'static str, &'static str),
}

/// Every system that the tutorials name from which the project grew, by their own
/// names. One that runs outside of the cluster has its client in it.
const SYSTEMS: &[(&str, &[Fact])] = {
    use Fact::{Custom, Local, NoStore, Remote, Store};
    &[
        (
            "MySQL",
            &[Store("mysql:8", "mysql"), Store("mysql:5.7", "mysql"), Custom("InnoDBCluster", "mysql.oracle.com")],
        ),
        (
            "MongoDB",
            &[
                Store("bitnami/mongodb:4.4.8", "mongodb"),
                Store("mongo:latest", "mongodb"),
                Custom("MongoDBCommunity", "mongodbcommunity.mongodb.com"),
            ],
        ),
        ("Redis", &[Store("redis", "redis"), Custom("Redis", "redis.redis.opstreelabs.in")]),
        ("PostgreSQL", &[Store("postgres", "postgresql"), Custom("Cluster", "postgresql.cnpg.io")]),
        (
            "Elasticsearch / ELK",
            &[
                Store("elasticsearch:8.1", "elasticsearch"),
                NoStore("kibana"),
                NoStore("docker.elastic.co/kibana/kibana:8.1"),
                Custom("Elasticsearch", "elasticsearch.k8s.elastic.co"),
            ],
        ),
        (
            "CockroachDB",
            &[Store("cockroachdb/cockroach", "cockroachdb"), Custom("CrdbCluster", "crdb.cockroachlabs.com")],
        ),
        (
            "Vitess",
            &[
                Store("vitess/vttablet", "vitess-vttablet"),
                NoStore("planetscale/vitess-operator"),
                Custom("VitessCluster", "planetscale.com"),
            ],
        ),
        ("YugabyteDB", &[Store("yugabytedb/yugabyte", "yugabytedb"), Custom("YBCluster", "yugabyte.com")]),
        ("Cassandra", &[Store("cassandra", "cassandra"), Custom("CassandraDatacenter", "cassandra.datastax.com")]),
        ("Kafka", &[Store("apache/kafka", "kafka"), Custom("KafkaNodePool", "kafka.strimzi.io")]),
        ("RabbitMQ", &[Store("bitnami/rabbitmq", "rabbitmq"), Custom("RabbitmqCluster", "rabbitmq.com")]),
        ("NATS", &[Store("nats", "nats"), NoStore("natsio/nats-box")]),
        ("KubeMQ", &[Store("kubemq/kubemq", "kubemq")]),
        (
            "MinIO",
            &[
                Store("minio/minio", "minio"),
                NoStore("minio/operator"),
                NoStore("minio/console"),
                NoStore("minio/mc"),
                Custom("Tenant", "minio.min.io"),
            ],
        ),
        ("Open IO", &[Store("openio/sds", "openio")]),
        ("AWS S3 / Azure Blob / GCS", &[NoStore("amazon/aws-cli"), NoStore("mcr.microsoft.com/azure-cli")]),
        ("Vault, Keycloak", &[Store("hashicorp/vault", "vault"), NoStore("keycloak/keycloak")]),
        (
            "Harbor, Dragonfly, Quay",
            &[
                Store("goharbor/registry-photon", "harbor-registry"),
                Store("goharbor/harbor-db", "harbor-db"),
                NoStore("dragonflyoss/manager"),
                NoStore("projectquay/quay"),
            ],
        ),
        ("Apache Airflow", &[NoStore("apache/airflow")]),
        ("pacman (NodeJS)", &[NoStore("quay.io/ifont/pacman-nodejs-app:latest")]),
        ("mongo-express", &[NoStore("mongo-express")]),
        ("xtrabackup", &[NoStore("gcr.io/google-samples/xtrabackup:1.0")]),
        ("minio/mc, cockroach client", &[NoStore("minio/mc")]),
        ("nginx", &[NoStore("nginx"), NoStore("registry.k8s.io/nginx-slim:0.8")]),
        ("csi-hostpath-driver, class csi-hostpath-sc", &[Local("hostpath.csi.k8s.io")]),
        ("minikube class \"standard\"", &[Local("k8s.io/minikube-hostpath")]),
        ("volumesnapshots addon", &[NoStore("registry.k8s.io/sig-storage/snapshot-controller:v6.1.0")]),
        ("NFS PVs (192.168.66.13)", &[Remote("nfs.csi.k8s.io")]),
        (
            "nfs-client-provisioner, class managed-nfs-storage (provisioner qgg-nfs-storage)",
            &[Remote("qgg-nfs-storage"), NoStore("quay.io/external_storage/nfs-client-provisioner:latest")],
        ),
        ("Direct CSI, class direct.csi.min.io", &[Local("direct-csi-min-io"), Local("direct.csi.min.io")]),
        (
            "GlusterFS, Ceph, CephFS, AzureDisk, AWS EBS, NAS",
            &[
                Remote("kubernetes.io/glusterfs"),
                Remote("rook-ceph.rbd.csi.ceph.com"),
                Remote("cephfs.csi.ceph.com"),
                Remote("disk.csi.azure.com"),
                Remote("ebs.csi.aws.com"),
                Remote("csi.san.synology.com"),
            ],
        ),
        ("ingress-nginx (minikube addon), IngressClass", &[NoStore("registry.k8s.io/ingress-nginx/controller:v1.2.1")]),
        (
            "minikube, kubectl, kubens, helm, krew, kubectl-minio, kustomize",
            &[NoStore("bitnami/kubectl"), NoStore("alpine/helm")],
        ),
        (
            "kube-apiserver admission webhooks, NetworkPolicy, HPA/autoscaler, Istio/Envoy, Knative, OpenFaaS, Prometheus/Grafana, FluentD",
            &[
                NoStore("registry.k8s.io/kube-apiserver:v1.30.0"),
                NoStore("istio/proxyv2"),
                NoStore("envoyproxy/envoy:v1.30-latest"),
                NoStore("gcr.io/knative-releases/knative.dev/serving/cmd/queue"),
                NoStore("ghcr.io/openfaas/gateway"),
                Store("prom/prometheus", "prometheus"),
                NoStore("grafana/grafana"),
                NoStore("fluent/fluentd"),
            ],
        ),
    ]
};

#[test]
fn the_systems_of_the_tutorials_are_known() {
    assert_eq!(SYSTEMS.len(), 34, "as many as the tutorials name");
    let locality = |provisioner: &str| Provisioners::default().locality(provisioner, &BTreeMap::new());
    for (system, facts) in SYSTEMS {
        assert!(!facts.is_empty(), "{system}");
        for fact in *facts {
            match fact {
                Fact::Store(image, expected) => assert_eq!(recognised(image), *expected, "{system}: {image}"),
                Fact::NoStore(image) => {
                    let found = recognised(image);
                    assert!(found.is_empty() || found.starts_with('<'), "{system}: {image} is {found}");
                }
                Fact::Local(provisioner) => {
                    assert_eq!(locality(provisioner), Locality::Local, "{system}: {provisioner}")
                }
                Fact::Remote(provisioner) => {
                    assert_eq!(locality(provisioner), Locality::Remote, "{system}: {provisioner}");
                }
                Fact::Custom(kind, group) => assert!(is_custom(kind, group), "{system}: {kind} of {group}"),
            }
        }
    }
    for platform in ["busybox", "alpine", "node:20", "python:3"] {
        assert!(matches!(recognised(platform).chars().next(), None | Some('<')), "{platform}");
    }
}
