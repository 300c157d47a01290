//! What is a data store and what isn't, by image, command and signs.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use portcullis_sdk::pod::Role as Place;
use portcullis_workloads::{ContainerView, CustomStore, Recognition, recognise};
use serde_json::{Value, json};

/// A container from JSON, and the system's name, the role in angle brackets, or nothing.
fn check_container(container: Value, place: Place, expected: &str) {
    let name = container["name"].as_str().unwrap_or("main").to_owned();
    let view: ContainerView = serde_json::from_value(container.clone()).unwrap();
    let got = match recognise(&name, place, &view, &[], &[]) {
        Recognition::DataStore(store) => store.name().to_owned(),
        Recognition::Other(role) => format!("<{}>", role.as_str()),
        Recognition::Unknown => String::new(),
    };
    assert_eq!(got, expected, "{container}");
}

fn check(container: Value, expected: &str) {
    check_container(container, Place::Regular, expected);
}

#[test]
fn an_image_is_known_through_registries_mirrors_and_tags() {
    for (image, expected) in [
        ("postgres", "postgresql"),
        ("postgres:16", "postgresql"),
        ("postgres:16@sha256:0123", "postgresql"),
        ("library/postgres", "postgresql"),
        ("docker.io/library/postgres:16", "postgresql"),
        ("mirror.corp:5000/docker.io/library/postgres", "postgresql"),
        ("harbor.corp/dockerhub-proxy/library/postgres:15", "postgresql"),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/docker-hub/library/redis:7", "redis"),
        ("europe-docker.pkg.dev/project/mirror/bitnami/mongodb:4.4.8", "mongodb"),
        ("public.ecr.aws/docker/library/mysql:8.4", "mysql"),
        ("quay.io/coreos/etcd:v3.5", "etcd"),
        ("registry.k8s.io/etcd:3.5.16-0", "etcd"),
        ("localhost:5000/mongo", "mongodb"),
        ("team/postgres", "postgresql"),
        ("registry.corp/a/b/c/cassandra:4", "cassandra"),
        ("bitnami/postgresql:16", "postgresql"),
        ("bitnamilegacy/postgresql-repmgr:16", "postgresql"),
        ("ghcr.io/cloudnative-pg/postgresql:17", "postgresql"),
        ("ghcr.io/zalando/spilo-16:3.2", "postgresql"),
        ("timescale/timescaledb:latest-pg16", "timescaledb"),
        ("percona/percona-xtradb-cluster:8.0", "percona-xtradb-cluster"),
        ("mariadb:11", "mariadb"),
        ("lscr.io/linuxserver/mariadb:latest", "mariadb"),
        ("mcr.microsoft.com/mssql/server:2022-latest", "mssql"),
        ("container-registry.oracle.com/database/free:latest", "oracle-database"),
        ("gvenzl/oracle-xe:21", "oracle-database"),
        ("cockroachdb/cockroach:v24.1.0", "cockroachdb"),
        ("yugabytedb/yugabyte:2.20", "yugabytedb"),
        ("pingcap/tikv:v8", "tikv"),
        ("clickhouse/clickhouse-server:24.8", "clickhouse"),
        ("mongodb/mongodb-community-server:7.0-ubi8", "mongodb"),
        ("couchdb:3", "couchdb"),
        ("redis/redis-stack:latest", "redis"),
        ("valkey/valkey:8", "valkey"),
        ("eqalpha/keydb", "keydb"),
        ("docker.dragonflydb.io/dragonflydb/dragonfly:v1", "dragonfly"),
        ("memcached:1.6-alpine", "memcached"),
        ("docker.elastic.co/elasticsearch/elasticsearch:8.15.0", "elasticsearch"),
        ("opensearchproject/opensearch:2", "opensearch"),
        ("rabbitmq:3.13-management", "rabbitmq"),
        ("nats:2.10", "nats"),
        ("apache/kafka:3.8.0", "kafka"),
        ("confluentinc/cp-kafka:7.7.0", "kafka"),
        ("quay.io/strimzi/kafka:0.43.0-kafka-3.8.0", "kafka"),
        ("redpandadata/redpanda:v24", "redpanda"),
        ("quay.io/minio/minio:latest", "minio"),
        ("kubemq/kubemq-standalone:latest", "kubemq"),
        ("influxdb:2.7", "influxdb"),
        ("prom/prometheus:v2.54.0", "prometheus"),
        ("grafana/loki:3.6.7", "loki"),
        ("qdrant/qdrant:v1", "qdrant"),
        ("neo4j:5", "neo4j"),
        ("zookeeper:3.8.4", "zookeeper"),
        ("hashicorp/consul:1.22", "consul"),
        ("consul:1.6", "consul"),
        ("hashicorp/vault:1.17", "vault"),
        ("registry:2", "docker-registry"),
        ("mirror.corp/library/registry:2", "docker-registry"),
        ("goharbor/registry-photon:v2", "harbor-registry"),
        ("vitess/vttablet:v20", "vitess-vttablet"),
        ("elasticmq:x", "elasticmq"),
    ] {
        check(json!({"image": image}), expected);
    }
}

#[test]
fn a_part_of_the_name_is_enough_where_nothing_beside_it_speaks_against() {
    for (image, expected) in [
        ("capttofu/percona_xtradb_cluster_5_6:beta", "percona-xtradb-cluster"),
        ("quay.io/pires/docker-elasticsearch-kubernetes:5.6.2", "elasticsearch"),
        ("registry.istio.io/release/examples-bookinfo-mysqldb:1.20.3", "mysql"),
        ("docker.io/istio/examples-bookinfo-mongodb:1.20", "mongodb"),
        ("corp/postgres15:1", "postgresql"),
        ("corp/our-redis:1", "redis"),
        ("centos/mysql-80-centos7", "mysql"),
        ("gcr.io/google_samples/gb-redisslave:v1", "redis"),
        ("corp/fluentd-elasticsearch", ""),
        ("corp/registry.example/x", ""),
        ("oliver006/redis_exporter:latest", "<exporter>"),
        ("corp/redis-exporter", "<exporter>"),
        ("corp/mysql-client", ""),
        ("ghcr.io/barkardk/rabbitmq-client:1.2.3", ""),
        ("mongo-express:1.0", "<ui>"),
        ("corp/mongo-express", "<ui>"),
        ("dpage/pgadmin4", "<ui>"),
        ("corp/pgbouncer:1", "<proxy>"),
        ("ghcr.io/zalando/postgres-operator/pgbouncer:v2.0.1", "<proxy>"),
        ("solsson/kafka-manager@sha256:0123", "<ui>"),
        ("quay.io/opstree/redis-operator-backup:latest", ""),
        ("kbudde/rabbitmq-exporter", "<exporter>"),
        ("corp/postgres-backup-s3:1", ""),
        ("corp/php-redis", ""),
        ("corp/mysql-operator", "<operator>"),
        ("minio/mc", "<client>"),
        ("quay.io/ifont/pacman-nodejs-app:latest", "<application>"),
        ("nginx:1.25", "<proxy>"),
        ("corp/kafka-connect", "<connector>"),
        ("corp/registry-ui", ""),
        ("corp/registry", ""),
        ("corp/vault", ""),
        ("corp/consul-template", "<client>"),
        ("corp/server", ""),
        ("postgresql-haproxy", ""),
        ("corp/postgrest", "<proxy>"),
        ("corp/redistribute", ""),
        ("corp/etcd-backup-restore", ""),
        ("apache/airflow:2", "<application>"),
        ("goharbor/harbor-core:v2", "<application>"),
        ("quay.io/quay/quay:3", ""),
        ("dragonflyoss/scheduler", "<application>"),
        ("quay.io/keycloak/keycloak:25", "<application>"),
        ("grafana/grafana:11", "<application>"),
        ("busybox", ""),
        ("debian:jessie", ""),
        ("", ""),
    ] {
        let got = |image: &str| {
            let view = ContainerView { image: image.to_owned(), ..ContainerView::default() };
            match recognise("main", Place::Regular, &view, &[], &[]) {
                Recognition::DataStore(store) => store.name().to_owned(),
                Recognition::Other(role) => format!("<{}>", role.as_str()),
                Recognition::Unknown => String::new(),
            }
        };
        let found = got(image);
        // Which role it is matters less than that it is none.
        if expected.is_empty() || expected.starts_with('<') {
            assert!(found.is_empty() || found.starts_with('<'), "{image}: {found}");
        } else {
            assert_eq!(found, expected, "{image}");
        }
    }
}

#[test]
fn the_command_line_decides_over_the_image() {
    for (image, command, args, expected) in [
        ("postgres", json!(["psql", "-h", "db"]), json!([]), "<client>"),
        ("postgres", json!(["pg_dump"]), json!(["mydb"]), "<backup>"),
        ("postgres", json!([]), json!(["-c", "max_connections=200"]), "postgresql"),
        ("postgres", json!(["docker-entrypoint.sh"]), json!(["postgres"]), "postgresql"),
        ("mysql:8", json!(["sh", "-c", "mysqldump -h db --all-databases > /backup/all.sql"]), json!([]), "<backup>"),
        (
            "mysql:8",
            json!(["/bin/bash", "-c"]),
            json!(["until mysqladmin ping; do sleep 1; done; mysql -e 'select 1'"]),
            "<client>",
        ),
        ("mysql:8", json!(["/bin/bash", "-c"]), json!(["sleep 5 && exec docker-entrypoint.sh mysqld"]), "mysql"),
        ("mysql:8", json!(["sleep", "infinity"]), json!([]), "<idle>"),
        ("redis", json!(["redis-cli", "--cluster", "create"]), json!([]), "<client>"),
        ("redis", json!(["redis-server"]), json!(["/etc/redis.conf", "--sentinel"]), "<coordinator>"),
        ("redis", json!(["redis-sentinel", "/etc/sentinel.conf"]), json!([]), "<coordinator>"),
        ("redis", json!([]), json!(["--requirepass", "$(PASSWORD)"]), "redis"),
        ("redis", json!(["sh", "-c", "redis-server --requirepass \"$REDIS_PASSWORD\""]), json!([]), "redis"),
        ("cockroachdb/cockroach:v24", json!(["/cockroach/cockroach", "init", "--insecure"]), json!([]), "<client>"),
        ("cockroachdb/cockroach:v24", json!([]), json!(["init", "--insecure"]), "<client>"),
        ("cockroachdb/cockroach:v24", json!([]), json!(["start", "--insecure"]), "cockroachdb"),
        (
            "cockroachdb/cockroach:v24",
            json!(["/bin/bash", "-ecx", "exec /cockroach/cockroach start --logtostderr"]),
            json!([]),
            "cockroachdb",
        ),
        (
            "sorintlab/stolon:v0.17-pg12",
            json!(["/bin/bash", "-ec", "exec gosu stolon stolon-proxy"]),
            json!([]),
            "<proxy>",
        ),
        (
            "sorintlab/stolon:v0.17-pg12",
            json!(["/bin/bash", "-ec", "exec gosu stolon stolon-keeper --data-dir /stolon-data"]),
            json!([]),
            "postgresql",
        ),
        (
            "solsson/kafka:2.5.1",
            json!(["./bin/kafka-server-start.sh", "/etc/kafka/server.properties"]),
            json!([]),
            "kafka",
        ),
        (
            "solsson/kafka:2.5.1",
            json!(["./bin/zookeeper-server-start.sh", "/etc/kafka/zookeeper.properties"]),
            json!([]),
            "kafka",
        ),
        ("apache/kafka", json!(["/opt/kafka/bin/kafka-topics.sh", "--create"]), json!([]), "<client>"),
        ("debian", json!(["redis-server"]), json!([]), "redis"),
        ("busybox", json!(["/usr/bin/zkServer.sh", "start-foreground"]), json!([]), "zookeeper"),
        (
            "debian:jessie",
            json!(["/bin/bash", "/opt/zookeeper/bin/zkServer.sh", "start-foreground"]),
            json!([]),
            "zookeeper",
        ),
        (
            "corp/base",
            json!(["/bin/sh", "-c", "exec /usr/local/bin/etcd --data-dir /var/etcd/data 1>>/var/log/etcd.log 2>&1"]),
            json!([]),
            "etcd",
        ),
        ("quay.io/coreos/etcd", json!(["etcdctl", "snapshot", "save"]), json!([]), "<client>"),
        ("hashicorp/vault", json!([]), json!(["agent", "-config=/vault"]), "<sidecar>"),
        ("hashicorp/vault", json!([]), json!(["server"]), "vault"),
        ("minio/minio", json!([]), json!(["server", "/data", "--console-address", ":9001"]), "minio"),
        ("thanosio/thanos", json!([]), json!(["query", "--http-address=0.0.0.0:9090"]), "<proxy>"),
        ("thanosio/thanos", json!([]), json!(["receive", "--tsdb.path=/var/thanos/receive"]), "thanos"),
        ("grafana/loki", json!([]), json!(["-config.file=/etc/loki.yaml", "-target=querier"]), "<proxy>"),
        ("milvusdb/milvus", json!(["milvus", "run", "proxy"]), json!([]), "<proxy>"),
        ("milvusdb/milvus", json!(["milvus", "run", "standalone"]), json!([]), "milvus"),
        ("mongo", json!([]), json!(["mongod", "--replSet", "rs0"]), "mongodb"),
        ("mongo", json!(["mongos"]), json!(["--configdb", "x"]), "<proxy>"),
        (
            "mongo",
            json!(["sh", "-c", "until mongosh --host a; do sleep 1; done; exec /custom/start"]),
            json!([]),
            "mongodb",
        ),
        ("vitess/lite", json!(["vtgate"]), json!([]), "<proxy>"),
        ("alpine", json!(["sh", "-c", "# redis-server\necho 'redis-server'"]), json!([]), "<idle>"),
        ("alpine", json!(["sh", "-c"]), json!([]), ""),
        ("alpine", json!(["sh", "-c", "echo \"unterminated"]), json!([]), "<idle>"),
    ] {
        check(json!({"image": image, "command": command, "args": args}), expected);
    }
}

#[test]
fn signs_count_together_and_never_alone() {
    // Images that say nothing of what they are.
    check(
        json!({"name": "user-db", "image": "weaveworksdemos/user-db:0.3.0", "ports": [{"name": "mongo", "containerPort": 27017}]}),
        "mongodb",
    );
    check(
        json!({"name": "catalogue-db", "image": "weaveworksdemos/catalogue-db:0.3.0", "env": [{"name": "MYSQL_ROOT_PASSWORD", "value": "x"}], "ports": [{"name": "mysql", "containerPort": 3306}]}),
        "mysql",
    );
    check(
        json!({"name": "percona", "image": "openebs/tests-custom-percona", "env": [{"name": "MYSQL_ROOT_PASSWORD"}], "ports": [{"containerPort": 3306}], "volumeMounts": [{"name": "d", "mountPath": "/var/lib/mysql"}]}),
        "percona-server-mysql",
    );
    check(
        json!({"name": "db", "image": "corp/mysql-test", "env": [{"name": "MYSQL_ROOT_PASSWORD"}], "ports": [{"containerPort": 3306}], "volumeMounts": [{"name": "d", "mountPath": "/var/lib/mysql"}]}),
        "mysql",
    );
    check(
        json!({"name": "store", "image": "corp/x", "ports": [{"containerPort": 5432}], "volumeMounts": [{"name": "d", "mountPath": "/var/lib/postgresql/data"}]}),
        "postgresql",
    );
    // Generic names need a second sign.
    check(json!({"name": "member", "image": "openshift/etcd-20-centos7", "ports": [{"containerPort": 2379}]}), "etcd");
    check(json!({"name": "member", "image": "openshift/etcd-20-centos7"}), "");
    check(json!({"name": "registry", "image": "corp/registry", "ports": [{"containerPort": 5000}]}), "docker-registry");
    check(json!({"name": "app", "image": "corp/registry", "ports": [{"containerPort": 8080}]}), "");
    // Clients carry each of these signs.
    check(json!({"name": "app", "image": "corp/shop", "env": [{"name": "MYSQL_ROOT_PASSWORD"}]}), "");
    check(
        json!({"name": "app", "image": "corp/shop", "env": [{"name": "MYSQL_ROOT_PASSWORD"}], "ports": [{"containerPort": 8080}]}),
        "",
    );
    check(
        json!({"name": "xtrabackup", "image": "gcr.io/google-samples/xtrabackup:1.0", "ports": [{"containerPort": 3307}], "volumeMounts": [{"name": "data", "mountPath": "/var/lib/mysql"}]}),
        "<backup>",
    );
    check(
        json!({"name": "backup", "image": "corp/x", "volumeMounts": [{"name": "data", "mountPath": "/var/lib/mysql"}]}),
        "",
    );
    check(json!({"name": "proxy", "image": "corp/x", "ports": [{"name": "mysql", "containerPort": 3306}]}), "");
    check(
        json!({"name": "mysql-proxy", "image": "corp/x", "ports": [{"name": "mysql", "containerPort": 3306}], "env": [{"name": "MYSQL_PASSWORD"}]}),
        "mysql",
    );
    check(
        json!({"name": "envoy", "image": "envoyproxy/envoy:v1", "ports": [{"name": "redis", "containerPort": 6379}]}),
        "<proxy>",
    );
}

#[test]
fn containers_that_end_or_debug_are_none_and_sidecars_are_containers() {
    check_container(json!({"image": "postgres"}), Place::Init, "<init>");
    check_container(json!({"image": "postgres"}), Place::Ephemeral, "<client>");
    check_container(json!({"image": "postgres"}), Place::Sidecar, "postgresql");
}

#[test]
fn an_administrator_knows_better() {
    let own = [CustomStore {
        name: "ledger".to_owned(),
        images: vec!["team/ledger-db".to_owned()],
        data_directories: vec!["/ledger".to_owned()],
    }];
    let view = |image: &str| ContainerView { image: image.to_owned(), ..ContainerView::default() };
    let found = recognise("main", Place::Regular, &view("registry.corp/team/ledger-db:1"), &own, &[]);
    assert!(matches!(found, Recognition::DataStore(store) if store.name() == "ledger" && store.is_certain()));
    let never = ["team/postgres".to_owned()];
    assert!(matches!(
        recognise("main", Place::Regular, &view("registry.corp/team/postgres:1"), &[], &never),
        Recognition::Other(_)
    ));
    assert!(matches!(
        recognise("main", Place::Regular, &view("registry.corp/other/postgres:1"), &[], &never),
        Recognition::DataStore(_)
    ));
    // The command still decides.
    let idle = ContainerView { command: vec!["sleep".to_owned(), "1".to_owned()], ..view("team/ledger-db") };
    assert!(matches!(recognise("main", Place::Regular, &idle, &own, &[]), Recognition::Other(_)));
}
