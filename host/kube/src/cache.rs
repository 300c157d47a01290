//! stub
#![allow(missing_docs)]
use futures_util::future::BoxFuture;
use portcullis_core::admit::Policy;
use portcullis_core::cluster::*;
use std::sync::Arc;
use std::time::{Duration, Instant};
pub struct Cache;
#[derive(Default)]
pub struct CacheConfig {
    pub max_staleness: Duration,
    pub x: u8,
}
pub struct CacheView;
#[derive(Debug)]
pub struct CacheProblem {
    pub api_version: String,
    pub kind: String,
}
impl std::fmt::Display for CacheProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.kind)
    }
}
pub struct KindStats;
pub struct Wanted;
pub fn wanted(_: &[Arc<Policy>]) -> Vec<Wanted> {
    vec![]
}
impl Cache {
    pub fn new(_: kube::Client, _: CacheConfig) -> Arc<Cache> {
        Arc::new(Cache)
    }
    pub fn view(&self, _: &[Wanted]) -> Arc<CacheView> {
        Arc::new(CacheView)
    }
    pub fn confirmations(&self) -> (u64, u64, u64) {
        (0, 0, 0)
    }
}
impl CacheView {
    pub async fn settled(&self, _: Instant) -> bool {
        true
    }
    pub fn problems(&self) -> Vec<CacheProblem> {
        vec![]
    }
    pub fn kinds(&self) -> Vec<KindStats> {
        vec![]
    }
}
impl ClusterView for CacheView {
    fn get<'a>(&'a self, _: &'a ObjectName, _: &'a Budget) -> BoxFuture<'a, Answer> {
        Box::pin(async { Answer::Absent })
    }
    fn list<'a>(&'a self, _: &'a Query, _: &'a Budget) -> BoxFuture<'a, Listing> {
        Box::pin(async { Listing { items: vec![], incomplete: None } })
    }
}
