//! The catalogue's own consistency.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_sdk::pod::Role as Place;
use portcullis_workloads::{ContainerView, Image, Recognition, is_known_system, recognise};

type Row = BTreeMap<&'static str, &'static str>;

const STORES: &str = include_str!("../catalogue/datastores.tsv");
const LOOKALIKES: &str = include_str!("../catalogue/lookalikes.tsv");
const PROVISIONERS: &str = include_str!("../catalogue/provisioners.tsv");
const CLIENTS: &str = include_str!("../catalogue/clients.tsv");
const WORDS: &str = include_str!("../catalogue/lookalike-words.tsv");
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
    ] {
        for row in rows(text) {
            assert!(row.get("source").is_some_and(|source| !source.trim().is_empty()), "{name}: {row:?}");
        }
    }
}

#[test]
fn it_is_as_wide_as_promised() {
    assert!(rows(STORES).len() >= 80 && rows(PROVISIONERS).len() >= 60);
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

/// What the tutorials name that the policy must treat rightly; storage is in the table of localities.
#[test]
fn the_systems_of_the_tutorials_are_known() {
    for (image, expected) in [
        ("mysql:8", "mysql"),
        ("bitnami/mongodb:4.4.8", "mongodb"),
        ("mongo:latest", "mongodb"),
        ("redis", "redis"),
        ("postgres", "postgresql"),
        ("elasticsearch:8.1", "elasticsearch"),
        ("cockroachdb/cockroach", "cockroachdb"),
        ("vitess/vttablet", "vitess-vttablet"),
        ("planetscale/vitess-operator", "<operator>"),
        ("yugabytedb/yugabyte", "yugabytedb"),
        ("cassandra", "cassandra"),
        ("apache/kafka", "kafka"),
        ("bitnami/rabbitmq", "rabbitmq"),
        ("nats", "nats"),
        ("kubemq/kubemq", "kubemq"),
        ("minio/minio", "minio"),
        ("minio/operator", "<operator>"),
        ("minio/console", "<ui>"),
        ("minio/mc", "<client>"),
        ("openio/sds", "openio"),
        ("hashicorp/vault", "vault"),
        ("keycloak/keycloak", "<application>"),
        ("goharbor/registry-photon", "harbor-registry"),
        ("goharbor/harbor-db", "harbor-db"),
        ("dragonflyoss/manager", "<application>"),
        ("projectquay/quay", "<application>"),
        ("apache/airflow", "<application>"),
        ("ifont/pacman-nodejs-app", "<application>"),
        ("mongo-express", "<ui>"),
        ("google-samples/xtrabackup", "<backup>"),
    ] {
        let found = recognised(image);
        let both_are_none = expected.starts_with('<') && found.starts_with('<');
        assert!(found == expected || both_are_none, "{image}: {found}, expected {expected}");
    }
    for platform in ["kibana", "fluent/fluentd", "busybox", "istio/proxyv2", "nginx"] {
        assert!(matches!(recognised(platform).chars().next(), None | Some('<')), "{platform}");
    }
}
