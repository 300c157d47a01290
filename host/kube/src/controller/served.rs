//! Which versions of which resources the cluster serves.

use std::collections::HashMap;

use kube::Client;
use kube::discovery::Discovery;

/// What discovery last said.
#[derive(Debug, Default)]
pub(super) struct ServedVersions {
    /// By group and plural.
    versions: HashMap<(String, String), Vec<String>>,
    known: bool,
}

impl ServedVersions {
    /// Asks again; what was known stays where there is no answer.
    pub(super) async fn ask(&mut self, client: &Client) {
        match Discovery::new(client.clone()).run_aggregated().await {
            Ok(discovery) => {
                let mut versions: HashMap<(String, String), Vec<String>> = HashMap::new();
                for group in discovery.groups() {
                    for version in group.versions() {
                        for (resource, _) in group.versioned_resources(version) {
                            let key = (resource.group, resource.plural);
                            versions.entry(key).or_default().push(version.to_owned());
                        }
                    }
                }
                *self = ServedVersions { versions, known: true };
            }
            Err(error) => {
                tracing::warn!(reason = crate::told(&error), "the API server doesn't say which versions it serves");
            }
        }
    }

    /// The versions of a resource; None where that isn't known. A resource that
    /// isn't served may come with a CustomResourceDefinition, in any version.
    pub(super) fn of(&self, group: &str, resource: &str) -> Option<Vec<String>> {
        let plural = resource.split('/').next().unwrap_or(resource);
        self.known.then(|| self.versions.get(&(group.to_owned(), plural.to_owned())).cloned()).flatten()
    }
}
