//! Replicas and controllers that go, one after the other or all at once.

use std::thread::sleep;
use std::time::{Duration, Instant};

use portcullis_cluster::{Installed, Load, Options, Pace, Running, wait_for};

use crate::Scale;
use crate::row::{Cost, Row};

/// How long what has been killed may take to be back: kubelet's back-off may be ten seconds.
const PATIENCE: Duration = Duration::from_secs(120);
/// Replicas of a rollout.
const REPLICAS: usize = 3;

/// Rolling restarts with a short drain.
pub(crate) fn restarts(installed: &mut Installed, scale: Scale) -> Row {
    let load = Load::begin(&installed.cluster, Pace::default());
    let rollouts = scale.of(67, 1);
    let longest = restart(installed, rollouts);
    let row = Row::of(format!("{} (short drain)", rollouts * REPLICAS), Cost::Nothing, load);
    row.note(format!("longest rollout {:.0} s", longest.as_secs_f64()))
}

/// Rolling restarts as they are shipped: 5 s of preStop, 5 s of drain delay.
pub(crate) fn restarts_at_full_length(installed: &mut Installed, scale: Scale) -> Row {
    installed.change(|options| {
        let full = Options::default();
        (options.drain_delay, options.pre_stop) = (full.drain_delay, full.pre_stop);
    });
    installed.settle();
    let load = Load::begin(&installed.cluster, Pace::default());
    let rollouts = scale.of(1, 0);
    restart(installed, rollouts);
    // What goes in this rollout is what was set up for the full length.
    let begun = Instant::now();
    let before = installed.replicas();
    installed.change(|options| {
        let short = Options::quick_to_drain();
        (options.drain_delay, options.pre_stop) = (short.drain_delay, short.pre_stop);
    });
    installed.replaced(&before);
    let took = begun.elapsed();
    let row = Row::of(format!("{} (full drain)", (rollouts + 1) * REPLICAS), Cost::Nothing, load);
    row.note(format!("the last rollout {:.0} s", took.as_secs_f64()))
}

/// How long the longest rollout took.
fn restart(installed: &Installed, rollouts: usize) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..rollouts {
        let begun = Instant::now();
        installed.restart();
        longest = longest.max(begun.elapsed());
    }
    longest
}

/// `kill -9` of one of three: what was in flight there may fail, nothing after it.
pub(crate) fn kill(installed: &mut Installed, scale: Scale) -> Row {
    let times = scale.of(12, 3);
    // Harder than elsewhere, so that there is something in flight.
    let pace = Pace { workers: 8, a_second: 200 };
    let load = Load::begin(&installed.cluster, pace);
    let mut worst = 0;
    for time in 0..times {
        let before = load.so_far().failed.count;
        let replicas = installed.replicas();
        let killed = &replicas[time % replicas.len()];
        installed.kubelets().signal(killed, "KILL");
        back(installed, killed);
        worst = worst.max(load.so_far().failed.count - before);
    }
    // A worker has one write in flight, and a write may fail once each time.
    let most = u64::try_from(pace.workers * times).unwrap_or(0);
    let row = Row::of(format!("{times} of 3"), Cost::InFlight(most), load);
    let problem = (worst > u64::try_from(pace.workers).unwrap_or(0))
        .then(|| format!("{worst} calls failed of one kill, and {} were in flight", pace.workers));
    row.note(format!("at most {worst} failed calls a kill")).problem(problem)
}

/// Waits until a replica that was killed is started again and ready.
fn back(installed: &Installed, killed: &Running) {
    let again = |now: &Running| {
        now.pod == killed.pod
            && now.pid != killed.pid
            && installed.kubelets().http(now, "/readyz").is_some_and(|(status, _)| status == 200)
    };
    wait_for("the killed replica", PATIENCE, || installed.replicas().iter().any(again));
    installed.settle();
}

/// Both controllers are killed again and again: who writes doesn't notice.
pub(crate) fn controllers_killed(installed: &mut Installed, scale: Scale) -> Row {
    let times = scale.of(3, 1);
    let load = Load::begin(&installed.cluster, Pace::default());
    for _ in 0..times {
        let controllers = installed.kubelets().containers("controller");
        for controller in &controllers {
            installed.kubelets().signal(controller, "KILL");
        }
        let new = |now: &Running| controllers.iter().all(|old| old.pid != now.pid);
        wait_for("new controllers", PATIENCE, || installed.kubelets().containers("controller").iter().any(new));
        // Their Lease has to run out or be taken over before one leads again.
        sleep(Duration::from_secs(2));
    }
    Row::of(format!("{times} x both"), Cost::Nothing, load)
}

/// All three killed at once: nothing is judged, so nothing of what is judged passes; then all is as before.
pub(crate) fn all_dead(installed: &mut Installed, scale: Scale) -> Row {
    let times = scale.of(3, 1);
    let mut longest = Duration::ZERO;
    let load = Load::begin(&installed.cluster, Pace::default());
    for _ in 0..times {
        let begun = Instant::now();
        let replicas = installed.replicas();
        for replica in &replicas {
            installed.kubelets().signal(replica, "KILL");
        }
        for replica in &replicas {
            back(installed, replica);
        }
        longest = longest.max(begun.elapsed());
    }
    let row = Row::of(format!("{times} x all 3"), Cost::Closed, load);
    row.note(format!("all back after at most {:.0} s", longest.as_secs_f64()))
}
