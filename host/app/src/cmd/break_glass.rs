//! `portcullis break-glass`: opens a cluster that its policies have locked, with
//! the caller's own rights, so that it works while nothing of Portcullis runs.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow};
use portcullis_core::policy::duration;
use portcullis_kube::registrations::{self, BreakGlass, EXPIRY};

use crate::args::BreakGlassArguments;

/// Exit code of `--status` where the cluster is open.
const OPEN: u8 = 1;

/// Opens, closes or looks.
///
/// # Errors
/// No way to reach the cluster, no right to do it.
pub fn run(arguments: &BreakGlassArguments) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("can't start")?;
    runtime.block_on(act(arguments))
}

async fn act(arguments: &BreakGlassArguments) -> Result<ExitCode> {
    let BreakGlassArguments { reason, expires, by, end, kubeconfig, context, namespace, .. } = arguments;
    let lasts = match expires.as_deref() {
        None => EXPIRY,
        Some(text) => duration::parse(text)
            .filter(|time| *time >= Duration::from_secs(1))
            .ok_or_else(|| anyhow!("--expires is {text:?}; write 30m or 4h"))?,
    };
    let client = portcullis_kube::client(kubeconfig.as_deref(), context.as_deref()).await?;
    if let Some(reason) = reason {
        let until = SystemTime::now() + lasts;
        let gone = registrations::begin(&client, namespace, reason, until, by.clone()).await?;
        for name in gone {
            println!("deleted: {name}");
        }
        let open = registrations::status(&client, namespace).await?;
        let until = open.map_or_else(String::new, |open| format!(" until {}", open.until));
        println!("the cluster is open{until}: no policy stops anything; `portcullis break-glass --end` closes it");
        return Ok(ExitCode::SUCCESS);
    }
    if *end {
        match registrations::end(&client, namespace).await? {
            Some(open) => println!("ended: {}; the controller writes the configurations again", shown(&open)),
            None => println!("the cluster was not open, so far as the record says"),
        }
        return Ok(ExitCode::SUCCESS);
    }
    match registrations::status(&client, namespace).await? {
        Some(open) => {
            println!("open: {}", shown(&open));
            Ok(ExitCode::from(OPEN))
        }
        None => {
            println!("closed");
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn shown(open: &BreakGlass) -> String {
    let BreakGlass { since, until, reason, by, gone } = open;
    let by = by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
    format!("since {since}{by}, until {until}: {reason} ({})", gone.join(", "))
}
