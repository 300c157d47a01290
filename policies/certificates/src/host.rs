//! Whether the name in a certificate is the name that a client asked for.
//!
//! By RFC 9525: only dNSName entries of the subjectAltName count, never the
//! common name (section 2); letters compare without case (6.3); a wildcard is
//! the whole left-most label and stands for exactly one (6.3).

/// Whether a name that a certificate presents covers a host of an Ingress.
///
/// The host may itself be a wildcard (`*.a.example`), as an Ingress rule's can:
/// then the certificate must present that very wildcard.
///
/// ```
/// use portcullis_certificates::host::covers;
///
/// assert!(covers("*.shop.example", "www.shop.example"));
/// assert!(!covers("*.shop.example", "shop.example"));
/// assert!(!covers("*.shop.example", "a.b.shop.example"));
/// assert!(!covers("w*.shop.example", "www.shop.example"));
/// ```
#[must_use]
pub fn covers(presented: &str, host: &str) -> bool {
    let (presented, host) = (normal(presented), normal(host));
    if presented.is_empty() || host.is_empty() {
        return false;
    }
    if presented.eq_ignore_ascii_case(host) {
        return is_plain_or_wildcard(presented);
    }
    let (Some(parent), Some((first, rest))) = (presented.strip_prefix("*."), host.split_once('.')) else {
        return false;
    };
    !first.is_empty() && first != "*" && !parent.contains('*') && parent.eq_ignore_ascii_case(rest)
}

/// A name written as absolute is the same name.
fn normal(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Whether a name has no star, or one that is all of its first label.
fn is_plain_or_wildcard(name: &str) -> bool {
    !name.strip_prefix("*.").unwrap_or(name).contains('*')
}
