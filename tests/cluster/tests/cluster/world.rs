//! What several tests share: a cluster with Portcullis in it, started by the first
//! and ended with the last of the tests that run at a time.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use portcullis_cluster::{Cluster, Controllers, Plan, Portcullis, Setup, workspace_root};

/// How long kubectl waits for what the cluster does by itself.
pub(crate) const PATIENCE: &str = "--timeout=90s";

/// A cluster with Portcullis in it.
pub(crate) struct World {
    // Ends before its cluster does.
    #[allow(dead_code, reason = "held for its end")]
    pub(crate) portcullis: Portcullis,
    pub(crate) cluster: Cluster,
}

impl World {
    /// Workloads run in it, by the real controllers; the built-in baseline judges them.
    pub(crate) fn baseline() -> World {
        World::of(Plan::default(), baseline())
    }

    /// The same with these policies, in a cluster with more than a plan says here.
    pub(crate) fn of(plan: Plan, policies: String) -> World {
        World::in_cluster(plan.audited().controllers(Controllers::OwnAccounts).start(), policies)
    }

    /// Portcullis in a cluster that has been there before.
    pub(crate) fn in_cluster(cluster: Cluster, policies: String) -> World {
        let portcullis = Portcullis::start(&cluster, Setup { policies, ..Setup::default() });
        World { portcullis, cluster }
    }

    /// The one with nodes that tests share which only touch namespaces of their own.
    pub(crate) fn shared() -> Arc<World> {
        static SHARED: Mutex<Weak<World>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(world) = shared.upgrade() {
            return world;
        }
        let world = Arc::new(World::of(Plan::default().scheduler().nodes(3), baseline()));
        world.cluster.kubectl(&["apply", "-f", "-"], &manifest("classes.yaml"));
        *shared = Arc::downgrade(&world);
        world
    }
}

/// The built-in set that runs where nothing else is said.
pub(crate) fn baseline() -> String {
    let file = workspace_root().join("policies/bundle/sets/baseline.yaml");
    std::fs::read_to_string(file).unwrap()
}

/// A manifest of the tests.
pub(crate) fn manifest(name: &str) -> String {
    let file = workspace_root().join("tests/cluster/manifests").join(name);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
