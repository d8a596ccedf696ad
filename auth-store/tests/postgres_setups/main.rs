//! Postgres in common setups: with limited rights, behind a pooler, and after a switchover.

#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../common/mod.rs"]
mod common;
mod pooler;
mod programs;
mod rights;
mod switchover;
