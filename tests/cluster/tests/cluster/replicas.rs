//! Several replicas behind a real Service: the API server spreads its calls over
//! them, one may go and come back, and nothing gets through meanwhile.

use std::time::Duration;

use portcullis_cluster::{Controllers, Network, Plan, Portcullis, Setup, wait_for};

const SOON: Duration = Duration::from_secs(60);
const POLICY: &str = "{apiVersion: portcullis.dev/v1alpha1, kind: ClusterPolicy, metadata: {name: judge}, spec: {module: builtin/storage, policy: database-remote-storage}}";

const WRONG: &str = "{apiVersion: v1, kind: Pod, metadata: {generateName: lossy-}, spec: {containers: [{name: mongo, image: \"mongo:7\", volumeMounts: [{name: data, mountPath: /data/db}]}], volumes: [{name: data, emptyDir: {}}]}}";

#[test]
fn three_replicas_judge_as_one() {
    let network = match Network::new(3) {
        Ok(network) => network,
        Err(why) => return eprintln!("{why}"),
    };
    let cluster = Plan::default().controllers(Controllers::OwnAccounts).on(&network).start();
    let setup = Setup { policies: POLICY.to_owned(), places: network.places().to_vec(), ..Setup::default() };
    let mut portcullis = Portcullis::start(&cluster, setup);
    let deny = |times: usize| {
        for _ in 0..times {
            cluster
                .try_kubectl(&["create", "-f", "-"], WRONG)
                .assert_denied_by("judge/ephemeral-volume", "a lossy Pod");
        }
    };
    deny(8);
    let replicas = cluster.kubectl(&["get", "clusterpolicy", "judge", "-o", "jsonpath={.status.replicas}"], "");
    assert_eq!(replicas, "3/3");
    let leases = cluster
        .kubectl(&["get", "leases", "-n", "portcullis-system", "-l", "portcullis.dev/replica=true", "-o", "name"], "");
    assert_eq!(leases.lines().count(), 3, "{leases}");
    // A drain: the endpoint goes first, as a real one does on deletion of its Pod.
    let (gone, left) = network.places().split_first().expect("three");
    cluster.kubectl(&["apply", "-f", "-"], &Network::service("portcullis-system", "portcullis", 8443, left));
    portcullis.end_replica(0, "TERM");
    deny(8);
    cluster.assert_no_failed_webhook_call();
    // It comes back, and a new policy counts only when it runs it too.
    portcullis.start_replica(&cluster, 0);
    let all = [std::slice::from_ref(gone), left].concat();
    cluster.kubectl(&["apply", "-f", "-"], &Network::service("portcullis-system", "portcullis", 8443, &all));
    let second = POLICY.replace("name: judge", "name: second");
    cluster.kubectl(&["apply", "-f", "-"], &second);
    portcullis.settle(&cluster);
    for _ in 0..12 {
        let said = cluster.try_kubectl(&["create", "-f", "-"], WRONG);
        said.assert_denied_by("second/ephemeral-volume", "the second policy is ready");
    }
    // The controller may go: what is registered stays, and another takes over.
    portcullis.end_controller();
    deny(2);
    portcullis.start_controller(&cluster);
    cluster.kubectl(&["delete", "clusterpolicy", "second"], "");
    wait_for("the second policy's end", SOON, || {
        let said = cluster.try_kubectl(&["create", "-f", "-"], WRONG);
        said.denied() && !said.errors.contains("second/")
    });
    cluster.assert_no_failed_webhook_call();
    drop(portcullis);
}
