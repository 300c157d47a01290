//! The look-ups of the contract, untyped: what a stand-in for the host implements.

/// One object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName {
    /// `storage.k8s.io/v1`.
    pub api_version: String,
    /// `StorageClass`.
    pub kind: String,
    /// Absent for a cluster-scoped kind.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

/// Several objects of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// `storage.k8s.io/v1`.
    pub api_version: String,
    /// `StorageClass`.
    pub kind: String,
    /// Absent: every namespace.
    pub namespace: Option<String>,
    /// In kubectl's syntax.
    pub label_selector: Option<String>,
    /// A declared key and the value there.
    pub key: Option<(String, String)>,
    /// At most so many.
    pub limit: u32,
}

/// One look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// One object.
    Get(ObjectName),
    /// Several.
    List(Query),
    /// How many.
    Count(Query),
}

/// Its answer; objects are JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupAnswer {
    /// To a get.
    Get(super::Answer<String>),
    /// To a list.
    List(super::Listing<String>),
    /// To a count.
    Count(super::Tally),
}
