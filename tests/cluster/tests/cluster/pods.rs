//! Replicas and controllers as Pods of real Deployments: what a rollout, a new
//! certificate and a killed replica are to who writes meanwhile.

use portcullis_cluster::{Installed, Load, Options, Pace};

#[test]
fn a_rolling_restart_loses_nothing() {
    let installed = match Installed::start(Options::default()) {
        Ok(installed) => installed,
        Err(why) => return eprintln!("{why}"),
    };
    let load = Load::begin(&installed.cluster, Pace::default());
    let before = installed.replicas();
    installed.restart();
    let counts = load.end();
    println!("a rolling restart: {counts}");
    counts.assert_flawless("a rolling restart");
    let after = installed.replicas();
    assert_eq!(after.len(), 3, "{}", installed.state());
    assert!(after.iter().all(|now| before.iter().all(|old| old.pod != now.pod)), "all of them are new");
    installed.cluster.assert_no_failed_webhook_call();
}
