//! From what a guest returned to what is answered: nothing of an answer is
//! believed before it has been checked against the contract and the reach, and
//! nothing that came out of a Secret goes on from here.

use std::collections::BTreeMap;

use crate::contract::{
    Description, Finding, Level, MAX_FINDING_BYTES, MAX_FINDINGS, Phase, RawEdit, RawReview, Read, Severity,
};
use crate::edit::{Edit, MAX_EDITS, Pointer};
use crate::evaluate::Failure;
use crate::json::{Document, Kind, Value};
use crate::policy::{FailurePolicy, OnUndecided, PolicySpec, ValidationAction};
use crate::report::{FindingReport, PolicyReport, Verdict};
use crate::review::{Cause, Denial, Response};
use crate::secret::SecretValues;

/// Bytes of a denial's message: what kubectl and audit logs still show well.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024;
/// Bytes of all warnings: past them the API server cuts each to 256 characters
/// (k8s.io/apiserver/pkg/endpoints/filters/warning.go).
pub const MAX_WARNING_BYTES: usize = 4 * 1024;
/// The longest name part of an audit annotation's key (a qualified name).
const MAX_KEY_BYTES: usize = 63;
/// The longest value of an audit annotation: an audit event is no store.
const MAX_ANNOTATION_BYTES: usize = 4 * 1024;
/// The rule of an object that doesn't fit a policy's view; every policy has it.
pub const MALFORMED: &str = "malformed";

/// What a guest said, checked.
#[derive(Debug, Default)]
pub struct Said {
    /// What it found.
    pub findings: Vec<Finding>,
    /// Parsed, not yet checked against an object.
    pub edits: Vec<Edit>,
    /// Keys as the policy gave them.
    pub annotations: BTreeMap<String, String>,
}

impl Said {
    /// Reads what a guest returned.
    ///
    /// # Errors
    /// A [`Failure::Malformed`] that says which part the contract doesn't allow.
    pub fn read(raw: RawReview, description: &Description) -> Result<Said, Failure> {
        let malformed = |reason: String| Failure::Malformed { reason };
        if raw.findings.len() > MAX_FINDINGS {
            return Err(malformed(format!("{} findings, at most {MAX_FINDINGS} are allowed", raw.findings.len())));
        }
        if description.phase == Phase::Validating && !raw.edits.is_empty() {
            return Err(malformed("a validating policy returned edits".to_owned()));
        }
        if raw.edits.len() > MAX_EDITS {
            return Err(malformed(format!("{} edits, at most {MAX_EDITS} are allowed", raw.edits.len())));
        }
        let mut said = Said { annotations: raw.audit_annotations.into_iter().collect(), ..Said::default() };
        for (index, text) in raw.findings.into_iter().enumerate() {
            said.findings
                .push(finding(&text, description).map_err(|reason| malformed(format!("finding {index}: {reason}")))?);
        }
        for (index, edit) in raw.edits.into_iter().enumerate() {
            said.edits.push(parse_edit(edit).map_err(|reason| malformed(format!("edit {index}: {reason}")))?);
        }
        Ok(said)
    }

    /// Takes out what came from a Secret: a finding keeps rule and level, an
    /// annotation goes.
    ///
    /// # Errors
    /// An edit that would write such a value is the policy's error.
    pub fn redact(&mut self, secrets: &SecretValues, description: &Description) -> Result<(), Failure> {
        if secrets.is_empty() {
            return Ok(());
        }
        for finding in &mut self.findings {
            let fix =
                finding.fix.as_ref().map(|fix| serde_json::to_string(fix).unwrap_or_default()).unwrap_or_default();
            let texts = [&finding.message, &finding.subject, &finding.value, &finding.path, &fix];
            if texts.iter().any(|text| secrets.are_in(text)) {
                finding.message = rule_title(description, &finding.rule);
                (finding.subject, finding.value, finding.path, finding.fix) = Default::default();
            }
        }
        self.annotations.retain(|key, value| !secrets.are_in(key) && !secrets.are_in(value));
        let writes_secret = |edit: &&Edit| match edit {
            Edit::Add { value, path } | Edit::Replace { value, path } | Edit::Test { value, path } => {
                secrets.are_in(value) || secrets.are_in(&path.to_string())
            }
            Edit::Remove { path } => secrets.are_in(&path.to_string()),
        };
        match self.edits.iter().find(writes_secret) {
            Some(_) => {
                Err(Failure::Edit { reason: "an edit holds a value that the policy read from a Secret".to_owned() })
            }
            None => Ok(()),
        }
    }
}

/// Checks edits against the reach and the object that they are for.
///
/// # Errors
/// A [`Failure::Edit`] that names the edit and the rule that it breaks.
pub fn within_reach(edits: &[Edit], description: &Description, read: &Read, object: Value<'_>) -> Result<(), Failure> {
    let fail = |index: usize, path: &Pointer, reason: &str| {
        Err(Failure::Edit { reason: format!("edit {index} at {path} {reason}") })
    };
    let writes = description
        .reach
        .writes
        .iter()
        .filter(|write| write.kind == read.kind && write.api_version == read.api_version);
    let patterns: Vec<&str> = writes.flat_map(|write| &write.pointers).map(String::as_str).collect();
    let mut shifted: Vec<Pointer> = Vec::new();
    for (index, edit) in edits.iter().enumerate() {
        let path = edit.path();
        let reads_only = matches!(edit, Edit::Test { .. });
        if !reads_only && !patterns.iter().any(|pattern| path.matches(pattern)) {
            return fail(index, path, "is outside of what the policy declares to write");
        }
        let in_array = in_array(object, path);
        // Below an array whose elements have moved an index names another one
        // than in `object`, so what stands there isn't known to be new.
        let moved = shifted.iter().any(|array| array.is_prefix_of(path) && path.depth() > array.depth() + 1);
        let overwrites = match edit {
            Edit::Add { .. } => moved || (!in_array && object.pointer(&path.to_string()).is_some()),
            Edit::Remove { .. } | Edit::Replace { .. } | Edit::Test { .. } => true,
        };
        let seen = read.object.as_ref().is_some_and(|tree| tree.gives_whole(path));
        if overwrites && !seen {
            return fail(index, path, "touches a value that the policy's view doesn't give as a whole");
        }
        if in_array && matches!(edit, Edit::Add { .. } | Edit::Remove { .. }) {
            shifted.extend(path.parent());
        }
    }
    Ok(())
}

/// Whether a path names an element of an array, or a place to insert one.
fn in_array(object: Value<'_>, path: &Pointer) -> bool {
    let parent = path.parent().and_then(|parent| object.pointer(&parent.to_string()));
    parent.is_some_and(|parent| parent.kind() == Kind::Array)
}

fn finding(text: &str, description: &Description) -> Result<Finding, String> {
    if text.len() > MAX_FINDING_BYTES {
        return Err(format!("{} bytes, at most {MAX_FINDING_BYTES} are allowed", text.len()));
    }
    let finding: Finding = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if finding.rule != MALFORMED && !description.rules.iter().any(|rule| rule.id == finding.rule) {
        return Err(format!("rule {:?} is not one of the policy's", finding.rule));
    }
    Ok(finding)
}

fn parse_edit(edit: RawEdit) -> Result<Edit, String> {
    let pointer = |text: String| text.parse::<Pointer>().map_err(|error| error.to_string());
    let json = |text: String| match Document::parse(text.as_bytes()) {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("its value is not JSON: {error}")),
    };
    Ok(match edit {
        RawEdit::Add(path, value) => Edit::Add { path: pointer(path)?, value: json(value)? },
        RawEdit::Remove(path) => Edit::Remove { path: pointer(path)? },
        RawEdit::Replace(path, value) => Edit::Replace { path: pointer(path)?, value: json(value)? },
        RawEdit::Test(path, value) => Edit::Test { path: pointer(path)?, value: json(value)? },
    })
}

fn rule_title(description: &Description, rule: &str) -> String {
    let title = description.rules.iter().find(|known| known.id == rule).map(|known| known.title.clone());
    title.filter(|title| !title.is_empty()).unwrap_or_else(|| format!("violates {rule}"))
}

/// A finding with what its rule says of itself.
pub fn finding_report(finding: Finding, softened: Option<&str>, description: &Description) -> FindingReport {
    let rule = description.rules.iter().find(|rule| rule.id == finding.rule);
    FindingReport {
        severity: rule.map_or(Severity::Medium, |rule| rule.severity),
        url: rule.map(|rule| rule.url.clone()).unwrap_or_default(),
        rule: finding.rule,
        level: finding.level,
        subject: finding.subject,
        value: finding.value,
        message: finding.message,
        path: finding.path,
        fix: finding.fix,
        softened: softened.map(str::to_owned),
    }
}

/// Whether a verdict stops the request, as the document says.
pub fn enforced(verdict: Verdict, spec: &PolicySpec) -> bool {
    match verdict {
        Verdict::Allow | Verdict::Warn => false,
        Verdict::Undecided => spec.on_undecided == OnUndecided::Deny,
        Verdict::Deny => spec.validation_actions.contains(&ValidationAction::Deny),
        Verdict::Error => spec.failure_policy == FailurePolicy::Fail,
    }
}

/// One policy's report with the document that it follows.
pub struct Judged<'a> {
    /// What it said.
    pub report: &'a PolicyReport,
    /// What that means.
    pub spec: &'a PolicySpec,
}

/// Merges what the policies said into one answer.
pub fn merge(judged: &[Judged<'_>], patch: Vec<Edit>, notes: Vec<String>) -> Response {
    let mut denials = Vec::new();
    let (mut would_deny, mut warnings) = (Vec::new(), Vec::new());
    let mut annotations = BTreeMap::new();
    for Judged { report, spec } in judged {
        for (key, value) in &report.audit_annotations {
            annotations.insert(annotation_key(&report.policy, key), shorten(value, MAX_ANNOTATION_BYTES));
        }
        let lines = lines(report);
        if report.enforced {
            denials.extend(lines.iter().filter(|line| line.counts).cloned());
            warnings.extend(lines.into_iter().filter(|line| !line.counts).map(|line| line.text()));
            continue;
        }
        let warned = match report.verdict {
            Verdict::Deny => spec.validation_actions.contains(&ValidationAction::Warn),
            Verdict::Undecided => spec.on_undecided == OnUndecided::Warn,
            Verdict::Allow | Verdict::Warn | Verdict::Error => true,
        };
        if report.verdict == Verdict::Deny && spec.validation_actions.contains(&ValidationAction::Audit) {
            let text: Vec<String> = lines.iter().filter(|line| line.counts).map(Line::text).collect();
            annotations
                .insert(annotation_key(&report.policy, "denied"), shorten(&text.join("; "), MAX_ANNOTATION_BYTES));
        }
        for line in lines {
            match (line.counts, warned) {
                (true, true) if report.verdict == Verdict::Deny => would_deny.push(line.text()),
                (true, false) => {}
                _ => warnings.push(line.text()),
            }
        }
    }
    would_deny.append(&mut warnings);
    would_deny.extend(notes);
    let allowed = denials.is_empty();
    Response {
        allowed,
        denial: (!allowed).then(|| denial(&denials)),
        warnings: bounded(
            would_deny.into_iter().map(|warning| one_line(&warning)).collect(),
            MAX_WARNING_BYTES,
            "warnings",
        ),
        patch: if allowed { patch } else { Vec::new() },
        audit_annotations: annotations,
    }
}

/// One line of a denial or warning.
#[derive(Clone)]
struct Line {
    reason: String,
    message: String,
    field: String,
    /// Whether it is of the verdict's own level: it denies where that denies.
    counts: bool,
    malformed: bool,
}

impl Line {
    fn text(&self) -> String {
        match self.field.as_str() {
            "" => format!("{}: {}", self.reason, self.message),
            field => format!("{}: {} ({field})", self.reason, self.message),
        }
    }
}

fn lines(report: &PolicyReport) -> Vec<Line> {
    let verdict_level = match report.verdict {
        Verdict::Deny => Some(Level::Deny),
        Verdict::Undecided => Some(Level::Undecided),
        Verdict::Allow | Verdict::Warn | Verdict::Error => None,
    };
    let mut lines: Vec<Line> = report
        .findings
        .iter()
        .map(|finding| Line {
            reason: format!("{}/{}", report.policy, finding.rule),
            message: finding.message.clone(),
            field: finding.path.clone(),
            counts: verdict_level == Some(finding.level),
            malformed: finding.rule == MALFORMED,
        })
        .collect();
    let bare = |message: String| Line {
        reason: report.policy.clone(),
        message,
        field: String::new(),
        counts: true,
        malformed: false,
    };
    if let Some(error) = &report.error {
        lines.push(bare(error.clone()));
    } else if report.verdict == Verdict::Undecided && !lines.iter().any(|line| line.counts) {
        lines.push(bare(format!("undecided, no answer to: {}", report.needs.join(", "))));
    }
    lines
}

fn denial(lines: &[Line]) -> Denial {
    let malformed = lines.iter().all(|line| line.malformed);
    let texts = lines.iter().map(Line::text).collect();
    Denial {
        code: if malformed { 422 } else { 403 },
        reason: if malformed { "Invalid" } else { "Forbidden" },
        message: bounded(texts, MAX_MESSAGE_BYTES, "findings").join("\n"),
        causes: lines
            .iter()
            .take(MAX_FINDINGS)
            .map(|line| Cause {
                reason: line.reason.clone(),
                message: shorten(&line.message, 1024),
                field: line.field.clone(),
            })
            .collect(),
    }
}

/// As many lines as fit, then how many more there are.
fn bounded(lines: Vec<String>, limit: usize, what: &str) -> Vec<String> {
    // Room for the last line, and for the first where it alone is too long.
    let limit = limit - 64;
    let (mut kept, mut bytes) = (Vec::new(), 0);
    let all = lines.len();
    for line in lines {
        let line = if kept.is_empty() { shorten(&line, limit) } else { line };
        bytes += line.len() + 1;
        if bytes > limit + 1 {
            break;
        }
        kept.push(line);
    }
    if kept.len() < all {
        kept.push(format!("and {} more {what}", all - kept.len()));
    }
    kept
}

/// A warning is an HTTP header in the end: no line breaks, no control characters.
fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

fn shorten(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

/// `<policy>.<key>`, shortened with a hash past 63 characters.
pub fn annotation_key(policy: &str, key: &str) -> String {
    let full: String = format!("{policy}.{key}")
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() || "-_.".contains(character) { character } else { '.' })
        .collect();
    let full = full.trim_matches(['-', '_', '.']).to_owned();
    if full.len() <= MAX_KEY_BYTES {
        return full;
    }
    // FNV-1a: short, stable over versions; it only has to tell keys apart.
    let hash = full.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let head = full[..MAX_KEY_BYTES - 9].trim_end_matches(['-', '_', '.']);
    format!("{head}-{hash:08x}")
}
