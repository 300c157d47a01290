//! The cluster as it is before an object is created: all given objects but that
//! one, which the API server doesn't store until it has been admitted.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::{BoxFuture, FutureExt};
use portcullis_core::cluster::{Answer, ClusterView, Listing, ObjectName, Query};
use portcullis_core::objects::Objects;

/// Given objects, without one.
pub(super) struct Others {
    objects: Arc<Objects>,
    hidden: Option<Arc<str>>,
}

impl Others {
    pub(super) fn new(objects: Arc<Objects>, hidden: Option<Arc<str>>) -> Others {
        Others { objects, hidden }
    }

    fn is_hidden(&self, object: &str) -> bool {
        self.hidden.as_deref() == Some(object)
    }
}

impl ClusterView for Others {
    fn get<'a>(&'a self, name: &'a ObjectName, deadline: Instant) -> BoxFuture<'a, Answer> {
        let answer = self.objects.get(name, deadline);
        let without = |answer| match answer {
            Answer::Found(object) if self.is_hidden(&object) => Answer::Absent,
            answer => answer,
        };
        answer.map(without).boxed()
    }

    fn list<'a>(&'a self, query: &'a Query, deadline: Instant) -> BoxFuture<'a, Listing> {
        async move {
            let mut wider = query.clone();
            // One more, so that the hidden object takes no other's place.
            wider.limit = query.limit.saturating_add(1);
            let mut listing = self.objects.list(&wider, deadline).await;
            listing.items.retain(|object| !self.is_hidden(object));
            if listing.items.len() > query.limit {
                listing.items.truncate(query.limit);
                listing.incomplete.get_or_insert_with(|| format!("there are more than {}", query.limit));
            }
            listing
        }
        .boxed()
    }
}
