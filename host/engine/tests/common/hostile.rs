//! The hostile guest, built once a test binary.

use std::path::Path;
use std::sync::OnceLock;

use portcullis_sdk_build::Guest;

/// Its component.
pub(crate) fn hostile() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let folder = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../../tests/guests/hostile");
        Guest::new(folder).build().unwrap().bytes
    })
}

/// The same with another letter for what it does before it is configured.
pub(crate) fn hostile_before(mode: char) -> Vec<u8> {
    const MARK: &[u8] = b"hostile-mode=";
    let mut bytes = hostile().to_vec();
    let places: Vec<_> = (0..bytes.len() - MARK.len()).filter(|place| bytes[*place..].starts_with(MARK)).collect();
    let [place] = places[..] else { panic!("the mark is there {} times", places.len()) };
    bytes[place + MARK.len()] = u8::try_from(mode).unwrap();
    bytes
}
