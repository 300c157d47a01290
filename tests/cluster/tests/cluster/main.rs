//! The cluster tier: one binary, each test with a control plane of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod bed;
mod cache;
mod certificates;
mod context;
mod corpus;
mod crd;
mod deploy;
mod enforcement;
mod guard;
mod installation;
mod many;
mod monitoring;
mod orders;
mod pods;
mod rbac;
mod replicas;
mod rollout;
mod scenarios;
mod tenants;
mod unanswered;
mod verbs;
mod ways_round;
mod webhooks;
mod world;
