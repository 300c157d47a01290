//! The minimal patch between two texts.
//!
//! Two values of one kind are walked side by side; what differs becomes an
//! edit as deep down as it can stand. Arrays of different length (or with
//! elements that moved) are aligned: common head, common tail, and between them
//! the longest common subsequence where that is affordable. An array's
//! insertions and removals come before the edits within its elements, so every
//! index is the one that counts at that point of the patch.
//!
//! Bounds: comparing elements spends from a budget that is linear in the two
//! texts, and the pointers of a patch have a limit. Past either the patch gets
//! coarser, never wrong.

use std::borrow::Cow;

use super::{Edit, Pointer};
use crate::json::{Comparison, Document, FieldFinder, Kind, NumberEquality, Value};

/// Bytes that the pointers of a patch may have in all, before the fields of the
/// outermost object are replaced whole: a value that nests 9,000 levels can
/// differ on each of them, and each pointer names all levels above it.
const MAX_POINTER_BYTES: usize = 1 << 20;

/// Pairs of elements that are compared for the longest common subsequence of two arrays.
const MAX_ALIGNMENT: usize = 64 * 64;

/// Comparisons for each node of the two texts.
const COMPARISONS_PER_NODE: usize = 16;

/// Levels on which the texts of containers are compared before their parts.
const TEXTS_COMPARED: usize = 32;

/// The patch that turns one text into the other. Numbers count as changed where
/// their tokens differ: after the patch they are what `after` has.
///
/// A text that isn't JSON has no parts to compare: the patch is then one
/// replacement of the whole.
pub fn diff(before: &str, after: &str) -> Vec<Edit> {
    if before == after {
        return Vec::new();
    }
    match (Document::parse(before.as_bytes()), Document::parse(after.as_bytes())) {
        (Ok(before), Ok(after)) => diff_documents(before.root(), after.root()),
        _ => vec![Edit::Replace { path: Pointer::root(), value: after.to_owned() }],
    }
}

/// As [`diff`], where the texts are parsed already; also for parts of them.
pub fn diff_documents(before: Value<'_>, after: Value<'_>) -> Vec<Edit> {
    Walk::new(before, after, usize::MAX)
        .run()
        .or_else(|TooLong| Walk::new(before, after, 1).run())
        .unwrap_or_else(|TooLong| vec![Edit::Replace { path: Pointer::root(), value: after.raw().to_owned() }])
}

/// The pointers of the patch would be longer than [`MAX_POINTER_BYTES`].
struct TooLong;

/// Two values of which it isn't known whether they differ, and where they stand.
struct Pair<'b, 'a> {
    before: Value<'b>,
    after: Value<'a>,
    place: usize,
}

/// One segment of a pointer and the place above.
struct Place<'a> {
    above: usize,
    segment: Segment<'a>,
    /// Bytes of the whole pointer, roughly.
    length: usize,
    depth: usize,
}

enum Segment<'a> {
    Root,
    Key(Cow<'a, str>),
    Index(usize),
}

struct Walk<'b, 'a> {
    pending: Vec<Pair<'b, 'a>>,
    places: Vec<Place<'a>>,
    edits: Vec<Edit>,
    comparison: Comparison,
    pointer_bytes: usize,
    /// Containers below this many levels are replaced whole.
    max_depth: usize,
}

impl<'b: 'a, 'a> Walk<'b, 'a> {
    fn new(before: Value<'b>, after: Value<'a>, max_depth: usize) -> Self {
        let nodes = before.node_count() + after.node_count();
        Self {
            pending: vec![Pair { before, after, place: 0 }],
            places: vec![Place { above: 0, segment: Segment::Root, length: 0, depth: 0 }],
            edits: Vec::new(),
            comparison: Comparison::within(NumberEquality::Token, nodes * COMPARISONS_PER_NODE),
            pointer_bytes: 0,
            max_depth,
        }
    }

    fn run(mut self) -> Result<Vec<Edit>, TooLong> {
        while let Some(pair) = self.pending.pop() {
            self.pair(pair)?;
        }
        Ok(self.edits)
    }

    fn pair(&mut self, pair: Pair<'b, 'a>) -> Result<(), TooLong> {
        let Pair { before, after, place } = pair;
        let kind = before.kind();
        let container = matches!(kind, Kind::Array | Kind::Object);
        let depth = self.places[place].depth;
        if kind == after.kind() && container && depth < self.max_depth {
            return match kind {
                Kind::Object => self.objects(before, after, place),
                _ => self.arrays(before, after, place),
            };
        }
        // Scalars that are equal never get here, but for two that are all there is.
        let equal = kind == after.kind() && self.comparison.equal(before, after);
        if !equal {
            let path = self.pointer(place, None)?;
            self.edits.push(Edit::Replace { path, value: after.raw().to_owned() });
        }
        Ok(())
    }

    fn objects(&mut self, before: Value<'b>, after: Value<'a>, place: usize) -> Result<(), TooLong> {
        let first = self.pending.len();
        let mut kept = FieldFinder::new(after);
        let mut kept_count = 0;
        for (key, value) in before.members() {
            match kept.find(key) {
                Some(after) => {
                    kept_count += 1;
                    self.part(place, Segment::Key(key.text()), value, after);
                }
                None => {
                    let path = self.pointer(place, Some(Segment::Key(key.text())))?;
                    self.edits.push(Edit::Remove { path });
                }
            }
        }
        if kept_count < after.len() {
            let mut held = FieldFinder::new(before);
            for (key, value) in after.members() {
                if held.find(key).is_none() {
                    let path = self.pointer(place, Some(Segment::Key(key.text())))?;
                    self.edits.push(Edit::Add { path, value: value.raw().to_owned() });
                }
            }
        }
        // The walk takes the last first.
        self.pending[first..].reverse();
        Ok(())
    }

    fn arrays(&mut self, before: Value<'b>, after: Value<'a>, place: usize) -> Result<(), TooLong> {
        let first = self.pending.len();
        let old: Vec<_> = before.items_raw().collect();
        let new: Vec<_> = after.items_raw().collect();
        if old.len() == new.len() {
            for (index, (before, after)) in old.into_iter().zip(new).enumerate() {
                self.part(place, Segment::Index(index), before, after);
            }
        } else {
            self.realign(&old, &new, place)?;
        }
        self.pending[first..].reverse();
        Ok(())
    }

    /// A field or an element that both have: looked at later, unless it is
    /// plain now that it is equal.
    fn part(&mut self, above: usize, segment: Segment<'a>, before: Value<'b>, after: Value<'a>) {
        let equal = before.kind() == after.kind()
            && match before.kind() {
                // Comparing the texts pays near the root, where whole subtrees are
                // left behind; further down it would read the same bytes once a level.
                Kind::Array | Kind::Object => self.places[above].depth < TEXTS_COMPARED && before.raw() == after.raw(),
                _ => self.comparison.equal_scalars(before, after),
            };
        if equal {
            return;
        }
        let place = self.place(above, segment);
        self.pending.push(Pair { before, after, place });
    }

    /// Arrays of different length.
    fn realign(&mut self, old: &[Value<'b>], new: &[Value<'a>], place: usize) -> Result<(), TooLong> {
        let head = old.iter().zip(new).take_while(|(old, new)| self.comparison.equal(**old, **new)).count();
        let (old, new) = (&old[head..], &new[head..]);
        let tail =
            old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| self.comparison.equal(**old, **new)).count();
        let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
        // What both have stays; each stretch between is changed element by
        // element, and what is left over of it comes or goes.
        let mut old_at = 0;
        let mut new_at = 0;
        let mut kept = self.common_subsequence(old, new);
        kept.push((old.len(), new.len()));
        for (old_next, new_next) in kept {
            while old_at < old_next && new_at < new_next {
                let index = Segment::Index(head + new_at);
                self.part(place, index, old[old_at], new[new_at]);
                old_at += 1;
                new_at += 1;
            }
            for _ in old_at..old_next {
                let path = self.pointer(place, Some(Segment::Index(head + new_at)))?;
                self.edits.push(Edit::Remove { path });
            }
            for (index, value) in new.iter().enumerate().take(new_next).skip(new_at) {
                let path = self.pointer(place, Some(Segment::Index(head + index)))?;
                self.edits.push(Edit::Add { path, value: value.raw().to_owned() });
            }
            old_at = old_next + 1;
            new_at = new_next + 1;
        }
        Ok(())
    }

    /// Indexes of the elements that both have in one order.
    fn common_subsequence(&mut self, old: &[Value<'b>], new: &[Value<'a>]) -> Vec<(usize, usize)> {
        if old.is_empty() || new.is_empty() || old.len() * new.len() > MAX_ALIGNMENT {
            return Vec::new();
        }
        // lengths[i][j]: of the longest one of old[i..] and new[j..].
        let width = new.len() + 1;
        let mut equal = vec![false; old.len() * width];
        let mut lengths = vec![0_u32; (old.len() + 1) * width];
        for i in (0..old.len()).rev() {
            for j in (0..new.len()).rev() {
                equal[i * width + j] = self.comparison.equal(old[i], new[j]);
                lengths[i * width + j] = if equal[i * width + j] {
                    lengths[(i + 1) * width + j + 1] + 1
                } else {
                    lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
                };
            }
        }
        let (mut i, mut j) = (0, 0);
        let mut common = Vec::new();
        while i < old.len() && j < new.len() {
            if equal[i * width + j] {
                common.push((i, j));
                i += 1;
                j += 1;
            } else if lengths[(i + 1) * width + j] >= lengths[i * width + j + 1] {
                i += 1;
            } else {
                j += 1;
            }
        }
        common
    }

    fn place(&mut self, above: usize, segment: Segment<'a>) -> usize {
        let length = self.places[above].length + segment.length();
        let depth = self.places[above].depth + 1;
        self.places.push(Place { above, segment, length, depth });
        self.places.len() - 1
    }

    /// The pointer of a place, or of a part of it.
    fn pointer(&mut self, place: usize, below: Option<Segment<'a>>) -> Result<Pointer, TooLong> {
        let below_length = below.as_ref().map_or(0, Segment::length);
        self.pointer_bytes += self.places[place].length + below_length;
        // A single edit's pointer is as long as it is.
        if self.pointer_bytes > MAX_POINTER_BYTES && !self.edits.is_empty() {
            return Err(TooLong);
        }
        let mut segments = Vec::with_capacity(self.places[place].depth + 1);
        segments.extend(below.map(Segment::into_text));
        let mut at = place;
        while at != 0 {
            segments.push(self.places[at].segment.text());
            at = self.places[at].above;
        }
        segments.reverse();
        Ok(Pointer::new(segments))
    }
}

impl Segment<'_> {
    fn length(&self) -> usize {
        match self {
            Self::Root => 0,
            Self::Key(key) => key.len() + 1,
            // A slash and a few digits.
            Self::Index(_) => 4,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Key(key) => key.to_string(),
            Self::Index(index) => index.to_string(),
        }
    }

    fn into_text(self) -> String {
        match self {
            Self::Key(key) => key.into_owned(),
            other => other.text(),
        }
    }
}
