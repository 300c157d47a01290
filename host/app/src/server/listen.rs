//! A socket that lets in a bounded number of connections: accept, handshake,
//! hand over to [`connection`](super::connection).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::connection::{self, Bounds, Protocol};
use crate::certs::Certificates;
use crate::telemetry::{ConnectionResult, Metrics};

/// After an accept that failed, as it does when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A socket and who may come in.
#[derive(Clone)]
pub(super) struct Door {
    slots: Arc<Semaphore>,
    connections: u32,
    bounds: Bounds,
    transport: Transport,
}

/// What lies between TCP and HTTP.
#[derive(Clone)]
pub(super) enum Transport {
    /// Nothing.
    Plain,
    /// TLS with the certificate in use at that moment.
    Tls {
        /// Which.
        certificates: Arc<Certificates>,
        /// For a handshake.
        handshake_timeout: Duration,
        /// Where connections are counted.
        metrics: Arc<Metrics>,
    },
}

impl Door {
    pub(super) fn new(connections: usize, bounds: Bounds, transport: Transport) -> Door {
        let connections = u32::try_from(connections).unwrap_or(u32::MAX);
        Door { slots: Arc::new(Semaphore::new(connections as usize)), connections, bounds, transport }
    }

    /// Lets connections in until `closing` turns true.
    pub(super) async fn open(self, listener: TcpListener, router: Router, mut closing: watch::Receiver<bool>) {
        loop {
            let next = async {
                // A slot first: a connection that finds none waits in the kernel's queue.
                let slot = self.slots.clone().acquire_owned().await;
                (slot, listener.accept().await)
            };
            let (slot, accepted) = tokio::select! {
                next = next => next,
                _ = closing.wait_for(|closing| *closing) => return,
            };
            let Ok(slot) = slot else { return };
            match accepted {
                Ok((stream, _)) => {
                    let (door, router, closing) = (self.clone(), router.clone(), closing.clone());
                    tokio::spawn(async move {
                        door.serve(stream, router, closing).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Returns when no connection is left.
    pub(super) async fn empty(&self) {
        // Never closed, so there is nothing to do about an error.
        let _ = self.slots.acquire_many(self.connections).await;
    }

    async fn serve(&self, stream: TcpStream, router: Router, closing: watch::Receiver<bool>) {
        // An answer is one write; waiting for more would only delay it.
        let _ = stream.set_nodelay(true);
        match &self.transport {
            Transport::Plain => connection::drive(stream, Protocol::Http1, router, self.bounds, closing).await,
            Transport::Tls { certificates, handshake_timeout, metrics } => {
                let _open = metrics.connected();
                let peer = stream.peer_addr().map_or_else(|_| "unknown".to_owned(), |address| address.to_string());
                let Some(tls) = certificates.tls() else {
                    metrics.connection(ConnectionResult::HandshakeFailed);
                    return tracing::debug!(peer, "no certificate yet, so no TLS handshake");
                };
                let handshake = TlsAcceptor::from(tls).accept(stream);
                let handshake = timeout(*handshake_timeout, handshake).await;
                match handshake.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                    Ok(stream) => {
                        metrics.connection(ConnectionResult::Served);
                        let protocol = match stream.get_ref().1.alpn_protocol() {
                            Some(b"h2") => Protocol::Http2,
                            _ => Protocol::Http1,
                        };
                        connection::drive(stream, protocol, router, self.bounds, closing).await;
                    }
                    Err(error) => {
                        metrics.connection(ConnectionResult::HandshakeFailed);
                        tracing::debug!(peer, %error, "TLS handshake failed");
                    }
                }
            }
        }
    }
}
