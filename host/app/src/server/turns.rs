//! Whose turn it is: reviews at a time, all together and of one namespace's
//! policies, so that a tenant whose policies are slow waits for itself only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use portcullis_core::admit::Owner;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::timeout_at;

/// The part of all turns that one namespace's policies may have.
const TENANT_SHARE: usize = 8;

/// Turns to be had.
pub(super) struct Turns {
    all: Semaphore,
    of_tenant: usize,
    /// Only of those that have a review under way.
    tenants: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// A turn, until it is dropped.
pub(super) struct Turn<'a> {
    _of_all: SemaphorePermit<'a>,
    _of_tenant: Option<TenantTurn<'a>>,
}

struct TenantTurn<'a> {
    turns: &'a Turns,
    namespace: String,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for TenantTurn<'_> {
    fn drop(&mut self) {
        self.permit = None;
        let mut tenants = self.turns.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody else has it, and nobody else can get it meanwhile.
        if tenants.get(&self.namespace).is_some_and(|turns| Arc::strong_count(turns) == 1) {
            tenants.remove(&self.namespace);
        }
    }
}

impl Turns {
    /// So many at a time.
    pub(super) fn new(all: usize) -> Turns {
        Turns { all: Semaphore::new(all), of_tenant: (all / TENANT_SHARE).max(1), tenants: Mutex::default() }
    }

    /// A turn for these policies; None where there was none before the deadline.
    pub(super) async fn take(&self, owner: &Owner, deadline: Instant) -> Option<Turn<'_>> {
        let namespace = match owner {
            Owner::Cluster => None,
            Owner::Namespace(namespace) => Some(namespace),
            Owner::One(id) => id.namespace.as_ref(),
        };
        // Of the tenant first: one that waits for itself holds no turn of all.
        let of_tenant = match namespace {
            Some(namespace) => Some(self.of_tenant(namespace, deadline).await?),
            None => None,
        };
        let of_all = match self.all.try_acquire() {
            Ok(turn) => turn,
            Err(_) => timeout_at(deadline.into(), self.all.acquire()).await.ok()?.ok()?,
        };
        Some(Turn { _of_all: of_all, _of_tenant: of_tenant })
    }

    async fn of_tenant(&self, namespace: &str, deadline: Instant) -> Option<TenantTurn<'_>> {
        let turns = {
            let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            let own = || Arc::new(Semaphore::new(self.of_tenant));
            tenants.entry(namespace.to_owned()).or_insert_with(own).clone()
        };
        // Made before the wait, so that a wait that is given up is cleaned up too.
        let mut turn = TenantTurn { turns: self, namespace: namespace.to_owned(), permit: None };
        turn.permit = Some(timeout_at(deadline.into(), turns.acquire_owned()).await.ok()?.ok()?);
        Some(turn)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may end in a panic")]

    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_tenant_that_has_all_its_turns_waits_alone() {
        let turns = Turns::new(16);
        let (shop, web) = (Owner::Namespace("shop".to_owned()), Owner::Namespace("web".to_owned()));
        let soon = || Instant::now() + Duration::from_millis(20);
        let first = turns.take(&shop, soon()).await.unwrap();
        let _second = turns.take(&shop, soon()).await.unwrap();
        assert!(turns.take(&shop, soon()).await.is_none(), "2 of 16 are a tenant's");
        assert!(turns.take(&web, soon()).await.is_some());
        assert!(turns.take(&Owner::Cluster, soon()).await.is_some());
        drop(first);
        assert!(turns.take(&shop, soon()).await.is_some());
    }

    #[tokio::test]
    async fn nothing_is_kept_of_a_tenant_that_is_done() {
        let turns = Turns::new(8);
        let shop = Owner::Namespace("shop".to_owned());
        let deadline = Instant::now() + Duration::from_millis(20);
        let turn = turns.take(&shop, deadline).await;
        assert!(turns.take(&shop, deadline).await.is_none());
        drop(turn);
        assert!(turns.tenants.lock().unwrap().is_empty());
    }
}
