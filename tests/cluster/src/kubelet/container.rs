//! A container as a process: a network namespace for its address, a mount
//! namespace whose root holds the image's program, the system's libraries and the
//! Pod's volumes, and the user, capabilities and read-only root that the Pod asks for.
//!
//! `ip netns exec` makes both namespaces, a script mounts, `chroot` and `setpriv`
//! become the program, so that the process is the one that was started and dies
//! with the thread that waits for it, and so with the test.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::pod::Event;
use super::volume::Volume;
use super::{Image, Shared, field};
use crate::Place;

/// As whom an image's program runs where the Pod doesn't say.
const USER: u64 = 65532;
/// Where programs are.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// Where the program is in its image.
const ENTRYPOINT: &str = "/portcullis";
/// What of the system is in an image's root: libraries for a program that isn't static, and the tools that become it.
const SYSTEM: [&str; 3] = ["usr", "proc", "dev"];
/// Links beside them, as Debian has them.
const LINKS: [&str; 3] = ["lib", "lib64", "bin"];

/// A running process; it ends with this.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) probes: Vec<JoinHandle<()>>,
    pub(super) ended: bool,
}

/// What a container is started with.
pub(super) struct Start<'a> {
    pub(super) pod: &'a Value,
    pub(super) container: &'a Value,
    pub(super) image: &'a Image,
    pub(super) place: &'a Place,
    pub(super) volumes: &'a BTreeMap<String, Volume>,
    /// Of this container alone.
    pub(super) folder: &'a Path,
    pub(super) log: &'a Path,
}

impl Start<'_> {
    /// Starts it; its end is told as that of this container and generation.
    pub(super) async fn run(
        &self,
        shared: &Shared,
        told: &mpsc::UnboundedSender<Event>,
        index: usize,
        generation: u64,
    ) -> Result<Process, String> {
        let environment = environment(shared, self.pod, self.container, self.image).await?;
        let script = self.script().map_err(|error| format!("{}: {error}", self.folder.display()))?;
        let log = File::options().create(true).append(true).open(self.log).map_err(|error| error.to_string())?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.place.namespace, "sh", "-c", &script, "container"]);
        // Not before the last step: a library that is preloaded is the program's alone.
        command.args(environment.iter().map(|(name, value)| format!("{name}={value}")));
        command.args(arguments(self.container, &environment)).env_clear().env("PATH", PATH);
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let (started, pid) = oneshot::channel();
        let told = told.clone();
        // The process dies with this thread, so the thread lives as long as the process.
        std::thread::spawn(move || {
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => return drop(started.send(Err(error.to_string()))),
            };
            let _ = started.send(Ok(child.id()));
            let code = child.wait().map_or(-1, code_of);
            let _ = told.send(Event::Ended { index, generation, code });
        });
        let pid = pid.await.map_err(|error| error.to_string())??;
        Ok(Process { pid, probes: Vec::new(), ended: false })
    }

    /// What is done before the program takes the shell's place.
    fn script(&self) -> io::Result<String> {
        let root = self.folder.join("root");
        fs::create_dir_all(&root)?;
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755))?;
        let mut script = format!("set -e\ncd '{}'\nmount --bind root root\n", self.folder.display());
        for name in SYSTEM {
            fs::create_dir_all(root.join(name))?;
            let _ = writeln!(script, "mount --rbind /{name} root/{name}");
        }
        for name in LINKS {
            if let (Ok(target), Err(_)) = (fs::read_link(Path::new("/").join(name)), root.join(name).symlink_metadata())
            {
                symlink(target, root.join(name))?;
            }
        }
        fs::write(inside(&root, ENTRYPOINT), "")?;
        let _ = writeln!(script, "mount --bind '{}' root{ENTRYPOINT}", self.image.program.display());
        for (here, path) in &self.image.folders {
            fs::create_dir_all(inside(&root, path))?;
            let _ = writeln!(script, "mount --bind '{}' 'root{path}'", here.display());
        }
        for mount in self.container["volumeMounts"].as_array().into_iter().flatten() {
            let (name, path) = (text(&mount["name"]), text(&mount["mountPath"]));
            let Some(volume) = self.volumes.get(name) else { continue };
            let path = path.trim_end_matches('/');
            fs::create_dir_all(inside(&root, path))?;
            match volume {
                Volume::Folder(here) | Volume::Content { folder: here, .. } => {
                    let here = here.join(text(&mount["subPath"]));
                    let _ = writeln!(script, "mount --bind '{}' 'root{path}'", here.display());
                }
                Volume::Memory(size) => {
                    let size = size.trim_end_matches('i');
                    let _ = writeln!(script, "mount -t tmpfs -o size={size},mode=1777 tmpfs 'root{path}'");
                }
            }
        }
        let security = &self.container["securityContext"];
        if security["readOnlyRootFilesystem"] == true {
            script.push_str("mount -o remount,bind,ro root\n");
        }
        let _ = writeln!(
            script,
            "exec chroot root /usr/bin/setpriv {} --pdeathsig KILL /usr/bin/env -i \"$@\"",
            self.privileges()
        );
        Ok(script)
    }

    /// setpriv's flags.
    fn privileges(&self) -> String {
        let security = &self.container["securityContext"];
        let pod = &self.pod["spec"]["securityContext"];
        let number = |name: &str, default: u64| security[name].as_u64().or(pod[name].as_u64()).unwrap_or(default);
        let user = number("runAsUser", USER);
        let mut flags = format!("--reuid {user} --regid {}", number("runAsGroup", user));
        match pod["fsGroup"].as_u64() {
            Some(group) => drop(write!(flags, " --groups {group}")),
            None => flags.push_str(" --clear-groups"),
        }
        if security["allowPrivilegeEscalation"] == false {
            flags.push_str(" --no-new-privs");
        }
        if security["capabilities"]["drop"].as_array().is_some_and(|all| all.iter().any(|name| name == "ALL")) {
            flags.push_str(" --bounding-set=-all --inh-caps=-all");
        }
        flags
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        for probe in &self.probes {
            probe.abort();
        }
        if !self.ended {
            signal(self.pid, "KILL");
        }
    }
}

/// Sends a signal; a process that has just ended is none to complain of.
pub(super) fn signal(pid: u32, name: &str) {
    let _ = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).stderr(Stdio::null()).status();
}

/// Whether the process is there and no zombie.
pub(super) fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// As a shell has it: 128 and a signal's number.
fn code_of(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}

fn inside(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The command line: the image's program, or what the Pod has in its place.
fn arguments(container: &Value, environment: &BTreeMap<String, String>) -> Vec<String> {
    let list = |name: &str| -> Vec<String> {
        let values = container[name].as_array().into_iter().flatten();
        values.map(|value| expanded(text(value), environment)).collect()
    };
    let mut command = list("command");
    if command.is_empty() {
        command.push(ENTRYPOINT.to_owned());
    }
    command.extend(list("args"));
    command
}

/// `$(NAME)` is the variable's value where there is one, as Kubernetes expands it.
fn expanded(text: &str, environment: &BTreeMap<String, String>) -> String {
    environment.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("$({name})"), value))
}

async fn environment(
    shared: &Shared,
    pod: &Value,
    container: &Value,
    image: &Image,
) -> Result<BTreeMap<String, String>, String> {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut environment = BTreeMap::from([
        pair("PATH", PATH),
        pair("HOSTNAME", text(&pod["metadata"]["name"])),
        pair("KUBERNETES_SERVICE_HOST", &shared.server.0),
        pair("KUBERNETES_SERVICE_PORT", &shared.server.1),
        pair("NO_COLOR", "1"),
    ]);
    environment.extend(image.environment.iter().cloned());
    if !container["envFrom"].is_null() {
        return Err("the bed's kubelet has no envFrom".to_owned());
    }
    for variable in container["env"].as_array().into_iter().flatten() {
        let from = &variable["valueFrom"];
        let value = if let Some(path) = from["fieldRef"]["fieldPath"].as_str() {
            field(pod, path).unwrap_or_default()
        } else if let Some(resource) = from["resourceFieldRef"]["resource"].as_str() {
            return Err(format!("the bed's kubelet has no resourceFieldRef ({resource})"));
        } else {
            expanded(text(&variable["value"]), &environment)
        };
        environment.insert(text(&variable["name"]).to_owned(), value);
    }
    if !image.is_precompiled() {
        environment.remove("PORTCULLIS_PRECOMPILED");
    }
    Ok(environment)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::arguments;

    #[test]
    fn arguments_follow_the_image_s_program_and_name_variables() {
        let environment = BTreeMap::from([("POD_NAME".to_owned(), "a-1".to_owned())]);
        let container = json!({"args": ["serve", "--pod-name=$(POD_NAME)", "$(NOBODY)"]});
        assert_eq!(arguments(&container, &environment), ["/portcullis", "serve", "--pod-name=a-1", "$(NOBODY)"]);
    }
}
