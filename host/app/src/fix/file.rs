//! A fixed file takes the old one's place at once, or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::FileChange;
use crate::yaml;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Writes a change to its file: through a temporary file beside it, with the
/// permissions that it has. A link stays a link.
///
/// # Errors
/// Where the file is not what was read, or can't be written; it is as before then.
pub fn write(change: &FileChange) -> io::Result<()> {
    let path = fs::canonicalize(&change.source)?;
    let metadata = fs::metadata(&path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let bytes = fs::read(&path)?;
    let marked = bytes.starts_with(BYTE_ORDER_MARK);
    let text = if marked { &bytes[BYTE_ORDER_MARK.len()..] } else { &bytes[..] };
    if text != change.before.as_bytes() {
        let same = yaml::decode(&change.source, &bytes).is_ok_and(|text| text == change.before);
        let reason = if same { "it is not UTF-8; save it as UTF-8 first" } else { "it has changed since it was read" };
        return Err(io::Error::other(reason));
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".portcullis-").tempfile_in(folder)?;
    if marked {
        file.write_all(BYTE_ORDER_MARK)?;
    }
    file.write_all(change.after.as_bytes())?;
    file.as_file().set_permissions(metadata.permissions())?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

    use super::*;

    fn change(path: &Path, before: &str, after: &str) -> FileChange {
        FileChange { source: path.display().to_string(), before: before.to_owned(), after: after.to_owned() }
    }

    #[test]
    fn a_file_keeps_its_byte_order_mark() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        fs::write(&path, "\u{feff}a: 1\n").unwrap();
        write(&change(&path, "a: 1\n", "a: 2\n")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "\u{feff}a: 2\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_has_changed_since_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        fs::write(&path, "a: 3\n").unwrap();
        let error = write(&change(&path, "a: 1\n", "a: 2\n")).unwrap_err();
        assert_eq!(error.to_string(), "it has changed since it was read");
        assert_eq!(fs::read_to_string(&path).unwrap(), "a: 3\n");
    }

    #[test]
    fn a_file_in_another_encoding_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        let utf16: Vec<u8> = "\u{feff}a: 1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        fs::write(&path, &utf16).unwrap();
        let error = write(&change(&path, "a: 1\n", "a: 2\n")).unwrap_err();
        assert_eq!(error.to_string(), "it is not UTF-8; save it as UTF-8 first");
        assert_eq!(fs::read(&path).unwrap(), utf16);
    }

    #[cfg(unix)]
    #[test]
    fn permissions_and_links_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("a.yaml"), folder.path().join("link.yaml"));
        fs::write(&path, "a: 1\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&path, &link).unwrap();
        write(&change(&link, "a: 1\n", "a: 2\n")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "a: 2\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }
}
