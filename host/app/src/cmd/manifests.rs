//! `portcullis manifests`: what has to be in a cluster, worked out of the
//! policies themselves. What the controller would write can be read here before
//! it is, and what an administrator has to grant.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use portcullis_core::admit::Policy;
use portcullis_core::kinds::Kinds;
use portcullis_kube::cache::{Wanted, wanted};
use portcullis_kube::rbac::{self, Watched};
use portcullis_kube::webhooks::{Endpoint, Options, Registered, exempt_namespaces, registrations};
use portcullis_kube::{crd, webhooks};
use serde_json::Value;

use super::installation;
use crate::args::{Manifests, ManifestsArguments};
use crate::report;
use crate::source::emit;

/// The Service's port for HTTPS.
const SERVICE_PORT: i32 = 443;

/// Prints the manifests.
///
/// # Errors
/// Policies that can't be used, flags that can't be right.
pub fn run(arguments: &ManifestsArguments) -> Result<ExitCode> {
    let objects = match arguments.what {
        Manifests::All => {
            let mut generated = values(&crd::definitions())?;
            generated.extend(rbac::objects(&watched(&load(arguments)?), &Kinds::default(), &arguments.namespace));
            installation::objects(&arguments.namespace, &arguments.image, generated)?
        }
        Manifests::Crds => values(&crd::definitions())?,
        Manifests::Rbac => {
            let policies = load(arguments)?;
            rbac::objects(&watched(&policies), &Kinds::default(), &arguments.namespace)
        }
        Manifests::Webhooks => configurations(arguments)?,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    report::reader_left(write(&mut out, &objects).and_then(|()| out.flush()))?;
    Ok(ExitCode::SUCCESS)
}

/// Documents of a stream, as kubectl reads them.
fn write(out: &mut impl Write, objects: &[Value]) -> io::Result<()> {
    for (place, object) in objects.iter().enumerate() {
        if place > 0 {
            writeln!(out, "---")?;
        }
        write!(out, "{}", emit::document(&object.to_string()))?;
    }
    Ok(())
}

fn load(arguments: &ManifestsArguments) -> Result<Vec<Arc<Policy>>> {
    super::check::load(&arguments.load.policy, arguments.load.cache.clone())
}

/// The kinds that a server with these policies watches, with who needs them.
fn watched(policies: &[Arc<Policy>]) -> Vec<Watched> {
    let watched = |Wanted { api_version, kind, why, .. }| Watched { api_version, kind, why };
    wanted(policies).into_iter().map(watched).collect()
}

fn configurations(arguments: &ManifestsArguments) -> Result<Vec<Value>> {
    let endpoint = endpoint(arguments)?;
    let ca_bundle = arguments.ca_bundle.as_deref().map(certificates).transpose()?;
    let policies = load(arguments)?;
    let registered: Vec<Registered<'_>> = policies
        .iter()
        .map(|policy| Registered { document: &policy.document, description: policy.description.as_deref() })
        .collect();
    let exempt = exempt_namespaces();
    let options = Options {
        endpoint: &endpoint,
        ca_bundle: ca_bundle.as_deref(),
        inject_ca_from: arguments.inject_ca_from.as_deref(),
        exempt_namespaces: &exempt,
        served: None,
        owner_uid: None,
    };
    let webhooks::Registrations { validating, mutating, left_out } = registrations(&registered, &options);
    for one in left_out {
        eprintln!("warning: policy {}: {}", one.policy, one.reason);
    }
    let mut objects = values(&mutating)?;
    objects.extend(values(&validating)?);
    Ok(objects)
}

fn endpoint(arguments: &ManifestsArguments) -> Result<Endpoint> {
    let Some(url) = &arguments.url else {
        let (name, namespace) = (arguments.service.clone(), arguments.namespace.clone());
        return Ok(Endpoint::Service { name, namespace, port: SERVICE_PORT });
    };
    if !url.starts_with("https://") || url.contains(['?', '#']) {
        bail!("--url is {url}; the API server calls https only, and adds paths of its own: write https://HOST:PORT");
    }
    Ok(Endpoint::Url(url.clone()))
}

fn certificates(path: &Path) -> Result<Vec<u8>> {
    let bundle = fs::read(path).with_context(|| format!("--ca-bundle {} can't be read", path.display()))?;
    if !bundle.windows(BEGIN.len()).any(|window| window == BEGIN) {
        bail!("--ca-bundle {} holds no certificate in PEM (-----BEGIN CERTIFICATE-----)", path.display());
    }
    Ok(bundle)
}

/// How a certificate begins in PEM (RFC 7468).
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

fn values<T: serde::Serialize>(objects: &[T]) -> Result<Vec<Value>> {
    objects.iter().map(|object| serde_json::to_value(object).context("an object can't be written as JSON")).collect()
}
