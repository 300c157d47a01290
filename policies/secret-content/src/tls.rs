//! `kubernetes.io/tls`: a certificate and its key that a server can use today.

use portcullis_certificates::{
    Belongs, Certificate, ChainFault, KeyFault, PrivateKey, PublicKey, TextFault, Unreadable, chain_faults,
};
use portcullis_sdk::Level;

use crate::report::{About, Report};
use crate::rules::Rule;
use crate::types::{TLS_CERTIFICATE, TLS_KEY};
use crate::{Judged, SECONDS_A_DAY, days};

/// RSA keys below this are refused by today's clients (Baseline Requirements 6.1.5).
const FEWEST_RSA_BITS: usize = 2048;

/// What clocks may differ by, in seconds: a certificate that was just issued begins now.
const CLOCK_SKEW: u64 = 300;

/// Judges `tls.crt` and `tls.key`, which are both there.
pub(crate) fn judge(judged: &Judged<'_>, report: &mut Report<'_>) {
    let (Some(certificate), Some(key)) = (judged.values.bytes(TLS_CERTIFICATE), judged.values.bytes(TLS_KEY)) else {
        // What isn't base64 was reported.
        return;
    };
    let chain = read_chain(certificate, judged, report);
    let key = read_key(key, judged, report);
    let Some(chain) = chain else { return };
    let [leaf, issuers @ ..] = &chain[..] else { return };
    if let Some(key) = key {
        match key.belongs_to(&leaf.public_key) {
            Belongs::No if issuers.iter().any(|other| key.belongs_to(&other.public_key) == Belongs::Yes) => {
                say(
                    judged,
                    report,
                    Level::Deny,
                    Rule::ChainOrder,
                    "has the certificate that the private key belongs to further down; servers take the first one",
                    "put the server's own certificate first, then its issuer's",
                );
            }
            Belongs::No => report.say(
                Level::Deny,
                Rule::KeyMismatch,
                About::Key(TLS_KEY),
                judged.values,
                "doesn't belong to the certificate in `tls.crt`",
                "put in the key that the certificate was requested with, or the certificate of this key",
            ),
            Belongs::Yes => order(&chain, judged, report),
            Belongs::Unknown => {}
        }
    }
    validity(&chain, judged, report);
    strength(leaf, judged, report);
}

fn say(judged: &Judged<'_>, report: &mut Report<'_>, level: Level, rule: Rule, message: &str, fix: &str) {
    report.say(level, rule, About::Key(TLS_CERTIFICATE), judged.values, message, fix);
}

fn read_chain(bytes: &[u8], judged: &Judged<'_>, report: &mut Report<'_>) -> Option<Vec<Certificate>> {
    let fault = match Certificate::chain(bytes) {
        Ok(chain) => return Some(chain),
        Err(fault) => fault,
    };
    let (level, rule) = match fault {
        Unreadable::Text(TextFault::Empty) => (Level::Warn, Rule::EmptyKey),
        // Framed like one, with something in it that this policy can't follow: clients may well take it.
        Unreadable::Unfollowed => (Level::Warn, Rule::UnreadableCertificate),
        _ => (Level::Deny, Rule::UnreadableCertificate),
    };
    let fix = match fault {
        Unreadable::Text(fault) => fault.remedy(),
        _ => "put in the certificate as PEM, followed by its issuers",
    };
    say(judged, report, level, rule, &fault.to_string(), fix);
    None
}

fn read_key(bytes: &[u8], judged: &Judged<'_>, report: &mut Report<'_>) -> Option<PrivateKey> {
    let fault = match PrivateKey::read(bytes) {
        Ok(key) => return Some(key),
        Err(fault) => fault,
    };
    let (level, rule) = match fault {
        KeyFault::Text(TextFault::Empty) => (Level::Warn, Rule::EmptyKey),
        _ => (Level::Deny, Rule::UnreadableKey),
    };
    let fix = match fault {
        KeyFault::Text(fault) => fault.remedy(),
        KeyFault::Encrypted => "take the passphrase off: `openssl pkey -in FILE -out NEW`",
        KeyFault::OpenSsh => "convert it: `ssh-keygen -p -m PEM -f FILE`",
        _ => "put in the private key as PEM",
    };
    report.say(level, rule, About::Key(TLS_KEY), judged.values, &fault.to_string(), fix);
    None
}

fn order(chain: &[Certificate], judged: &Judged<'_>, report: &mut Report<'_>) {
    if let Some(fault) = chain_faults(chain).first() {
        let what = match fault {
            ChainFault::LeafIsNotFirst => {
                "begins with an authority's certificate and has a server's behind it".to_owned()
            }
            ChainFault::NotTheIssuer(index) => {
                format!(
                    "holds certificates in the wrong order: number {} isn't the issuer of the one before it",
                    index + 1
                )
            }
        };
        say(
            judged,
            report,
            Level::Warn,
            Rule::ChainOrder,
            &what,
            "let each certificate be followed by that of its issuer; leave out what doesn't belong to the chain",
        );
    }
}

/// The certificate of the chain that ends first counts: with it ends the chain.
fn validity(chain: &[Certificate], judged: &Judged<'_>, report: &mut Report<'_>) {
    let now = judged.now;
    let Some((index, first)) =
        chain.iter().enumerate().min_by_key(|(index, certificate)| (certificate.not_after, *index))
    else {
        return;
    };
    let which = if index == 0 {
        "holds a certificate that".to_owned()
    } else {
        format!("holds an issuer's certificate (number {}) that", index + 1)
    };
    let margin = u64::from(judged.settings.expiry_margin_days) * SECONDS_A_DAY;
    let renew = "renew it, best with something that renews by itself, such as cert-manager";
    if first.not_after < now {
        // A root or an issuer that is sent needlessly may have run out without harm.
        let level = if index == 0 { Level::Deny } else { Level::Warn };
        let message = format!("{which} ran out {} ago", days(now - first.not_after));
        say(judged, report, level, Rule::Expired, &message, renew);
    } else if first.not_after - now < margin {
        let message = format!("{which} runs out in {}", days(first.not_after - now));
        say(judged, report, Level::Warn, Rule::ExpiresSoon, &message, renew);
    }
    if let Some(latest) =
        chain.iter().map(|certificate| certificate.not_before).max().filter(|begin| *begin > now + CLOCK_SKEW)
    {
        let message = format!("holds a certificate that begins to hold only in {}", days(latest - now));
        say(
            judged,
            report,
            Level::Warn,
            Rule::NotYetValid,
            &message,
            "use it from then on, or look whether a clock is wrong",
        );
    }
}

fn strength(leaf: &Certificate, judged: &Judged<'_>, report: &mut Report<'_>) {
    let what = match &leaf.public_key {
        // Who signed a certificate that signs itself doesn't matter.
        _ if leaf.has_weak_signature && !leaf.is_self_issued() => "is signed with MD5 or SHA-1".to_owned(),
        PublicKey::Rsa { bits, .. } if *bits < FEWEST_RSA_BITS => format!("has an RSA key of {bits} bits"),
        _ => return,
    };
    let message = format!("holds a certificate that {what}, which today's clients refuse");
    say(
        judged,
        report,
        Level::Warn,
        Rule::WeakCertificate,
        &message,
        "request it anew, with SHA-256 and an ECDSA key or an RSA key of at least 2048 bits",
    );
}
