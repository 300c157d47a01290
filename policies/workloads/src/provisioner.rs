//! What is known of a provisioner beside where it keeps volumes: the access
//! modes that it offers, whether its volumes belong to a zone, what replaced it,
//! and how it announces itself.
//!
//! Invariant: what has no row is not known, and nothing follows from that.

use crate::catalogue::{self, FACT_PREFIXES, FACT_SUFFIXES, FACT_WORDS, FACTS};

/// What is known of a provisioner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProvisionerFacts {
    /// The access modes that it documents for volumes with a file system; empty where that isn't known.
    pub offers: &'static [&'static str],
    /// Those that it refuses for volumes with a file system: the claim stays pending, or its pods do.
    pub refuses: &'static [&'static str],
    /// Whether a volume can only be attached in the zone in which it was made.
    pub is_zonal: bool,
    /// The CSI driver that took the place of a provisioner in Kubernetes itself.
    pub successor: Option<&'static str>,
    /// The Kubernetes version that no longer has it, not even as a name for its successor.
    pub removed: Option<&'static str>,
    /// The environment variable by which its Deployment says under which name it provisions.
    pub announced: Option<&'static str>,
}

impl ProvisionerFacts {
    /// What is known of a provisioner.
    #[must_use]
    pub fn of(provisioner: &str) -> Option<Self> {
        let starts = |(pattern, _): &&(&str, Self)| provisioner.starts_with(pattern);
        let ends = |(pattern, _): &&(&str, Self)| provisioner.ends_with(pattern);
        catalogue::find(FACTS, provisioner)
            .or_else(|| FACT_PREFIXES.iter().find(starts).map(|(_, facts)| *facts))
            .or_else(|| FACT_SUFFIXES.iter().find(ends).map(|(_, facts)| *facts))
            // A word says something of names that users choose, not of drivers that the catalogue has.
            .or_else(|| if catalogue::is_exact_provisioner(provisioner) { None } else { of_words(provisioner) })
    }
}

fn of_words(provisioner: &str) -> Option<ProvisionerFacts> {
    provisioner.split(['-', '.', '/', '_']).find_map(|word| catalogue::find(FACT_WORDS, &word.to_ascii_lowercase()))
}
