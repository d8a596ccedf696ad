//! Fetching over real HTTP, from a provider that may be as bad as any. Tests are named after the
//! lines of the checklist. The cache's clock is turned by hand; only what a socket does takes
//! real time.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod cache;
mod discovery;
mod hostile;
mod key_sets;
mod logs;
mod outage;
mod providers;
mod world;
