//! Deny, Warn and Audit, `failurePolicy` and `onUndecided`, as they act through the
//! API server: what kubectl shows, what the audit log keeps, what a dead server means.

use std::time::Duration;

use portcullis_cluster::{Cluster, Plan, Said, wait_for};

use crate::world::World;

/// How long a changed policy may take to act.
const SOON: Duration = Duration::from_secs(180);
const FINDING: &str = "judge/ephemeral-volume: volume `data` holds the data of mongodb (container `mongo`): it is a volume of type `emptyDir`, which is deleted with the pod (spec.volumes[0].emptyDir)";

fn policy(fields: &str) -> String {
    format!(
        "{{apiVersion: portcullis.dev/v1alpha1, kind: ClusterPolicy, metadata: {{name: judge}}, \
         spec: {{module: builtin/storage, policy: database-remote-storage, {fields}}}}}"
    )
}

fn pod(name: &str, volume: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{containers: [{{name: mongo, image: \"mongo:7\", \
         volumeMounts: [{{name: data, mountPath: /data/db}}]}}], volumes: [{{name: data, {volume}}}]}}}}"
    )
}

fn create(cluster: &Cluster, object: &str) -> Said {
    cluster.try_kubectl(&["create", "-f", "-"], object)
}

/// Applies a policy and waits until it acts as it should on a dry run.
fn until(cluster: &Cluster, fields: &str, object: &str, so: impl Fn(&Said) -> bool) {
    cluster.kubectl(&["apply", "-f", "-"], &policy(fields));
    let mut last = String::new();
    let begun = std::time::Instant::now();
    loop {
        let said = cluster.try_kubectl(&["create", "--dry-run=server", "-f", "-"], object);
        if so(&said) {
            return;
        }
        if said.all() != last {
            last = said.all();
        }
        assert!(begun.elapsed() < SOON, "with {fields} it stayed so:\n{last}");
    }
}

fn annotations(cluster: &Cluster, name: &str) -> Vec<(String, String)> {
    let event = cluster.audit_event("create", "pods", name);
    let mut found = Vec::new();
    for (key, value) in event["annotations"].as_object().into_iter().flatten() {
        if let Some((webhook, key)) = key.split_once('/').filter(|(webhook, _)| webhook.ends_with(".portcullis.dev")) {
            assert!(webhook.starts_with("fail.validate.") || webhook.starts_with("ignore.validate."), "{webhook}");
            found.push((key.to_owned(), value.as_str().unwrap_or_default().to_owned()));
        }
    }
    found
}

#[test]
fn actions_and_failures_are_what_they_say() {
    let mut world = World::of(Plan::default(), policy("validationActions: [Deny]"));
    actions(&world.cluster);
    undecided(&world.cluster);
    warnings_fit(&world.cluster);
    world.cluster.assert_no_failed_webhook_call();
    a_broken_version(&mut world);
    after_a_restart(&world.cluster);
    a_dead_server(&mut world);
}

fn actions(cluster: &Cluster) {
    let wrong = |name: &str| pod(name, "emptyDir: {}");
    let said = create(cluster, &wrong("denied"));
    let shown = format!(
        "Error from server (Forbidden): error when creating \"STDIN\": admission webhook \"fail.validate.portcullis.dev\" denied the request: {FINDING}\n"
    );
    assert_eq!(said.errors, shown);
    // What a program is told: the field and the reason, beside the text.
    let status = cluster.audit_event("create", "pods", "denied")["responseStatus"].clone();
    assert_eq!((status["code"].as_u64(), status["reason"].as_str()), (Some(403), Some("Forbidden")), "{status}");
    assert_eq!(status["details"]["causes"][0]["field"], "spec.volumes[0].emptyDir", "{status}");
    until(cluster, "validationActions: [Warn]", &wrong("warned"), Said::well);
    let said = create(cluster, &wrong("warned"));
    assert_eq!(
        (said.output.as_str(), said.errors.as_str()),
        ("pod/warned created\n", format!("Warning: {FINDING}\n").as_str())
    );
    until(cluster, "validationActions: [Audit]", &wrong("audited"), |said| said.well() && said.warnings().is_empty());
    let said = create(cluster, &wrong("audited"));
    assert_eq!((said.output.as_str(), said.errors.as_str()), ("pod/audited created\n", ""));
    let noted = annotations(cluster, "audited");
    assert!(
        noted.iter().any(|(_, value)| value.contains("ephemeral-volume")),
        "the finding isn't in the audit log: {noted:?}"
    );
    assert!(noted.contains(&("judge.datastore".to_owned(), "mongo=mongodb".to_owned())), "{noted:?}");
    until(cluster, "validationActions: [Deny, Audit]", &wrong("both"), Said::denied);
}

/// A class whose provisioner nobody knows: where the data would lie can't be told.
fn undecided(cluster: &Cluster) {
    let objects = "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: riddle}, provisioner: riddle.example.org}\n---\n\
         {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: riddle}, spec: {accessModes: [ReadWriteOnce], storageClassName: riddle, resources: {requests: {storage: 1Gi}}}}";
    cluster.kubectl(&["apply", "-f", "-"], objects);
    let object = pod("riddle", "persistentVolumeClaim: {claimName: riddle}");
    until(cluster, "onUndecided: Deny", &object, |said| said.denied() && said.errors.contains("judge/undecided: "));
    until(cluster, "onUndecided: Warn", &object, |said| {
        said.well() && said.warnings().iter().any(|line| line.starts_with("judge/undecided: "))
    });
    until(cluster, "onUndecided: Allow", &object, |said| said.well() && said.warnings().is_empty());
}

/// Past 4096 characters in all the API server would cut each to 256.
fn warnings_fit(cluster: &Cluster) {
    let containers: Vec<String> = (0..40)
        .map(|number| format!("{{name: mongo-{number}, image: \"mongo:7\", volumeMounts: [{{name: data-{number}, mountPath: /data/db}}]}}"))
        .collect();
    let volumes: Vec<String> = (0..40).map(|number| format!("{{name: data-{number}, emptyDir: {{}}}}")).collect();
    let object = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: many}}, spec: {{containers: [{}], volumes: [{}]}}}}",
        containers.join(", "),
        volumes.join(", ")
    );
    until(cluster, "validationActions: [Warn]", &object, Said::well);
    let said = cluster.try_kubectl(&["create", "--dry-run=server", "-f", "-"], &object);
    let warnings: Vec<&str> = said.errors.lines().filter_map(|line| line.strip_prefix("Warning: ")).collect();
    let length: usize = warnings.iter().map(|line| line.chars().count()).sum();
    assert!(length <= 4096 && !warnings.is_empty(), "{length} characters in {} warnings", warnings.len());
    assert!(warnings.iter().any(|line| line.contains("more")), "nothing says how many more: {}", said.errors);
    until(cluster, "validationActions: [Deny]", &object, Said::denied);
    let said = create(cluster, &object);
    assert!(said.errors.len() < 6000 && said.errors.contains("more"), "{} bytes: {}", said.errors.len(), said.errors);
}

/// A version that can't run replaces none that does, not even for a replica that starts now.
fn a_broken_version(world: &mut World) {
    let wrong = pod("kept", "emptyDir: {}");
    until(&world.cluster, "validationActions: [Deny]", &wrong, Said::denied);
    let broken = policy("settings: {allowedNamespace: [default]}");
    let said = world.cluster.try_kubectl(&["apply", "-f", "-"], &broken);
    assert!(said.errors.contains("did you mean `allowedNamespaces`?"), "{}", said.all());
    // Who writes it while no replica answers isn't kept from it.
    world.portcullis.end_replica(0, "TERM");
    world.cluster.kubectl(&["apply", "-f", "-"], &broken);
    world.portcullis.start_replica(&world.cluster, 0);
    let degraded = |field: &str| {
        let path = format!("jsonpath={{.status.conditions[?(@.type==\"Degraded\")].{field}}}");
        world.cluster.kubectl(&["get", "clusterpolicy", "judge", "-o", &path], "")
    };
    wait_for("a status that says so", SOON, || degraded("status") == "True");
    let message = degraded("message");
    assert!(message.contains("allowedNamespace"), "{message}");
    create(&world.cluster, &wrong).assert_denied_by("judge/ephemeral-volume", "the version that runs on");
    world.portcullis.end_replica(0, "TERM");
    world.portcullis.start_replica(&world.cluster, 0);
    create(&world.cluster, &wrong).assert_denied_by("judge/ephemeral-volume", "a replica that starts now");
    until(&world.cluster, "settings: {allowedNamespaces: [default]}", &wrong, Said::well);
}

/// The watches go on with an API server that was away.
fn after_a_restart(cluster: &Cluster) {
    let wrong = pod("restarted", "emptyDir: {}");
    cluster.restart_apiserver();
    until(cluster, "validationActions: [Deny]", &wrong, Said::denied);
    until(cluster, "validationActions: [Warn]", &wrong, |said| said.well() && !said.warnings().is_empty());
}

/// What goes wrong out of band is the webhook's own failure policy.
fn a_dead_server(world: &mut World) {
    let wrong = pod("late", "emptyDir: {}");
    let right = pod("fine", "persistentVolumeClaim: {claimName: x}");
    until(&world.cluster, "failurePolicy: Ignore", &wrong, |said| {
        said.errors.contains("\"ignore.validate.portcullis.dev\" denied")
    });
    world.portcullis.end_replica(0, "KILL");
    assert!(create(&world.cluster, &wrong).well(), "Ignore lets it in");
    assert!(world.cluster.webhook_calls().forgiven > 0.0);
    world.portcullis.start_replica(&world.cluster, 0);
    let again = wrong.replace("late", "later");
    until(&world.cluster, "failurePolicy: Fail", &again, |said| {
        said.errors.contains("\"fail.validate.portcullis.dev\" denied")
    });
    world.portcullis.end_replica(0, "KILL");
    let said = create(&world.cluster, &right);
    assert!(said.errors.contains("failed calling webhook \"fail.validate.portcullis.dev\""), "{}", said.all());
    // Nothing of the cluster itself hangs on it.
    for namespace in ["kube-system", "portcullis-system"] {
        world.cluster.kubectl(&["create", "-n", namespace, "-f", "-"], &right);
    }
    world.cluster.kubectl(&["create", "configmap", "any"], "");
    world.cluster.kubectl(&["delete", "pod", "warned", "audited", "--wait=false"], "");
    world.portcullis.start_replica(&world.cluster, 0);
    wait_for("the server is back", SOON, || create(&world.cluster, &right).well());
}
