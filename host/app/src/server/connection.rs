//! One connection: HTTP/1.1 or HTTP/2, until it is idle for too long, sends a
//! request's head too slowly, or the server drains.
//!
//! hyper's own header timeout also runs while a kept-alive connection waits for
//! its next request (hyper 1.12 `proto/h1/conn.rs`, `poll_read_head`): with a
//! usual value it would close connections that the API server means to use
//! again, and lose calls. So the time of a head is counted here, from its first
//! byte; hyper's is only the backstop.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Calls on one HTTP/2 connection; the API server uses one for all.
const STREAMS: u32 = 250;
/// A large review (measured: 28 MB) shouldn't wait for the window every 64 KB.
const STREAM_WINDOW: u32 = 1 << 20;
/// For several of them.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// The API server's headers have a few hundred bytes.
const HEADERS: u32 = 64 << 10;
/// A peer that vanished is noticed after this and [`PING_TIMEOUT`].
const PING: Duration = Duration::from_secs(30);
/// For the answer to a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection that was told to end gets this long to say so.
const GOODBYE: Duration = Duration::from_secs(5);

/// Times of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// From the first byte of a request's head to its last (HTTP/1).
    pub(super) header_timeout: Duration,
    /// Without a request.
    pub(super) idle_timeout: Duration,
}

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// What happens on a connection, as its watchdog sees it.
struct Activity {
    protocol: Protocol,
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
struct State {
    in_flight: usize,
    /// When the last request ended, or the connection began.
    idle_since: Instant,
    /// When the first byte after that came.
    head_since: Option<Instant>,
}

/// What the watchdog does next.
#[derive(Debug, PartialEq, Eq)]
enum Watch {
    /// Look again then.
    Until(Instant),
    /// Nothing happens here any more.
    Idle,
    /// A head that doesn't end.
    SlowHead,
}

/// A stream that notes when bytes arrive.
struct Watched<T> {
    inner: T,
    activity: Arc<Activity>,
}

/// A request that is being answered.
struct InFlight<'a>(&'a Activity);

/// Serves one connection to its end.
pub(super) async fn drive<T>(
    stream: T,
    protocol: Protocol,
    router: Router,
    bounds: Bounds,
    mut closing: watch::Receiver<bool>,
) where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::new(protocol));
    let io = TokioIo::new(Watched { inner: stream, activity: activity.clone() });
    let service = {
        let (activity, routes) = (activity.clone(), TowerToHyperService::new(router));
        service_fn(move |request: Request<Incoming>| {
            let (activity, answer) = (activity.clone(), routes.call(request));
            async move {
                let _in_flight = activity.begin();
                answer.await
            }
        })
    };
    let builder = builder(bounds);
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut ending = false;
    let mut wake = Instant::now() + bounds.header_timeout;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            _ = closing.wait_for(|closing| *closing), if !ending => {
                ending = true;
                connection.as_mut().graceful_shutdown();
            }
            () = sleep_until(wake) => match activity.watch(bounds, Instant::now()) {
                Watch::Until(next) => wake = next,
                Watch::SlowHead => {
                    tracing::debug!("connection closed: a request's head took too long");
                    return;
                }
                // A graceful end takes a moment; one that doesn't come is cut.
                Watch::Idle if ending => return,
                Watch::Idle => {
                    ending = true;
                    connection.as_mut().graceful_shutdown();
                    wake = Instant::now() + GOODBYE;
                }
            },
        }
    }
}

fn builder(bounds: Bounds) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(bounds.idle_timeout + bounds.header_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADERS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

impl Activity {
    fn new(protocol: Protocol) -> Activity {
        let state = State { in_flight: 0, idle_since: Instant::now(), head_since: None };
        Activity { protocol, state: Mutex::new(state) }
    }

    fn begin(&self) -> InFlight<'_> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.in_flight += 1;
        state.head_since = None;
        InFlight(self)
    }

    /// Bytes came in. On HTTP/2 they may be settings and pings, which end nothing.
    fn read(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.protocol == Protocol::Http1 && state.in_flight == 0 {
            state.head_since.get_or_insert_with(Instant::now);
        }
    }

    fn watch(&self, bounds: Bounds, now: Instant) -> Watch {
        let state = *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.in_flight > 0 {
            return Watch::Until(now + bounds.header_timeout);
        }
        let idle_until = state.idle_since + bounds.idle_timeout;
        match state.head_since.map(|since| since + bounds.header_timeout) {
            Some(head_until) if head_until <= now => Watch::SlowHead,
            Some(head_until) => Watch::Until(head_until),
            None if idle_until <= now => Watch::Idle,
            // A head that begins right now is looked at in time.
            None => Watch::Until(idle_until.min(now + bounds.header_timeout)),
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.in_flight -= 1;
        state.idle_since = Instant::now();
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.read();
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { header_timeout: Duration::from_secs(10), idle_timeout: Duration::from_secs(120) };

    #[tokio::test]
    async fn a_connection_may_idle_for_long_but_not_send_a_head_for_long() {
        let activity = Activity::new(Protocol::Http1);
        let begin = Instant::now();
        let after = |seconds| begin + Duration::from_secs(seconds);
        assert!(
            matches!(activity.watch(BOUNDS, after(100)), Watch::Until(_)),
            "idle for less than the API server's 90 s and more"
        );
        assert_eq!(activity.watch(BOUNDS, after(125)), Watch::Idle);
        activity.read();
        assert!(matches!(activity.watch(BOUNDS, after(5)), Watch::Until(_)));
        assert_eq!(activity.watch(BOUNDS, after(15)), Watch::SlowHead);
        let in_flight = activity.begin();
        assert!(matches!(activity.watch(BOUNDS, after(500)), Watch::Until(_)), "a request takes what it takes");
        drop(in_flight);
        assert!(matches!(activity.watch(BOUNDS, after(15)), Watch::Until(_)));
    }

    #[tokio::test]
    async fn pings_are_no_slow_head() {
        let activity = Activity::new(Protocol::Http2);
        activity.read();
        assert!(matches!(activity.watch(BOUNDS, Instant::now() + Duration::from_secs(60)), Watch::Until(_)));
    }
}
