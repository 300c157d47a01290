//! What operators' custom resources say of storage.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on fails")]

use portcullis_sdk::serde_json::{Value, json};
use portcullis_sdk::{GroupVersionKind, Objects, Tree};
use portcullis_workloads::custom::{CustomResource, Source, is_custom};
use portcullis_workloads::is_known_system;

const KINDS: &str = include_str!("../catalogue/custom-resources.tsv");
const STORAGE: &str = include_str!("../catalogue/custom-storage.tsv");

fn read(api_version: &str, kind: &str, spec: Value) -> CustomResource {
    let (group, version) = api_version.split_once('/').unwrap();
    let gvk = GroupVersionKind { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() };
    let object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, "spec": spec});
    let known = CustomResource::kinds().into_iter().find(|known| known.is(&gvk)).unwrap();
    let seen = project(&object, &known.tree);
    let whole = CustomResource::read(&gvk, &object.to_string()).unwrap().unwrap();
    let projected = CustomResource::read(&gvk, &seen.to_string()).unwrap().unwrap();
    assert_eq!(whole, projected, "the tree of {kind} doesn't read what its rows name");
    whole
}

/// As the host does it.
fn project(value: &Value, tree: &Tree) -> Value {
    match (tree, value) {
        (Tree::Present, value) if !value.is_null() => Value::Bool(true),
        (Tree::Fields(fields), Value::Object(members)) => members
            .iter()
            .filter_map(|(name, member)| Some((name.clone(), project(member, fields.get(name)?))))
            .collect::<portcullis_sdk::serde_json::Map<_, _>>()
            .into(),
        (Tree::Each(tree), Value::Array(elements)) => elements.iter().map(|element| project(element, tree)).collect(),
        (Tree::Each(tree), Value::Object(members)) => members
            .iter()
            .map(|(name, member)| (name.clone(), project(member, tree)))
            .collect::<portcullis_sdk::serde_json::Map<_, _>>()
            .into(),
        (_, value) => value.clone(),
    }
}

/// One line for each storage: subject, and class with its place, or what else it is.
fn check(api_version: &str, kind: &str, spec: Value, expected: &[&str]) {
    let custom = read(api_version, kind, spec);
    let lines: Vec<String> = custom
        .storage
        .iter()
        .map(|storage| {
            let source = match &storage.source {
                Source::Claim(claim) => format!(
                    "{} at {}{}",
                    claim.class.as_deref().unwrap_or("default"),
                    claim.class_path,
                    if claim.size.is_some() { " sized" } else { "" }
                ),
                Source::Ephemeral { path } => format!("ephemeral at {path}"),
                Source::HostPath { path, directory } => format!("{directory} at {path}"),
            };
            format!("{} {source}", storage.subject.strip_prefix("storage=").unwrap())
        })
        .collect();
    assert_eq!(lines, expected, "{kind}");
}

#[test]
fn strimzis_storage_is_read_in_each_of_its_types() {
    let pool = |storage: Value| json!({"replicas": 3, "storage": storage});
    let check = |storage: Value, expected: &[&str]| {
        check("kafka.strimzi.io/v1", "KafkaNodePool", pool(storage), expected);
    };
    check(json!({"type": "ephemeral"}), &["spec.storage ephemeral at spec.storage.type"]);
    check(json!({"type": "persistent-claim", "size": "100Gi"}), &["spec.storage default at spec.storage.class sized"]);
    check(
        json!({"type": "jbod", "volumes": [
            {"id": 1, "type": "ephemeral"},
            {"id": 0, "type": "persistent-claim", "class": "fast", "size": "1Ti"}
        ]}),
        &[
            "spec.storage.volumes[0] fast at spec.storage.volumes[1].class sized",
            "spec.storage.volumes[1] ephemeral at spec.storage.volumes[0].type",
        ],
    );
    check(
        json!({"type": "persistent-claim", "size": "1Gi", "class": "a", "overrides": [{"broker": 0, "class": "b"}]}),
        &[
            "spec.storage a at spec.storage.class sized",
            "spec.storage.overrides[0] b at spec.storage.overrides[0].class",
        ],
    );
    assert_eq!(read("kafka.strimzi.io/v1beta2", "KafkaNodePool", pool(json!(null))).replicas, Some(3));
}

#[test]
fn one_kind_in_two_groups_is_two_kinds() {
    check(
        "postgresql.cnpg.io/v1",
        "Cluster",
        json!({"instances": 3, "storage": {"size": "1Gi", "pvcTemplate": {"storageClassName": "a"}}, "walStorage": {"size": "2Gi", "storageClass": "b"}, "tablespaces": [{"name": "t", "storage": {"size": "3Gi"}}]}),
        &[
            "spec.storage a at spec.storage.pvcTemplate.storageClassName sized",
            "spec.walStorage b at spec.walStorage.storageClass sized",
            "spec.tablespaces[t].storage default at spec.tablespaces[0].storage.storageClass sized",
        ],
    );
    check(
        "apps.kubeblocks.io/v1",
        "Cluster",
        json!({"componentSpecs": [{"name": "mysql", "volumeClaimTemplates": [{"name": "data", "spec": {"storageClassName": ""}}]}]}),
        &[
            "spec.componentSpecs[mysql].volumeClaimTemplates[data]  at spec.componentSpecs[0].volumeClaimTemplates[0].spec.storageClassName",
        ],
    );
    assert!(!is_custom("Cluster", "cluster.x-k8s.io"), "a cluster that is no data store");
    let other =
        GroupVersionKind { group: "kafka.strimzi.io".to_owned(), version: "v9".to_owned(), kind: "Kafka".to_owned() };
    assert!(CustomResource::read(&other, "{}").is_none(), "a version that isn't known");
}

#[test]
fn perconas_volumes_are_claims_directories_or_ephemeral() {
    let check = |volume: Value, expected: &[&str]| {
        check(
            "pxc.percona.com/v1",
            "PerconaXtraDBCluster",
            json!({"pxc": {"size": 3, "volumeSpec": volume}}),
            expected,
        );
    };
    check(
        json!({"hostPath": {"path": "/run/data"}}),
        &["spec.pxc.volumeSpec /run/data at spec.pxc.volumeSpec.hostPath"],
    );
    check(json!({"emptyDir": {}}), &["spec.pxc.volumeSpec ephemeral at spec.pxc.volumeSpec.emptyDir"]);
    check(
        json!({"persistentVolumeClaim": {"resources": {"requests": {"storage": "6G"}}}}),
        &[
            "spec.pxc.volumeSpec.persistentVolumeClaim default at spec.pxc.volumeSpec.persistentVolumeClaim.storageClassName sized",
        ],
    );
    check(json!({}), &[]);
}

#[test]
fn what_is_switched_off_is_not_judged() {
    let replset = json!({"replsets": [{"name": "rs0", "size": 3, "volumeSpec": {"persistentVolumeClaim": {}}, "nonvoting": {"enabled": false, "volumeSpec": {"emptyDir": {}}}}]});
    check(
        "psmdb.percona.com/v1",
        "PerconaServerMongoDB",
        replset,
        &[
            "spec.replsets[rs0].volumeSpec.persistentVolumeClaim default at spec.replsets[0].volumeSpec.persistentVolumeClaim.storageClassName",
        ],
    );
}

#[test]
fn where_nothing_is_said_the_operators_default_counts() {
    let nothing = |api_version, kind, spec, expected: &[&str]| check(api_version, kind, spec, expected);
    nothing(
        "elasticsearch.k8s.elastic.co/v1",
        "Elasticsearch",
        json!({"nodeSets": [{"name": "hot", "count": 3}]}),
        &["spec.nodeSets[hot] default at spec.nodeSets[0].volumeClaimTemplates"],
    );
    nothing(
        "elasticsearch.k8s.elastic.co/v1",
        "Elasticsearch",
        json!({"nodeSets": [{"name": "hot", "podTemplate": {"spec": {"volumes": [{"name": "elasticsearch-data", "emptyDir": {}}]}}}]}),
        &[
            "spec.nodeSets[hot].podTemplate.spec.volumes[elasticsearch-data] ephemeral at spec.nodeSets[0].podTemplate.spec.volumes[0].emptyDir",
        ],
    );
    nothing(
        "elasticsearch.k8s.elastic.co/v1",
        "Elasticsearch",
        json!({"nodeSets": [{"name": "hot", "podTemplate": {"spec": {"volumes": [{"name": "certificates", "emptyDir": {}}]}}}]}),
        &["spec.nodeSets[hot] default at spec.nodeSets[0].volumeClaimTemplates"],
    );
    nothing(
        "rabbitmq.com/v1beta1",
        "RabbitmqCluster",
        json!({}),
        &["spec default at spec.persistence.storageClassName"],
    );
    nothing(
        "rabbitmq.com/v1beta1",
        "RabbitmqCluster",
        json!({"persistence": {"storage": 0}}),
        &["spec ephemeral at spec.persistence.storage"],
    );
    nothing(
        "monitoring.coreos.com/v1",
        "Prometheus",
        json!({}),
        &["spec ephemeral at spec.storage.volumeClaimTemplate"],
    );
    nothing(
        "databases.spotahome.com/v1",
        "RedisFailover",
        json!({"redis": {}}),
        &["spec.redis ephemeral at spec.redis.storage.persistentVolumeClaim"],
    );
    nothing(
        "kubedb.com/v1",
        "Postgres",
        json!({"storageType": "Ephemeral", "storage": {}}),
        &["spec ephemeral at spec.storageType"],
    );
    nothing("clickhouse.altinity.com/v1", "ClickHouseInstallation", json!({"useTemplates": [{"name": "x"}]}), &[]);
    nothing("clickhouse.altinity.com/v1", "ClickHouseInstallation", json!({}), &["spec ephemeral at spec"]);
    nothing("minio.min.io/v2", "Tenant", json!({"pools": []}), &[]);
}

#[test]
fn volumes_for_logs_hold_no_data() {
    check(
        "clickhouse.altinity.com/v1",
        "ClickHouseInstallation",
        json!({
            "defaults": {"templates": {"logVolumeClaimTemplate": "logs"}},
            "templates": {"volumeClaimTemplates": [
                {"name": "data", "spec": {"storageClassName": "gp2", "accessModes": ["ReadWriteOnce"]}},
                {"name": "logs", "spec": {"storageClassName": "local-path"}}
            ]},
        }),
        &[
            "spec.templates.volumeClaimTemplates[data] gp2 at spec.templates.volumeClaimTemplates[0].spec.storageClassName",
        ],
    );
}

#[test]
fn a_whole_claim_says_its_modes_and_its_volume() {
    let custom = read(
        "crdb.cockroachlabs.com/v1alpha1",
        "CrdbCluster",
        json!({"nodes": 3, "dataStore": {"pvc": {"spec": {"accessModes": ["ReadWriteMany"], "volumeName": "disk", "resources": {"requests": {"storage": "60Gi"}}}}}}),
    );
    let [storage] = &custom.storage[..] else { panic!("{custom:?}") };
    let Source::Claim(claim) = &storage.source else { panic!("{storage:?}") };
    assert_eq!(claim.access_modes_path.as_ref().unwrap().as_str(), "spec.dataStore.pvc.spec.accessModes");
    assert_eq!((claim.access_modes.len(), claim.volume_name.as_deref()), (1, Some("disk")));
    assert_eq!(claim.spec().resources.requests["storage"], "60Gi".parse().unwrap());
    assert_eq!((custom.system, custom.replicas), ("cockroachdb", Some(3)));
}

#[test]
fn another_shape_than_the_tables_is_left_alone() {
    for spec in [
        json!(7),
        json!([]),
        json!({"storage": "1Gi"}),
        json!({"storage": {"type": "persistent-claim", "class": 7}}),
        json!({"storage": {"volumes": "x"}}),
    ] {
        check("kafka.strimzi.io/v1", "KafkaNodePool", spec, &[]);
    }
}

fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().skip(1).map(|line| line.split('\t').collect())
}

#[test]
fn the_table_is_as_wide_as_promised_and_of_known_systems() {
    assert!(rows(KINDS).count() >= 25);
    for row in rows(KINDS) {
        let [group, kind, plural, versions, product, system, _, source] = row[..] else { panic!("{row:?}") };
        assert!(is_custom(kind, group) && (is_known_system(system) || system == "any"), "{kind} of {group}: {system}");
        assert!(!source.trim().is_empty() && !product.is_empty() && !versions.is_empty(), "{kind} of {group}");
        assert!(plural.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit()), "{plural}");
    }
    for row in rows(STORAGE) {
        let place = row[1];
        let paths = row.iter().skip(2).flat_map(|cell| cell.split([',', '&', ' '])).filter(|path| path.contains('['));
        assert!(
            place.starts_with("spec") && paths.clone().all(|path| !path.replace("[*]", "").contains(['[', ']'])),
            "{row:?}"
        );
    }
}

#[test]
fn every_row_of_storage_finds_something_in_an_object_made_after_it() {
    for row in rows(STORAGE) {
        let [resource, at, when, claim, class, _, ephemeral, host, absent] = row[..] else { panic!("{row:?}") };
        let kind = rows(KINDS).find(|kind| format!("{}.{}", kind[2], kind[0]) == resource).unwrap();
        let mut object = json!({});
        put(&mut object, at, json!({}));
        for condition in when.split('&').map(str::trim).filter(|condition| !condition.is_empty()) {
            match condition.split_once('=') {
                Some((path, value)) if !path.ends_with('!') => put(&mut object, &format!("{at}.{path}"), json!(value)),
                Some((path, _)) => put(&mut object, &format!("{at}.{}", path.trim_end_matches('!')), json!("else")),
                None if condition.starts_with('!') => {}
                None => put(&mut object, &format!("{at}.{condition}"), json!("x")),
            }
        }
        let (path, shape) = claim.split_once(' ').unwrap_or((claim, ""));
        let named = match shape {
            "spec" => "storageClassName",
            "template" => "spec.storageClassName",
            _ => class.split(',').next().unwrap(),
        };
        let first = |cell: &'static str| cell.split(',').next().unwrap();
        if !claim.is_empty() {
            put(&mut object, &format!("{at}.{path}.{named}"), json!("fast"));
            if let Some(path) = ephemeral.strip_prefix('!') {
                put(&mut object, &format!("{at}.{path}"), json!("1Gi"));
            }
        } else if !host.is_empty() {
            put(&mut object, &format!("{at}.{}", first(host)), json!({"path": "/data"}));
        } else if let Some((path, value)) = first(ephemeral).split_once('=') {
            put(&mut object, &format!("{at}.{path}"), json!(value));
        } else if !ephemeral.is_empty() {
            put(&mut object, &format!("{at}.{}", first(ephemeral)), json!({}));
        }
        let api_version = format!("{}/{}", kind[0], kind[3].split(',').next().unwrap());
        let custom = read(&api_version, kind[1], object["spec"].clone());
        assert!(!custom.storage.is_empty(), "{row:?} finds nothing in {object}");
        let is_claim =
            |source: &Source| matches!(source, Source::Claim(claim) if claim.class.as_deref() == Some("fast"));
        assert!(
            claim.is_empty() || custom.storage.iter().any(|storage| is_claim(&storage.source)),
            "{row:?} (absent: {absent}) finds {:?} in {object}",
            custom.storage
        );
    }
}

/// Sets a value at a path of the table; a list or map gets one element.
fn put(object: &mut Value, path: &str, value: Value) {
    let mut at = object;
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let (name, each) = step.strip_suffix("[*]").map_or((step, false), |name| (name, true));
        if !at.is_object() {
            *at = json!({});
        }
        at = at.as_object_mut().unwrap().entry(name).or_insert_with(|| json!({}));
        if each {
            if !at.is_array() {
                *at = json!([{}]);
            }
            at = &mut at[0];
        }
    }
    if !(value == json!({}) && at.is_object()) {
        *at = value;
    }
}

#[test]
fn nothing_that_an_object_holds_keeps_it_from_being_read() {
    let values = [json!(null), json!(7), json!(-0.5), json!(""), json!("x"), json!([]), json!([[]]), json!([null, 7])];
    let values = values.into_iter().chain([json!({}), json!({"a": [1]}), json!(true)]).collect::<Vec<_>>();
    for row in rows(STORAGE) {
        let kind = rows(KINDS).find(|kind| format!("{}.{}", kind[2], kind[0]) == row[0]).unwrap();
        let gvk = GroupVersionKind {
            group: kind[0].to_owned(),
            version: kind[3].split(',').next().unwrap().to_owned(),
            kind: kind[1].to_owned(),
        };
        let at = row[1];
        let (claim, _) = row[3].split_once(' ').unwrap_or((row[3], ""));
        let named = row[4].split(',').next().unwrap();
        let paths = [at.to_owned(), format!("{at}.{claim}"), format!("{at}.{claim}.{named}")];
        let below =
            ["storageClassName", "spec", "spec.storageClassName", "spec.accessModes", "resources.requests.storage"];
        let below = below.map(|below| format!("{at}.{claim}.{below}"));
        for path in paths.iter().chain(&below) {
            for value in &values {
                let mut object = json!({});
                put(&mut object, path, value.clone());
                let read = CustomResource::read(&gvk, &object.to_string());
                assert!(matches!(read, Some(Ok(_))), "{path}: {object}");
            }
        }
    }
}
