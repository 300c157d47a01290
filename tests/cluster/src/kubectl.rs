//! kubectl, as a person or a script uses it: what it was told, what it said.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::bed;
use crate::{Cluster, User};

/// A kubectl of one user.
#[derive(Clone, Debug)]
pub struct Kubectl {
    kubeconfig: PathBuf,
    cache: PathBuf,
    folder: Option<PathBuf>,
    /// `--as` and `--as-group`, where somebody else is played.
    guise: Vec<String>,
}

/// What kubectl said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Said {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub output: String,
    /// Its standard error: warnings and refusals.
    pub errors: String,
}

impl Kubectl {
    pub(crate) fn new(cluster: &Cluster, user: User) -> Kubectl {
        Kubectl {
            kubeconfig: cluster.kubeconfig_of(user),
            cache: cluster.path("kubectl"),
            folder: None,
            guise: Vec::new(),
        }
    }

    /// The same in a folder, which the paths of its arguments are relative to.
    #[must_use]
    pub fn inside(mut self, folder: &Path) -> Kubectl {
        self.folder = Some(folder.to_owned());
        self
    }

    /// The same in the guise of somebody, who is what RBAC and admission see.
    #[must_use]
    pub fn acting_as(mut self, user: &str, groups: &[&str]) -> Kubectl {
        self.guise = vec![format!("--as={user}")];
        self.guise.extend(groups.iter().map(|group| format!("--as-group={group}")));
        self
    }

    /// Runs it, with this on its standard input.
    ///
    /// # Panics
    /// It can't be started.
    pub fn run<Argument: AsRef<OsStr>>(&self, arguments: &[Argument], input: &str) -> Said {
        // A file, not a pipe: nothing has to be written while the output is read.
        let mut file: File = tempfile::tempfile().expect("a file for the input");
        file.write_all(input.as_bytes()).expect("the input is written");
        file.rewind().expect("the input is read from its start");
        let mut command = Command::new(bed());
        command.arg("kubectl").args(arguments).args(&self.guise).stdin(Stdio::from(file));
        command.env("KUBECONFIG", &self.kubeconfig).env("KUBECACHEDIR", &self.cache);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let output = command.output().expect("kubectl runs");
        Said {
            code: output.status.code().unwrap_or(-1),
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Said {
    /// Whether it did what it was told.
    #[must_use]
    pub fn well(&self) -> bool {
        self.code == 0
    }

    /// The warnings that policies gave, which begin `policy/rule: `; the API server has its own.
    #[must_use]
    pub fn warnings(&self) -> Vec<&str> {
        let ours = |text: &&str| {
            let rule = text.split_once(": ").and_then(|(rule, _)| rule.split_once('/'));
            let name = |name: &str| name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
            rule.is_some_and(|(policy, rule)| name(rule) && policy.split('/').all(name))
        };
        self.errors.lines().filter_map(|line| line.strip_prefix("Warning: ")).filter(ours).collect()
    }

    /// # Panics
    /// It failed, or a policy had something to say.
    #[track_caller]
    pub fn assert_unjudged(&self, what: &str) {
        assert!(self.well() && !self.denied() && self.warnings().is_empty(), "{what}:\n{}", self.all());
    }

    /// # Panics
    /// No policy refused it by this rule.
    #[track_caller]
    pub fn assert_denied_by(&self, rule: &str, what: &str) {
        let line = format!("{rule}: ");
        let denied = self.denied() && self.errors.contains(&line);
        assert!(denied, "{what}: not denied by {rule}:\n{}", self.all());
    }

    /// Whether a policy refused it.
    #[must_use]
    pub fn denied(&self) -> bool {
        self.errors.contains("denied the request: ")
    }

    /// What it said on either, errors after output.
    #[must_use]
    pub fn all(&self) -> String {
        format!("{}{}", self.output, self.errors)
    }
}
