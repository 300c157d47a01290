//! Who acts in a cluster of the bed: each has a token and a kubeconfig of its own,
//! and nothing but its RBAC says what it may do.

/// A user that the API server knows by a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct User {
    /// The name that RBAC and admission see.
    pub name: &'static str,
    /// Its groups, beside `system:authenticated`.
    pub groups: &'static [&'static str],
    /// The file of its kubeconfig in the cluster's folder.
    pub(crate) file: &'static str,
}

const MASTERS: &[&str] = &["system:masters"];
const SERVICE_ACCOUNTS: &[&str] = &["system:serviceaccounts", "system:serviceaccounts:portcullis-system"];

/// May do anything.
pub const ADMIN: User = User { name: "admin", groups: MASTERS, file: "kubeconfig" };
/// May do what everybody may: nearly nothing.
pub const NOBODY: User = User { name: "nobody", groups: &[], file: "kubeconfig-nobody" };
/// A team's member: may do what a test grants.
pub const TENANT: User = User { name: "tenant", groups: &["tenants"], file: "kubeconfig-tenant" };
/// kube-controller-manager, by the roles that the API server makes for it.
pub const CONTROLLER_MANAGER: User =
    User { name: "system:kube-controller-manager", groups: &[], file: "kubeconfig-controller-manager" };
/// kube-scheduler, likewise.
pub const SCHEDULER: User = User { name: "system:kube-scheduler", groups: &[], file: "kubeconfig-scheduler" };
/// kwok, in the place of all kubelets and of the storage's provisioner.
pub const KUBELETS: User = User { name: "kubelets", groups: MASTERS, file: "kubeconfig-kubelets" };
/// The serving replicas of Portcullis.
pub const SERVER: User = User {
    name: "system:serviceaccount:portcullis-system:portcullis",
    groups: SERVICE_ACCOUNTS,
    file: "kubeconfig-portcullis",
};
/// Portcullis' controller.
pub const CONTROLLER: User = User {
    name: "system:serviceaccount:portcullis-system:portcullis-controller",
    groups: SERVICE_ACCOUNTS,
    file: "kubeconfig-portcullis-controller",
};

/// All of them.
pub const USERS: [User; 8] = [ADMIN, NOBODY, TENANT, CONTROLLER_MANAGER, SCHEDULER, KUBELETS, SERVER, CONTROLLER];

impl User {
    /// The token by which the API server knows it.
    #[must_use]
    pub fn token(&self) -> String {
        format!("token-of-{}", self.file)
    }

    /// Its line of the API server's token file.
    pub(crate) fn line(&self) -> String {
        let groups = match self.groups {
            [] => String::new(),
            groups => format!(",\"{}\"", groups.join(",")),
        };
        format!("{},{},{}{groups}\n", self.token(), self.name, self.file)
    }

    /// Its kubeconfig for the API server at this URL.
    pub(crate) fn kubeconfig(&self, server: &str) -> String {
        let context = crate::CONTEXT;
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {context}\n\
             clusters: [{{name: bed, cluster: {{server: \"{server}\", insecure-skip-tls-verify: true}}}}]\n\
             users: [{{name: user, user: {{token: {}}}}}]\n\
             contexts: [{{name: {context}, context: {{cluster: bed, user: user}}}}]\n",
            self.token()
        )
    }
}
