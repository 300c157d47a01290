//! One policy's answer to one request: asked, checked against the contract and
//! its reach, then softened as the object's life wants it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cluster::{Budget, ClusterView, Need, Scoped};
use crate::confined::Confined;
use crate::contract::{Level, Operation, RawReview, Read};
use crate::edit::{Edit, apply_document, diff_documents};
use crate::evaluate::{Call, Evaluate, Failure};
use crate::json::{Document, Value};
use crate::life::{JudgedAt, judged_at, put_back, ratchet};
use crate::report::{PolicyReport, Verdict};
use crate::review::GroupVersionKind;
use crate::secret::SecretValues;
use crate::verdict::{Said, finding_report, within_reach};
use crate::view::{Tree, project};

use super::context::{Context, empty_report};
use super::{Described, Policy};

/// One policy's checked answer, before the object's life softens it.
pub(super) struct Evaluated<'c, 'a> {
    context: &'c Context<'a>,
    policy: &'c Policy,
    description: &'c Described,
    said: Said,
    edited: Option<String>,
    patch: Vec<Edit>,
    needs: Vec<Need>,
    ran: Duration,
    ratcheted: Vec<usize>,
}

impl<'c, 'a> Evaluated<'c, 'a> {
    /// Asks the policy.
    pub(super) async fn run(
        context: &'c Context<'a>,
        policy: &'c Policy,
        object: Option<Value<'_>>,
    ) -> Result<Evaluated<'c, 'a>, (Failure, Duration)> {
        let asked = Asked::of(context, policy).map_err(|failure| (failure, Duration::ZERO))?;
        let Asked { description, read, .. } = asked;
        let review = context.review;
        let projected = view(read.and_then(|read| read.object.as_ref()), object);
        let old = view(read.and_then(|read| read.old_object.as_ref()), review.old_object);
        let answer = asked.ask(review.operation, projected.as_deref(), old.as_deref()).await?;
        let with_time = |failure| (failure, answer.ran);
        let mut said = Said::read(answer.raw, description).map_err(with_time)?;
        let mut secrets = SecretValues::default();
        if description.reads_secret_values {
            secrets.collect([projected.as_deref(), old.as_deref()].into_iter().flatten());
            secrets.collect(answer.cluster.secrets().iter().map(AsRef::as_ref));
            said.redact(&secrets, description).map_err(with_time)?;
        }
        Self::of(&asked, said, &answer.cluster, answer.ran, object, &secrets).await.map_err(with_time)
    }

    /// What the policy answered beside others of its module. An answer that the
    /// contract doesn't allow may be a neighbour's doing: it is asked alone.
    pub(super) async fn of_shared(
        context: &'c Context<'a>,
        policy: &'c Policy,
        object: Option<Value<'_>>,
        answer: Answer,
    ) -> Result<Evaluated<'c, 'a>, (Failure, Duration)> {
        let asked = Asked::of(context, policy).map_err(|failure| (failure, Duration::ZERO))?;
        let Ok(said) = Said::read(answer.raw, asked.description) else {
            return Self::run(context, policy, object).await;
        };
        let no_secrets = SecretValues::default();
        let evaluated = Self::of(&asked, said, &answer.cluster, answer.ran, object, &no_secrets).await;
        evaluated.map_err(|failure| (failure, answer.ran))
    }

    async fn of(
        asked: &Asked<'c, 'a>,
        said: Said,
        cluster: &Scoped,
        ran: Duration,
        object: Option<Value<'_>>,
        secrets: &SecretValues,
    ) -> Result<Evaluated<'c, 'a>, Failure> {
        let Asked { context, policy, description, read, .. } = *asked;
        let review = context.review;
        let mut evaluated = Evaluated {
            context,
            policy,
            description,
            said,
            edited: None,
            patch: Vec::new(),
            needs: cluster.needs(),
            ran,
            ratcheted: Vec::new(),
        };
        evaluated.edit(read, object)?;
        let denies = evaluated.said.findings.iter().any(|finding| finding.level == Level::Deny);
        if let (true, Operation::Update, Some(old)) = (denies, review.operation, review.old_object) {
            let before = view(read.and_then(|read| read.object.as_ref()), Some(old));
            evaluated.ratchet(asked, before.as_deref(), secrets).await;
        }
        Ok(evaluated)
    }

    fn edit(&mut self, read: Option<&Read>, object: Option<Value<'_>>) -> Result<(), Failure> {
        if self.said.edits.is_empty() {
            return Ok(());
        }
        let Some(object) = object else {
            return Err(Failure::Edit { reason: "there is no object to edit in this request".to_owned() });
        };
        let review = self.context.review;
        let nothing;
        let read = match read {
            Some(read) => read,
            None => {
                let (api_version, kind) = (review.kind_api_version(), review.kind.kind.clone());
                nothing = Read { api_version, kind, object: None, old_object: None };
                &nothing
            }
        };
        within_reach(&self.said.edits, self.description, read, object)?;
        let mut edits = std::mem::take(&mut self.said.edits);
        if let (Operation::Update, Some(old)) = (review.operation, review.old_object) {
            edits = put_back(edits, &review.kind.group, &review.kind.kind, object, old);
        }
        let edited = apply_document(object, &edits).map_err(|error| Failure::Edit { reason: error.to_string() })?;
        self.patch = match Document::parse(edited.as_bytes()) {
            Ok(after) => diff_documents(object, after.root()),
            Err(error) => return Err(Failure::Edit { reason: format!("the edited object is not JSON: {error}") }),
        };
        self.edited = (!self.patch.is_empty()).then_some(edited);
        Ok(())
    }

    /// Judges the old object as a new one; what it deserved then is a warning now.
    async fn ratchet(&mut self, asked: &Asked<'_, '_>, old: Option<&str>, secrets: &SecretValues) {
        let Ok(answer) = asked.ask(Operation::Create, old, None).await else { return };
        self.ran += answer.ran;
        let Ok(mut before) = Said::read(answer.raw, self.description) else { return };
        if before.redact(secrets, self.description).is_ok() {
            self.ratcheted = ratchet(&mut self.said.findings, &before.findings);
        }
    }

    pub(super) async fn report(mut self, unsure: Option<String>) -> (PolicyReport, Option<String>) {
        let mut softened: Vec<(usize, &str)> = self.ratcheted.iter().map(|index| (*index, "ratcheted")).collect();
        if self.denies() {
            softened.extend(self.soften_at_owner().await);
        }
        if let (Some(reason), true) = (unsure, self.denies()) {
            self.lower(Level::Undecided);
            self.needs.push(Need { what: "whether the policy matches".to_owned(), reason, optional: false });
        }
        let verdict = self.verdict();
        let counted = |need: &&Need| !need.optional || verdict == Verdict::Undecided;
        let needs = self.needs.iter().filter(counted).map(|need| format!("{} ({})", need.what, need.reason)).collect();
        let findings = self.said.findings.drain(..).enumerate().map(|(index, finding)| {
            let why = softened.iter().find(|(softened, _)| *softened == index).map(|(_, why)| *why);
            finding_report(finding, why, self.description)
        });
        let report = PolicyReport {
            findings: findings.collect(),
            needs,
            patch: self.patch,
            audit_annotations: self.said.annotations,
            ..empty_report(self.policy, verdict, self.ran)
        };
        (report, self.edited)
    }

    async fn soften_at_owner(&mut self) -> Vec<(usize, &'static str)> {
        let context = self.context;
        let place = judged_at(
            context.review,
            &self.policy.matcher,
            &context.namespace,
            context.snapshot.cluster.as_ref(),
            &context.budget,
        )
        .await;
        match place {
            JudgedAt::Itself => Vec::new(),
            JudgedAt::Owner(_) => self.lower(Level::Warn).into_iter().map(|index| (index, "judged at owner")).collect(),
            JudgedAt::BeforeBinding => {
                self.lower(Level::Warn).into_iter().map(|index| (index, "judged before it was bound")).collect()
            }
            JudgedAt::Unknown { what, reason } => {
                self.needs.push(Need { what, reason, optional: false });
                self.lower(Level::Undecided);
                Vec::new()
            }
        }
    }

    fn denies(&self) -> bool {
        self.said.findings.iter().any(|finding| finding.level == Level::Deny)
    }

    fn lower(&mut self, level: Level) -> Vec<usize> {
        let mut lowered = Vec::new();
        for (index, finding) in self.said.findings.iter_mut().enumerate() {
            if finding.level == Level::Deny {
                finding.level = level;
                lowered.push(index);
            }
        }
        lowered
    }

    fn verdict(&self) -> Verdict {
        let gravest = self.said.findings.iter().map(|finding| finding.level).max();
        let unanswered = self.needs.iter().any(|need| !need.optional);
        match (gravest, unanswered) {
            (Some(Level::Deny), _) => Verdict::Deny,
            (Some(Level::Undecided), _) | (_, true) => Verdict::Undecided,
            (Some(Level::Warn), false) => Verdict::Warn,
            (None, false) => Verdict::Allow,
        }
    }
}

/// What one policy is asked with.
#[derive(Clone, Copy)]
pub(super) struct Asked<'c, 'a> {
    context: &'c Context<'a>,
    policy: &'c Policy,
    pub(super) evaluator: &'c dyn Evaluate,
    pub(super) description: &'c Described,
    /// What it reads of the request's kind.
    pub(super) read: Option<&'c Read>,
}

/// What a policy said, and what it asked of the cluster meanwhile.
pub(super) struct Answer {
    pub(super) raw: RawReview,
    pub(super) cluster: Arc<Scoped>,
    pub(super) ran: Duration,
}

impl<'c, 'a> Asked<'c, 'a> {
    pub(super) fn of(context: &'c Context<'a>, policy: &'c Policy) -> Result<Asked<'c, 'a>, Failure> {
        let broken = |reason: &str| Failure::Broken { reason: reason.to_owned() };
        let evaluator = policy.evaluator.as_deref().map_err(|reason| broken(reason))?;
        let description = policy.description.as_ref().ok_or_else(|| broken("its module doesn't describe it"))?;
        let kind = &context.review.kind;
        let mut reads = description.reach.reads.iter();
        let read = reads.find(|read| read.kind == kind.kind && is_api_version(&read.api_version, kind));
        Ok(Asked { context, policy, evaluator, description, read })
    }

    /// The cluster as far as the policy may see it.
    pub(super) fn cluster(&self, budget: Arc<Budget>) -> Arc<Scoped> {
        let snapshot = self.context.snapshot;
        let view: Arc<dyn ClusterView> = match &self.policy.document.id.namespace {
            Some(own) => Arc::new(Confined::new(snapshot.cluster.clone(), own, snapshot.tenants.clone())),
            None => snapshot.cluster.clone(),
        };
        Arc::new(Scoped::new(view, self.description.lookups.clone(), budget))
    }

    async fn ask(
        &self,
        operation: Operation,
        object: Option<&str>,
        old_object: Option<&str>,
    ) -> Result<Answer, (Failure, Duration)> {
        let context = self.context;
        if Instant::now() >= context.budget.deadline() {
            return Err((Failure::Deadline, Duration::ZERO));
        }
        let cluster = self.cluster(context.budget.clone());
        let call = Call {
            operation,
            object,
            old_object,
            attributes: &context.attributes,
            now: context.now,
            deadline: context.budget.deadline(),
            cluster: cluster.clone(),
            may_log: !self.description.reads_secret_values,
        };
        let evaluation = self.evaluator.evaluate(call).await;
        match evaluation.outcome {
            Ok(raw) => Ok(Answer { raw, cluster, ran: evaluation.ran }),
            Err(failure) => Err((failure, evaluation.ran)),
        }
    }
}

/// The part of an object that a policy sees; nothing of it is still an object.
fn view(tree: Option<&Tree>, value: Option<Value<'_>>) -> Option<String> {
    value.map(|value| tree.map_or_else(|| "{}".to_owned(), |tree| project(value, tree)))
}

/// Whether `api_version` is the group and version of `kind`.
fn is_api_version(api_version: &str, kind: &GroupVersionKind) -> bool {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    group == kind.group && version == kind.version
}
