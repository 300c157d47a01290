//! Builds each module below `modules/` to a component and writes the table of
//! them that `lib.rs` includes.
//!
//! It runs again only when a file changed that a module was built from, and
//! then cargo builds only what that changed: the guests share one target folder
//! beside the host's own (whose lock the running cargo holds).

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis_sdk_build::Guest;

fn main() -> Result<(), Box<dyn Error>> {
    let modules = PathBuf::from(env("CARGO_MANIFEST_DIR")?).join("modules");
    let out = PathBuf::from(env("OUT_DIR")?);
    println!("cargo::rerun-if-changed=build.rs");
    // A folder's own time changes when a module is added to it or removed.
    println!("cargo::rerun-if-changed={}", modules.display());

    let mut table = String::from("&[\n");
    for folder in folders(&modules)? {
        table += &embed(&folder, &out)?;
    }
    table.push(']');
    fs::write(out.join("modules.rs"), table)?;
    Ok(())
}

/// Builds one module into `out` and gives its row of the table.
fn embed(folder: &Path, out: &Path) -> Result<String, Box<dyn Error>> {
    let built = Guest::new(folder)
        .target_folder(guests_target(out))
        .build()
        // Its `Display` is written for people, its `Debug` (what a failing main prints) isn't.
        .unwrap_or_else(|error| fail(&error.to_string()));
    for file in &built.watch {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    let name =
        folder.file_name().and_then(|name| name.to_str()).ok_or("a module's folder has a name that isn't UTF-8")?;
    let file = out.join(format!("{name}.wasm"));
    write_if_changed(&file, &built.bytes)?;
    let mut row = String::new();
    // By OUT_DIR, so that a target folder can be moved.
    let bytes = format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.wasm\"))");
    writeln!(row, "    Module {{ name: {name:?}, digest: {:?}, bytes: {bytes} }},", built.digest.to_string())?;
    Ok(row)
}

/// Stops the build with a message that cargo shows as this package's error.
fn fail(message: &str) -> ! {
    for line in message.lines() {
        println!("cargo::error={line}");
    }
    std::process::exit(1);
}

/// `guests` beside the profiles' folders: cargo puts a build script's output at
/// `<target>/<profile>/build/<package>/out`, so all profiles share it.
fn guests_target(out: &Path) -> PathBuf {
    out.ancestors()
        .find(|folder| folder.ends_with("build"))
        .and_then(|build| build.ancestors().nth(2))
        .unwrap_or(out)
        .join("guests")
}

fn folders(modules: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(modules)? {
        let path = entry?.path();
        if path.join("Cargo.toml").is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// Keeps the file's time when nothing changed, so that nothing that includes it
/// is compiled again.
fn write_if_changed(file: &Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    if fs::read(file).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    Ok(fs::write(file, bytes)?)
}

fn env(name: &str) -> Result<String, Box<dyn Error>> {
    std::env::var(name).map_err(|_| format!("cargo sets {name} for build scripts").into())
}
