//! What an operator sees of a node: metrics, events of keys, health.

mod events;
mod health;
mod issuers;
mod metrics;
