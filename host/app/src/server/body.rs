//! Reads a body within bounds: bytes, time, and the memory of all bodies
//! together. What was read before a bound was hit is kept, because a uid in it
//! decides whether the failure can be answered in-band.

use std::time::Instant;

use axum::body::Body;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use std::sync::Arc;

/// One permit of the memory of all bodies.
const UNIT: usize = 1 << 10;
/// Read past the limit and thrown away, so that a client that only listens once
/// it has sent all gets its answer.
const DISCARDED: usize = 64 << 20;
/// Kept past the limit, because the uid of a review may come last: some clients
/// write keys in order.
const KEPT: usize = 1 << 20;
/// A body that declares at most this much gets its memory in one piece.
const EAGER: usize = 1 << 20;

/// The memory of all bodies together.
#[derive(Clone)]
pub(super) struct Memory(Arc<Semaphore>);

/// A body, or its beginning.
pub(super) struct Collected {
    /// What was read.
    pub(super) bytes: Vec<u8>,
    /// Why that is not all.
    pub(super) failure: Option<BodyFailure>,
    /// Held as long as the bytes are.
    _permits: Option<OwnedSemaphorePermit>,
}

/// Why a body was not read to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyFailure {
    /// More bytes than allowed.
    #[error("the body is larger than {} MiB, the most that is read", .limit >> 20)]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// The deadline came first.
    #[error("the body had not arrived when the time for the answer was over")]
    Late,
    /// The bodies of other requests take all memory.
    #[error("too many large bodies at a time; no memory was free within the deadline")]
    NoMemory,
    /// The client broke off.
    #[error("the body broke off: {0}")]
    Broken(String),
}

impl Memory {
    /// For bodies of `bytes` altogether.
    pub(super) fn of(bytes: usize) -> Memory {
        Memory(Arc::new(Semaphore::new((bytes / UNIT).min(Semaphore::MAX_PERMITS))))
    }

    async fn take(&self, bytes: usize, deadline: Instant) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        match self.0.clone().try_acquire_many_owned(units) {
            Ok(permit) => Some(permit),
            Err(_) => timeout_at(deadline.into(), self.0.clone().acquire_many_owned(units)).await.ok()?.ok(),
        }
    }
}

/// Reads a body of at most `limit` bytes until `deadline`.
pub(super) async fn collect(
    mut body: Body,
    declared: Option<u64>,
    limit: usize,
    memory: &Memory,
    deadline: Instant,
) -> Collected {
    let declared = declared.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    let first = declared.unwrap_or(EAGER).min(EAGER).min(limit);
    let mut collected = Collected { bytes: Vec::with_capacity(first), failure: None, _permits: None };
    let mut granted = first;
    collected._permits = memory.take(first, deadline).await;
    if collected._permits.is_none() {
        collected.failure = Some(BodyFailure::NoMemory);
        return collected;
    }
    let (mut discarded, most) = (0, limit + KEPT);
    loop {
        let frame = match timeout_at(deadline.into(), body.frame()).await {
            Err(_) => return collected.failed(BodyFailure::Late),
            Ok(None) => return collected,
            Ok(Some(Err(error))) => return collected.failed(BodyFailure::Broken(error.to_string())),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        let arrived = collected.bytes.len() + data.len();
        if arrived > limit {
            collected.failure = Some(BodyFailure::TooLarge { limit });
        }
        discarded += arrived.saturating_sub(most);
        let data = &data[..data.len().min(most - collected.bytes.len())];
        let needed = collected.bytes.len() + data.len();
        if needed > granted {
            let more = granted.max(needed - granted).min(most - granted);
            match memory.take(more, deadline).await {
                Some(permit) => collected.merge(permit),
                None => return collected.failed(BodyFailure::NoMemory),
            }
            granted += more;
        }
        collected.bytes.extend_from_slice(data);
        if discarded > DISCARDED {
            return collected;
        }
    }
}

impl Collected {
    fn failed(mut self, failure: BodyFailure) -> Collected {
        self.failure.get_or_insert(failure);
        self
    }

    fn merge(&mut self, permit: OwnedSemaphorePermit) {
        match &mut self._permits {
            Some(permits) => permits.merge(permit),
            None => self._permits = Some(permit),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(50)
    }

    #[tokio::test]
    async fn a_body_is_read_to_its_limit_and_no_further() {
        let (memory, too_large) = (Memory::of(8 << 20), || Some(BodyFailure::TooLarge { limit: 4096 }));
        for (size, failure) in [(0, None), (10, None), (4096, None), (4097, too_large()), (2 << 20, too_large())] {
            for declared in [Some(size as u64), None] {
                let read = collect(Body::from(vec![b'x'; size]), declared, 4096, &memory, soon()).await;
                assert_eq!((read.bytes.len(), &read.failure), (size.min(4096 + KEPT), &failure));
            }
        }
        assert_eq!(memory.0.available_permits(), (8 << 20) / UNIT, "all memory is given back");
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up_at_the_deadline() {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Result<axum::body::Bytes, std::io::Error>>(1);
        sender.send(Ok("{\"request\"".into())).await.unwrap();
        let stream = futures_util::stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|item| (item, receiver))
        });
        let read = collect(Body::from_stream(stream), None, 4096, &Memory::of(1 << 20), soon()).await;
        assert_eq!((read.bytes.as_slice(), read.failure), (&b"{\"request\""[..], Some(BodyFailure::Late)));
        drop(sender);
    }

    #[tokio::test]
    async fn bodies_that_find_no_memory_are_given_up_at_the_deadline() {
        let memory = Memory::of(UNIT);
        let _held = memory.take(UNIT, soon()).await.unwrap();
        let read = collect(Body::from("{}"), Some(2), 4096, &memory, soon()).await;
        assert_eq!(read.failure, Some(BodyFailure::NoMemory));
    }
}
