//! Where classes and volumes keep data.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::collections::BTreeMap;

use portcullis_workloads::{PersistentVolumeSource, Provisioners, of_persistent_volume};
use serde_json::{Value, json};

fn check_class(provisioner: &str, parameters: &[(&str, &str)], expected: &str) {
    let parameters: BTreeMap<String, String> =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(
        Provisioners::default().locality(provisioner, &parameters).as_str(),
        expected,
        "{provisioner} {parameters:?}"
    );
}

#[test]
fn classes_by_provisioner_and_the_parameters_that_decide() {
    for (provisioner, expected) in [
        ("ebs.csi.aws.com", "remote"),
        ("kubernetes.io/aws-ebs", "remote"),
        ("pd.csi.storage.gke.io", "remote"),
        ("disk.csi.azure.com", "remote"),
        ("csi.trident.netapp.io", "remote"),
        ("rook-ceph.rbd.csi.ceph.com", "remote"),
        ("my-cluster.cephfs.csi.ceph.com", "remote"),
        ("driver.longhorn.io", "remote"),
        ("io.openebs.csi-mayastor", "remote"),
        ("nfs.csi.k8s.io", "remote"),
        ("k8s-sigs.io/nfs-subdir-external-provisioner", "remote"),
        ("cluster.local/release-nfs-subdir-external-provisioner", "remote"),
        ("cluster.local/my-nfs-client-provisioner", "remote"),
        ("qgg-nfs-storage", "remote"),
        ("fuseim.pri/ifs", "remote"),
        ("example.com/nfs", "remote"),
        ("hostpath.csi.k8s.io", "local"),
        ("k8s.io/minikube-hostpath", "local"),
        ("docker.io/hostpath", "local"),
        ("microk8s.io/hostpath", "local"),
        ("rancher.io/local-path", "local"),
        ("cluster.local/local-path-provisioner", "local"),
        ("corp.example/local-path", "local"),
        ("openebs.io/local", "local"),
        ("local.csi.openebs.io", "local"),
        ("topolvm.io", "local"),
        ("direct.csi.min.io", "local"),
        ("directpv-min-io", "local"),
        ("kubernetes.io/no-provisioner", "local"),
        ("csi-driver.example-vendor.example", "unknown"),
        ("org.democratic-csi.nvme", "unknown"),
        ("csi.proxmox.sinextra.dev", "unknown"),
        ("confsnfs", "unknown"),
        ("", "unknown"),
    ] {
        check_class(provisioner, &[], expected);
    }
    check_class("driver.longhorn.io", &[("dataLocality", "strict-local")], "local");
    check_class("driver.longhorn.io", &[("dataLocality", "best-effort")], "remote");
    check_class("everest-csi-provisioner", &[("csi.storage.k8s.io/csi-driver-name", "local.csi.everest.io")], "local");
    check_class("everest-csi-provisioner", &[("csi.storage.k8s.io/csi-driver-name", "disk.csi.everest.io")], "remote");
    check_class("csi.proxmox.sinextra.dev", &[("storage", "local-lvm")], "local");
    check_class("linstor.csi.linbit.com", &[("allowRemoteVolumeAccess", "false"), ("placementCount", "1")], "local");
    check_class("linstor.csi.linbit.com", &[("allowRemoteVolumeAccess", "false"), ("placementCount", "3")], "remote");
    check_class("lvm.hwameistor.io", &[("replicaNumber", "2")], "remote");
    check_class("lvm.hwameistor.io", &[("replicaNumber", "1")], "local");
}

#[test]
fn an_administrators_lists_come_first() {
    let local = ["csi.corp.example".to_owned(), "*.local.corp".to_owned()];
    let remote = ["hostpath.csi.k8s.io".to_owned(), "san.*".to_owned()];
    let lists = Provisioners { local: &local, remote: &remote };
    for (provisioner, expected) in [
        ("csi.corp.example", "local"),
        ("a.local.corp", "local"),
        ("hostpath.csi.k8s.io", "remote"),
        ("san.corp", "remote"),
        ("other", "unknown"),
    ] {
        assert_eq!(lists.locality(provisioner, &BTreeMap::new()).as_str(), expected, "{provisioner}");
    }
}

#[test]
fn volumes_by_source_driver_and_nodes() {
    let on = |key: &str| json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": key, "operator": "In", "values": ["a"]}]}]}});
    let check = |spec: Value, expected: &str| {
        let source: PersistentVolumeSource = serde_json::from_value(spec.clone()).unwrap();
        assert_eq!(of_persistent_volume(&source, Provisioners::default()).as_str(), expected, "{spec}");
    };
    check(json!({"nfs": {"server": "a", "path": "/"}}), "remote");
    check(
        json!({"awsElasticBlockStore": {"volumeID": "x"}, "nodeAffinity": on("topology.kubernetes.io/zone")}),
        "remote",
    );
    check(json!({"gcePersistentDisk": {"pdName": "x"}}), "remote");
    check(json!({"local": {"path": "/mnt/a"}, "nodeAffinity": on("kubernetes.io/hostname")}), "local");
    check(json!({"hostPath": {"path": "/mnt/a"}}), "local");
    check(json!({"csi": {"driver": "ebs.csi.aws.com", "volumeHandle": "x"}}), "remote");
    check(json!({"csi": {"driver": "hostpath.csi.k8s.io", "volumeHandle": "x"}}), "local");
    check(json!({"csi": {"driver": "nobody.example", "volumeHandle": "x"}}), "unknown");
    check(
        json!({"csi": {"driver": "nobody.example", "volumeHandle": "x"}, "nodeAffinity": on("kubernetes.io/hostname")}),
        "local",
    );
    check(
        json!({"csi": {"driver": "nobody.example", "volumeHandle": "x"}, "nodeAffinity": on("topology.nobody.example/node")}),
        "local",
    );
    check(
        json!({"csi": {"driver": "nobody.example", "volumeHandle": "x"}, "nodeAffinity": on("topology.kubernetes.io/zone")}),
        "unknown",
    );
    check(
        json!({"csi": {"driver": "driver.longhorn.io", "volumeHandle": "x"}, "nodeAffinity": on("kubernetes.io/hostname")}),
        "remote",
    );
    check(json!({"flexVolume": {"driver": "ceph.rook.io/rook"}}), "unknown");
    check(json!({"capacity": {"storage": "1Gi"}}), "unknown");
}
