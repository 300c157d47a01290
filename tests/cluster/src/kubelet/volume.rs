//! A Pod's volumes as folders: what Secrets, ConfigMaps and projections hold is
//! written as kubelet writes it, one folder behind the link `..data`, which is
//! swapped when the content changes, so that a reader sees a whole old or a whole
//! new version.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::field;
use crate::api::Api;

/// How long a service account's token is good for, in seconds, where the Pod doesn't say: kubelet's hour.
const TOKEN_LIFETIME: u64 = 3607;
/// The link that is swapped.
const DATA: &str = "..data";

/// One volume of a Pod.
#[derive(Clone, Debug)]
pub(super) enum Volume {
    /// A folder that others fill, or nobody: an emptyDir, a hostPath.
    Folder(PathBuf),
    /// A file system in memory, of so many bytes; it is as old as the container that it is mounted in.
    Memory(String),
    /// Content from the API server, kept current.
    Content { folder: PathBuf, source: Value },
}

/// The volumes of a Pod by their names; contents are written by [`refresh`].
pub(super) fn of_pod(pod: &Value, folder: &Path) -> io::Result<BTreeMap<String, Volume>> {
    let mut volumes = BTreeMap::new();
    for volume in pod["spec"]["volumes"].as_array().into_iter().flatten() {
        let name = volume["name"].as_str().unwrap_or_default();
        let place = folder.join("volumes").join(name);
        let of = if let Some(path) = volume["hostPath"]["path"].as_str() {
            Volume::Folder(path.into())
        } else if volume["emptyDir"]["medium"] == "Memory" {
            Volume::Memory(volume["emptyDir"]["sizeLimit"].as_str().unwrap_or("1Gi").to_owned())
        } else {
            fs::create_dir_all(&place)?;
            // As kubelet makes an emptyDir: any user of the Pod may write.
            fs::set_permissions(&place, fs::Permissions::from_mode(0o777))?;
            match volume["emptyDir"].is_object() {
                true => Volume::Folder(place),
                false => Volume::Content { folder: place, source: volume.clone() },
            }
        };
        volumes.insert(name.to_owned(), of);
    }
    Ok(volumes)
}

/// Reads what the contents are made of and swaps those that have changed.
pub(super) async fn refresh(api: &Api, pod: &Value, volumes: &BTreeMap<String, Volume>) -> Result<(), String> {
    for volume in volumes.values() {
        let Volume::Content { folder, source } = volume else { continue };
        let files = contents(api, pod, source, folder).await?;
        let group = pod["spec"]["securityContext"]["fsGroup"].as_u64().and_then(|group| u32::try_from(group).ok());
        write(folder, &files, group).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    Ok(())
}

type Files = BTreeMap<String, Vec<u8>>;

async fn contents(api: &Api, pod: &Value, source: &Value, folder: &Path) -> Result<Files, String> {
    if source["projected"].is_object() {
        let mut files = Files::new();
        for part in source["projected"]["sources"].as_array().into_iter().flatten() {
            files.extend(part_of(api, pod, part, folder).await?);
        }
        return Ok(files);
    }
    part_of(api, pod, source, folder).await
}

async fn part_of(api: &Api, pod: &Value, part: &Value, folder: &Path) -> Result<Files, String> {
    for (kind, resource) in [("secret", "secrets"), ("configMap", "configmaps")] {
        let source = &part[kind];
        let Some(name) = source["secretName"].as_str().or(source["name"].as_str()) else { continue };
        let path = format!("/api/v1/namespaces/{}/{resource}/{name}", namespace(pod));
        return match api.get(&path).await {
            Ok(object) => Ok(chosen(decoded(&object), &source["items"])),
            Err(why) if source["optional"] == true && why.starts_with("404") => Ok(Files::new()),
            Err(why) => Err(format!("{resource} {name}: {why}")),
        };
    }
    if let Some(path) = part["serviceAccountToken"]["path"].as_str() {
        // A token is made anew when half of its time is over.
        let file = folder.join(path);
        let age = fs::metadata(&file).and_then(|found| found.modified()).ok().and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age.as_secs() < TOKEN_LIFETIME / 2)
            && let Ok(token) = fs::read(file)
        {
            return Ok(Files::from([(path.to_owned(), token)]));
        }
        return Ok(Files::from([(path.to_owned(), token(api, pod, &part["serviceAccountToken"]).await?)]));
    }
    let mut files = Files::new();
    for item in part["downwardAPI"]["items"].as_array().into_iter().flatten() {
        let value = field(pod, item["fieldRef"]["fieldPath"].as_str().unwrap_or_default()).unwrap_or_default();
        files.insert(item["path"].as_str().unwrap_or_default().to_owned(), value.into_bytes());
    }
    Ok(files)
}

async fn token(api: &Api, pod: &Value, source: &Value) -> Result<Vec<u8>, String> {
    let account = pod["spec"]["serviceAccountName"].as_str().unwrap_or("default");
    let audiences: Vec<&str> = source["audience"].as_str().into_iter().collect();
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {
            "audiences": audiences,
            "expirationSeconds": source["expirationSeconds"].as_u64().unwrap_or(TOKEN_LIFETIME),
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]},
        },
    });
    let path = format!("/api/v1/namespaces/{}/serviceaccounts/{account}/token", namespace(pod));
    let made = api.post(&path, &request).await?;
    Ok(made["status"]["token"].as_str().unwrap_or_default().as_bytes().to_vec())
}

fn namespace(pod: &Value) -> &str {
    pod["metadata"]["namespace"].as_str().unwrap_or_default()
}

/// What a Secret or a ConfigMap holds.
fn decoded(object: &Value) -> Files {
    let secret = object["kind"] == "Secret";
    let mut files = Files::new();
    for (part, encoded) in [("data", secret), ("binaryData", true)] {
        for (key, value) in object[part].as_object().into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            let bytes =
                if encoded { BASE64_STANDARD.decode(text).unwrap_or_default() } else { text.as_bytes().to_vec() };
            files.insert(key.clone(), bytes);
        }
    }
    files
}

/// Those that `items` names, under the paths that it gives them; all where there are no items.
fn chosen(files: Files, items: &Value) -> Files {
    let Some(items) = items.as_array() else { return files };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    items.iter().filter_map(|item| Some((text(&item["path"]), files.get(&text(&item["key"]))?.clone()))).collect()
}

/// Writes a version beside the old one and swaps the link, where anything has changed.
fn write(folder: &Path, files: &Files, group: Option<u32>) -> io::Result<()> {
    let data = folder.join(DATA);
    let same = |(name, bytes): (&String, &Vec<u8>)| fs::read(data.join(name)).is_ok_and(|now| now == *bytes);
    let old = fs::read_link(&data).ok();
    let count = old.as_ref().map_or(0, |_| fs::read_dir(&data).map_or(0, Iterator::count));
    if old.is_some() && count == files.len() && files.iter().all(same) {
        return Ok(());
    }
    let mut version = 0;
    let version = loop {
        let name = format!("..{version}");
        if !folder.join(&name).exists() {
            break name;
        }
        version += 1;
    };
    fs::create_dir(folder.join(&version))?;
    for (name, bytes) in files {
        let file = folder.join(&version).join(name);
        fs::write(&file, bytes)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
        chown(&file, None, group)?;
    }
    let next = folder.join("..data_new");
    symlink(&version, &next)?;
    fs::rename(&next, &data)?;
    for name in files.keys() {
        let link = folder.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new(DATA).join(name), link)?;
        }
    }
    if let Some(old) = old {
        fs::remove_dir_all(folder.join(old))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::{Files, write};

    #[test]
    fn a_version_replaces_another_at_once_and_a_key_that_is_gone_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).ok();
        let files = |pairs: &[(&str, &str)]| -> Files {
            pairs.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
        };
        write(folder.path(), &files(&[("a", "1"), ("b", "1")]), None).unwrap();
        let first = std::fs::read_link(folder.path().join("..data")).unwrap();
        write(folder.path(), &files(&[("a", "1"), ("b", "1")]), None).unwrap();
        assert_eq!(std::fs::read_link(folder.path().join("..data")).unwrap(), first, "the same isn't written again");
        write(folder.path(), &files(&[("a", "2")]), None).unwrap();
        assert_eq!((read("a").as_deref(), read("b")), (Some("2"), None));
    }
}
