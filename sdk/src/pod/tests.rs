//! The lens over all its kinds.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::harness::project;
use crate::view::tree_of;

#[derive(Debug, Default, Clone, PartialEq, Deserialize)]
#[serde(default)]
struct Image {
    image: String,
    name: String,
}

impl View for Image {
    fn tree(_: &mut Visited) -> Tree {
        Tree::fields(["image", "name"].map(|name| (name.to_owned(), Tree::Value)))
    }
}

#[derive(Debug, Default, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rest {
    host_network: bool,
}

impl View for Rest {
    fn tree(_: &mut Visited) -> Tree {
        Tree::field("hostNetwork", Tree::Value)
    }
}

type Lens = Workload<Image, Rest, ClaimTemplate>;

fn object(kind: WorkloadKind) -> Value {
    let spec = json!({
        "hostNetwork": true, "nodeName": "unread",
        "initContainers": [{"name": "init", "image": "a"}, {"name": "sidecar", "image": "b", "restartPolicy": "Always"}],
        "containers": [{"name": "main", "image": "c", "env": [{"name": "unread"}]}],
        "ephemeralContainers": [{"name": "debug", "image": "d"}],
    });
    let metadata = json!({"labels": {"app": "x"}, "annotations": {"a": "b"}, "name": "x"});
    let template = json!({"metadata": metadata, "spec": spec});
    let spec = match kind {
        WorkloadKind::Pod => spec,
        WorkloadKind::CronJob => json!({"jobTemplate": {"spec": {"template": template}}}),
        WorkloadKind::StatefulSet => {
            json!({"replicas": 3, "template": template, "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": "fast", "accessModes": ["ReadWriteOnce", "Never"]}}]})
        }
        WorkloadKind::Job => json!({"parallelism": 3, "template": template}),
        _ => json!({"replicas": 3, "template": template}),
    };
    json!({"apiVersion": kind.api_version(), "kind": kind.as_str(), "metadata": metadata, "spec": spec})
}

fn gvk(kind: WorkloadKind) -> GroupVersionKind {
    let (group, version) = kind.api_version().split_once('/').unwrap_or(("", kind.api_version()));
    GroupVersionKind { group: group.to_owned(), version: version.to_owned(), kind: kind.as_str().to_owned() }
}

#[test]
fn every_kind_gives_the_same_pod_from_what_it_declares() {
    for (kind, declared) in WorkloadKind::ALL.into_iter().zip(Lens::kinds()) {
        let object = object(kind);
        let projected = project(&object, &declared.tree).unwrap();
        let workload = Lens::read(&gvk(kind), &projected.to_string()).unwrap().unwrap();
        assert_eq!((workload.kind, workload.metadata.name.as_str()), (kind, "x"));
        assert!(workload.pod.rest.host_network);
        assert_eq!(workload.pod_metadata.labels["app"], "x");
        let seen: Vec<_> = workload
            .containers()
            .map(|container| (container.name.to_owned(), container.role, container.view.image.clone()))
            .collect();
        let expected = [
            ("init", Role::Init, "a"),
            ("sidecar", Role::Sidecar, "b"),
            ("main", Role::Regular, "c"),
            ("debug", Role::Ephemeral, "d"),
        ];
        assert_eq!(seen, expected.map(|(name, role, image)| (name.to_owned(), role, image.to_owned())), "{kind:?}");
        for container in workload.containers() {
            assert_eq!(
                object.pointer(container.path.pointer()).unwrap()["image"],
                container.view.image.as_str(),
                "{kind:?}"
            );
            assert_eq!(container.view.name, container.name, "the author may read the name too");
        }
        assert!(!projected.to_string().contains("unread"), "{projected}");
    }
}

#[test]
fn replicas_and_claim_templates_are_read_where_a_kind_has_them() {
    for kind in WorkloadKind::ALL {
        let workload = Lens::read(&gvk(kind), &object(kind).to_string()).unwrap().unwrap();
        let counts = !matches!(kind, WorkloadKind::Pod | WorkloadKind::CronJob | WorkloadKind::DaemonSet);
        if counts {
            assert_eq!(workload.replicas, Some(3), "{kind:?}");
        }
        assert_eq!(workload.claim_templates.len(), usize::from(kind == WorkloadKind::StatefulSet));
        for (path, template) in workload.claim_templates() {
            assert_eq!(path.as_str(), "spec.volumeClaimTemplates[0]");
            assert_eq!(template.spec.access_modes, [AccessMode::ReadWriteOnce, AccessMode::Other("Never".to_owned())]);
        }
    }
}

#[test]
fn what_does_not_fit_is_named_at_its_place_in_the_kind() {
    let mut object = object(WorkloadKind::CronJob);
    *object.pointer_mut("/spec/jobTemplate/spec/template/spec/containers/0/image").unwrap() = json!(["c"]);
    let malformed = Lens::read(&gvk(WorkloadKind::CronJob), &object.to_string()).unwrap().unwrap_err();
    assert_eq!(malformed.path.as_str(), "spec.jobTemplate.spec.template.spec.containers[0].image");
}

#[test]
fn a_pod_is_also_matched_by_its_ephemeral_containers() {
    let kinds = Lens::kinds();
    let pod = kinds.iter().find(|kind| kind.kind == "Pod").unwrap();
    assert_eq!(pod.subresources, ["ephemeralcontainers"]);
}

#[test]
fn another_kind_is_not_read() {
    assert!(
        Lens::read(
            &GroupVersionKind {
                group: "apps".to_owned(),
                version: "v1beta1".to_owned(),
                kind: "StatefulSet".to_owned()
            },
            "{}"
        )
        .is_none()
    );
}

#[test]
#[should_panic(expected = "which the lens gives to the container's view")]
fn a_rest_that_names_the_containers_is_refused() {
    struct Greedy;
    impl View for Greedy {
        fn tree(_: &mut Visited) -> Tree {
            Tree::field("containers", Tree::Value)
        }
    }
    let _ = tree_of::<PodSpec<Image, Greedy>>();
}
