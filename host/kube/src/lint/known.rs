//! How a workload is known that a cluster can't recover without: data.
//!
//! By its images, whose last parts are told apart from whatever registry mirrors
//! them, and by what of a node it mounts, where the paths are contracts:
//! network plugins install themselves where the container runtime looks
//! (<https://www.cni.dev/docs/spec/>, containerd's and CRI-O's defaults), storage
//! drivers register where the kubelet looks
//! (<https://kubernetes-csi.github.io/docs/driver-registrar.html>).

/// What a workload does for the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Pods have a network by it.
    Network,
    /// Volumes are made, attached or mounted by it.
    Storage,
    /// Names are resolved by it.
    Names,
    /// Certificates are issued by it.
    Issuer,
}

impl Role {
    /// For a sentence.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Role::Network => "the network of Pods",
            Role::Storage => "volumes",
            Role::Names => "name resolution",
            Role::Issuer => "the certificate of the webhooks",
        }
    }
}

/// The last parts of image names, without tag: `calico/node` is the node agent
/// of Calico wherever it is mirrored. Each from the manifests or the chart that
/// its project publishes.
const IMAGES: [(&str, Role); 53] = [
    // https://github.com/projectcalico/calico/tree/master/manifests
    ("calico/node", Role::Network),
    ("calico/cni", Role::Network),
    ("calico/typha", Role::Network),
    ("calico/kube-controllers", Role::Network),
    ("calico/pod2daemon-flexvol", Role::Network),
    ("tigera/operator", Role::Network),
    // https://github.com/cilium/cilium/tree/main/install/kubernetes/cilium
    ("cilium/cilium", Role::Network),
    ("cilium/operator", Role::Network),
    ("cilium/operator-generic", Role::Network),
    ("cilium/operator-aws", Role::Network),
    ("cilium/operator-azure", Role::Network),
    ("cilium/cilium-envoy", Role::Network),
    // https://github.com/flannel-io/flannel/blob/master/Documentation/kube-flannel.yml
    ("flannel/flannel", Role::Network),
    ("flannel-io/flannel", Role::Network),
    ("flannel-cni-plugin", Role::Network),
    // https://antrea.io, https://github.com/kubeovn/kube-ovn, https://www.kube-router.io
    ("antrea/antrea-agent-ubuntu", Role::Network),
    ("antrea/antrea-controller-ubuntu", Role::Network),
    ("antrea/antrea-ubuntu", Role::Network),
    ("kubeovn/kube-ovn", Role::Network),
    ("cloudnativelabs/kube-router", Role::Network),
    ("weave-kube", Role::Network),
    ("weave-npc", Role::Network),
    // https://github.com/k8snetworkplumbingwg/multus-cni, and the clouds' own
    ("multus-cni", Role::Network),
    ("amazon-k8s-cni", Role::Network),
    ("amazon-k8s-cni-init", Role::Network),
    ("azure-cns", Role::Network),
    ("kindnetd", Role::Network),
    ("kube-proxy", Role::Network),
    // https://istio.io/latest/docs/setup/additional-setup/cni/
    ("istio/install-cni", Role::Network),
    // https://kubernetes-csi.github.io/docs/sidecar-containers.html
    ("csi-node-driver-registrar", Role::Storage),
    ("csi-provisioner", Role::Storage),
    ("csi-attacher", Role::Storage),
    ("csi-resizer", Role::Storage),
    ("csi-snapshotter", Role::Storage),
    ("snapshot-controller", Role::Storage),
    // Provisioners that are no drivers
    ("local-path-provisioner", Role::Storage),
    ("nfs-subdir-external-provisioner", Role::Storage),
    ("openebs/provisioner-localpv", Role::Storage),
    ("longhornio/longhorn-manager", Role::Storage),
    ("longhornio/longhorn-engine", Role::Storage),
    ("rook/ceph", Role::Storage),
    ("ceph/ceph", Role::Storage),
    ("cephcsi/cephcsi", Role::Storage),
    ("linbit/linstor-csi", Role::Storage),
    ("topolvm/topolvm-with-sidecar", Role::Storage),
    // https://github.com/coredns/deployment, https://github.com/kubernetes/dns
    ("coredns", Role::Names),
    ("k8s-dns-kube-dns", Role::Names),
    ("k8s-dns-node-cache", Role::Names),
    ("k8s-dns-dnsmasq-nanny", Role::Names),
    // https://cert-manager.io/docs/installation/
    ("cert-manager-controller", Role::Issuer),
    ("cert-manager-cainjector", Role::Issuer),
    ("cert-manager-webhook", Role::Issuer),
    ("cert-manager-acmesolver", Role::Issuer),
];

/// Parts of paths of a node that only such workloads mount.
const PATHS: [(&str, Role); 5] = [
    ("/opt/cni/bin", Role::Network),
    ("/etc/cni/net.d", Role::Network),
    // k3s and RKE2 keep them elsewhere: https://docs.k3s.io/networking/basic-network-options
    ("/agent/etc/cni", Role::Network),
    // The kubelet's root is configurable, what lies in it isn't.
    ("/kubelet/plugins_registry", Role::Storage),
    ("/kubelet/plugins/", Role::Storage),
];

/// Whether a workload is one of these, by one of its images.
pub(super) fn by_image(image: &str) -> Option<Role> {
    let image = image.split('@').next().unwrap_or(image);
    let name = match image.rsplit_once(':') {
        // A colon before a slash is a registry's port.
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    };
    let is = |known: &str| name == known || name.strip_suffix(known).is_some_and(|before| before.ends_with('/'));
    let known = IMAGES.iter().find(|(known, _)| is(known)).map(|(_, role)| *role);
    known.or_else(|| is_csi_driver(name).then_some(Role::Storage))
}

/// Drivers are named after what they drive: `ebs-csi-driver`, `csi-rbdplugin`,
/// `democratic-csi`.
fn is_csi_driver(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    last.split('-').any(|word| word == "csi")
}

/// Whether it is one by a path of its node that it mounts.
pub(super) fn by_path(path: &str) -> Option<Role> {
    let is = |known: &str| path.trim_end_matches('/').ends_with(known.trim_end_matches('/')) || path.contains(known);
    PATHS.iter().find(|(known, _)| is(known)).map(|(_, role)| *role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_known_by_its_image_wherever_that_is_mirrored() {
        for (image, expected) in [
            ("calico/node:v3.31.0", Some(Role::Network)),
            ("mirror.example:5000/k8s/calico/node@sha256:00", Some(Role::Network)),
            ("example.com/node:1", None),
            ("xcalico/node:1", None),
            ("registry.example/coredns/coredns:v1.12.0", Some(Role::Names)),
            ("coredns", Some(Role::Names)),
            ("example.com/ebs-csi-driver:1", Some(Role::Storage)),
            ("mirror.example/cephcsi/cephcsi:v3", Some(Role::Storage)),
            ("example.com/sig-storage/csi-provisioner:5", Some(Role::Storage)),
            ("nginx:1.29", None),
            ("example.com/csinema:1", None),
        ] {
            assert_eq!(by_image(image), expected, "{image}");
        }
    }

    #[test]
    fn a_workload_is_known_by_what_it_mounts() {
        for (path, expected) in [
            ("/opt/cni/bin", Some(Role::Network)),
            ("/etc/cni/net.d/", Some(Role::Network)),
            ("/var/lib/rancher/k3s/agent/etc/cni/net.d", Some(Role::Network)),
            ("/var/lib/kubelet/plugins/ebs.csi.example.com/", Some(Role::Storage)),
            ("/var/lib/kubelet/plugins_registry", Some(Role::Storage)),
            ("/var/lib/kubelet/pods", None),
            ("/var/lib/kubelet/device-plugins", None),
            ("/var/log", None),
        ] {
            assert_eq!(by_path(path), expected, "{path}");
        }
    }
}
