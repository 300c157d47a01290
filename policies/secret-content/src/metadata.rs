//! What isn't a value: who made the Secret, and what its annotations give away.

use portcullis_sdk::{FieldPath, Level, Operation};
use serde_json::Value;

use crate::report::{About, Report};
use crate::rules::Rule;
use crate::types::{BOOTSTRAP_TOKEN, OPAQUE, SERVICE_ACCOUNT_TOKEN, type_path};
use crate::{Judged, types};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const SERVICE_ACCOUNT: &str = "kubernetes.io/service-account.name";

/// Who makes tokens of service accounts by itself: the controller, under its own account or the manager's.
const TOKEN_MAKERS: [&str; 2] =
    ["system:kube-controller-manager", "system:serviceaccount:kube-system:tokens-controller"];

/// Judges the Secret's metadata and its maker.
pub(crate) fn judge(judged: &Judged<'_>, report: &mut Report<'_>) {
    if judged.settings.last_applied {
        last_applied(judged, report);
    }
    if judged.secret.kind == SERVICE_ACCOUNT_TOKEN {
        service_account(judged, report);
    }
    managed(judged, report);
}

fn last_applied(judged: &Judged<'_>, report: &mut Report<'_>) {
    let Some(applied) = &judged.secret.metadata.annotations.last_applied else { return };
    let Ok(applied) = serde_json::from_str::<Value>(applied) else { return };
    let holds = |field: &str| {
        let values = applied[field].as_object().into_iter().flat_map(|values| values.values());
        values.filter_map(Value::as_str).any(|value| !value.is_empty())
    };
    if holds("data") || holds("stringData") {
        let path = FieldPath::root().field("metadata").field("annotations").key(LAST_APPLIED);
        report.say(
            Level::Warn,
            Rule::LastApplied,
            About::Field("annotations", &path),
            judged.values,
            "hold a copy of what is in it, which `kubectl apply` keeps there",
            "apply with `--server-side`, and remove the annotation `kubectl.kubernetes.io/last-applied-configuration`",
        );
    }
}

/// A token that never ends. Its content comes from the controller, so it is asked about once.
fn service_account(judged: &Judged<'_>, report: &mut Report<'_>) {
    if judged.secret.metadata.annotations.service_account.as_ref().is_none_or(String::is_empty) {
        let path = FieldPath::root().field("metadata").field("annotations").key(SERVICE_ACCOUNT);
        report.say(
            Level::Deny,
            Rule::MissingKey,
            About::Field("annotation", &path),
            judged.values,
            "`kubernetes.io/service-account.name` is missing: the API server asks for it, to know whose it is",
            "add the annotation with the account's name, or use `kubectl create token`",
        );
        return;
    }
    let user = judged.request.attributes.user_info.as_ref().map(|user| user.username.as_str());
    if judged.request.operation == Operation::Create && !user.is_some_and(|user| TOKEN_MAKERS.contains(&user)) {
        report.say(
            Level::Warn,
            Rule::ServiceAccountToken,
            About::Field("type", &type_path()),
            judged.values,
            "asks for a service account's credential that never runs out",
            "use `kubectl create token`, or a projected volume with `serviceAccountToken`",
        );
    }
}

/// Whether it comes from the tool that Secrets have to come from. What Kubernetes makes itself needn't.
fn managed(judged: &Judged<'_>, report: &mut Report<'_>) {
    let Some(by) = &judged.settings.managed_by else { return };
    let kind = judged.secret.kind.as_str();
    let is_own = [SERVICE_ACCOUNT_TOKEN, BOOTSTRAP_TOKEN].contains(&kind);
    let is_foreign = !kind.is_empty() && kind != OPAQUE && !kind.starts_with("kubernetes.io/");
    let metadata = &judged.secret.metadata;
    let is_managed = by.labels.as_ref().is_some_and(|labels| labels.matches(&metadata.labels))
        || metadata.owner_references.iter().any(|owner| by.owners.contains(&owner.kind));
    if !is_own && !is_foreign && !is_managed && !judged.values.0.is_empty() {
        report.say(
            Level::Warn,
            Rule::Unmanaged,
            About::Field("maker", &types::metadata_path()),
            judged.values,
            "isn't a tool that the administrator has named: it was written by hand",
            "write what the tool makes Secrets from, such as an ExternalSecret or a SealedSecret",
        );
    }
}
