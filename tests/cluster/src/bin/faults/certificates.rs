//! Certificates: new ones while calls go on, and one that has run out.

use std::time::{Duration, Instant};

use portcullis_cluster::{Installed, Load, Pace, wait_for};

use crate::Scale;
use crate::row::{Cost, Row};

/// How long a mounted certificate may take to be served: the bed's kubelet reads each second.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the API server's kept connections are given to notice that a certificate has run out.
const NOTICING: Duration = Duration::from_secs(10);

/// New certificates of the same authority, one after the other, each served by every replica before the next comes.
pub(crate) fn swaps(installed: &mut Installed, scale: Scale) -> Row {
    let times = scale.of(200, 5);
    let load = Load::begin(&installed.cluster, Pace::default());
    let mut longest = Duration::ZERO;
    for _ in 0..times {
        let begun = Instant::now();
        let pair = installed.swap_certificate();
        wait_for("the new certificate at every replica", PATIENCE, || installed.all_serve(&pair));
        longest = longest.max(begun.elapsed());
    }
    let row = Row::of(format!("{times} swaps"), Cost::Nothing, load);
    row.note(format!("served by all after at most {:.1} s", longest.as_secs_f64()))
}

/// A certificate that has run out takes the place of a good one. Whatever the replicas make of it, nothing passes
/// unjudged; with a good one all is well again.
pub(crate) fn run_out(installed: &mut Installed, _: Scale) -> Row {
    let load = Load::begin(&installed.cluster, Pace::default());
    installed.give_run_out_certificate();
    std::thread::sleep(NOTICING);
    let meanwhile = load.so_far().failed.count;
    let pair = installed.swap_certificate();
    wait_for("the new certificate at every replica", PATIENCE, || installed.all_serve(&pair));
    let row = Row::of("1".to_owned(), Cost::Closed, load);
    let after = Load::begin(&installed.cluster, Pace::default());
    std::thread::sleep(Duration::from_secs(3));
    let after = after.end();
    let problem = (after.failed.count + after.unserved.count > 0).then(|| format!("afterwards: {after}"));
    row.note(format!("{meanwhile} failed calls while it lay there")).problem(problem)
}
