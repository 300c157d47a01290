//! The pod's spec and its containers, whatever their role.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::split::{Own, Taken, split};
use crate::path::FieldPath;
use crate::view::{Tree, View, Visited};

/// A pod's spec: its containers through the author's view `C`, the rest through `P`.
///
/// `P` doesn't name the lists of containers: they are the lens's.
#[derive(Debug, Clone, PartialEq)]
pub struct PodSpec<C, P> {
    /// `spec.initContainers`: init containers and sidecars.
    pub init_containers: Vec<Container<C>>,
    /// `spec.containers`.
    pub containers: Vec<Container<C>>,
    /// `spec.ephemeralContainers`.
    pub ephemeral_containers: Vec<Container<C>>,
    /// The rest of the spec.
    pub rest: P,
}

/// A container: what the lens reads of every one, and the author's view.
#[derive(Debug, Clone, PartialEq)]
pub struct Container<C> {
    /// Its name.
    pub name: String,
    /// `Always` makes a sidecar of an init container.
    pub restart_policy: Option<String>,
    /// What the author reads.
    pub view: C,
}

/// What a container is in its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Runs to its end before the pod starts.
    Init,
    /// An init container with `restartPolicy: Always`: runs beside the regular ones.
    Sidecar,
    /// One of `spec.containers`.
    Regular,
    /// Added to a running pod for debugging.
    Ephemeral,
}

/// A container with its role and place.
#[derive(Debug, Clone)]
pub struct ContainerRef<'a, C> {
    /// Its name.
    pub name: &'a str,
    /// Its role.
    pub role: Role,
    /// Its place in the object: `spec.template.spec.containers[0]`.
    pub path: FieldPath,
    /// What the author reads.
    pub view: &'a C,
}

impl<C, P> PodSpec<C, P> {
    /// All containers of a spec that lies at `path`, in the order in which they start.
    pub fn containers(&self, path: FieldPath) -> impl Iterator<Item = ContainerRef<'_, C>> {
        let lists = [
            ("initContainers", Role::Init, &self.init_containers),
            ("containers", Role::Regular, &self.containers),
            ("ephemeralContainers", Role::Ephemeral, &self.ephemeral_containers),
        ];
        lists.into_iter().flat_map(move |(field, role, containers)| {
            let list = path.field(field);
            containers.iter().enumerate().map(move |(index, container)| ContainerRef {
                name: &container.name,
                role: if role == Role::Init && container.restart_policy.as_deref() == Some("Always") {
                    Role::Sidecar
                } else {
                    role
                },
                path: list.index(index),
                view: &container.view,
            })
        })
    }
}

impl<C: View, P: View> View for PodSpec<C, P> {
    fn tree(visited: &mut Visited) -> Tree {
        let container = Tree::fields([("name".to_owned(), Tree::Value), ("restartPolicy".to_owned(), Tree::Value)])
            .merge(C::tree(visited));
        let lists = Tree::fields(LISTS.map(|list| (list.to_owned(), Tree::each(container.clone()))));
        let rest = P::tree(visited);
        if let Tree::Fields(fields) = &rest {
            let taken = LISTS.into_iter().find(|&list| fields.contains_key(list));
            assert!(
                taken.is_none(),
                "a view of the rest of a pod's spec names `{}`, which the lens gives to the container's view",
                taken.unwrap_or_default()
            );
        }
        lists.merge(rest)
    }
}

const LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

impl<'de, C: Deserialize<'de>, P: Deserialize<'de>> Deserialize<'de> for PodSpec<C, P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PodSpecVisitor<C, P>(PhantomData<(C, P)>);
        impl<'de, C: Deserialize<'de>, P: Deserialize<'de>> Visitor<'de> for PodSpecVisitor<C, P> {
            type Value = PodSpec<C, P>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a pod's spec")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let mut lists = Lists([Vec::new(), Vec::new(), Vec::new()]);
                let rest = split(&mut lists, map)?;
                let [init_containers, containers, ephemeral_containers] = lists.0;
                Ok(PodSpec { init_containers, containers, ephemeral_containers, rest })
            }
        }
        deserializer.deserialize_map(PodSpecVisitor(PhantomData))
    }
}

struct Lists<C>([Vec<Container<C>>; 3]);

impl<'de, C: Deserialize<'de>> Own<'de> for Lists<C> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<Taken, A::Error> {
        let Some(index) = LISTS.iter().position(|&list| list == name) else { return Ok(Taken::Left) };
        self.0[index] = map.next_value()?;
        Ok(Taken::Kept)
    }
}

impl<'de, C: Deserialize<'de>> Deserialize<'de> for Container<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContainerVisitor<C>(PhantomData<C>);
        impl<'de, C: Deserialize<'de>> Visitor<'de> for ContainerVisitor<C> {
            type Value = Container<C>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a container")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let mut own = NameAndPolicy::default();
                let view = split(&mut own, map)?;
                Ok(Container { name: own.name, restart_policy: own.restart_policy, view })
            }
        }
        deserializer.deserialize_map(ContainerVisitor(PhantomData))
    }
}

#[derive(Default)]
struct NameAndPolicy {
    name: String,
    restart_policy: Option<String>,
}

impl<'de> Own<'de> for NameAndPolicy {
    /// The author may read them too.
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<Taken, A::Error> {
        match name {
            "name" => {
                self.name = map.next_value()?;
                Ok(Taken::Shared(Value::from(self.name.clone())))
            }
            "restartPolicy" => {
                self.restart_policy = map.next_value()?;
                Ok(Taken::Shared(Value::from(self.restart_policy.clone())))
            }
            _ => Ok(Taken::Left),
        }
    }
}
