//! Programs that end with the test, and what can be told of them from outside.
//!
//! A child is given a pipe as its standard input and ends when that closes: the
//! kernel closes it however the test ends. A program that doesn't know of this is
//! started by `bed run`, which does it for it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Names the program that `build.sh` builds.
const BED: &str = "PORTCULLIS_BED";
/// Names the program under test.
const PORTCULLIS: &str = "PORTCULLIS";
/// Between two looks at what is waited for.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a program may take to end once its pipe is closed.
const LEAVING: Duration = Duration::from_secs(5);
/// How long an answer over HTTP may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Clock ticks a second in /proc/PID/stat: `USER_HZ`, 100 on every architecture that Rust's tier 1 has.
const TICKS: u64 = 100;

/// A program that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    /// Its end of the pipe; dropped to end it.
    pipe: Option<ChildStdin>,
    log: PathBuf,
    /// Where `bed run` writes whom it started.
    wrapped: Option<PathBuf>,
}

impl Program {
    /// Starts one of the bed's own programs; what it says is added to `log`.
    pub(crate) fn of_the_bed(name: &str, arguments: &[String], log: PathBuf) -> Program {
        let mut command = Command::new(bed());
        command.arg(name).args(arguments).env("BED_ENDS_WITH_STDIN", "1");
        Program::spawn(command, log, None)
    }

    /// Starts another program under `bed run`, in a network namespace where one is named.
    pub(crate) fn wrapped(
        program: &Path,
        arguments: &[String],
        environment: &[(String, String)],
        namespace: Option<&str>,
        log: PathBuf,
    ) -> Program {
        let pid = log.with_extension("pid");
        // A pid of an earlier start isn't this one's.
        let _ = fs::remove_file(&pid);
        let mut command = match namespace {
            None => Command::new(bed()),
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(bed());
                command
            }
        };
        command.arg("run").arg(&pid).arg(program).args(arguments).envs(environment.iter().cloned());
        Program::spawn(command, log, Some(pid))
    }

    fn spawn(mut command: Command, log: PathBuf, wrapped: Option<PathBuf>) -> Program {
        let file = fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log");
        let output = file.try_clone().expect("the log twice");
        let mut child = command.stdin(Stdio::piped()).stdout(output).stderr(file).spawn().expect("the program starts");
        let pipe = child.stdin.take();
        Program { child, pipe, log, wrapped }
    }

    /// Whether it has ended by itself.
    pub(crate) fn ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Its process id; of a wrapped program its own, not the wrapper's.
    pub(crate) fn pid(&self) -> u32 {
        let Some(file) = &self.wrapped else { return self.child.id() };
        let mut pid = None;
        wait_for("the wrapped program's start", LEAVING, || {
            pid = fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
            pid.is_some()
        });
        pid.expect("waited for")
    }

    /// Sends a signal by its name: `TERM`, `KILL`, `STOP`, `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name} {}", self.pid());
    }

    /// Waits until it has ended; its exit code, where it has one.
    pub(crate) fn wait(&mut self, patience: Duration) -> Option<i32> {
        wait_for("the program's end", patience, || self.ended());
        self.child.wait().ok().and_then(|status| status.code())
    }

    /// All that it has said so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The pipe first: a wrapper that is killed can't end what it started.
        drop(self.pipe.take());
        let begun = Instant::now();
        while begun.elapsed() < LEAVING && !self.ended() {
            sleep(PAUSE);
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bed's program.
pub(crate) fn bed() -> PathBuf {
    let program = std::env::var_os(BED).map(PathBuf::from);
    program
        .filter(|program| program.is_file())
        .expect("PORTCULLIS_BED is the program that tests/cluster/build.sh builds")
}

/// The program under test.
pub(crate) fn portcullis() -> PathBuf {
    let program = std::env::var_os(PORTCULLIS).map(PathBuf::from);
    program
        .filter(|program| program.is_file())
        .expect("PORTCULLIS is the program under test, as tests/cluster/run.sh names it")
}

/// Ports of an address that are free now; who takes one before the program does makes it fail to start.
pub(crate) fn ports<const COUNT: usize>(address: &str) -> [u16; COUNT] {
    let listeners = [(); COUNT].map(|()| TcpListener::bind((address, 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("its address").port())
}

/// The end of a log, which says why.
pub(crate) fn tail(log: &str) -> String {
    const LINES: usize = 25;
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// Looks again and again until it is so.
///
/// # Panics
/// It isn't within `patience`; the message names what was waited for.
pub fn wait_for(what: &str, patience: Duration, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < patience, "waited {patience:?} for {what}");
        sleep(PAUSE);
    }
}

/// The CPU time, user and system, that a process has used since its start.
///
/// # Panics
/// There is no such process.
#[must_use]
pub fn cpu_time(pid: u32) -> Duration {
    /// Of the fields after the name: `utime` and `stime` are the 14th and 15th of all (proc_pid_stat(5)).
    const USER: usize = 11;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let fields: Vec<u64> = fields.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
    Duration::from_millis((fields[USER] + fields[USER + 1]) * (1000 / TICKS))
}

/// The memory of a process that is in use, in bytes: what is resident without what files back.
///
/// # Panics
/// There is no such process.
#[must_use]
pub fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}

/// Status and body of a plain GET; `None` where nobody answers.
pub(crate) fn http_get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let (head, body) = http_answer(address, path)?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, body))
}

/// What a server's clock says, in seconds since the epoch, by the header `Date` of an answer.
pub(crate) fn http_clock(address: SocketAddr, path: &str) -> Option<i64> {
    let (head, _) = http_answer(address, path)?;
    let dates = head.lines().filter_map(|line| line.split_once(": "));
    let (_, date) = dates.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("date"))?;
    Some(jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?.as_second())
}

/// Head and body of the answer to a plain GET.
fn http_answer(address: SocketAddr, path: &str) -> Option<(String, String)> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.to_owned(), body.to_owned()))
}
