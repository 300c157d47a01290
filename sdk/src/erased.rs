//! A policy without its types: what a module holds several of, and what both
//! the guest and the native harness run.
//!
//! ```text
//! describe ──────────────► description (JSON)
//! configure(settings) ───► Configured ── review(request) ─► Contents
//! ```

use std::marker::PhantomData;
use std::rc::Rc;

use serde_json::{Value, json};

use crate::host::Host;
use crate::kind::{GroupVersionKind, ObjectKind, Objects};
use crate::policy::{MALFORMED, Phase, Policy, Rule, Rules, Sample};
use crate::reach::Reach;
use crate::read::{Malformed, from_json};
use crate::request::{Attributes, Operation, Request};
use crate::review::{Contents, Level, Review};
use crate::settings::{SettingsFindings, parse, schema_of};

/// A policy of a module.
pub trait ErasedPolicy: Sync {
    /// `Policy::NAME`.
    fn name(&self) -> &'static str;
    /// The rules that it reports, `malformed` among them.
    fn rules(&self) -> Vec<&'static Rule>;
    /// The description with the widest reach.
    fn description(&self) -> Value;
    /// The policy under these settings (JSON text).
    ///
    /// # Errors
    /// What is wrong with the settings.
    fn configure(&self, settings: &str) -> Result<Box<dyn Configured>, SettingsFindings>;
}

/// A policy under its settings.
pub trait Configured {
    /// The description under these settings.
    fn description(&self) -> Value;
    /// The reach under these settings.
    fn reach(&self) -> Reach;
    /// Judges a request.
    fn review(&self, request: &RawRequest<'_>, host: &Host) -> Contents;
    /// Parses what reviews parse, and decides nothing.
    fn warm_up(&self);
}

/// One request, its objects still text.
#[derive(Debug, Clone, Copy)]
pub struct RawRequest<'a> {
    /// What is being done.
    pub operation: Operation,
    /// The object after it.
    pub object: Option<&'a str>,
    /// The object before it.
    pub old_object: Option<&'a str>,
    /// What else the request says.
    pub attributes: &'a Rc<Attributes>,
}

/// `P` without its type.
#[derive(Debug)]
pub struct Erased<P>(PhantomData<fn() -> P>);

impl<P> Erased<P> {
    /// The only value.
    pub const NEW: Self = Self(PhantomData);
}

struct ConfiguredPolicy<P: Policy> {
    settings: P::Settings,
}

impl<P: Policy> ErasedPolicy for Erased<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn rules(&self) -> Vec<&'static Rule> {
        P::Rule::ALL.iter().chain([&MALFORMED]).collect()
    }

    fn description(&self) -> Value {
        describe::<P>(&P::widest())
    }

    fn configure(&self, settings: &str) -> Result<Box<dyn Configured>, SettingsFindings> {
        Ok(Box::new(ConfiguredPolicy::<P> { settings: parse(settings)? }))
    }
}

impl<P: Policy> Configured for ConfiguredPolicy<P> {
    fn description(&self) -> Value {
        describe::<P>(&self.settings)
    }

    fn reach(&self) -> Reach {
        P::reach(&self.settings)
    }

    fn review(&self, request: &RawRequest<'_>, host: &Host) -> Contents {
        match read_request::<P>(request) {
            Ok(request) => {
                let mut review = Review::new();
                P::review(&self.settings, &request, host, &mut review);
                review.into_contents()
            }
            Err(contents) => contents,
        }
    }

    fn warm_up(&self) {
        for sample in P::samples() {
            // The views go by the kind; which resource that is of is nothing that they read.
            let attributes = sample_attributes(&sample, &[]).to_string();
            let (object, old_object) = (text(sample.object.as_ref()), text(sample.old_object.as_ref()));
            if let Ok(attributes) = from_json::<Attributes>(&attributes).map(Rc::new) {
                let raw = RawRequest {
                    operation: sample.operation,
                    object: object.as_deref(),
                    old_object: old_object.as_deref(),
                    attributes: &attributes,
                };
                // What a sample parses to is thrown away: the pages and tables that it touched are what is wanted.
                drop(std::hint::black_box(read_request::<P>(&raw)));
            }
        }
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    value.map(Value::to_string)
}

fn describe<P: Policy>(settings: &P::Settings) -> Value {
    let kinds = P::Object::kinds();
    let rules: Vec<Value> = P::Rule::ALL.iter().chain([&MALFORMED]).map(rule_json).collect();
    json!({
        "name": P::NAME,
        "version": P::VERSION,
        "title": P::TITLE,
        "phase": P::Phase::NAME,
        "rules": rules,
        "settings": schema_of::<P::Settings>(),
        "reach": P::reach(settings).to_json(),
        "samples": P::samples().iter().map(|sample| sample_json(sample, &kinds)).collect::<Vec<_>>(),
    })
}

fn rule_json(rule: &Rule) -> Value {
    let mut json =
        json!({"id": rule.id, "severity": rule.severity.as_str(), "title": rule.title, "reason": rule.reason});
    for (name, text) in [("remedy", rule.remedy), ("url", rule.url)] {
        if !text.is_empty() {
            json[name] = text.into();
        }
    }
    if let Some(examples) = &rule.examples {
        json["examples"] = json!({"bad": examples.bad, "good": examples.good});
        for (name, text) in [("settings", examples.settings), ("old", examples.old)] {
            if let Some(text) = text {
                json["examples"][name] = text.into();
            }
        }
    }
    json
}

fn sample_json(sample: &Sample, kinds: &[ObjectKind]) -> Value {
    let mut json = json!({"operation": sample.operation.as_str(), "attributes": sample_attributes(sample, kinds), "cluster": sample.cluster});
    for (name, object) in [("object", &sample.object), ("oldObject", &sample.old_object)] {
        if let Some(object) = object {
            json[name] = object.clone();
        }
    }
    json
}

/// What a sample says, and what its object says where it doesn't.
fn sample_attributes(sample: &Sample, kinds: &[ObjectKind]) -> Value {
    let object = sample.object.as_ref().or(sample.old_object.as_ref()).unwrap_or(&Value::Null);
    let mut attributes = attributes_of(object, kinds);
    if let (Some(attributes), Some(said)) = (attributes.as_object_mut(), sample.attributes.as_object()) {
        attributes.extend(said.clone());
    }
    attributes
}

/// The attributes of a request about this object, as far as the object tells.
#[must_use]
pub fn attributes_of(object: &Value, kinds: &[ObjectKind]) -> Value {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let kind = object["kind"].as_str().unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let mut attributes = json!({"origin": "check", "kind": {"group": group, "version": version, "kind": kind}});
    if let Some(known) = kinds.iter().find(|known| known.api_version == api_version && known.kind == kind) {
        attributes["resource"] = json!({"group": group, "version": version, "resource": known.resource});
    }
    for name in ["name", "namespace"] {
        if let Some(value) = object["metadata"].get(name) {
            attributes[name] = value.clone();
        }
    }
    attributes
}

/// The request through the policy's views; what they can't read is a finding, not a trap.
fn read_request<P: Policy>(raw: &RawRequest<'_>) -> Result<Request<P>, Contents> {
    let old_level = Level::Undecided;
    let object = read_object::<P::Object>(raw, raw.object)
        .map_err(|error| Contents::malformed(Level::Deny, "the object", error))?;
    let old_object = read_object::<P::OldObject>(raw, raw.old_object)
        .map_err(|error| Contents::malformed(old_level, "the object before the operation", error))?;
    Ok(Request { operation: raw.operation, object, old_object, attributes: Rc::clone(raw.attributes) })
}

fn read_object<O: Objects>(raw: &RawRequest<'_>, json: Option<&str>) -> Result<Option<O>, Malformed> {
    let Some(json) = json else { return Ok(None) };
    let only;
    let kind = match &raw.attributes.kind {
        Some(kind) => kind,
        None => {
            only = only_kind::<O>();
            &only
        }
    };
    match O::read(kind, json) {
        Some(Ok(object)) => Ok(Some(object)),
        Some(Err(malformed)) => Err(malformed),
        // A kind that the policy never declared: the host is asked for it to be judged, so silence would be a guess.
        None => Err(Malformed {
            path: crate::FieldPath::root().field("kind"),
            message: format!("the policy doesn't know {} {}", kind.api_version(), kind.kind),
        }),
    }
}

/// The kind that is meant where a request names none: that of a policy with a single one.
fn only_kind<O: Objects>() -> GroupVersionKind {
    match &O::kinds()[..] {
        [only] => GroupVersionKind {
            group: only.group().to_owned(),
            version: only.version().to_owned(),
            kind: only.kind.clone(),
        },
        _ => GroupVersionKind::default(),
    }
}
