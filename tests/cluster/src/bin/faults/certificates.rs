//! Certificates: new ones while calls go on, and one that has run out.

use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use portcullis_cluster::{Certificates, Installed, Load, Pace, wait_for};

use crate::Scale;
use crate::row::{Cost, Row};

/// How long a mounted certificate may take to be served: the bed's kubelet reads each second.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the certificate holds that runs out: until every replica has it.
const LASTING: Duration = Duration::from_secs(15);
/// How long it is left there after its end.
const CLOSED: Duration = Duration::from_secs(5);

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

/// The controller's own CA and certificate are replaced, one after the other, each asked for by an annotation.
pub(crate) fn rotations(installed: &mut Installed, scale: Scale) -> Row {
    let times = scale.of(200, 3);
    installed.change(|options| options.certificates = Certificates::Own);
    installed.settle();
    let load = Load::begin(&installed.cluster, Pace::default());
    let mut longest = Duration::ZERO;
    for number in 0..times {
        let begun = Instant::now();
        let (asked, done) = (format!("portcullis.dev/rotate=bed-{number}"), format!("bed-{number}"));
        let secret = ["secret", "portcullis-ca", "-n", "portcullis-system"];
        installed.cluster.kubectl(&[&["annotate", "--overwrite"], &secret[..], &[&asked]].concat(), "");
        // Done is when the old CA is gone, too.
        let annotation = "jsonpath={.metadata.annotations.portcullis\\.dev/rotated} {.data.previous-ca\\.crt}";
        let rotated = || installed.cluster.kubectl(&[&["get"], &secret[..], &["-o", annotation]].concat(), "");
        wait_for("the rotation's end", PATIENCE, || rotated().trim() == done);
        longest = longest.max(begun.elapsed());
    }
    let row = Row::of(format!("{times} CAs and certificates"), Cost::Nothing, load);
    installed.change(|options| options.certificates = Certificates::Given);
    installed.settle();
    row.note(format!("at most {:.1} s each", longest.as_secs_f64()))
}

/// The certificate that all serve runs out. Connections that are there go on, new ones fail, and the API server makes
/// new ones when it is started anew: nothing passes unjudged, and with a good one all is well again.
pub(crate) fn run_out(installed: &mut Installed, _: Scale) -> Row {
    let end = SystemTime::now() + LASTING;
    let pair = installed.give_until(end);
    wait_for("the short-lived certificate at every replica", PATIENCE, || installed.all_serve(&pair));
    let load = Load::begin(&installed.cluster, Pace::default());
    wait_for("its end", PATIENCE, || SystemTime::now() > end + Duration::from_secs(1));
    installed.cluster.restart_apiserver();
    let before = load.so_far();
    wait_for("a failed call", PATIENCE, || load.so_far().failed.count > before.failed.count);
    sleep(CLOSED);
    let closed = load.so_far();
    let pair = installed.swap_certificate();
    wait_for("the new certificate at every replica", PATIENCE, || installed.all_serve(&pair));
    let row = Row::of("1".to_owned(), Cost::Closed, load);
    let after = Load::begin(&installed.cluster, Pace::default());
    sleep(Duration::from_secs(3));
    let after = after.end();
    let open = (after.failed.count + after.unserved.count > 0).then(|| format!("afterwards: {after}"));
    let passed = closed.failed.texts.iter().any(|text| text.contains("certificate has expired"));
    let expired = (!passed).then(|| "no call failed because the certificate had run out".to_owned());
    row.note(format!("{} failed calls until a good one came", closed.failed.count)).problem(open).problem(expired)
}
