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
