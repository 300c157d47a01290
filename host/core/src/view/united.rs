//! Several policies' views of one kind as few views: the object is projected
//! once for all who can read the same text.
//!
//! Which policies of a module match a request changes with the request, and
//! uniting trees costs more than projecting does; so what was worked out for a
//! set of policies and a kind is kept.
//!
//! Invariant: through a party's view each of its members sees what it would see
//! through its own ([`Tree::unite`]).

use std::sync::{Arc, PoisonError, RwLock};

use crate::contract::Read;

use super::Tree;

/// Sets of policies and kinds that are kept: some ten kinds by the few sets in
/// which selectors let policies match. Past it, all begins anew.
const MAX_KEPT: usize = 512;

/// What was worked out before.
#[derive(Default)]
pub struct UnitedViews(RwLock<Vec<Kept>>);

struct Kept {
    members: Vec<u32>,
    api_version: String,
    kind: String,
    parties: Arc<[Party]>,
}

/// Policies that can be given one text.
#[derive(Debug, PartialEq)]
pub struct Party {
    /// Their places in the list that was given.
    pub places: Vec<usize>,
    /// What they see of the object.
    pub object: Tree,
    /// What they see of the object before.
    pub old_object: Tree,
}

impl UnitedViews {
    /// The parties of `members`, each with what it reads of objects of this kind.
    pub fn parties(&self, api_version: &str, kind: &str, members: &[(u32, Option<&Read>)]) -> Arc<[Party]> {
        let same = |kept: &&Kept| {
            kept.members.iter().eq(members.iter().map(|(member, _)| member))
                && kept.kind == kind
                && kept.api_version == api_version
        };
        let known =
            self.0.read().unwrap_or_else(PoisonError::into_inner).iter().find(same).map(|it| it.parties.clone());
        if let Some(parties) = known {
            return parties;
        }
        let parties: Arc<[Party]> = parties(members).into();
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MAX_KEPT {
            all.clear();
        }
        all.push(Kept {
            members: members.iter().map(|(member, _)| *member).collect(),
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            parties: parties.clone(),
        });
        parties
    }
}

/// Each joins the first party whose view can be united with its own.
fn parties(members: &[(u32, Option<&Read>)]) -> Vec<Party> {
    let mut parties: Vec<Party> = Vec::new();
    for (place, (_, read)) in members.iter().enumerate() {
        let seen = |tree: Option<&Tree>| tree.cloned().unwrap_or_else(Tree::nothing);
        let object = seen(read.and_then(|read| read.object.as_ref()));
        let old_object = seen(read.and_then(|read| read.old_object.as_ref()));
        let joined = parties.iter_mut().find_map(|party| {
            let united = (party.object.unite(&object)?, party.old_object.unite(&old_object)?);
            (party.object, party.old_object) = united;
            party.places.push(place);
            Some(())
        });
        if joined.is_none() {
            parties.push(Party { places: vec![place], object, old_object });
        }
    }
    parties
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn read(object: &str) -> Read {
        let object = serde_json::from_str(object).unwrap();
        Read { api_version: "v1".to_owned(), kind: "Thing".to_owned(), object: Some(object), old_object: None }
    }

    #[test]
    fn who_reads_otherwise_is_of_another_party() {
        let reads = [
            read(r#"{"fields":{"a":"value"}}"#),
            read(r#"{"fields":{"a":"present"}}"#),
            read(r#"{"fields":{"b":"keys"}}"#),
            read(r#"{"fields":{"a":"present","c":"value"}}"#),
        ];
        let members: Vec<_> = (7..).zip(reads.iter().map(Some)).chain([(1, None)]).collect();
        let views = UnitedViews::default();
        let parties = views.parties("v1", "Thing", &members);
        let places: Vec<_> = parties.iter().map(|party| party.places.as_slice()).collect();
        assert_eq!(places, [&[0, 2, 4][..], &[1, 3]]);
        assert_eq!(parties[0].object, serde_json::from_str(r#"{"fields":{"a":"value","b":"keys"}}"#).unwrap());
        assert_eq!(parties[1].old_object, Tree::nothing());
        assert!(Arc::ptr_eq(&parties, &views.parties("v1", "Thing", &members)), "it is worked out once");
        assert_eq!(views.parties("v1", "Thing", &members[..1]).len(), 1);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let views = UnitedViews::default();
        for member in 0..2_000 {
            views.parties("v1", "Thing", &[(member, None)]);
        }
        assert!(views.0.read().unwrap().len() <= MAX_KEPT);
    }
}
