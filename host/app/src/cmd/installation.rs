//! All that an installation consists of, for those who use neither kustomize nor
//! Helm: the files of `deploy/kustomize/base`, which are part of the binary, with
//! the custom resources and the roles that it makes itself.
//!
//! The tests hold it equal to what kustomize and Helm make.

use anyhow::{Result, anyhow};
use serde_json::Value;

use crate::config::DEFAULT_NAMESPACE;
use crate::yaml;

/// The files, in the order in which they are applied; custom resources and roles
/// come after the namespace.
const NAMESPACE: &str = include_str!("../../../../deploy/kustomize/base/namespace.yaml");
const REST: [(&str, &str); 6] = [
    ("priority.yaml", include_str!("../../../../deploy/kustomize/base/priority.yaml")),
    ("server.yaml", include_str!("../../../../deploy/kustomize/base/server.yaml")),
    ("controller.yaml", include_str!("../../../../deploy/kustomize/base/controller.yaml")),
    ("service.yaml", include_str!("../../../../deploy/kustomize/base/service.yaml")),
    ("disruption.yaml", include_str!("../../../../deploy/kustomize/base/disruption.yaml")),
    ("network.yaml", include_str!("../../../../deploy/kustomize/base/network.yaml")),
];

/// Every object, in a namespace and with an image of the user's choice;
/// `generated` are the custom resources and the roles.
///
/// # Errors
/// A file of the binary that isn't YAML, which a test would have found.
pub(super) fn objects(namespace: &str, image: &str, generated: Vec<Value>) -> Result<Vec<Value>> {
    let mut objects = read("namespace.yaml", NAMESPACE)?;
    objects.extend(generated);
    for (name, text) in REST {
        objects.extend(read(name, text)?);
    }
    for object in &mut objects {
        place(object, namespace, image);
    }
    Ok(objects)
}

fn read(name: &str, text: &str) -> Result<Vec<Value>> {
    let contents = yaml::read(name, text.as_bytes()).strict();
    if let Some(error) = contents.errors.into_iter().next() {
        return Err(anyhow!("{name} is part of this program and broken: {error}"));
    }
    contents.documents.iter().map(|document| Ok(serde_json::from_str(&document.json)?)).collect()
}

/// Puts an object into the namespace, and its containers on the image.
fn place(object: &mut Value, namespace: &str, image: &str) {
    if object["kind"] == "Namespace" {
        object["metadata"]["name"] = namespace.into();
    }
    if object.pointer("/metadata/namespace").is_some_and(|of| of == DEFAULT_NAMESPACE) {
        object["metadata"]["namespace"] = namespace.into();
    }
    let containers = object.pointer_mut("/spec/template/spec/containers").and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        container["image"] = image.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_in_the_default_namespace_or_on_the_default_image() {
        let objects = objects("guard", "mirror/portcullis:2", Vec::new()).expect("the files are YAML");
        let text = Value::from(objects.clone()).to_string();
        assert!(!text.contains(DEFAULT_NAMESPACE), "{text}");
        assert!(!text.contains("\"portcullis:"), "{text}");
        let of = |kind: &str| objects.iter().filter(|object| object["kind"] == kind).count();
        assert_eq!((of("Namespace"), of("Deployment"), of("Service")), (1, 2, 1));
    }
}
