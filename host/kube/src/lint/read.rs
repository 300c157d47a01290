//! Facts read from a cluster: of workloads their images and volumes, of
//! namespaces their labels, page by page.

use std::collections::BTreeMap;
use std::fmt::Debug;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Namespace, PodTemplateSpec};
use kube::api::{Api, ListParams, PartialObjectMeta};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::facts::{Facts, Workload};

/// Objects of a page: client-go's own default for a pager.
const PAGE: u32 = 500;
/// Objects of a kind that are looked at: more than any cluster is known to have.
const MAX_OBJECTS: usize = 100_000;

/// What a cluster adds to what is known: its workloads, its namespaces and the
/// replicas that Portcullis is to have.
///
/// # Errors
/// What the account may not list, or no answer.
pub async fn facts(client: &Client, own_namespace: &str, known: Facts) -> kube::Result<Facts> {
    let mut facts = Facts { workloads: Vec::new(), namespaces: BTreeMap::new(), ..known };
    let workloads = &mut facts.workloads;
    each(client, |one: &DaemonSet| {
        workloads.extend(workload("DaemonSet", one, &one.spec.template));
    })
    .await?;
    each(client, |one: &StatefulSet| {
        workloads.extend(workload("StatefulSet", one, &one.spec.template));
    })
    .await?;
    let replicas = &mut facts.replicas;
    each(client, |one: &Deployment| {
        let label = |name: &str| one.labels().get(&format!("app.kubernetes.io/{name}")).map(String::as_str);
        let is_own = one.namespace().as_deref() == Some(own_namespace);
        if is_own && label("name") == Some("portcullis") && label("component") == Some("server") {
            *replicas = u32::try_from(one.spec.replicas.unwrap_or(1)).ok();
        }
        workloads.extend(workload("Deployment", one, &one.spec.template));
    })
    .await?;
    let namespaces = &mut facts.namespaces;
    pages(&Api::<Namespace>::all(client.clone()), |page: PartialObjectMeta<Namespace>| {
        namespaces.insert(page.name_any(), page.labels().clone());
    })
    .await?;
    facts.workloads.sort();
    Ok(facts)
}

/// All objects of a kind.
async fn each<K>(client: &Client, mut take: impl FnMut(&K)) -> kube::Result<()>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let api: Api<K> = Api::all(client.clone());
    let (mut token, mut seen) = (None, 0);
    loop {
        let page = api.list(&parameters(token)).await?;
        page.items.iter().for_each(&mut take);
        seen += page.items.len();
        token = page.metadata.continue_.filter(|token| !token.is_empty());
        if token.is_none() || seen >= MAX_OBJECTS {
            return Ok(());
        }
    }
}

/// The metadata of all objects of a kind.
async fn pages<K>(api: &Api<K>, mut take: impl FnMut(PartialObjectMeta<K>)) -> kube::Result<()>
where
    K: Clone + DeserializeOwned + Debug,
{
    let (mut token, mut seen) = (None, 0);
    loop {
        let page = api.list_metadata(&parameters(token)).await?;
        seen += page.items.len();
        page.items.into_iter().for_each(&mut take);
        token = page.metadata.continue_.filter(|token| !token.is_empty());
        if token.is_none() || seen >= MAX_OBJECTS {
            return Ok(());
        }
    }
}

fn parameters(token: Option<String>) -> ListParams {
    let parameters = ListParams::default().limit(PAGE);
    match token {
        Some(token) => parameters.continue_token(&token),
        None => parameters,
    }
}

fn workload(kind: &str, object: &impl ResourceExt, template: &PodTemplateSpec) -> Option<Workload> {
    let pod = template.spec.as_ref()?;
    let containers = pod.containers.iter().chain(pod.init_containers.iter().flatten());
    let images: Vec<&str> = containers.filter_map(|one| one.image.as_deref()).collect();
    let volumes = pod.volumes.iter().flatten();
    let paths: Vec<&str> = volumes.filter_map(|one| Some(one.host_path.as_ref()?.path.as_str())).collect();
    let labels = template.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    Workload::of((kind, &namespace, &name), &images, &paths, labels)
}
