//! Fixes, written into the files as a careful person would: only the lines
//! concerned change, comments and order stay.
//!
//! ```text
//! findings' edits, mutations ─ wish ─ draft (a chunk) ─ splice ─ read again ─┬ equal: kept
//!                                                                            └ else: skipped, named
//! ```
//! Every fix is proven by reading the text again: it must hold exactly the
//! documents that it held, with this fix's edits applied to one of them. What
//! can't be proven is not written. Files are replaced as a whole and only if
//! nobody changed them since they were read.

mod draft;
mod file;
mod splice;
#[cfg(test)]
mod tests;

use portcullis_core::edit::Edit;

pub use file::write;

use self::draft::Draft;
use crate::check::Judged;
use crate::check::input::STANDARD_INPUT;
use crate::source::Chunk;
use crate::yaml::Position;

/// What fixing would do.
#[derive(Debug, Default)]
pub struct Plan {
    /// Files that change, in the order of the input.
    pub files: Vec<FileChange>,
    /// What is put right.
    pub done: Vec<Outcome>,
    /// What is not, and why.
    pub skipped: Vec<Outcome>,
}

/// A file before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The file, or `-`.
    pub source: String,
    /// As it was read.
    pub before: String,
    /// As it would be written.
    pub after: String,
}

/// What became of one fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `policy/rule`, or the policy whose mutation it is.
    pub name: String,
    /// The file, or `-`.
    pub source: String,
    /// Where its object begins.
    pub position: Position,
    /// Of which object.
    pub object: String,
    /// What the fix says of itself, or why it was skipped.
    pub text: String,
}

/// Edits that belong together.
struct Wish<'j> {
    name: String,
    text: String,
    edits: &'j [Edit],
}

/// Works out all fixes of a run; nothing is written.
pub fn plan(judged: &[Judged]) -> Plan {
    let mut plan = Plan::default();
    let mut rest = judged;
    while let Some(first) = rest.first() {
        let count = rest.iter().take_while(|judged| judged.document.source == first.document.source).count();
        let (of_file, after) = rest.split_at(count);
        plan.file(of_file);
        rest = after;
    }
    plan
}

impl Plan {
    fn file(&mut self, judged: &[Judged]) {
        let Some(first) = judged.first() else { return };
        let text = first.document.origin.text.clone();
        let mut after = String::with_capacity(text.len());
        let mut copied = 0;
        let mut rest = judged;
        while let Some(first) = rest.first() {
            let range = first.document.origin.chunk.clone();
            let count = rest.iter().take_while(|judged| judged.document.origin.chunk == range).count();
            let (of_chunk, others) = rest.split_at(count);
            rest = others;
            if range.start < copied || !of_chunk.iter().any(|judged| !wishes(judged).is_empty()) {
                continue;
            }
            after.push_str(&text[copied..range.start]);
            after.push_str(&self.chunk(of_chunk));
            copied = range.end;
        }
        after.push_str(&text[copied..]);
        if after != *text {
            self.files.push(FileChange { source: first.document.source.to_string(), before: text.to_string(), after });
        }
    }

    /// The text of a chunk with the fixes of its documents.
    fn chunk(&mut self, judged: &[Judged]) -> String {
        let Some(first) = judged.first() else { return String::new() };
        let chunk = Chunk::of(&first.document);
        let mut draft = Draft::new(chunk.text());
        for judged in judged {
            let place = chunk.place_of(&judged.document);
            let mut moved = Vec::new();
            for wish in wishes(judged) {
                let applied = match &place {
                    Some(place) => draft.apply(place, wish.edits, &mut moved),
                    None => Err("the file is not written in a way that can be changed safely".to_owned()),
                };
                let outcome = |text: String| Outcome {
                    name: wish.name.clone(),
                    source: judged.document.source.to_string(),
                    position: judged.document.start,
                    object: crate::report::entry::named(&judged.report.object),
                    text,
                };
                match applied {
                    Ok(true) => self.done.push(outcome(wish.text)),
                    // Another fix has done it already.
                    Ok(false) => {}
                    Err(reason) => self.skipped.push(outcome(reason)),
                }
            }
        }
        draft.into_text()
    }
}

/// What policies would change, and what would put findings right, in the order
/// in which the edits build on each other.
fn wishes(judged: &Judged) -> Vec<Wish<'_>> {
    let mut wishes = Vec::new();
    if judged.report.operation == "DELETE" {
        return wishes;
    }
    for policy in &judged.report.policies {
        if !policy.patch.is_empty() {
            let text = "written as it would be admitted".to_owned();
            wishes.push(Wish { name: policy.policy.clone(), text, edits: &policy.patch });
        }
    }
    for policy in &judged.report.policies {
        for finding in &policy.findings {
            if let Some(fix) = finding.fix.as_ref().filter(|fix| !fix.edits.is_empty()) {
                let name = format!("{}/{}", policy.policy, finding.rule);
                wishes.push(Wish { name, text: fix.text.clone(), edits: &fix.edits });
            }
        }
    }
    wishes
}

/// Whether a source can be written back.
pub fn is_file(source: &str) -> bool {
    source != STANDARD_INPUT
}
