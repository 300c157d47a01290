//! What there is to say of a run, one entry a finding: what every output format
//! is written from, so that they can't differ in what they say.

use portcullis_core::contract::{Fix, Level, Severity};
use portcullis_core::report::{ObjectIdentity, PolicyReport, Verdict};

use super::spot::{Spot, Spotter};
use crate::check::Judged;
use crate::yaml::Position;

/// One thing that is to say.
#[derive(Debug)]
pub struct Entry<'j> {
    /// How bad it is for the run.
    pub label: Label,
    /// Who says it; empty for the command line itself.
    pub policy: &'j str,
    /// Which rule; empty where none is behind it.
    pub rule: &'j str,
    /// How bad the rule finds it.
    pub severity: Option<Severity>,
    /// What is wrong.
    pub message: &'j str,
    /// The field.
    pub path: &'j str,
    /// What it is about, whatever the order of lists.
    pub subject: &'j str,
    /// What is wrong, never a secret.
    pub value: &'j str,
    /// What would be right.
    pub fix: Option<&'j Fix>,
    /// Why a denial is a warning only.
    pub softened: Option<&'j str>,
    /// Where more is said.
    pub url: &'j str,
    /// The look-ups that got no answer.
    pub needs: &'j [String],
    /// Where it stands.
    pub spot: Spot,
    /// Whether it is about that line, not about the object as a whole.
    pub has_place: bool,
    /// Of which object.
    pub judged: &'j Judged,
}

/// What a line begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Label {
    /// It stops the request.
    Denied,
    /// It stops the request, because nobody knows.
    DeniedUndecided,
    /// It would stop the request, but the document doesn't enforce it.
    NotEnforced,
    /// Nobody knows.
    Undecided,
    /// Worth saying.
    Warning,
    /// A policy failed, and that stops the request.
    Error,
    /// A policy failed.
    IgnoredError,
}

impl Label {
    fn of(level: Level, enforced: bool) -> Label {
        match (level, enforced) {
            (Level::Deny, true) => Label::Denied,
            (Level::Deny, false) => Label::NotEnforced,
            (Level::Undecided, true) => Label::DeniedUndecided,
            (Level::Undecided, false) => Label::Undecided,
            (Level::Warn, _) => Label::Warning,
        }
    }

    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Label::Denied => "denied",
            Label::DeniedUndecided => "denied as undecided",
            Label::NotEnforced => "not enforced",
            Label::Undecided => "undecided",
            Label::Warning => "warning",
            Label::Error => "error",
            Label::IgnoredError => "error, ignored",
        }
    }

    /// Whether it stops the request.
    pub fn stops(self) -> bool {
        matches!(self, Label::Denied | Label::DeniedUndecided | Label::Error)
    }
}

impl Entry<'_> {
    /// `policy/rule`, `policy`, or nothing.
    pub fn name(&self) -> String {
        match (self.policy, self.rule) {
            (policy, "") => policy.to_owned(),
            (policy, rule) => format!("{policy}/{rule}"),
        }
    }
}

/// All entries of one object, in the order in which they were said.
pub fn entries<'j>(judged: &'j Judged, spotter: &mut Spotter) -> Vec<Entry<'j>> {
    let mut entries = Vec::new();
    let beginning = Position::default();
    for (index, note) in judged.notes.iter().enumerate() {
        let position = judged.note_positions.get(index).copied().unwrap_or(beginning);
        let mut entry = bare(judged, Label::Warning, "", note, spotter);
        if position != beginning && position != judged.document.start {
            entry.spot = spotter.at(judged, position);
            entry.has_place = true;
        }
        entries.push(entry);
    }
    for policy in &judged.report.policies {
        of_policy(judged, policy, spotter, &mut entries);
    }
    for warning in unattributed(judged) {
        entries.push(bare(judged, Label::Warning, "", warning, spotter));
    }
    if let Some(refusal) = &judged.refusal {
        entries.push(bare(judged, Label::Denied, "", refusal, spotter));
    }
    entries
}

fn of_policy<'j>(judged: &'j Judged, policy: &'j PolicyReport, spotter: &mut Spotter, entries: &mut Vec<Entry<'j>>) {
    let last_undecided = policy.findings.iter().rposition(|finding| finding.level == Level::Undecided);
    for (index, finding) in policy.findings.iter().enumerate() {
        let has_needs = policy.verdict == Verdict::Undecided && Some(index) == last_undecided;
        entries.push(Entry {
            // A policy may deny with some findings and only warn with others.
            label: Label::of(finding.level, policy.enforced),
            policy: &policy.policy,
            rule: &finding.rule,
            severity: Some(finding.severity),
            message: &finding.message,
            path: &finding.path,
            subject: &finding.subject,
            value: &finding.value,
            fix: finding.fix.as_ref(),
            softened: finding.softened.as_deref(),
            url: &finding.url,
            needs: if has_needs { &policy.needs } else { &[] },
            spot: spotter.of(judged, &finding.path),
            has_place: !finding.path.is_empty(),
            judged,
        });
    }
    if policy.verdict == Verdict::Error {
        let label = if policy.enforced { Label::Error } else { Label::IgnoredError };
        let message = policy.error.as_deref().unwrap_or("the policy failed");
        entries.push(bare(judged, label, &policy.policy, message, spotter));
    }
    if policy.verdict == Verdict::Undecided && last_undecided.is_none() {
        let label = Label::of(Level::Undecided, policy.enforced);
        let message = "something that it needs to know of the cluster is unknown";
        let mut entry = bare(judged, label, &policy.policy, message, spotter);
        entry.needs = &policy.needs;
        entries.push(entry);
    }
}

fn bare<'j>(judged: &'j Judged, label: Label, policy: &'j str, message: &'j str, spotter: &mut Spotter) -> Entry<'j> {
    Entry {
        label,
        policy,
        rule: "",
        severity: None,
        message,
        path: "",
        subject: "",
        value: "",
        fix: None,
        softened: None,
        url: "",
        needs: &[],
        spot: spotter.of(judged, ""),
        has_place: false,
        judged,
    }
}

/// Warnings that no policy's finding stands behind.
fn unattributed(judged: &Judged) -> impl Iterator<Item = &String> {
    let of_policy = |warning: &str| {
        judged
            .report
            .policies
            .iter()
            .any(|policy| warning.strip_prefix(&policy.policy).is_some_and(|rest| rest.starts_with(['/', ':'])))
    };
    judged.report.warnings.iter().filter(move |warning| !of_policy(warning) && !judged.notes.contains(warning))
}

/// An object as people name it: `StatefulSet pacman/mongo`.
pub fn named(object: &ObjectIdentity) -> String {
    let kind = if object.kind.is_empty() { "object" } else { &object.kind };
    let name = if object.name.is_empty() { "without a name" } else { &object.name };
    if object.namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {}/{name}", object.namespace) }
}
