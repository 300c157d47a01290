//! The rules, with their texts. No text holds a word that people use as a
//! password, so that the host needn't hide it together with the value.

use portcullis_sdk::Rules;

/// What the policy can report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Rules)]
#[rules(examples)]
pub enum Rule {
    /// what stands in `data` isn't base64
    ///
    /// `data` holds base64; the API server refuses anything else, and a text that happens to be base64 is decoded to garbage.
    ///
    /// Put plain text into `stringData`, or encode the content once for `data`.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/configuration/secret/#restriction-names-data")]
    NotBase64,
    /// what stands in `data` or `stringData` isn't text
    ///
    /// YAML makes numbers of digits and booleans of `yes`; the API server takes only text there, and refuses the Secret.
    ///
    /// Put it in quotes.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/configuration/secret/#restriction-names-data")]
    NotText,
    /// the type of the Secret asks for a key that isn't there
    ///
    /// What uses a typed Secret reads fixed keys. Without them the API server refuses the Secret, or whoever mounts it finds nothing.
    ///
    /// Add the key that the message names, or make the Secret `Opaque`.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/configuration/secret/#secret-types")]
    MissingKey,
    /// a key that the type of the Secret is about is empty
    ///
    /// Until something fills it, whoever reads the Secret gets nothing: an Ingress falls back to its controller's own certificate.
    ///
    /// Let what makes the content make the Secret too, or put the content in.
    #[rule(severity = "low", url = "https://kubernetes.io/docs/concepts/configuration/secret/#secret-types")]
    EmptyKey,
    /// an Opaque Secret holds what has a type of its own
    ///
    /// The API server checks only typed Secrets, and the kubelet and several Ingress controllers take registry logins and certificates only from Secrets of the right type. The type can't be changed later.
    ///
    /// Make the Secret anew with the type that the message names.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/configuration/secret/#secret-types")]
    TypedKeysInOpaque,
    /// `tls.crt` doesn't hold a certificate
    ///
    /// The server that reads it can't start TLS, or serves a certificate of its own that no client trusts. A path in place of the content and content that was encoded twice are the usual slips.
    ///
    /// Put in the certificate as PEM, followed by its issuers: `kubectl create secret tls NAME --cert=FILE --key=FILE` encodes it once.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/configuration/secret/#tls-secrets")]
    UnreadableCertificate,
    /// `tls.key` doesn't hold a private key that a server can read
    ///
    /// Without its key the certificate is of no use: the server that reads the Secret can't start TLS.
    ///
    /// Put in the private key as PEM, without a passphrase: `openssl pkey -in FILE` shows whether it can be read.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/configuration/secret/#tls-secrets")]
    UnreadableKey,
    /// the private key doesn't belong to the certificate
    ///
    /// A server that is given both refuses them, or every handshake fails.
    ///
    /// Put in the key that the certificate was requested with, or request a certificate for this key.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/configuration/secret/#tls-secrets")]
    KeyMismatch,
    /// the certificate has run out
    ///
    /// Clients refuse it from the first second after its end.
    ///
    /// Renew it, best with something that does so by itself, such as cert-manager.
    #[rule(severity = "high", url = "https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.5")]
    Expired,
    /// the certificate runs out soon
    ///
    /// Nobody is told when it ends, and then clients refuse it.
    ///
    /// Renew it now. How soon is soon is the setting `expiryMarginDays`.
    #[rule(severity = "medium", url = "https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.5")]
    ExpiresSoon,
    /// the certificate doesn't hold yet
    ///
    /// Clients refuse it until its beginning.
    ///
    /// Put it in when it holds, or look whether a clock is wrong.
    #[rule(severity = "medium", url = "https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.5")]
    NotYetValid,
    /// the certificates in `tls.crt` aren't in order
    ///
    /// A server sends them as they stand: its own first, then each one's issuer. Otherwise the key fits none, or clients that don't know the issuer refuse the chain.
    ///
    /// Put the server's certificate first, then its issuer's, and so on; leave the root out.
    #[rule(severity = "medium", url = "https://www.rfc-editor.org/rfc/rfc8446#section-4.4.2")]
    ChainOrder,
    /// the certificate is signed, or its key made, in a way that clients refuse
    ///
    /// Today's TLS libraries refuse signatures with MD5 and SHA-1 and RSA keys below 2048 bits.
    ///
    /// Request it anew, with SHA-256 and an ECDSA key or an RSA key of 2048 bits or more.
    #[rule(severity = "medium", url = "https://cabforum.org/working-groups/server/baseline-requirements/requirements/")]
    WeakCertificate,
    /// the login to a registry can't be used
    ///
    /// The kubelet reads `auths` of a Docker configuration, and in it base64 of a name, a colon and what belongs to it. Anything else, helpers and stores included, leaves it without a login, and images can't be pulled.
    ///
    /// Let `kubectl create secret docker-registry` write it.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets")]
    DockerConfig,
    /// the Secret is of the legacy type for registry logins
    ///
    /// `kubernetes.io/dockercfg` holds the file of Docker 1.6 and older; few tools besides the kubelet still read it.
    ///
    /// Make a Secret of the type `kubernetes.io/dockerconfigjson`, with `auths`.
    #[rule(severity = "low", url = "https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets")]
    LegacyDockercfg,
    /// `ssh-privatekey` doesn't hold a private key
    ///
    /// An SSH client that is given it stops with an error about the key's format.
    ///
    /// Put in the whole file of the private key, from its BEGIN to its END line.
    #[rule(
        severity = "high",
        url = "https://kubernetes.io/docs/concepts/configuration/secret/#ssh-authentication-secrets"
    )]
    SshNotAKey,
    /// the bootstrap Secret isn't one that the cluster reads
    ///
    /// Nodes join with what is in it only if it lives in kube-system, is named after its id, and its parts have their exact form. A mistake shows only when a node can't join.
    ///
    /// Let `kubeadm token create` make it.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/")]
    BootstrapToken,
    /// the bootstrap Secret has run out
    ///
    /// The controller-manager deletes it as soon as it sees it, and no node can join with it.
    ///
    /// Make a new one: `kubeadm token create --ttl 24h`.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/")]
    BootstrapExpired,
    /// the bootstrap Secret lives for very long
    ///
    /// Who has it can add a node to the cluster. It is meant to live for a day, until the node has joined.
    ///
    /// Give it an `expiration` that is near. How near is the setting `bootstrapTokenDays`.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/")]
    BootstrapLifetime,
    /// a placeholder stands where a credential belongs
    ///
    /// Somebody meant to put something else here. As it is, the login fails, or everybody who has read the example can log in.
    ///
    /// Put in a random one, or let a tool such as External Secrets do it; a template has to be rendered before it is applied.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/security/secrets-good-practices/")]
    Placeholder,
    /// the credential is one that everybody knows
    ///
    /// It is the first that is tried: it stands in lists, in documentation, or is the software's default.
    ///
    /// Put in a random one: `openssl rand -base64 24`.
    #[rule(severity = "critical", url = "https://kubernetes.io/docs/concepts/security/secrets-good-practices/")]
    WeakValue,
    /// the credential is a hash that is published together with what it is the hash of
    ///
    /// It comes from a manifest that everybody can read, and so does what it stands for.
    ///
    /// Hash one of your own.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/security/secrets-good-practices/")]
    KnownHash,
    /// what is stored ends in a line break
    ///
    /// `echo` adds one, and it becomes part of what is sent: logins fail in a way that nobody sees.
    ///
    /// Use `echo -n` or `printf`, and `|-` instead of `|` in YAML.
    #[rule(severity = "low", url = "https://kubernetes.io/docs/tasks/configmap-secret/managing-secret-using-kubectl/")]
    TrailingNewline,
    /// an annotation holds a copy of the content
    ///
    /// `kubectl apply` keeps the whole manifest in an annotation. There it is copied with the metadata, shown by tools that hide the content, and stays after the content was changed elsewhere.
    ///
    /// Apply with `--server-side`, which keeps no copy, and remove the annotation.
    #[rule(severity = "low", url = "https://kubernetes.io/docs/reference/using-api/server-side-apply/")]
    LastApplied,
    /// a long-lived credential of a service account is made by hand
    ///
    /// It never runs out, and is in nobody's hands but everybody's who may read Secrets. Pods get short-lived ones without it.
    ///
    /// Ask for a short-lived one with `kubectl create token`, or project it into the pod.
    #[rule(
        severity = "medium",
        url = "https://kubernetes.io/docs/concepts/configuration/secret/#serviceaccount-token-secrets"
    )]
    ServiceAccountToken,
    /// the Secret doesn't come from the tool that Secrets have to come from
    ///
    /// The administrator wants Secrets kept in a store and brought here by a tool, not written to manifests: base64 hides nothing.
    ///
    /// Write an ExternalSecret, a SealedSecret or what the setting `managedBy` names.
    #[rule(severity = "low", url = "https://kubernetes.io/docs/concepts/security/secrets-good-practices/")]
    Unmanaged,
}
