//! The API server as a program asks it: JSON over kept-alive connections, without
//! a kubectl process for each request. What watches or asks often uses this.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response};
use serde_json::Value;

use crate::{Cluster, User};

/// How long one request may take: longer than the longest webhook timeout and an etcd that is paused for a while.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client of one user, with connections of its own.
#[derive(Clone, Debug)]
pub struct Api {
    client: reqwest::Client,
    server: String,
    token: String,
}

/// What the API server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The object, the list or the `Status`; null where it isn't JSON.
    pub body: Value,
}

/// The events of a watch, one after the other.
#[derive(Debug)]
pub(crate) struct Events {
    response: Response,
    buffer: Vec<u8>,
}

impl Api {
    /// A client of this user.
    ///
    /// # Panics
    /// TLS can't be set up.
    #[must_use]
    pub fn new(cluster: &Cluster, user: User) -> Api {
        // Once a process; a second time is no harm.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).build().expect("a client");
        Api { client, server: cluster.server().to_owned(), token: user.token() }
    }

    /// Asks for something; a body is sent as this content type.
    ///
    /// # Errors
    /// No whole answer came, and why.
    pub async fn ask(&self, method: Method, path: &str, body: Option<(&str, String)>) -> Result<Answer, String> {
        let mut request =
            self.client.request(method, format!("{}{path}", self.server)).bearer_auth(&self.token).timeout(PATIENCE);
        if let Some((content_type, body)) = body {
            request = request.header(CONTENT_TYPE, content_type).body(body);
        }
        let answer = request.send().await.map_err(|error| chain(&error))?;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.map_err(|error| chain(&error))?;
        Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
    }

    /// Reads an object or a list.
    ///
    /// # Errors
    /// It isn't there or can't be had, and why.
    pub async fn get(&self, path: &str) -> Result<Value, String> {
        self.ask(Method::GET, path, None).await?.well()
    }

    /// Creates an object.
    ///
    /// # Errors
    /// It is refused, and why.
    pub async fn post(&self, path: &str, object: &Value) -> Result<Value, String> {
        self.ask(Method::POST, path, Some((JSON, object.to_string()))).await?.well()
    }

    /// Changes an object as `kubectl patch` does: `application/merge-patch+json` or another content type.
    ///
    /// # Errors
    /// It is refused, and why.
    pub async fn patch(&self, path: &str, content_type: &str, patch: &Value) -> Result<Value, String> {
        self.ask(Method::PATCH, path, Some((content_type, patch.to_string()))).await?.well()
    }

    pub(crate) async fn watch(&self, path: &str) -> Result<Events, String> {
        let request = self.client.get(format!("{}{path}", self.server)).bearer_auth(&self.token);
        let response = request.send().await.map_err(|error| chain(&error))?;
        match response.status().as_u16() {
            200 => Ok(Events { response, buffer: Vec::new() }),
            status => Err(format!("{status}")),
        }
    }
}

/// What objects are sent as.
pub(crate) const JSON: &str = "application/json";
/// A patch whose lists are merged by the keys that Kubernetes names for them.
pub(crate) const STRATEGIC: &str = "application/strategic-merge-patch+json";
/// A patch that replaces lists (RFC 7396).
pub(crate) const MERGE: &str = "application/merge-patch+json";

impl Answer {
    /// What a `Status` says.
    #[must_use]
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    fn well(self) -> Result<Value, String> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        Err(format!("{}: {}", self.status, self.message()))
    }
}

impl Events {
    /// The next event; none where the watch has ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return serde_json::from_slice(&line).ok();
            }
            self.buffer.extend_from_slice(&self.response.chunk().await.ok()??);
        }
    }
}

/// An error with its causes: reqwest's own text names only the URL.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
