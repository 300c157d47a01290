//! What is known of provisioners beside where they keep volumes.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use portcullis_workloads::{ProvisionerFacts, Provisioners};

fn facts(provisioner: &str) -> ProvisionerFacts {
    ProvisionerFacts::of(provisioner).unwrap()
}

#[test]
fn disks_refuse_many_writers_and_stay_in_their_zone() {
    for provisioner in ["ebs.csi.aws.com", "pd.csi.storage.gke.io", "kubernetes.io/aws-ebs"] {
        assert_eq!(facts(provisioner).refuses, ["ReadWriteMany"], "{provisioner}");
        assert!(facts(provisioner).is_zonal, "{provisioner}");
    }
    assert!(facts("rook-ceph.rbd.csi.ceph.com").refuses.contains(&"ReadWriteMany"));
    assert!(!facts("rook-ceph.rbd.csi.ceph.com").is_zonal);
    assert!(!facts("topolvm.io").offers.contains(&"ReadOnlyMany"));
}

#[test]
fn what_kubernetes_had_itself_names_its_successor() {
    assert_eq!(facts("kubernetes.io/gce-pd").successor, Some("pd.csi.storage.gke.io"));
    assert_eq!(facts("kubernetes.io/gce-pd").removed, None);
    assert_eq!(facts("kubernetes.io/rbd").removed, Some("1.31"));
    assert_eq!(facts("kubernetes.io/glusterfs").successor, None);
}

#[test]
fn an_nfs_provisioner_of_any_name_announces_it_and_a_driver_does_not() {
    for provisioner in ["qgg-nfs-storage", "fuseim.pri/ifs", "cluster.local/a-nfs-subdir-external-provisioner"] {
        assert_eq!(facts(provisioner).announced, Some("PROVISIONER_NAME"), "{provisioner}");
    }
    for provisioner in
        ["nfs.csi.k8s.io", "rook-ceph.nfs.csi.ceph.com", "cluster.local/a-nfs-server-provisioner", "x.example"]
    {
        assert_eq!(ProvisionerFacts::of(provisioner), None, "{provisioner}");
    }
}

#[test]
fn an_administrator_or_the_catalogue_knows_a_provisioner() {
    let own = ["*.example".to_owned()];
    let provisioners = Provisioners { local: &[], remote: &own };
    assert!(provisioners.knows("csi.example") && provisioners.knows("ebs.csi.aws.com"));
    assert!(!provisioners.knows("csi.vendor.invalid"));
}

#[test]
fn every_row_is_of_a_provisioner_that_the_catalogue_has_and_has_a_source() {
    const MODES: [&str; 4] = ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"];
    for row in include_str!("../catalogue/provisioner-facts.tsv").lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        let name = if cells[0] == "suffix" { format!("a{}", cells[1]) } else { cells[1].to_owned() };
        assert!(Provisioners::default().knows(&name), "{row}");
        let facts = facts(&name);
        assert!(facts.offers.iter().chain(facts.refuses).all(|mode| MODES.contains(mode)), "{row}");
        assert!(facts.refuses.iter().all(|mode| !facts.offers.contains(mode)), "{row}");
        assert!(cells.last().is_some_and(|source| !source.is_empty()), "{row}");
    }
}
