//! What an operator sees of a node: metrics, events of keys, health.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod events;
mod health;
mod issuers;
mod metrics;
#[allow(dead_code, reason = "the sessions' tests use more of it")]
#[path = "../sessions/world.rs"]
mod world;
