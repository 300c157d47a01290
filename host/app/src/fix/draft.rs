//! A chunk of a file while fixes are applied to it, one after the other, each
//! proven before the next.

use portcullis_core::edit::{self, Edit, Pointer};
use portcullis_core::json;

use super::splice::splice;
use crate::source::{Place, Tree};
use crate::yaml;

/// The text as fixed so far, and what it means.
pub(super) struct Draft {
    text: String,
    /// The JSON of each document.
    documents: Vec<String>,
}

impl Draft {
    pub(super) fn new(text: &str) -> Draft {
        Draft { documents: meaning(text).unwrap_or_default(), text: text.to_owned() }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Applies the edits of one fix; false where there is nothing left to do.
    /// `moved` are arrays of this object whose elements earlier fixes moved.
    ///
    /// # Errors
    /// Why it can't be written; the text is as before.
    pub(super) fn apply(&mut self, place: &Place, edits: &[Edit], moved: &mut Vec<Pointer>) -> Result<bool, String> {
        let document = self.documents.get(place.document).ok_or("this part of the file has errors; put them right first")?;
        if is_review(document) {
            return Err("an AdmissionReview is a record of a request; it is not fixed".to_owned());
        }
        if edits.iter().any(|edit| moved.iter().any(|array| array.is_prefix_of(edit.path()) && array != edit.path())) {
            return Err("an earlier fix moved elements of the same list; run `--fix` again".to_owned());
        }
        let base = object(document, &place.base).ok_or("its object can't be found in the text")?;
        let edits = against(&base, edits)?;
        let fixed = edit::apply(&base, &edits).map_err(|error| error.to_string())?;
        if same(&base, &fixed) {
            return Ok(false);
        }
        let whole = Edit::Replace { path: place.base.clone(), value: fixed };
        let expected = edit::apply(document, &[whole]).map_err(|error| error.to_string())?;
        let text = self.spliced(place, &edits)?;
        let documents = meaning(&text).ok_or(UNPROVEN)?;
        let proven = documents.len() == self.documents.len()
            && documents
                .iter()
                .zip(&self.documents)
                .enumerate()
                .all(|(index, (new, old))| same(new, if index == place.document { &expected } else { old }));
        if !proven {
            return Err(UNPROVEN.to_owned());
        }
        moved.extend(edits.iter().filter(|edit| is_element(&base, edit)).filter_map(|edit| edit.path().parent()));
        (self.text, self.documents) = (text, documents);
        Ok(true)
    }

    fn spliced(&self, place: &Place, edits: &[Edit]) -> Result<String, String> {
        let mut text = self.text.clone();
        for edit in edits {
            let trees = Tree::read_all(&text).ok_or(UNPROVEN)?;
            let tree = trees.get(place.document).ok_or(UNPROVEN)?;
            text = splice(&text, tree, &place.base, edit)?;
        }
        Ok(text)
    }
}

/// Why a fix is not written that would have changed something else too.
const UNPROVEN: &str =
    "the text can't be changed so that this, and nothing else, changes (an anchor, an alias or an unusual layout)";

/// The documents of a text; none where something in it can't be read.
fn meaning(text: &str) -> Option<Vec<String>> {
    let contents = yaml::read("", text.as_bytes());
    let sound = contents.errors.is_empty() && contents.documents.iter().all(|document| document.repeated.is_empty());
    sound.then(|| contents.documents.into_iter().map(|document| document.json).collect())
}

/// The edits as they apply to what was written: they were made for the object
/// as the API server would have it, where more may be filled in.
fn against(written: &str, edits: &[Edit]) -> Result<Vec<Edit>, String> {
    let mut fitting: Vec<Edit> = Vec::with_capacity(edits.len());
    for edit in edits {
        let current = edit::apply(written, &fitting).map_err(|error| error.to_string())?;
        let parsed = json::Document::parse(current.as_bytes()).map_err(|error| error.to_string())?;
        let there = parsed.root().pointer(&edit.path().to_string());
        match edit {
            Edit::Test { value, path } => {
                let differs = there.is_some_and(|there| {
                    json::Document::parse(value.as_bytes()).map_or(true, |value| !there.equals(value.root()))
                });
                if differs {
                    return Err(format!("another fix has changed {path}"));
                }
            }
            Edit::Replace { path, value } if there.is_none() => {
                fitting.push(Edit::Add { path: path.clone(), value: value.clone() });
            }
            Edit::Remove { .. } if there.is_none() => {}
            edit => fitting.push(edit.clone()),
        }
    }
    Ok(fitting)
}

fn object(document: &str, base: &Pointer) -> Option<String> {
    let parsed = json::Document::parse(document.as_bytes()).ok()?;
    Some(parsed.root().pointer(&base.to_string())?.raw().to_owned())
}

/// Whether an edit adds or removes an element of a list.
fn is_element(base: &str, edit: &Edit) -> bool {
    if !matches!(edit, Edit::Add { .. } | Edit::Remove { .. }) {
        return false;
    }
    let Some(parent) = edit.path().parent() else { return false };
    let Ok(parsed) = json::Document::parse(base.as_bytes()) else { return false };
    parsed.root().pointer(&parent.to_string()).is_some_and(|parent| parent.kind() == json::Kind::Array)
}

fn is_review(document: &str) -> bool {
    let Ok(parsed) = json::Document::parse(document.as_bytes()) else { return false };
    parsed.root().get("kind").and_then(json::Value::as_str).is_some_and(|kind| kind == "AdmissionReview")
}

fn same(one: &str, other: &str) -> bool {
    match (json::Document::parse(one.as_bytes()), json::Document::parse(other.as_bytes())) {
        (Ok(one), Ok(other)) => one.root().equals(other.root()),
        _ => false,
    }
}
