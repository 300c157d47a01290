//! The rules, with their texts.

use portcullis_sdk::Rules;

/// What the policy can report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Rules)]
#[rules(examples)]
pub enum Rule {
    /// the class of the Ingress doesn't exist
    ///
    /// A controller serves the Ingresses of its own classes. One of a class that nobody made is served by none, and nothing says so.
    ///
    /// Name one of the classes that `kubectl get ingressclasses` lists, or install the controller that brings this one.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/services-networking/ingress/#ingress-class")]
    ClassAbsent,
    /// the Ingress names no class, and nothing gives it one
    ///
    /// Most controllers pass it by, and nothing says so; with several controllers some serve it and some don't.
    ///
    /// Name a class in `spec.ingressClassName`, or mark one IngressClass as the default.
    #[rule(
        severity = "medium",
        url = "https://kubernetes.io/docs/concepts/services-networking/ingress/#default-ingress-class"
    )]
    NoClass,
    /// it can't be told which class the Ingress should get
    ///
    /// The cluster didn't say which class is the default, or which labels the namespace has, and a guess could put the Ingress on a controller that is open to the internet.
    ///
    /// Name a class in `spec.ingressClassName`.
    #[rule(
        severity = "low",
        url = "https://kubernetes.io/docs/concepts/services-networking/ingress/#default-ingress-class"
    )]
    ClassUnknown,
    /// the annotation and the field name different classes
    ///
    /// The API server refuses that when an Ingress is made. Where it came about later, some controllers obey the annotation and some the field: two may serve it, or none.
    ///
    /// Keep `spec.ingressClassName` and remove the annotation `kubernetes.io/ingress.class`.
    #[rule(
        severity = "medium",
        url = "https://kubernetes.io/docs/concepts/services-networking/ingress/#deprecated-annotation"
    )]
    ClassConflict,
    /// the class is named by the deprecated annotation
    ///
    /// `kubernetes.io/ingress.class` was never specified: what it means, and whether it means anything, is up to each controller. The field replaced it in Kubernetes 1.18.
    ///
    /// Name the class in `spec.ingressClassName` and remove the annotation. Reported where `legacyAnnotation` is `Warn`, and where `Move` finds no such class.
    #[rule(
        severity = "low",
        url = "https://kubernetes.io/docs/concepts/services-networking/ingress/#deprecated-annotation"
    )]
    LegacyAnnotation,
    /// more than one IngressClass is the default
    ///
    /// An Ingress without a class then gets the newest of them, and before Kubernetes 1.25 it was refused: who installs a second controller takes over Ingresses that belonged to the first.
    ///
    /// Leave the annotation `ingressclass.kubernetes.io/is-default-class` on one class.
    #[rule(
        severity = "medium",
        url = "https://kubernetes.io/docs/concepts/services-networking/ingress/#default-ingress-class"
    )]
    SeveralDefaults,
}
