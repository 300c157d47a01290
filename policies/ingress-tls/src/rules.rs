//! The rules, with their texts.

use portcullis_sdk::Rules;

/// What the policy can report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Rules)]
#[rules(examples)]
pub enum Rule {
    /// a host of the Ingress isn't covered by TLS
    ///
    /// Whoever is between a client and the Ingress reads and changes everything: passwords, cookies, the pages themselves.
    ///
    /// Name the host in `spec.tls`, with a Secret that holds its certificate; cert-manager makes and renews both.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/services-networking/ingress/#tls")]
    NoTls,
    /// TLS is left to something that this policy can't see
    ///
    /// An annotation names a certificate of the cloud provider. It may well serve HTTPS; but plain HTTP stays open beside it unless something else closes it.
    ///
    /// Look that the load balancer redirects to HTTPS, and list the annotation in `certificateAnnotations` to have this accepted.
    #[rule(severity = "low", url = "https://cloud.google.com/kubernetes-engine/docs/how-to/managed-certs")]
    TlsElsewhere,
    /// only the path of ACME challenges is served, without TLS
    ///
    /// A certificate authority fetches http-01 challenges by plain HTTP, so this is right for as long as the challenge lasts; it is open to everybody for as long as the Ingress stays.
    ///
    /// Let cert-manager make and remove the Ingress, or remove it once the certificate is there.
    #[rule(severity = "low", url = "https://www.rfc-editor.org/rfc/rfc8555#section-8.3")]
    AcmeChallenge,
    /// cert-manager is asked for a certificate and isn't told what for
    ///
    /// It takes the hosts and the name of the Secret from `spec.tls`. Without them it makes nothing and says so only in its events.
    ///
    /// Name `hosts` and `secretName` in `spec.tls`; cert-manager makes the Secret.
    #[rule(severity = "medium", url = "https://cert-manager.io/docs/usage/ingress/")]
    CertManagerIncomplete,
    /// an entry of `tls` names no Secret
    ///
    /// The controller then serves its default certificate, which most controllers make up, and no client trusts.
    ///
    /// Name the Secret with the certificate in `secretName`. Reported where `defaultCertificate` is off.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/services-networking/ingress/#tls")]
    NoSecretName,
    /// a rule names no host
    ///
    /// It answers to every name that leads to the controller, those of others included, and no certificate covers every name.
    ///
    /// Name the host. Reported where the setting `requireHost` asks for it, and where `tls` covers only named hosts.
    #[rule(
        severity = "low",
        url = "https://kubernetes.io/docs/concepts/services-networking/ingress/#the-ingress-resource"
    )]
    RuleWithoutHost,
    /// the redirect from HTTP to HTTPS is switched off
    ///
    /// The host has a certificate, and still everybody who types its name without `https` stays on plain HTTP.
    ///
    /// Remove the annotation; controllers redirect by themselves where there is TLS.
    #[rule(
        severity = "medium",
        url = "https://kubernetes.github.io/ingress-nginx/user-guide/tls/#server-side-https-enforcement-through-redirect"
    )]
    RedirectOff,
    /// the Secret with the certificate doesn't exist
    ///
    /// Until it does, the controller serves its own certificate, which no client trusts. It must be in the Ingress's own namespace.
    ///
    /// Make the Secret in the namespace of the Ingress, or let cert-manager do it.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/services-networking/ingress/#tls")]
    SecretAbsent,
    /// the Secret isn't of the type for certificates
    ///
    /// Only a Secret of the type `kubernetes.io/tls` is known to have a certificate and a key; several controllers take no other.
    ///
    /// Make the Secret anew with `type: kubernetes.io/tls`; a type can't be changed.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/configuration/secret/#tls-secrets")]
    SecretType,
    /// the Secret's certificate can't be read
    ///
    /// The controller serves its own certificate instead, which no client trusts.
    ///
    /// Put the certificate into `tls.crt` as PEM: `kubectl create secret tls`.
    #[rule(severity = "high", url = "https://kubernetes.io/docs/concepts/configuration/secret/#tls-secrets")]
    CertificateUnreadable,
    /// the certificate doesn't cover the host
    ///
    /// Clients compare the host with the certificate's subject alternative names, as RFC 9525 says, and refuse the connection if none fits; the common name doesn't count, and a wildcard stands for one label.
    ///
    /// Request a certificate for this host, or name the Secret that has it.
    #[rule(severity = "high", url = "https://www.rfc-editor.org/rfc/rfc9525#section-6.3")]
    HostNotCovered,
    /// the certificate has run out, or is about to
    ///
    /// Clients refuse it from the first second after its end.
    ///
    /// Renew it; cert-manager does so by itself. How soon is soon is the setting `expiryMarginDays`.
    #[rule(severity = "high", url = "https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.5")]
    CertificateExpired,
    /// a Service that the Ingress forwards to doesn't exist
    ///
    /// Requests get an error until it does. An Ingress reaches only Services of its own namespace.
    ///
    /// Make the Service, or write the Ingress into the namespace of its Service.
    #[rule(
        severity = "medium",
        url = "https://kubernetes.io/docs/concepts/services-networking/ingress/#the-ingress-resource"
    )]
    BackendAbsent,
    /// the Service doesn't have the port that the Ingress forwards to
    ///
    /// Requests get an error: a port is looked up by its number or its name among those of the Service, not of the pods.
    ///
    /// Name a port of the Service.
    #[rule(
        severity = "medium",
        url = "https://kubernetes.io/docs/concepts/services-networking/ingress/#the-ingress-resource"
    )]
    BackendPort,
    /// the Ingress forwards to a Service that isn't an internal one
    ///
    /// An ExternalName leads out of the cluster, past network policies and to wherever its writer wants; a LoadBalancer is reachable without the Ingress and its TLS.
    ///
    /// Forward to a Service of the type ClusterIP.
    #[rule(severity = "medium", url = "https://kubernetes.io/docs/concepts/services-networking/service/#externalname")]
    BackendNotInternal,
}
