//! Which volumes hold a data store's data.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use portcullis_sdk::pod::Role as Place;
use portcullis_workloads::{ContainerView, Holding, PodStorage, Recognition, Volume, data_volumes, recognise};
use serde_json::{Value, json};

/// Volumes named `claim…` are claims, `empty…` emptyDirs, `host…` hostPaths, `config…`
/// ConfigMaps, `nfs…` NFS; those named `template…` come from templates.
fn check(container: Value, expected: &str) {
    let view: ContainerView = serde_json::from_value(container.clone()).unwrap();
    let Recognition::DataStore(store) = recognise("main", Place::Regular, &view, &[], &[]) else {
        panic!("no data store: {container}")
    };
    let mut names: Vec<&str> = view
        .volume_mounts
        .iter()
        .map(|mount| mount.name.as_str())
        .chain(view.volume_devices.iter().map(|device| device.name.as_str()))
        .collect();
    names.dedup();
    let source = |name: &str| match name.trim_end_matches(|letter: char| letter.is_ascii_digit()) {
        "claim" => json!({"name": name, "persistentVolumeClaim": {"claimName": name}}),
        "host" => json!({"name": name, "hostPath": {"path": "/x"}}),
        "config" => json!({"name": name, "configMap": {"name": name}}),
        "nfs" => json!({"name": name, "nfs": {"server": "a", "path": "/"}}),
        _ => json!({"name": name, "emptyDir": {}}),
    };
    let (templates, others): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.starts_with("template"));
    let volumes: Vec<Volume> = others.iter().map(|name| serde_json::from_value(source(name)).unwrap()).collect();
    let got = match data_volumes(&store, &view, PodStorage { volumes: &volumes, claim_templates: &templates }) {
        Holding::Nothing => "nothing".to_owned(),
        Holding::Layer(_) => "layer".to_owned(),
        Holding::Volumes(volumes) => volumes.iter().map(|volume| volume.name).collect::<Vec<_>>().join(","),
    };
    assert_eq!(got, expected, "{container}");
}

fn mounts(of: &[(&str, &str)]) -> Value {
    Value::from(of.iter().map(|(name, path)| json!({"name": name, "mountPath": path})).collect::<Vec<_>>())
}

#[test]
fn known_directories() {
    for (image, at, expected) in [
        ("mongo", vec![("template", "/data/db")], "template"),
        ("mongo", vec![("claim", "/data")], "claim"),
        ("mongo", vec![("claim", "/data/db"), ("empty", "/data/configdb")], "claim"),
        ("mongo", vec![("empty", "/tmp")], "layer"),
        ("mongo", vec![], "layer"),
        ("mongo", vec![("config", "/data/db")], "layer"),
        ("postgres", vec![("claim", "/var/lib/postgresql/data")], "claim"),
        ("postgres", vec![("claim", "/var/lib/postgresql/data/")], "claim"),
        ("postgres", vec![("claim", "/var/lib/postgresql")], "claim"),
        ("postgres", vec![("claim", "/var/lib")], "claim"),
        ("postgres", vec![("claim", "/var/lib/postgresql/data/pgdata")], "claim"),
        ("postgres", vec![("claim", "/var/lib/postgresql/data"), ("empty", "/var/lib/postgresql")], "claim"),
        (
            "postgres",
            vec![("claim", "/var/lib/postgresql/data"), ("empty", "/dev/shm"), ("config", "/etc/postgresql")],
            "claim",
        ),
        ("postgres", vec![("claim", "/var/lib/postgresql-other")], "claim"),
        ("postgres", vec![("empty", "/var/lib/other")], "layer"),
        ("mysql", vec![("template", "/var/lib/mysql"), ("empty", "/etc/mysql/conf.d")], "template"),
        ("zookeeper", vec![("template", "/data"), ("template2", "/datalog")], "template,template2"),
        (
            "bitnami/kafka",
            vec![("claim", "/bitnami/kafka"), ("empty", "/tmp"), ("empty2", "/opt/bitnami/kafka/config")],
            "claim",
        ),
        ("apache/kafka", vec![("empty", "/tmp")], "layer"),
        ("apache/kafka", vec![("empty", "/tmp/kraft-combined-logs")], "empty"),
        ("quay.io/pires/docker-elasticsearch-kubernetes", vec![("empty", "/data")], "empty"),
        ("redis", vec![("host", "/data")], "host"),
        ("redis", vec![("nfs", "/data")], "nfs"),
    ] {
        check(json!({"image": image, "volumeMounts": mounts(&at)}), expected);
    }
}

#[test]
fn directories_that_are_told() {
    let postgres =
        |env: Value, at: &[(&str, &str)]| json!({"image": "postgres", "env": env, "volumeMounts": mounts(at)});
    check(
        postgres(
            json!([{"name": "PGDATA", "value": "/pg/main"}]),
            &[("claim", "/pg"), ("empty", "/var/lib/postgresql/data")],
        ),
        "claim",
    );
    check(
        postgres(
            json!([{"name": "PGDATA", "value": "/var/lib/postgresql/data/pgdata"}]),
            &[("claim", "/var/lib/postgresql/data")],
        ),
        "claim",
    );
    check(
        postgres(json!([{"name": "PGDATA", "value": "$(HOME)/x"}]), &[("claim", "/var/lib/postgresql/data")]),
        "claim",
    );
    for (image, args, at, expected) in [
        ("mysql", json!(["--datadir=/big/mysql"]), vec![("claim", "/big"), ("empty", "/var/lib/mysql")], "claim"),
        (
            "mysql",
            json!(["--datadir", "/big/mysql"]),
            vec![("claim", "/big/mysql"), ("empty", "/var/lib/mysql")],
            "claim",
        ),
        (
            "mongo",
            json!(["mongod", "--dbpath", "/store/db"]),
            vec![("empty", "/data/db"), ("claim", "/store")],
            "claim",
        ),
        (
            "redis",
            json!(["redis-server", "--dir", "/persist"]),
            vec![("claim", "/persist"), ("empty", "/data")],
            "claim",
        ),
        (
            "cockroachdb/cockroach",
            json!(["start", "--store=path=/crdb/data,attrs=ssd"]),
            vec![("claim", "/crdb"), ("empty", "/cockroach/cockroach-data")],
            "claim",
        ),
        ("quay.io/coreos/etcd", json!(["etcd", "--data-dir=/etcd-store"]), vec![("host", "/etcd-store")], "host"),
        (
            "elasticsearch:8",
            json!(["-Epath.data=/es"]),
            vec![("claim", "/es"), ("empty", "/usr/share/elasticsearch/data")],
            "claim",
        ),
        (
            "apache/kafka",
            json!(["kafka-server-start.sh", "x", "--override", "log.dirs=/a,/b"]),
            vec![("claim", "/a"), ("claim2", "/b")],
            "claim,claim2",
        ),
        (
            "minio/minio",
            json!(["server", "/mnt/data{1...2}"]),
            vec![("claim1", "/mnt/data1"), ("claim2", "/mnt/data2"), ("empty", "/tmp")],
            "claim1,claim2",
        ),
        (
            "minio/minio",
            json!(["server", "http://minio-{0...3}.minio/export"]),
            vec![("template", "/export")],
            "template",
        ),
        (
            "prom/prometheus",
            json!(["--storage.tsdb.path=/prom", "--config.file=/etc/x"]),
            vec![("empty", "/prom")],
            "empty",
        ),
    ] {
        check(json!({"image": image, "args": args, "volumeMounts": mounts(&at)}), expected);
    }
}

#[test]
fn an_unknown_layout_is_judged_by_its_claims() {
    check(json!({"image": "postgres", "volumeMounts": mounts(&[("claim", "/somewhere")])}), "claim");
    check(
        json!({"image": "postgres", "volumeMounts": mounts(&[("claim", "/somewhere"), ("claim2", "/my-data")])}),
        "claim2",
    );
    check(json!({"image": "postgres", "volumeMounts": mounts(&[("claim", "/backups")])}), "layer");
    check(json!({"image": "postgres", "volumeMounts": mounts(&[("claim", "/etc/x"), ("empty", "/my/data")])}), "empty");
    check(
        json!({"image": "postgres", "volumeMounts": [{"name": "claim", "mountPath": "/somewhere", "readOnly": true}]}),
        "layer",
    );
    check(
        json!({"image": "ceph/ceph", "command": ["ceph-osd"], "volumeDevices": [{"name": "claim", "devicePath": "/dev/x"}]}),
        "claim",
    );
}

#[test]
fn what_keeps_nothing_needs_no_volume() {
    check(json!({"image": "memcached"}), "nothing");
    check(json!({"image": "nats"}), "nothing");
    check(json!({"image": "nats", "args": ["-js"], "volumeMounts": mounts(&[("empty", "/data/jetstream")])}), "empty");
    check(json!({"image": "redis", "args": ["--save", "", "--appendonly", "no"]}), "nothing");
    check(json!({"image": "redis", "command": ["sh", "-c", "redis-server --save '' --appendonly no"]}), "nothing");
    check(json!({"image": "redis", "args": ["--save", ""]}), "layer");
    check(json!({"image": "redis", "args": ["--save", "60 1", "--appendonly", "no"]}), "layer");
    check(json!({"image": "cockroachdb/cockroach", "args": ["start", "--store=type=mem,size=1GiB"]}), "nothing");
    check(json!({"image": "hashicorp/vault", "args": ["server", "-dev"]}), "nothing");
    check(json!({"image": "hashicorp/vault", "args": ["server"]}), "layer");
    check(json!({"image": "bitnami/redis", "env": [{"name": "REDIS_AOF_ENABLED", "value": "no"}]}), "layer");
}
