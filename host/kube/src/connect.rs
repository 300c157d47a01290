//! From a context of the kubeconfig to a client, as kubectl finds it: the file
//! that is named, else the files of `KUBECONFIG`, else `~/.kube/config`.

use std::path::Path;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// Time to reach the API server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for one answer of it.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// Why a cluster can't be asked.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no kubeconfig, or it can't be read.
    #[error("the kubeconfig can't be read: {source}; set KUBECONFIG to its file")]
    Kubeconfig {
        /// What is wrong with it.
        #[source]
        source: KubeconfigError,
    },
    /// It has no such context.
    #[error("the kubeconfig has no context `{context}`; it has {known}")]
    NoContext {
        /// The one asked for.
        context: String,
        /// Those that there are.
        known: String,
    },
    /// What the context says can't be used.
    #[error("the context `{context}` can't be used: {source}")]
    Context {
        /// The one asked for.
        context: String,
        /// What is wrong with it.
        #[source]
        source: KubeconfigError,
    },
    /// No client can be made of it.
    #[error("no connection can be made with the context `{context}`: {source}")]
    Client {
        /// The one asked for.
        context: String,
        /// Why.
        #[source]
        source: kube::Error,
    },
    /// The API server doesn't answer, or not to us.
    #[error("the API server of the context `{context}` doesn't answer: {source}")]
    Unreachable {
        /// The one asked for.
        context: String,
        /// Why.
        #[source]
        source: kube::Error,
    },
}

/// A client for this context, of this file or of kubectl's own, whose API
/// server has answered once.
///
/// # Errors
/// No kubeconfig, no such context, no answer.
pub async fn connect(kubeconfig: Option<&Path>, context: &str) -> Result<Client, ConnectError> {
    let kubeconfig = kubeconfig.map_or_else(Kubeconfig::read, Kubeconfig::read_from);
    let kubeconfig = kubeconfig.map_err(|source| ConnectError::Kubeconfig { source })?;
    if !kubeconfig.contexts.iter().any(|known| known.name == context) {
        let known: Vec<&str> = kubeconfig.contexts.iter().map(|known| known.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(ConnectError::NoContext { context: context.to_owned(), known });
    }
    let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|source| ConnectError::Context { context: context.to_owned(), source })?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    let client =
        Client::try_from(config).map_err(|source| ConnectError::Client { context: context.to_owned(), source })?;
    // One clear message now, rather than an unknown for each look-up later.
    client
        .apiserver_version()
        .await
        .map_err(|source| ConnectError::Unreachable { context: context.to_owned(), source })?;
    Ok(client)
}
