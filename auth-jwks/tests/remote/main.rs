//! Fetches over real HTTP, from a provider with any fault. Tests are named after the lines of the
//! checklist. The cache's clock is manual; only sockets take real time.
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
