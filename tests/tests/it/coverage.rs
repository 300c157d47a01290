//! What holds what: every rule of every built-in policy, every requirement and
//! every system that the policies have to know, with the cases that hold it. The
//! table is `docs/coverage.md` (`BLESS=1` rewrites it); a row without a case
//! fails, so a rule can't be added without one.
//!
//! A case names the requirement that it holds by its number, `(R34)`, in its
//! own name or in its file's `about`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use portcullis_sdk::harness::{self, Case, CaseOperation};
use portcullis_tests::workspace_root;

use crate::suite::folders;

/// The requirements that admission can hold, each in a few words.
const REQUIREMENTS: &[(&str, &str)] = &[
    ("R01", "what stores data runs as a StatefulSet"),
    ("R02", "two pods never write the same data unaware"),
    ("R03", "a database isn't scaled by a Deployment's replicas"),
    ("R04", "several pods of a Deployment share one external storage"),
    ("R05", "a Deployment of one replica is only warned of"),
    ("R06", "each pod of a StatefulSet keeps its own volume"),
    ("R07", "a StatefulSet goes with a headless Service"),
    ("R08", "serviceName is the name of that Service"),
    ("R09", "without a volume the data is lost"),
    ("R10", "storage doesn't depend on the life of the pod"),
    ("R11", "storage can be reached from every node"),
    ("R12", "a database keeps its data on remote storage"),
    ("R13", "a local volume belongs to one node"),
    ("R14", "a class for databases keeps its volumes"),
    ("R15", "a volume has one source, remote for data stores"),
    ("R16", "volumes and classes lie in no namespace"),
    ("R17", "a pod's claim is there"),
    ("R18", "a claim is looked up in the pod's own namespace"),
    ("R19", "volumes and classes are made by administrators"),
    ("R20", "a static volume is there before its claim"),
    ("R21", "only data volumes count"),
    ("R22", "a class's provisioner is known"),
    ("R23", "there is one default class"),
    ("R24", "a claim without a class gets the default one"),
    ("R25", "the legacy annotation names a class"),
    ("R26", "the hostpath driver is local to its node"),
    ("R27", "archiveOnDelete false loses the data with the claim"),
    ("R28", "an NFS provisioner goes by its class's name"),
    ("R29", "StatefulSets of data stores use network storage"),
    ("R30", "every volume source is local, remote or no storage"),
    ("R31", "a claim asks for a size and access modes"),
    ("R33", "ExternalName leads to databases outside"),
    ("R34", "database ports can't be reached from outside"),
    ("R35", "a user interface of a database is no database"),
    ("R36", "NodePort is for tests"),
    ("R38", "LoadBalancers are pointed out"),
    ("R39", "production may use LoadBalancer for what is no data store"),
    ("R37", "node ports lie in their range"),
    ("R40", "each of several ports has a name"),
    ("R41", "a Service's selector fits the pods"),
    ("R42", "an Ingress leads to a Service"),
    ("R43", "in its own namespace"),
    ("R44", "an Ingress has a class that exists"),
    ("R45", "every host of an Ingress is covered by TLS"),
    ("R46", "the TLS Secret is in the Ingress' namespace"),
    ("R47", "tls.crt and tls.key hold PEM, not a path"),
    ("R49", "a ConfigMap holds no credentials"),
    ("R50", "a plain host in a ConfigMap is fine"),
    ("R51", "manifests hold no password, they refer to a Secret"),
    ("R52", "weak values, placeholders and leaks of Secrets"),
    ("R53", "tokens and keys belong in Secrets"),
    ("R54", "a Secret's type fits its keys"),
    ("R55", "bootstrap tokens are well-formed and expire"),
    ("R60", "pods of a single writer start in order"),
    ("R61", "the stateful systems are known"),
    ("R62", "roles are told apart, not names"),
    ("R63", "switches that turn authentication off"),
    ("R64", "an emptyDir beside the data's claim is fine"),
    ("R65", "an object store on the nodes' own drives"),
    ("R66", "an operator's credentials are references"),
    ("R68", "--insecure is only for demos"),
    ("R69", "a queue without persistence"),
    ("R70", "operators run their data stores"),
    ("R71", "UPDATE is judged too"),
    ("R72", "ClusterIP for internal Services"),
    ("R73", "replicas don't share a failure domain"),
    ("R77", "stateless Deployments are scaled freely"),
    ("R79", "ConfigMaps and Secrets are no data volumes"),
    ("R80", "remote storage comes before replication"),
];

/// Systems, and words of which one must stand in the objects of a case.
const SYSTEMS: &[(&str, &[&str])] = &[
    ("MySQL", &["mysql"]),
    ("MongoDB", &["mongo"]),
    ("Redis", &["redis"]),
    ("PostgreSQL", &["postgres"]),
    ("Elasticsearch", &["elasticsearch"]),
    ("CockroachDB", &["cockroachdb/cockroach"]),
    ("Vitess", &["vitess"]),
    ("YugabyteDB", &["yugabyte"]),
    ("Cassandra", &["cassandra"]),
    ("Kafka", &["kafka"]),
    ("RabbitMQ", &["rabbitmq"]),
    ("NATS", &["nats"]),
    ("KubeMQ", &["kubemq"]),
    ("MinIO", &["minio/minio"]),
    ("OpenIO", &["openio"]),
    ("Vault", &["vault"]),
    ("Keycloak", &["keycloak"]),
    ("Harbor", &["goharbor"]),
    ("Dragonfly (registry)", &["dragonflyoss"]),
    ("Quay", &["quay"]),
    ("Airflow", &["airflow"]),
    ("pacman", &["pacman"]),
    ("mongo-express", &["mongo-express"]),
    ("xtrabackup", &["xtrabackup"]),
    ("minio/mc and the cockroach client", &["minio/mc"]),
    ("nginx", &["nginx"]),
    ("csi-hostpath", &["hostpath.csi.k8s.io"]),
    ("minikube-hostpath", &["k8s.io/minikube-hostpath"]),
    ("volume snapshots", &["VolumeSnapshot"]),
    ("NFS volumes", &["\"nfs\""]),
    ("nfs-client-provisioner", &["nfs-storage", "nfs-subdir-external-provisioner", "nfs-client-provisioner"]),
    ("Direct CSI", &["direct.csi.min.io", "direct-csi-min-io"]),
    ("GlusterFS", &["glusterfs"]),
    ("Ceph", &["ceph"]),
    ("AzureDisk", &["disk.csi.azure.com", "azure-disk", "azureDisk"]),
    ("AWS EBS", &["ebs.csi.aws.com", "aws-ebs"]),
    ("IngressClass", &["IngressClass"]),
    ("Prometheus and Grafana", &["grafana", "prometheus"]),
    ("Fluentd", &["fluent"]),
];

/// One case, as the table needs it.
struct Held {
    policy: &'static str,
    about: String,
    case: Case,
}

impl Held {
    fn reports(&self, rule: &str) -> bool {
        self.case.expect.findings.iter().any(|finding| finding.rule == rule)
    }

    fn requirements(&self) -> BTreeSet<String> {
        let text = format!("{} {}", self.about, self.case.name);
        let words = text.split(|character: char| !character.is_ascii_alphanumeric());
        let is_number = |word: &&str| {
            word.len() == 3 && word.starts_with('R') && word[1..].bytes().all(|digit| digit.is_ascii_digit())
        };
        words.filter(is_number).map(str::to_owned).collect()
    }

    fn objects(&self) -> String {
        let Case { object, old_object, cluster, .. } = &self.case;
        serde_json::to_string(&(object, old_object, cluster)).unwrap()
    }
}

#[test]
fn every_rule_requirement_and_system_has_cases() {
    let mut held = Vec::new();
    let mut rules: Vec<(&'static str, &'static str)> = Vec::new();
    for (folder, native) in folders() {
        rules.extend(native.rules().into_iter().map(|rule| (native.name(), rule.id)));
        for (_, file) in harness::load(&folder).unwrap() {
            let about = file.about;
            held.extend(file.cases.into_iter().map(|case| Held { policy: native.name(), about: about.clone(), case }));
        }
    }
    let mut lacking = Vec::new();
    let mut page = String::from(
        "# What holds what\n\nGenerated by `tests/tests/it/coverage.rs` from the cases below `policies/*/cases`; `BLESS=1 cargo test coverage` rewrites it.\n\n",
    );
    rules_table(&held, &rules, &mut page, &mut lacking);
    requirements_table(&held, &mut page, &mut lacking);
    systems_table(&held, &mut page, &mut lacking);
    assert!(lacking.is_empty(), "without a case:\n{}", lacking.join("\n"));
    let path = workspace_root().join("docs/coverage.md");
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &page).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == page,
        "docs/coverage.md isn't current; BLESS=1 rewrites it"
    );
}

fn rules_table(held: &[Held], rules: &[(&str, &str)], page: &mut String, lacking: &mut Vec<String>) {
    let policies: BTreeSet<&str> = rules.iter().map(|(policy, _)| *policy).collect();
    writeln!(page, "{} cases hold {} rules of {} policies.\n", held.len(), rules.len(), policies.len()).unwrap();
    page.push_str("## Rules\n\nReported and not: cases that expect the rule, cases of its policy that don't. Without cluster: cases in which something that isn't given is unknown.\n\n| Rule | Reported | on CREATE | on UPDATE | without cluster | Not reported |\n|---|--:|--:|--:|--:|--:|\n");
    for (policy, rule) in rules {
        let of_policy: Vec<&Held> = held.iter().filter(|held| held.policy == *policy).collect();
        let (reported, passed): (Vec<&Held>, Vec<&Held>) = of_policy.iter().partition(|held| held.reports(rule));
        let on = |operation| reported.iter().filter(|held| held.case.operation == operation).count();
        let partial = reported.iter().filter(|held| !held.case.complete).count();
        // The SDK's own; a policy whose views take any shape never reports it.
        let is_own = *rule != portcullis_sdk::MALFORMED.id;
        if is_own && (reported.is_empty() || passed.is_empty()) {
            lacking.push(format!("{policy}/{rule}"));
        }
        let (create, update) = (on(CaseOperation::Create), on(CaseOperation::Update));
        writeln!(
            page,
            "| `{policy}/{rule}` | {} | {create} | {update} | {partial} | {} |",
            reported.len(),
            passed.len()
        )
        .unwrap();
    }
}

fn requirements_table(held: &[Held], page: &mut String, lacking: &mut Vec<String>) {
    page.push_str("\n## Requirements\n\n| | | Policies | Cases |\n|---|---|---|--:|\n");
    let mut by_number: BTreeMap<String, (BTreeSet<&str>, usize)> = BTreeMap::new();
    for case in held {
        for number in case.requirements() {
            let (policies, count) = by_number.entry(number).or_default();
            policies.insert(case.policy);
            *count += 1;
        }
    }
    for (number, gist) in REQUIREMENTS {
        let Some((policies, count)) = by_number.get(*number) else {
            lacking.push(format!("{number}: {gist}"));
            continue;
        };
        let policies: Vec<&str> = policies.iter().copied().collect();
        writeln!(page, "| {number} | {gist} | {} | {count} |", policies.join(", ")).unwrap();
    }
}

fn systems_table(held: &[Held], page: &mut String, lacking: &mut Vec<String>) {
    page.push_str("\n## Systems\n\n| | Policies | Cases |\n|---|---|--:|\n");
    let objects: Vec<(&str, String)> = held.iter().map(|held| (held.policy, held.objects())).collect();
    for (system, words) in SYSTEMS {
        let with: Vec<&str> = objects
            .iter()
            .filter(|(_, text)| words.iter().any(|word| text.contains(word)))
            .map(|(policy, _)| *policy)
            .collect();
        if with.is_empty() {
            lacking.push(format!("{system}: no case holds {}", words.join(" or ")));
        }
        let policies: BTreeSet<&str> = with.iter().copied().collect();
        let policies: Vec<&str> = policies.into_iter().collect();
        writeln!(page, "| {system} | {} | {} |", policies.join(", "), with.len()).unwrap();
    }
}
