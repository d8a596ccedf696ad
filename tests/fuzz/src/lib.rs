//! Fuzz targets: whatever comes from outside, and what must hold for it.
//!
//! 1. A target is a function of bytes. It ends by itself, and asserts what must hold for them: at
//!    least that nothing panics, mostly that an independent reading of the same bytes agrees.
//! 2. The same functions run in three places: bounded in `cargo test`, for as long as wanted by
//!    `tests/run fuzz`, and under libFuzzer in `fuzz/`.
//! 3. Runs can be repeated: seeds come from the case tables in `tests/corpora`, keys are fixed,
//!    the clock stands still, and what is drawn depends on the seed number alone.

#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a target reports by panicking"
)]

mod edits;
mod mutate;
mod run;
mod targets;
mod world;

pub use mutate::Mutator;
pub use run::{Limit, Run, run};
pub use targets::{TARGETS, Target, target};
