//! Builds the guest in a folder and writes its component:
//! `cargo run -p portcullis-sdk-build --example component -- FOLDER FILE`.
//!
//! It exists for the committed binaries of `tests/guests`; `portcullis build`
//! is what authors use.

use std::error::Error;

use portcullis_sdk_build::Guest;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, file] = arguments.as_slice() else {
        return Err("usage: component FOLDER FILE".into());
    };
    let built = Guest::new(folder).build().map_err(|error| error.to_string())?;
    std::fs::write(file, &built.bytes)?;
    println!("{file}: {} ({} bytes)", built.digest, built.bytes.len());
    Ok(())
}
