//! No policy of the default set asks for Secrets: what this one reaches under
//! its settings.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use ingress_tls::{IngressTls, Settings};

use portcullis_sdk::{Policy, Reach, Tree};

/// The kinds that a reach matches, reads or looks up.
fn kinds(reach: &Reach) -> Vec<&str> {
    let matched = reach.matches.iter().map(|rule| rule.kind.as_str());
    let read = reach.reads.iter().map(|read| read.kind.as_str());
    matched.chain(read).chain(reach.lookups.iter().map(|lookup| lookup.kind.as_str())).collect()
}

#[test]
fn secrets_are_in_the_reach_only_where_the_settings_say_so() {
    let default = IngressTls::reach(&Settings::default());
    assert!(!kinds(&default).contains(&"Secret"), "{default:?}");
    let with_secrets = IngressTls::reach(&Settings { secrets: true, ..Settings::default() });
    let secrets = kinds(&with_secrets).into_iter().filter(|kind| *kind == "Secret").count();
    assert_eq!(secrets, 3, "matched, read and looked up");
}

#[test]
fn of_a_secret_only_the_certificate_is_read() {
    let reach = IngressTls::reach(&Settings { secrets: true, ..Settings::default() });
    let read = reach.reads.iter().find(|read| read.kind == "Secret").map(|read| &read.object);
    let looked_up = reach.lookups.iter().find(|lookup| lookup.kind == "Secret").map(|lookup| &lookup.fields);
    for tree in [read.unwrap(), looked_up.unwrap()] {
        let Tree::Fields(fields) = tree else { panic!("{tree:?}") };
        let certificate = Tree::field("tls.crt", Tree::Value);
        assert_eq!((&fields["data"], &fields["stringData"]), (&certificate, &certificate));
    }
}

#[test]
fn services_are_looked_up_only_where_the_settings_say_so() {
    assert!(kinds(&IngressTls::reach(&Settings::default())).contains(&"Service"));
    let without = IngressTls::reach(&Settings { backends: false, ..Settings::default() });
    assert!(!kinds(&without).contains(&"Service"));
}
