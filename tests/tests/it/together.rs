//! Who is asked together and who is not, from policy documents.

use std::sync::Arc;

use portcullis::store::{self, Loaded, Sources};
use portcullis_core::evaluate::Company;
use serde_json::{Value, json};

use crate::hostile::hostile;
use crate::server::engine;

fn company<'l>(loaded: &'l Loaded, name: &str) -> Option<&'l Company> {
    let policy = loaded.policies.iter().find(|policy| policy.document.id.name == name).unwrap();
    policy.evaluator.as_deref().unwrap().company()
}

#[test]
fn an_authors_module_is_never_asked_for_several_policies() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hostile.wasm"), hostile()).unwrap();
    let document = |name: &str, module: &str, policy: &str| {
        json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": "ClusterPolicy", "metadata": {"name": name},
               "spec": {"module": module, "policy": policy}})
    };
    let mut documents: Vec<Value> = ["good", "look-up"].map(|name| document(name, "./hostile.wasm", name)).into();
    for name in ["one", "two"] {
        documents.push(document(name, "builtin/storage", "database-remote-storage"));
    }
    let text: Vec<String> = documents.iter().map(Value::to_string).collect();
    std::fs::write(folder.path().join("policies.yaml"), text.join("\n---\n")).unwrap();
    let loaded = store::load(&Sources::of_flags(&[folder.path().join("policies.yaml")]), engine());
    assert_eq!(loaded.problems, []);
    assert!(company(&loaded, "good").is_none() && company(&loaded, "look-up").is_none());
    let (one, two) = (company(&loaded, "one").unwrap(), company(&loaded, "two").unwrap());
    assert!(Arc::ptr_eq(&one.module, &two.module), "what is built in shares");
}
