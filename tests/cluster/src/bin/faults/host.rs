//! What the machine does to a replica: a disk that is full, a clock that jumps.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use portcullis_cluster::{Installed, Load, Pace, Running};

use crate::Scale;
use crate::row::{Cost, Row};

/// Where Debian's libfaketime lies.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
/// The cache's file system in this fault.
const SMALL: &str = "{medium: Memory, sizeLimit: 24Mi}";

/// The file system under the cache fills up: policies still load, and are compiled where they can't be kept.
pub(crate) fn disk_full(installed: &mut Installed, scale: Scale) -> Row {
    installed.change(|options| options.cache = SMALL);
    installed.settle();
    let load = Load::begin(&installed.cluster, Pace::default());
    for replica in installed.replicas() {
        fill(&replica);
    }
    let times = scale.of(20, 3);
    let name = |number: usize| format!("full-{number}");
    for number in 0..times {
        let policy = format!(
            "{{apiVersion: portcullis.dev/v1alpha1, kind: ClusterPolicy, metadata: {{name: {}}}, spec: {{module: builtin/storage, \
             policy: claim-shape, validationActions: [Warn], settings: {{}}, timeout: {}ms}}}}",
            name(number),
            900 - number
        );
        installed.cluster.kubectl(&["apply", "-f", "-"], &policy);
    }
    installed.settle();
    // A replica that starts on a full disk.
    let killed = &installed.replicas()[0];
    installed.kubelets().signal(killed, "TERM");
    installed.settle();
    let row = Row::of(format!("{times} policies, 3 disks"), Cost::Nothing, load);
    for number in 0..times {
        installed.cluster.kubectl(&["delete", "clusterpolicy", &name(number)], "");
    }
    installed.change(|options| options.cache = "{}");
    installed.settle();
    row
}

/// Writes until there is no room.
fn fill(replica: &Running) {
    let file = PathBuf::from(format!("/proc/{}/root/cache/full", replica.pid));
    let Ok(mut file) = std::fs::File::create(&file) else { return };
    // It ends with an error, which is what is wanted.
    let _ = std::io::copy(&mut std::io::repeat(1), &mut file);
}

/// The replicas' clock jumps forward by a day, and back.
pub(crate) fn clock_forward(installed: &mut Installed, scale: Scale) -> Row {
    if !Path::new(FAKETIME).exists() {
        return Row::skipped("no libfaketime here (Debian's package libfaketime)");
    }
    let clock = installed.modules().join("clock");
    let set = |offset: &str| {
        std::fs::write(clock.with_extension("new"), format!("{offset}\n")).expect("the clock's file");
        std::fs::rename(clock.with_extension("new"), &clock).expect("the clock's file");
    };
    set("+0");
    installed.set_environment(&[
        ("LD_PRELOAD", FAKETIME),
        ("FAKETIME_TIMESTAMP_FILE", "/modules/clock"),
        ("FAKETIME_CACHE_DURATION", "1"),
        // Only the clock on the wall jumps; the kernel's monotonic one never does.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ]);
    installed.restart();
    installed.settle();
    let load = Load::begin(&installed.cluster, Pace::default());
    let times = scale.of(5, 1);
    let mut set_forward = 0;
    for _ in 0..times {
        set("+1d");
        sleep(Duration::from_secs(8));
        set_forward += usize::from(is_ahead(installed));
        set("+0");
        sleep(Duration::from_secs(8));
    }
    let row = match set_forward {
        0 => Row::skipped("the program's clock can't be set: it is linked statically"),
        _ => Row::of(format!("{times} x a day, and back"), Cost::Nothing, load),
    };
    let row = row.problem((set_forward < times && set_forward > 0).then(|| format!("only {set_forward} times")));
    installed.set_environment(&[]);
    installed.restart();
    row
}

/// Whether every replica's clock is ahead of this one by more than half a day.
fn is_ahead(installed: &Installed) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs().cast_signed());
    let ahead = |replica: &Running| installed.kubelets().clock(replica).is_some_and(|clock| clock - now > 43_200);
    installed.replicas().iter().all(ahead)
}
