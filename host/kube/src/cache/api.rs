//! What the cache asks of an API server: is a kind served, its objects page by
//! page, what changes from there on, one object.
//!
//! Objects stay the text that the server sent: a custom resource may nest
//! deeper than serde_json's values can (some 9,990 levels), and one such object
//! of a tenant must not stop the watch of its kind.

use std::time::Duration;

use futures_util::stream::{Stream, StreamExt};
use kube::api::{DynamicObject, GetParams, ListParams, WatchEvent, WatchParams};
use kube::core::{GroupVersionKind, Request};
use kube::discovery::{ApiResource, Scope, pinned_kind, verbs};
use kube::{Client, Error, Resource};
use portcullis_core::objects::group;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::store::Named;

/// Objects that one page of a list holds at most, as client-go has it.
const PAGE: u32 = 500;
/// And at first, while nothing is known of their size.
const FIRST_PAGE: u32 = 100;
/// Bytes that a page is to have: 500 objects of the largest size would be 500 MB.
const PAGE_BYTES: usize = 8 << 20;
/// Time for one answer other than a watch: a page of 500 large objects takes a second or two.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for a watch to begin; the server sends the head of its answer at once.
const WATCH_BEGINS: Duration = Duration::from_secs(10);
/// How long one watch is asked for. A connection that died without a word (the
/// other one of two API servers behind a balancer) is noticed when it is over.
const WATCH_LASTS: Duration = Duration::from_secs(120);
/// What is waited for the server to end it.
const WATCH_MARGIN: Duration = Duration::from_secs(5);

/// HTTP statuses that mean something to a watch.
const FORBIDDEN: u16 = 403;
const NOT_FOUND: u16 = 404;
const GONE: u16 = 410;
const SERVER_ERROR: u16 = 500;

/// A kind that is served.
#[derive(Debug, Clone)]
pub(super) struct Served {
    resource: ApiResource,
    pub(super) namespaced: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// There is no such kind, or no such object.
    #[error("the API server knows no such thing")]
    NotFound,
    /// Who asks may not.
    #[error("{0}")]
    Forbidden(String),
    /// What changed since then is no longer known: all has to be read again.
    #[error("the API server no longer knows what changed since the last contact")]
    Expired,
    /// Anything else, which may pass.
    #[error("{0}")]
    Other(String),
}

/// One object of an answer.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) named: Named,
    pub(super) version: String,
}

/// What happened to the objects of a kind.
pub(super) enum Change {
    Put(Sent, Box<RawValue>),
    Gone(Sent),
    /// Nothing, up to this version.
    Nothing(String),
}

/// The head of an object, as far as the cache itself reads it.
#[derive(Deserialize)]
struct Head {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    resource_version: String,
}

/// A page of a list.
#[derive(Deserialize)]
struct Page<'a> {
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PageMetadata {
    resource_version: String,
    #[serde(rename = "continue")]
    next: String,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        match error {
            Error::Api(status) => match status.code {
                NOT_FOUND => Fault::NotFound,
                FORBIDDEN => Fault::Forbidden(status.message.clone()),
                GONE => Fault::Expired,
                code if status.message.is_empty() => Fault::Other(format!("the API server answered {code}")),
                _ => Fault::Other(status.message.clone()),
            },
            error => Fault::Other(innermost(&error)),
        }
    }
}

/// What the innermost of an error's causes says: `connection refused`, without
/// the layers around it.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error).to_string()
}

/// The kind as the API server serves it; None where it doesn't.
pub(super) async fn discover(client: &Client, api_version: &str, kind: &str) -> Result<Option<Served>, Fault> {
    let version = api_version.rsplit_once('/').map_or(api_version, |(_, version)| version);
    let wanted = GroupVersionKind::gvk(group(api_version), version, kind);
    let asked = tokio::time::timeout(ANSWER_TIMEOUT, pinned_kind(client, &wanted)).await.map_err(|_| late())?;
    match asked {
        Ok((_, capabilities)) if !capabilities.supports_operation(verbs::WATCH) => {
            Err(Fault::Other(format!("the API server offers no watch of {kind}")))
        }
        Ok((resource, capabilities)) => {
            Ok(Some(Served { resource, namespaced: capabilities.scope == Scope::Namespaced }))
        }
        Err(Error::Discovery(_)) => Ok(None),
        Err(error) => match Fault::from(error) {
            Fault::NotFound => Ok(None),
            fault => Err(fault),
        },
    }
}

impl Served {
    pub(super) fn plural(&self) -> &str {
        &self.resource.plural
    }

    fn request(&self, namespace: Option<&str>) -> Request {
        Request::new(DynamicObject::url_path(&self.resource, namespace.filter(|_| self.namespaced)))
    }

    /// All objects, shown one by one; gives the version of the list. A page is
    /// dropped before the next is asked for.
    pub(super) async fn read_all(
        &self,
        client: &Client,
        selector: Option<&str>,
        see: &mut (dyn FnMut(Sent, &str) + Send),
    ) -> Result<String, Fault> {
        let mut parameters = ListParams::default().limit(FIRST_PAGE);
        parameters.field_selector = selector.map(str::to_owned);
        loop {
            let request = self.request(None).list(&parameters).map_err(|error| Fault::Other(error.to_string()))?;
            let text = tokio::time::timeout(ANSWER_TIMEOUT, client.request_text(request)).await;
            let text = text.map_err(|_| late())??;
            let page: Page<'_> =
                serde_json::from_str(&text).map_err(|error| Fault::Other(format!("a list can't be read: {error}")))?;
            let items = page.items.unwrap_or_default();
            for item in &items {
                see(sent(item)?, item.get());
            }
            let fitting = PAGE_BYTES / (text.len() / items.len().max(1)).max(1);
            parameters.limit = Some(u32::try_from(fitting).map_or(PAGE, |fitting| fitting.clamp(1, PAGE)));
            if page.metadata.next.is_empty() {
                return Ok(page.metadata.resource_version);
            }
            parameters = parameters.continue_token(&page.metadata.next);
        }
    }

    /// What changes from this version on, until the server ends it.
    pub(super) async fn watch(
        &self,
        client: &Client,
        selector: Option<&str>,
        version: &str,
    ) -> Result<impl Stream<Item = Result<Change, Fault>> + Send + Unpin + use<>, Fault> {
        let parameters = WatchParams {
            field_selector: selector.map(str::to_owned),
            timeout: u32::try_from(WATCH_LASTS.as_secs()).ok(),
            bookmarks: true,
            ..WatchParams::default()
        };
        let request =
            self.request(None).watch(&parameters, version).map_err(|error| Fault::Other(error.to_string()))?;
        let events = tokio::time::timeout(WATCH_BEGINS, client.request_events::<Box<RawValue>>(request)).await;
        let events = events.map_err(|_| late())??;
        let ends = tokio::time::Instant::now() + WATCH_LASTS + WATCH_MARGIN;
        let changes = events.map(|event| event.map_err(broken_stream).and_then(change));
        Ok(Box::pin(changes.take_until(tokio::time::sleep_until(ends))))
    }

    /// One object as the server sends it; None where it isn't there.
    pub(super) async fn read(
        &self,
        client: &Client,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<String>, Fault> {
        let request = self
            .request(namespace)
            .get(name, &GetParams::default())
            .map_err(|error| Fault::Other(error.to_string()))?;
        match client.request_text(request).await.map_err(Fault::from) {
            Ok(text) => Ok(Some(text)),
            Err(Fault::NotFound) => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}

/// The API server's sign of life: its own health, with etcd's. A refusal is an
/// answer too; not every cluster lets everybody ask.
pub(super) async fn is_alive(client: &Client) -> bool {
    let Ok(request) = Request::new("").get("livez", &GetParams::default()) else { return false };
    match client.request_text(request).await {
        Ok(_) => true,
        Err(Error::Api(status)) => status.code < SERVER_ERROR,
        Err(_) => false,
    }
}

/// Whose object a text is.
pub(super) fn named(object: &str) -> Option<Named> {
    let Metadata { name, namespace, .. } = serde_json::from_str::<Head>(object).ok()?.metadata;
    Some(Named { namespace, name })
}

fn sent(object: &RawValue) -> Result<Sent, Fault> {
    let head: Head = serde_json::from_str(object.get())
        .map_err(|error| Fault::Other(format!("an object can't be read: {error}")))?;
    let Metadata { name, namespace, resource_version } = head.metadata;
    Ok(Sent { named: Named { namespace, name }, version: resource_version })
}

fn change(event: WatchEvent<Box<RawValue>>) -> Result<Change, Fault> {
    match event {
        WatchEvent::Added(object) | WatchEvent::Modified(object) => match sent(&object) {
            Ok(sent) => Ok(Change::Put(sent, object)),
            Err(_) => Err(Fault::Expired),
        },
        WatchEvent::Deleted(object) => sent(&object).map(Change::Gone).map_err(|_| Fault::Expired),
        WatchEvent::Bookmark(bookmark) => Ok(Change::Nothing(bookmark.metadata.resource_version)),
        WatchEvent::Error(status) => Err(broken_stream(Error::Api(status))),
    }
}

/// What an error inside a watch means. Where the connection broke it goes on
/// from the last version; anything else could come again from there.
fn broken_stream(error: Error) -> Fault {
    match error {
        Error::ReadEvents(error) => Fault::Other(format!("the connection broke: {}", innermost(&error))),
        error => match Fault::from(error) {
            Fault::Other(_) => Fault::Expired,
            fault => fault,
        },
    }
}

fn late() -> Fault {
    Fault::Other("the API server didn't answer in time".to_owned())
}
