//! Policies of one module asked in one call: one instance, one text of the
//! object, an answer each.
//!
//! ```text
//! matched ─ by company ─ by view ─> Call ─ one evaluation ─> an answer each
//!                                     └ anything out of the ordinary ─> each alone
//! ```
//! Only policies that offer it ([`Company`]) are asked so, which their loader
//! decides: a module that is part of the host is trusted with that, an author's
//! never is. One that is given values from Secrets is always asked alone, so
//! that what may be kept of a call is never a neighbour's question.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;

use crate::evaluate::{Answered, Company, SharedCall};
use crate::report::PolicyReport;
use crate::view::{Party, project};

use super::Policy;
use super::context::Context;
use super::evaluated::{Answer, Asked, Evaluated};

/// A policy that is to judge a request.
pub(super) struct Matched<'a> {
    /// Its place among the policies of the phase.
    pub(super) place: usize,
    pub(super) policy: &'a Arc<Policy>,
    /// What is unknown about its match.
    pub(super) unsure: Option<String>,
}

/// One or several policies that are asked in one call.
pub(super) struct Call<'a> {
    members: Vec<Matched<'a>>,
    /// How they share the object: which of these parties they are; None where
    /// one is alone.
    party: Option<(Arc<[Party]>, usize)>,
}

/// A policy's place, itself, and what it said.
type Judged<'a> = (usize, &'a Arc<Policy>, PolicyReport);

/// The calls that are to be made.
pub(super) fn calls<'a>(context: &Context<'a>, matched: Vec<Matched<'a>>) -> Vec<Call<'a>> {
    let (mut companies, mut calls): (Vec<Vec<Matched<'a>>>, Vec<Call<'a>>) = Default::default();
    for one in matched {
        match company(one.policy) {
            None => calls.push(Call { members: vec![one], party: None }),
            Some(own) => {
                let same = |others: &&mut Vec<Matched<'a>>| {
                    let other = others.first().and_then(|other| company(other.policy));
                    other.is_some_and(|other| Arc::ptr_eq(&other.module, &own.module))
                };
                match companies.iter_mut().find(same) {
                    Some(others) => others.push(one),
                    None => companies.push(vec![one]),
                }
            }
        }
    }
    calls.extend(companies.into_iter().flat_map(|members| by_view(context, members)));
    calls
}

/// With whom a policy may be asked.
fn company(policy: &Policy) -> Option<&Company> {
    let description = policy.description.as_ref()?;
    (!description.reads_secret_values).then(|| policy.evaluator.as_deref().ok()?.company())?
}

/// Those of one company, split where their views can't be one.
fn by_view<'a>(context: &Context<'a>, members: Vec<Matched<'a>>) -> Vec<Call<'a>> {
    let asked: Option<Vec<_>> =
        members.iter().map(|one| Some((company(one.policy)?, Asked::of(context, one.policy).ok()?.read))).collect();
    let (Some(asked), true) = (asked.as_deref(), members.len() > 1) else {
        return members.into_iter().map(|one| Call { members: vec![one], party: None }).collect();
    };
    let kind = &context.review.kind;
    let reads: Vec<_> = asked.iter().map(|(company, read)| (company.member, *read)).collect();
    let parties = asked[0].0.views.parties(&context.review.kind_api_version(), &kind.kind, &reads);
    let mut members: Vec<_> = members.into_iter().map(Some).collect();
    let call = |(index, party): (usize, &Party)| Call {
        members: party.places.iter().filter_map(|place| members.get_mut(*place)?.take()).collect(),
        party: (party.places.len() > 1).then(|| (parties.clone(), index)),
    };
    parties.iter().enumerate().map(call).collect()
}

impl<'a> Call<'a> {
    pub(super) async fn judge(self, context: &Context<'a>) -> Vec<Judged<'a>> {
        let object = context.review.object;
        let answers = match &self.party {
            Some((parties, index)) => self.ask(context, &parties[*index]).await,
            None => None,
        };
        let mut answers = answers.into_iter().flatten();
        let reports = self.members.into_iter().map(|Matched { place, policy, unsure }| {
            let answer = answers.next();
            async move {
                let evaluated = match answer {
                    Some(answer) => Evaluated::of_shared(context, policy, object, answer).await,
                    None => Evaluated::run(context, policy, object).await,
                };
                (place, policy, context.report(policy, unsure, evaluated).await.0)
            }
        });
        join_all(reports).await
    }

    /// An answer a member; None where they have to be asked alone.
    async fn ask(&self, context: &Context<'a>, party: &Party) -> Option<Vec<Answer>> {
        let now = Instant::now();
        // Half of the time is left for asking each alone.
        let deadline = now + context.budget.deadline().saturating_duration_since(now) / 2;
        let budget = Arc::new(context.budget.ending(deadline));
        let asked: Vec<Asked<'_, '_>> =
            self.members.iter().map(|one| Asked::of(context, one.policy).ok()).collect::<Option<_>>()?;
        let company = asked.first()?.evaluator.company()?;
        let members: Vec<_> = asked
            .iter()
            .map(|asked| Some((asked.evaluator.company()?.member, asked.cluster(budget.clone()))))
            .collect::<Option<_>>()?;
        let review = context.review;
        let object = review.object.map(|object| project(object, &party.object));
        let old_object = review.old_object.map(|object| project(object, &party.old_object));
        let call = SharedCall {
            members: &members,
            operation: review.operation,
            object: object.as_deref(),
            old_object: old_object.as_deref(),
            attributes: &context.attributes,
            now: context.now,
            deadline,
        };
        match company.module.evaluate_together(call).await {
            // A look-up that had to give up at the half has still time alone.
            Ok(answers) if answers.len() == members.len() && Instant::now() < deadline => {
                let answer = |(answered, (_, cluster)): (Answered, _)| Answer {
                    raw: answered.review,
                    cluster,
                    ran: answered.ran,
                };
                Some(answers.into_iter().zip(members).map(answer).collect())
            }
            Ok(_) | Err(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
