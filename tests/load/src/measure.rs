//! Servers as processes of their own on one core, wrk on another, and what the
//! operating system says of their CPU time.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::reviews::Scenario;

/// Clock ticks a second in /proc (`getconf CLK_TCK`; 100 on every Linux there is).
const TICKS_PER_SECOND: f64 = 100.0;
/// A start with an empty cache compiles every built-in policy.
const START_TIMEOUT: Duration = Duration::from_secs(240);

/// Both servers.
pub(crate) struct Servers {
    pub(crate) echo: Server,
    pub(crate) portcullis: Server,
}

/// One server, killed when it goes.
pub(crate) struct Server {
    child: Child,
    port: u16,
}

/// What a request cost.
pub(crate) struct Cost {
    pub(crate) cpu_micros: f64,
    pub(crate) per_second: f64,
}

impl Servers {
    /// Starts both and waits until they take connections.
    pub(crate) fn start(folder: &Path, server: Option<&Path>) -> Result<Servers> {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
        fs::write(&certificate, pair.cert.pem())?;
        fs::write(&key, pair.signing_key.serialize_pem())?;
        let cluster = folder.join("cluster.yaml");
        fs::write(&cluster, crate::reviews::CLUSTER)?;

        let this = std::env::current_exe()?;
        let server = server.map_or_else(|| this.with_file_name("portcullis"), Path::to_owned);
        ensure!(
            server.exists(),
            "{} is missing; build it with `cargo build --release -p portcullis`",
            server.display()
        );
        let (echo_port, port, metrics) = (free_port()?, free_port()?, free_port()?);
        let echo = start(&this, &["echo".into(), echo_port.to_string(), text(&certificate), text(&key)], echo_port)?;
        let flags = ["serve", "--address", "127.0.0.1", "--log", "error", "--port"].map(str::to_owned);
        let rest = [
            port.to_string(),
            "--metrics-port".into(),
            metrics.to_string(),
            "--tls-cert".into(),
            text(&certificate),
            "--tls-key".into(),
            text(&key),
            "--cluster".into(),
            text(&cluster),
        ];
        let portcullis = start(&server, &[flags.as_slice(), rest.as_slice()].concat(), port)?;
        ready(metrics)?;
        Ok(Servers { echo, portcullis })
    }
}

impl Server {
    /// Keeps the server busy for some seconds.
    pub(crate) fn measure(&self, scenario: &Scenario, seconds: u32, connections: u32, folder: &Path) -> Result<Cost> {
        let script = folder.join("post.lua");
        let body = folder.join("body.json");
        fs::write(&body, &scenario.body)?;
        fs::write(
            &script,
            format!(
                "local f = io.open({:?}, 'rb')\nwrk.method = 'POST'\nwrk.body = f:read('*a')\nwrk.headers['Content-Type'] = 'application/json'\n\
             function done(summary) io.stderr:write(string.format('%d %d %d %d\\n', summary.requests, summary.duration, summary.errors.status, summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout)) end\n",
                text(&body)
            ),
        )?;
        let url = format!("https://127.0.0.1:{}{}", self.port, scenario.path);
        let before = self.cpu_seconds()?;
        let output = Command::new("taskset")
            .args([
                "-c",
                "1",
                "wrk",
                "-t1",
                &format!("-c{connections}"),
                &format!("-d{seconds}s"),
                "-s",
                &text(&script),
                &url,
            ])
            .stdout(Stdio::null())
            .output()
            .context("taskset and wrk (packages util-linux and wrk)")?;
        let used = self.cpu_seconds()? - before;
        let said = String::from_utf8_lossy(&output.stderr);
        let numbers: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [requests, micros, refused, failed] = numbers[..] else { bail!("wrk said {said:?}") };
        ensure!(
            requests > 0.0 && refused + failed == 0.0,
            "{url}: {requests} requests, {refused} answered with an error, {failed} failed"
        );
        Ok(Cost { cpu_micros: used * 1e6 / requests, per_second: requests / micros * 1e6 })
    }

    fn cpu_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Fields after the name in parentheses: state is the third, utime and stime the 14th and 15th (proc_pid_stat(5)).
        let fields: Vec<&str> =
            stat.rsplit_once(')').context("no name in /proc/PID/stat")?.1.split_whitespace().collect();
        let ticks = |index: usize| {
            fields.get(index).and_then(|field| field.parse::<f64>().ok()).context("no times in /proc/PID/stat")
        };
        Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ended by its own process id; it may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(program: &Path, arguments: &[String], port: u16) -> Result<Server> {
    let child = Command::new("taskset")
        .args(["-c", "0"])
        .arg(program)
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .context("taskset (package util-linux)")?;
    let mut server = Server { child, port };
    let begin = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if let Some(status) = server.child.try_wait()? {
            bail!("{} ended at its start: {status}", program.display());
        }
        ensure!(begin.elapsed() < START_TIMEOUT, "{} takes no connection on port {port}", program.display());
        sleep(Duration::from_millis(50));
    }
    Ok(server)
}

/// Waits until the policies are loaded: reviews are taken before, and wait.
fn ready(metrics: u16) -> Result<()> {
    let begin = Instant::now();
    loop {
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", metrics)) {
            stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            stream.read_to_string(&mut answer)?;
        }
        if answer.starts_with("HTTP/1.1 200 ") {
            return Ok(());
        }
        ensure!(begin.elapsed() < START_TIMEOUT, "the server isn't ready: {answer}");
        sleep(Duration::from_millis(100));
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn text(path: &Path) -> String {
    PathBuf::from(path).display().to_string()
}
