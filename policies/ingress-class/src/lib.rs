//! Gives an Ingress that names no class one, and says what is wrong with the class.
//!
//! ```text
//! CREATE  class absent, or filled by the API server ─► choose (settings, cluster) ─► add or replace ─┐
//!         named by the annotation ─► move it to the field, where the settings say so ────────────────┼─► judge
//! UPDATE  class absent, old object has one ──────────► put back what the old object holds ───────────┘
//! ```
//! Invariants: a class that somebody chose, in the field or in the annotation, is
//! never changed; on UPDATE nothing is set that the old object doesn't hold; an
//! IngressClass is judged and never edited.

mod choose;
mod rules;
mod settings;
mod views;

use portcullis_sdk::{
    Answer, FieldPath, Host, Lookup, Mutating, Operation, Policy, Query, Reach, Request, Review, Sample,
};
use serde_json::json;

use choose::{Choice, Source};
pub use rules::Rule;
pub use settings::{LegacyAnnotation, NamespaceClass, Settings};
use views::{Ingress, IngressClass, Object};

/// Ingresses that name no class get one, and the class of each is judged.
#[derive(Debug)]
pub struct IngressClassPolicy;

portcullis_sdk::cases!(IngressClassPolicy);

/// The place of the annotation, as a pointer.
const LEGACY_POINTER: &str = "/metadata/annotations/kubernetes.io~1ingress.class";

impl Policy for IngressClassPolicy {
    type Settings = Settings;
    type Rule = Rule;
    type Phase = Mutating;
    type Object = Object;
    type OldObject = Object;

    const NAME: &'static str = "ingress-class";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const TITLE: &'static str = "an Ingress names a class that exists, and gets one where it names none";

    fn reach(settings: &Settings) -> Reach {
        let mut pointers = vec!["/spec/ingressClassName"];
        if settings.legacy_annotation == LegacyAnnotation::Move {
            pointers.push(LEGACY_POINTER);
        }
        Reach::of::<Self>(&[Operation::Create, Operation::Update])
            // Optional: where the settings name a class, no answer is needed; where one is, the policy says so itself.
            .lookup(Lookup::of::<IngressClass>().get().list().optional())
            .writes::<Ingress>(&pointers)
    }

    fn widest() -> Settings {
        Settings { legacy_annotation: LegacyAnnotation::Move, ..Settings::default() }
    }

    fn samples() -> Vec<Sample> {
        let class = json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "nginx", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}, "spec": {"controller": "k8s.io/ingress-nginx"}});
        let ingress = |spec: serde_json::Value| json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "shop", "namespace": "shop"}, "spec": spec});
        vec![
            Sample::create(ingress(json!({}))).with_cluster([class.clone()]),
            Sample::update(ingress(json!({"ingressClassName": "nginx"})), ingress(json!({})))
                .with_cluster([class.clone()]),
            Sample::create(class),
        ]
    }

    fn review(settings: &Settings, request: &Request<Self>, host: &Host, review: &mut Review<Self>) {
        match (&request.object, &request.old_object) {
            (Some(Object::Ingress(ingress)), old) => {
                let old = old.as_ref().and_then(|old| match old {
                    Object::Ingress(old) => Some(old),
                    Object::Class(_) => None,
                });
                self::review(settings, request, ingress, old, host, review);
            }
            (Some(Object::Class(class)), _) => defaults(class, host, review),
            (None, _) => {}
        }
    }
}

fn review(
    settings: &Settings,
    request: &Request<IngressClassPolicy>,
    ingress: &Ingress,
    old: Option<&Ingress>,
    host: &Host,
    review: &mut Review<IngressClassPolicy>,
) {
    let field = ingress.spec.ingress_class_name.as_deref();
    let class = match (ingress.metadata.annotations.legacy_class.as_deref(), field) {
        (Some(annotation), _) => legacy(settings, request.operation, annotation, field, old, host, review),
        (None, None) if request.operation == Operation::Update => put_back(old, review),
        (None, None) => fill(choose::for_absent(settings, request, host), field, review),
        (None, Some(filled)) if request.operation == Operation::Create && ingress.class_is_nobodys() => {
            fill(choose::for_filled(settings, request, filled, host), field, review)
        }
        (None, Some(class)) => Some(class.to_owned()),
    };
    if let Some(class) = class.filter(|class| !class.is_empty()) {
        exists(&class, host, review);
    }
}

/// Writes what was chosen; gives the class that the Ingress then has.
fn fill(choice: Choice, field: Option<&str>, review: &mut Review<IngressClassPolicy>) -> Option<String> {
    match choice {
        Choice::Keep => field.map(str::to_owned),
        Choice::Class(class, source) => {
            match field {
                Some(_) => review.replace(&class_path(), class.as_str()),
                None => review.add(&class_path(), class.as_str()),
            }
            audit(&class, source, review);
            Some(class)
        }
        Choice::None => {
            review
                .warn(Rule::NoClass, "the Ingress names no class, the settings name none for it, and the cluster has no default one, so most controllers pass it by")
                .at(&class_path())
                .subject("class")
                .fix("name a class in spec.ingressClassName");
            None
        }
        Choice::Unknown(reason) => {
            review
                .undecided(
                    Rule::ClassUnknown,
                    format!(
                        "the Ingress names no class of its own, and which one it should get can't be told: {reason}"
                    ),
                )
                .at(&class_path())
                .subject("class")
                .fix("name a class in spec.ingressClassName");
            field.map(str::to_owned)
        }
    }
}

/// UPDATE: a class that the old object holds and the new one lacks comes back; nothing else is set.
fn put_back(old: Option<&Ingress>, review: &mut Review<IngressClassPolicy>) -> Option<String> {
    let class = old?.spec.ingress_class_name.clone()?;
    review.add(&class_path(), class.as_str());
    audit(&class, Source::OldObject, review);
    Some(class)
}

/// The class is named by the annotation. Gives the class of the field, whose existence can be judged:
/// what the annotation names is the controller's own word, which needn't be an IngressClass.
fn legacy(
    settings: &Settings,
    operation: Operation,
    annotation: &str,
    field: Option<&str>,
    old: Option<&Ingress>,
    host: &Host,
    review: &mut Review<IngressClassPolicy>,
) -> Option<String> {
    if let Some(field) = field.filter(|field| *field != annotation) {
        conflict(operation, annotation, field, review);
        return Some(field.to_owned());
    }
    match settings.legacy_annotation {
        LegacyAnnotation::Allow => {}
        LegacyAnnotation::Warn => warn_of_annotation(
            review,
            "the class is named by the annotation `kubernetes.io/ingress.class`, which Kubernetes deprecated for spec.ingressClassName",
        ),
        LegacyAnnotation::Move => {
            // On UPDATE only what was moved before, so that nothing is set that the old object doesn't hold.
            let was_moved = || old.and_then(|old| old.spec.ingress_class_name.as_deref()) == Some(annotation);
            let may_move = field.is_some()
                || if operation == Operation::Update { was_moved() } else { is_there(annotation, host, review) };
            if may_move {
                if field.is_none() {
                    review.add(&class_path(), annotation);
                }
                review.remove(&annotation_path());
                audit(annotation, Source::Annotation, review);
                return Some(annotation.to_owned());
            }
        }
    }
    field.map(str::to_owned)
}

/// Whether a class by the name that the annotation gives exists; says so where it surely doesn't.
fn is_there(annotation: &str, host: &Host, review: &mut Review<IngressClassPolicy>) -> bool {
    match host.get::<IngressClass>(annotation) {
        Answer::Found(_) => true,
        Answer::Absent => {
            warn_of_annotation(
                review,
                "the annotation `kubernetes.io/ingress.class` can't be moved to spec.ingressClassName, because there is no IngressClass of that name",
            );
            false
        }
        Answer::Unknown(_) => false,
    }
}

fn warn_of_annotation(review: &mut Review<IngressClassPolicy>, message: &str) {
    review
        .warn(Rule::LegacyAnnotation, message)
        .at(&annotation_path())
        .subject("annotation")
        .fix("name the class in spec.ingressClassName and remove the annotation");
}

fn conflict(operation: Operation, annotation: &str, field: &str, review: &mut Review<IngressClassPolicy>) {
    let message = format!(
        "the annotation `kubernetes.io/ingress.class` names the class `{annotation}`, and spec.ingressClassName names `{field}`"
    );
    let finding = match operation {
        // The API server refuses it (`ValidateIngressCreate`).
        Operation::Create => review.deny(Rule::ClassConflict, message),
        _ => review.warn(Rule::ClassConflict, message),
    };
    finding.at(&annotation_path()).subject("annotation").value(annotation).fix("remove the annotation");
}

/// Warns of a class that isn't there; an unknown one is left to the controller.
fn exists(class: &str, host: &Host, review: &mut Review<IngressClassPolicy>) {
    if host.get::<IngressClass>(class) == Answer::Absent {
        review
            .warn(Rule::ClassAbsent, format!("there is no IngressClass `{class}`, so no controller serves the Ingress"))
            .at(&class_path())
            .subject("class")
            .value(class)
            .fix("name one of the classes that `kubectl get ingressclasses` lists");
    }
}

/// A second default class.
fn defaults(class: &IngressClass, host: &Host, review: &mut Review<IngressClassPolicy>) {
    if !class.is_default() {
        return;
    }
    let others = host.list::<IngressClass>(Query::all());
    let mut others: Vec<String> = others
        .items
        .into_iter()
        .filter(|other| other.is_default() && other.metadata.name != class.metadata.name)
        .map(|other| format!("`{}`", other.metadata.name))
        .collect();
    others.sort();
    if !others.is_empty() {
        review
            .warn(
                Rule::SeveralDefaults,
                format!(
                    "the class is marked as the default, and so is {}; an Ingress without a class gets the newest",
                    others.join(", ")
                ),
            )
            .at(&FieldPath::fields(["metadata", "annotations"]).key("ingressclass.kubernetes.io/is-default-class"))
            .subject("default")
            .fix("leave the annotation on one class");
    }
}

/// Which class it is, and why: `nginx(cluster default)`.
fn audit(class: &str, source: Source, review: &mut Review<IngressClassPolicy>) {
    review.audit("ingress-class", format!("{class}({})", source.as_str()));
}

fn class_path() -> FieldPath {
    FieldPath::fields(["spec", "ingressClassName"])
}

fn annotation_path() -> FieldPath {
    FieldPath::fields(["metadata", "annotations"]).key("kubernetes.io/ingress.class")
}
