//! Signals for operators: events for an audit log, and metrics.

pub(crate) mod events;
pub mod metrics;
pub(crate) mod tasks;
pub(crate) mod words;
