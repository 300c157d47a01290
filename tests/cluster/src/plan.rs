//! What a cluster is to consist of, beside etcd and a kube-apiserver.

use std::net::Ipv4Addr;

use crate::{Cluster, Network};

/// As whom the controllers of kube-controller-manager act.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Controllers {
    /// Each by its own service account in kube-system, as kubeadm and the managed offers have it.
    OwnAccounts,
    /// All as `system:kube-controller-manager`.
    OneAccount,
}

/// What a cluster is to consist of.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub(crate) audit: bool,
    pub(crate) controllers: Option<Controllers>,
    pub(crate) scheduler: bool,
    pub(crate) nodes: usize,
    pub(crate) address: Option<Ipv4Addr>,
}

impl Plan {
    /// With an audit log of all writes ([`Cluster::audit_events`]).
    #[must_use]
    pub fn audited(mut self) -> Plan {
        self.audit = true;
        self
    }

    /// With kube-controller-manager: workloads get their Pods, namespaces go.
    #[must_use]
    pub fn controllers(mut self, accounts: Controllers) -> Plan {
        self.controllers = Some(accounts);
        self
    }

    /// With kube-scheduler.
    #[must_use]
    pub fn scheduler(mut self) -> Plan {
        self.scheduler = true;
        self
    }

    /// With so many Nodes, whose kubelets kwok plays, and with a provisioner for every class that names one.
    #[must_use]
    pub fn nodes(mut self, count: usize) -> Plan {
        self.nodes = count;
        self
    }

    /// With the API server at an address that the network's namespaces reach.
    #[must_use]
    pub fn on(mut self, network: &Network) -> Plan {
        self.address = Some(network.gateway());
        self
    }

    /// Starts it, and waits until all of it is ready.
    ///
    /// # Panics
    /// The bed isn't built, or what it starts isn't ready in time; its log is shown.
    #[must_use]
    pub fn start(self) -> Cluster {
        Cluster::of(self)
    }
}
