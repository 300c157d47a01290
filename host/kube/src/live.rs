//! A cluster that is asked when a look-up needs it: what `check --context` sees.
//!
//! Reading only: discovery, GET of one object, LIST of a kind. A run asks many
//! policies about the same few kinds, so each answer is kept for the run, and a
//! list is one read of a kind in a namespace, selected from in memory: a run
//! sees the cluster at about one instant, and a thousand manifests don't cost
//! an API server a thousand lists.
//!
//! Invariant: absence is only said on an API server's 404 (or, of a list, its
//! whole answer); everything else that goes wrong is unknown, with the reason.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, FutureExt};
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiResource, Scope, pinned_kind};
use kube::{Client, Error};
use portcullis_core::cluster::{Answer, Budget, ClusterView, Listing, ObjectName, Query};
use portcullis_core::objects::{Objects, group};
use tokio::sync::OnceCell;

use crate::names::{is_namespace, refuse};
use crate::told;

/// Objects that one page of a list holds, as kubectl has it (`--chunk-size`).
const PAGE: u32 = 500;
/// Objects of one kind that are read at most; of more the rest is unknown.
const MAX_OBJECTS: usize = 50_000;
/// HTTP status of what isn't there.
const NOT_FOUND: u16 = 404;

/// A cluster behind an API server.
pub struct Live {
    client: Client,
    kinds: Kept<(String, String), Result<Option<Served>, String>>,
    objects: Kept<ObjectName, Answer>,
    lists: Kept<(String, String, Option<String>), Arc<Listed>>,
}

/// A kind that is served.
#[derive(Debug, Clone)]
struct Served {
    resource: ApiResource,
    namespaced: bool,
}

/// What a kind holds in a namespace.
struct Listed {
    objects: Objects,
    incomplete: Option<String>,
}

/// Answers that are asked for once a run, also by several at a time.
struct Kept<K, V>(Mutex<HashMap<K, Arc<OnceCell<V>>>>);

impl<K: Eq + Hash, V> Kept<K, V> {
    fn new() -> Self {
        Kept(Mutex::new(HashMap::new()))
    }

    fn cell(&self, key: K) -> Arc<OnceCell<V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone()
    }
}

impl Live {
    /// Asks this API server.
    #[must_use]
    pub fn new(client: Client) -> Live {
        Live { client, kinds: Kept::new(), objects: Kept::new(), lists: Kept::new() }
    }

    /// The kind as the API server serves it; None where it doesn't.
    async fn served(&self, api_version: &str, kind: &str) -> Result<Option<Served>, String> {
        let cell = self.kinds.cell((api_version.to_owned(), kind.to_owned()));
        cell.get_or_init(|| async {
            let version = api_version.rsplit_once('/').map_or(api_version, |(_, version)| version);
            let wanted = GroupVersionKind::gvk(group(api_version), version, kind);
            match pinned_kind(&self.client, &wanted).await {
                Ok((resource, capabilities)) => {
                    Ok(Some(Served { resource, namespaced: capabilities.scope == Scope::Namespaced }))
                }
                Err(Error::Discovery(_)) => Ok(None),
                Err(error) if is_not_found(&error) => Ok(None),
                Err(error) => Err(format!("the API server doesn't say whether it serves {kind}: {}", told(&error))),
            }
        })
        .await
        .clone()
    }

    fn api(&self, served: &Served, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace.filter(|_| served.namespaced) {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &served.resource),
            None => Api::all_with(self.client.clone(), &served.resource),
        }
    }

    async fn fetch(&self, name: &ObjectName) -> Answer {
        let served = match self.served(&name.api_version, &name.kind).await {
            Ok(Some(served)) => served,
            Ok(None) => return Answer::Absent,
            Err(reason) => return Answer::Unknown(reason),
        };
        match self.api(&served, name.namespace.as_deref()).get_opt(&name.name).await {
            Ok(Some(object)) => text(&object, &served).map_or_else(Answer::Unknown, |text| Answer::Found(text.into())),
            Ok(None) => Answer::Absent,
            Err(error) => Answer::Unknown(told(&error)),
        }
    }

    async fn listed(&self, query: &Query) -> Arc<Listed> {
        let key = (query.api_version.clone(), query.kind.clone(), query.namespace.clone());
        self.lists.cell(key).get_or_init(|| async { Arc::new(self.read_all(query).await) }).await.clone()
    }

    /// All objects of the query's kind in its namespace, page by page.
    async fn read_all(&self, query: &Query) -> Listed {
        let served = match self.served(&query.api_version, &query.kind).await {
            Ok(Some(served)) => served,
            Ok(None) => return Listed { objects: Objects::new([], true), incomplete: None },
            Err(reason) => return Listed { objects: Objects::new([], true), incomplete: Some(reason) },
        };
        let api = self.api(&served, query.namespace.as_deref());
        let (mut texts, mut incomplete) = (Vec::new(), None);
        let mut page = ListParams::default().limit(PAGE);
        loop {
            match api.list(&page).await {
                Ok(list) => {
                    for object in &list.items {
                        match text(object, &served) {
                            Ok(text) => texts.push(text),
                            Err(reason) => incomplete = Some(reason),
                        }
                    }
                    let next = list.metadata.continue_.filter(|token| !token.is_empty());
                    match next {
                        Some(_) if texts.len() >= MAX_OBJECTS => {
                            incomplete = Some(format!("there are more than {MAX_OBJECTS}"));
                            break;
                        }
                        Some(token) => page = page.continue_token(&token),
                        None => break,
                    }
                }
                Err(error) => {
                    incomplete = Some(told(&error));
                    break;
                }
            }
        }
        Listed { objects: Objects::new(texts, true), incomplete }
    }
}

impl ClusterView for Live {
    fn get<'a>(&'a self, name: &'a ObjectName, budget: &'a Budget) -> BoxFuture<'a, Answer> {
        async move {
            if let Some(answer) = refuse(name) {
                return answer;
            }
            let cell = self.objects.cell(name.clone());
            let answer = tokio::time::timeout_at(budget.deadline().into(), cell.get_or_init(|| self.fetch(name))).await;
            answer.cloned().unwrap_or_else(|_| Answer::Unknown(TOO_LATE.to_owned()))
        }
        .boxed()
    }

    fn list<'a>(&'a self, query: &'a Query, budget: &'a Budget) -> BoxFuture<'a, Listing> {
        async move {
            if !query.namespace.as_deref().is_none_or(is_namespace) {
                return Listing { items: Vec::new(), incomplete: None };
            }
            let Ok(listed) = tokio::time::timeout_at(budget.deadline().into(), self.listed(query)).await else {
                return Listing { items: Vec::new(), incomplete: Some(TOO_LATE.to_owned()) };
            };
            let mut listing = listed.objects.list(query, budget).await;
            listing.incomplete = listed.incomplete.clone().or(listing.incomplete);
            listing
        }
        .boxed()
    }
}

const TOO_LATE: &str = "the API server didn't answer in time";

/// The object as JSON; what an API server leaves out of a list's items is filled in.
fn text(object: &DynamicObject, served: &Served) -> Result<String, String> {
    let mut value = serde_json::to_value(object).map_err(|error| format!("an object can't be read: {error}"))?;
    if object.types.is_none() {
        value["apiVersion"] = served.resource.api_version.clone().into();
        value["kind"] = served.resource.kind.clone().into();
    }
    Ok(value.to_string())
}

fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == NOT_FOUND)
}
