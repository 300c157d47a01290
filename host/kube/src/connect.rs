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

/// Why a cluster can't be asked. Kube's errors carry their own causes in their
/// texts, so they stand in these messages and not behind them as sources.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no kubeconfig, or it can't be read.
    #[error("the kubeconfig can't be read: {cause}; set KUBECONFIG to its file")]
    Kubeconfig {
        /// What is wrong with it.
        cause: KubeconfigError,
    },
    /// Neither a kubeconfig nor a service account.
    #[error("no cluster is configured: {cause}; in a pod that needs a service account's token, elsewhere a kubeconfig")]
    Nowhere {
        /// What was looked for.
        cause: kube::config::InferConfigError,
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
    #[error("the context `{context}` can't be used: {cause}")]
    Context {
        /// The one asked for.
        context: String,
        /// What is wrong with it.
        cause: KubeconfigError,
    },
    /// No client can be made of it.
    #[error("no connection can be made with the context `{context}`: {cause}")]
    Client {
        /// The one asked for.
        context: String,
        /// Why.
        cause: kube::Error,
    },
    /// The API server doesn't answer, or not to us.
    #[error("the API server of the context `{context}` doesn't answer: {cause}")]
    Unreachable {
        /// The one asked for.
        context: String,
        /// Why.
        cause: kube::Error,
    },
}

/// A client for a process that stays: with a kubeconfig or context, that one; else
/// in a pod its service account, elsewhere kubectl's current context. Whether the
/// API server answers shows later, and a long outage is no end.
///
/// # Errors
/// No way to reach a cluster is configured.
pub async fn client(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Client, ConnectError> {
    let named = context.unwrap_or("current").to_owned();
    let config = if kubeconfig.is_none() && context.is_none() {
        Config::infer().await.map_err(|cause| ConnectError::Nowhere { cause })?
    } else {
        let kubeconfig = kubeconfig.map_or_else(Kubeconfig::read, Kubeconfig::read_from);
        let kubeconfig = kubeconfig.map_err(|cause| ConnectError::Kubeconfig { cause })?;
        let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
        Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|cause| ConnectError::Context { context: named.clone(), cause })?
    };
    Client::try_from(config).map_err(|cause| ConnectError::Client { context: named, cause })
}

/// A client for this context, of this file or of kubectl's own, whose API
/// server has answered once.
///
/// # Errors
/// No kubeconfig, no such context, no answer.
pub async fn connect(kubeconfig: Option<&Path>, context: &str) -> Result<Client, ConnectError> {
    let kubeconfig = kubeconfig.map_or_else(Kubeconfig::read, Kubeconfig::read_from);
    let kubeconfig = kubeconfig.map_err(|cause| ConnectError::Kubeconfig { cause })?;
    if !kubeconfig.contexts.iter().any(|known| known.name == context) {
        let known: Vec<&str> = kubeconfig.contexts.iter().map(|known| known.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(ConnectError::NoContext { context: context.to_owned(), known });
    }
    let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|cause| ConnectError::Context { context: context.to_owned(), cause })?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    let client =
        Client::try_from(config).map_err(|cause| ConnectError::Client { context: context.to_owned(), cause })?;
    // One clear message now, rather than an unknown for each look-up later.
    client
        .apiserver_version()
        .await
        .map_err(|cause| ConnectError::Unreachable { context: context.to_owned(), cause })?;
    Ok(client)
}
