//! Image references, read as far as recognition needs: which path they name,
//! whatever registry, mirror, tag or digest stands around it.
//!
//! ```text
//! mirror.corp:5000/docker.io/library/postgres:16@sha256:…
//! ^ registry       ^ a mirrored one  ^^^^^^^^ name
//!                            ^^^^^^^^^^^^^^^^ path
//! ```

/// An image's repository without what varies between registries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// In lower case: `library/postgres`, `team/prefix/postgres`.
    path: String,
}

impl Image {
    /// Reads a reference. What isn't one gives a path that no catalogue knows.
    #[must_use]
    pub fn parse(reference: &str) -> Self {
        let reference = reference.trim();
        let named = reference.split('@').next().unwrap_or_default();
        let name_begins = named.rfind('/').map_or(0, |slash| slash + 1);
        let untagged = named[name_begins..].find(':').map_or(named, |colon| &named[..name_begins + colon]);
        let segments: Vec<&str> = untagged.split('/').filter(|segment| !segment.is_empty()).collect();
        let last = segments.len().saturating_sub(1);
        // A pull-through mirror keeps the registry that it mirrors in the path, so the last host counts.
        let path_begins = segments[..last].iter().rposition(|segment| is_host(segment)).map_or(0, |host| host + 1);
        Self { path: segments[path_begins..].join("/").to_ascii_lowercase() }
    }

    /// The path below the registry.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The last segment.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The path and its ends at whole segments, the longest first.
    pub fn suffixes(&self) -> impl Iterator<Item = &str> {
        let begins = std::iter::once(0).chain(self.path.match_indices('/').map(|(slash, _)| slash + 1));
        begins.map(|begin| &self.path[begin..])
    }
}

/// Whether a segment before the last names a registry: a port, a dot or localhost.
fn is_host(segment: &str) -> bool {
    segment == "localhost" || segment.contains(':') || segment.contains('.')
}

/// The words of a name: split at `-`, `_` and `.`, in lower case.
pub(crate) fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(['-', '_', '.']).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reference: &str, path: &str) {
        assert_eq!(Image::parse(reference).path(), path, "{reference}");
    }

    #[test]
    fn the_path_is_what_remains_without_registry_tag_and_digest() {
        for (reference, path) in [
            ("postgres", "postgres"),
            ("postgres:16", "postgres"),
            ("postgres@sha256:0123", "postgres"),
            ("postgres:16@sha256:0123", "postgres"),
            ("library/postgres", "library/postgres"),
            ("docker.io/postgres", "postgres"),
            ("docker.io/library/postgres:16.3-alpine", "library/postgres"),
            ("index.docker.io/library/postgres", "library/postgres"),
            ("localhost/postgres", "postgres"),
            ("localhost:5000/postgres", "postgres"),
            ("registry:5000/postgres", "postgres"),
            ("registry:5000/postgres:16", "postgres"),
            ("registry.corp/team/postgres", "team/postgres"),
            ("mirror.corp:5000/docker.io/library/postgres", "library/postgres"),
            ("mirror.corp:5000/docker.io/library/postgres:16@sha256:0123", "library/postgres"),
            ("harbor.corp/proxy/library/postgres", "proxy/library/postgres"),
            ("harbor.corp/quay.io/coreos/etcd:v3.5", "coreos/etcd"),
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/docker-hub/library/redis:7", "docker-hub/library/redis"),
            ("europe-docker.pkg.dev/project/mirror/bitnami/mongodb:4.4.8", "project/mirror/bitnami/mongodb"),
            ("public.ecr.aws/docker/library/mysql:8.4", "docker/library/mysql"),
            ("registry.k8s.io/etcd:3.5.16-0", "etcd"),
            ("k8s.gcr.io/etcd-amd64:3.1", "etcd-amd64"),
            ("[::1]:5000/postgres", "postgres"),
            ("Quay.io/Team/Postgres", "team/postgres"),
            ("  redis:7  ", "redis"),
            ("selectdb/doris.fe-ubuntu:2.1", "selectdb/doris.fe-ubuntu"),
            ("gcr.io/knative-releases/knative.dev/serving/cmd/queue", "serving/cmd/queue"),
            ("", ""),
            ("/", ""),
            (":", ""),
            ("@", ""),
            ("{{ .Values.image }}", "{{ .values.image }}"),
            ("-pxc", "-pxc"),
            ("a//b", "a/b"),
        ] {
            check(reference, path);
        }
    }

    #[test]
    fn ends_are_whole_segments() {
        let image = Image::parse("harbor.corp/proxy/library/postgres:16");
        assert_eq!(image.suffixes().collect::<Vec<_>>(), ["proxy/library/postgres", "library/postgres", "postgres"]);
        assert_eq!(image.name(), "postgres");
        assert_eq!(
            words("docker-elasticsearch_kubernetes.x").collect::<Vec<_>>(),
            ["docker", "elasticsearch", "kubernetes", "x"]
        );
    }
}
