//! What a review costs the server in CPU time, against a bare axum + rustls echo
//! that parses the same body into a `serde_json::Value` and allows it: `run.sh`.

mod echo;
mod measure;
mod reviews;
mod run;

use anyhow::{Context, Result};
use clap::Parser;

use run::{Arguments, Command};

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Echo { port, certificate, key }) => echo::serve(port, &certificate, &key).context("the echo"),
        None => run::run(&arguments.run),
    }
}
