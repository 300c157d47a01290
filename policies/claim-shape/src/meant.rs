//! What a word or a size that Kubernetes doesn't read was meant to be: the slips
//! that people make, so that a finding can name the right spelling.

use portcullis_sdk::Quantity;

/// Abbreviations of access modes, as documentation and `kubectl get pvc` have them.
const ABBREVIATIONS: [(&str, &str); 4] =
    [("rwo", "ReadWriteOnce"), ("rox", "ReadOnlyMany"), ("rwx", "ReadWriteMany"), ("rwop", "ReadWriteOncePod")];
/// Suffixes by how they are written in lower case. `m` isn't among them: it is read, as thousandths.
const SUFFIXES: [(&str, &str); 15] = [
    ("k", "k"),
    ("ki", "Ki"),
    ("kb", "k"),
    ("kib", "Ki"),
    ("mi", "Mi"),
    ("mb", "M"),
    ("mib", "Mi"),
    ("g", "G"),
    ("gi", "Gi"),
    ("gb", "G"),
    ("gib", "Gi"),
    ("t", "T"),
    ("ti", "Ti"),
    ("tb", "T"),
    ("tib", "Ti"),
];

/// The known word that was meant.
pub(crate) fn word<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower: String =
        written.chars().filter(|letter| letter.is_ascii_alphabetic()).collect::<String>().to_lowercase();
    let whole =
        ABBREVIATIONS.iter().find(|(short, _)| *short == lower).map_or(lower.clone(), |(_, long)| long.to_lowercase());
    known.iter().find(|known| known.to_lowercase() == whole).copied()
}

/// The size that was meant: `10GB`, `10 gi`.
pub(crate) fn size(written: &str) -> Option<String> {
    let compact: String = written.chars().filter(|letter| !letter.is_whitespace()).collect();
    let end = compact.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(compact.len());
    let (number, suffix) = compact.split_at(end);
    let lower = suffix.to_lowercase();
    let suffix = if suffix.is_empty() {
        ""
    } else {
        SUFFIXES.iter().find(|(loose, _)| *loose == lower).map(|(_, exact)| *exact)?
    };
    let meant = format!("{number}{suffix}");
    meant.parse::<Quantity>().is_ok_and(|size| size > Quantity::ZERO).then_some(meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_understood_and_nothing_else() {
        let modes = ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"];
        for (written, meant) in [
            ("RWO", Some("ReadWriteOnce")),
            ("readwriteMany", Some("ReadWriteMany")),
            ("Read-Write-Once", Some("ReadWriteOnce")),
            ("RWOP", Some("ReadWriteOncePod")),
            ("ReadWriteSometimes", None),
        ] {
            assert_eq!(word(written, &modes), meant, "{written}");
        }
        for (written, meant) in [
            ("10GB", Some("10G")),
            ("10 gi", Some("10Gi")),
            ("1.5TiB", Some("1.5Ti")),
            ("10gb", Some("10G")),
            ("volume-capacity", None),
            ("Gi", None),
            ("0gi", None),
            ("-1Gi", None),
        ] {
            assert_eq!(size(written).as_deref(), meant, "{written}");
        }
    }
}
