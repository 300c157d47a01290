//! The rules that the policy reports, each with its reason and its remedy.

use portcullis_sdk::Rules;

/// What can be wrong with how an object holds credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Rules)]
#[rules(examples)]
pub enum Rule {
    /// a variable holds a secret in plain text
    ///
    /// Whoever may read the workload reads the secret, and so does everything that keeps copies of it: Git, the deployment tool, backups of etcd, the audit log.
    ///
    /// Put the value into a Secret and refer to it with `valueFrom.secretKeyRef`, or mount the Secret and name the file where the program takes a `_FILE` variable. Then change the value: it has been seen.
    #[rule(
        severity = "high",
        url = "https://kubernetes.io/docs/tasks/inject-data-application/distribute-credentials-secure/"
    )]
    EnvironmentVariable,
    /// the command line holds a secret in plain text
    ///
    /// Arguments are part of the workload, and every process of the node can read them from the process list too.
    ///
    /// Take the value from a Secret into a variable and refer to it with `$(NAME)` in `command` and `args`, or have the program read a mounted file.
    #[rule(
        severity = "high",
        url = "https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/"
    )]
    CommandLine,
    /// a URL or a connection string holds a password
    ///
    /// A connection string is copied whole into logs and error messages, and its password with it.
    ///
    /// Keep host and database in plain text and take the password from a Secret: put it together with `$(NAME)` from variables that refer to the Secret, or put the whole string into the Secret.
    #[rule(
        severity = "high",
        url = "https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/"
    )]
    UrlCredentials,
    /// a ConfigMap holds a secret
    ///
    /// ConfigMaps are for what anybody may read: roles that may read them are handed out freely, encryption at rest is mostly set up for Secrets alone, and every tool shows them whole.
    ///
    /// Move the value, or the whole file, into a Secret; it can be mounted at the same place, beside the ConfigMap in a projected volume. Host names and URLs without credentials may stay.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/configuration/configmap/")]
    ConfigMap,
    /// a custom resource holds a secret
    ///
    /// Whoever may read the operator's resource reads the secret, and the operator copies it into what it makes.
    ///
    /// Operators take names of Secrets for nearly everything that is secret: look for a field that ends in `Secret`, `SecretRef` or `valueFrom`, and put the value there.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/configuration/secret/")]
    CustomResource,
    /// an annotation holds a secret
    ///
    /// Annotations are shown by `kubectl describe`, copied to what controllers make, and readable for whoever may read the object.
    ///
    /// Put the value into a Secret and have the annotation name the Secret, as nearly every controller allows.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/configuration/secret/")]
    Annotation,
    /// a data store is told to let everybody in
    ///
    /// Whoever reaches the port may read, change and delete all data: every pod of the cluster, unless a NetworkPolicy says otherwise.
    ///
    /// Take the switch away and give the data store a password from a Secret, or certificates.
    #[rule(severity = "critical", url = "https://kubernetes.io/docs/concepts/security/application-security-checklist/")]
    AuthenticationOff,
    /// a data store is given no credentials
    ///
    /// It runs open, or with credentials that everybody knows, unless it is told otherwise, and nothing in the workload tells it.
    ///
    /// Give it a password from a Secret by the variable that its image documents, or turn authentication on in its configuration.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/security/application-security-checklist/")]
    WithoutCredentials,
    /// a data store does without encryption on the wire
    ///
    /// Passwords and data cross the network of the cluster in plain text, past every pod and node that can listen.
    ///
    /// Leave certificates to the operator, or name your own.
    #[rule(
        severity = "medium",
        url = "https://min.io/docs/minio/kubernetes/upstream/operations/network-encryption.html"
    )]
    TransportOff,
    /// a placeholder stands where a secret belongs
    ///
    /// Whoever fills it in here puts a secret in plain text; left as it is, it is a password that everybody can guess.
    ///
    /// Refer to a key of a Secret instead, and fill in the Secret.
    #[rule(severity = "low", url = "https://kubernetes.io/docs/concepts/configuration/secret/")]
    Placeholder,
}
