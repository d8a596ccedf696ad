//! The observable state of a node: metrics, key events, health.

mod events;
mod health;
mod issuers;
mod metrics;
