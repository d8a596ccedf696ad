//! Sessions from the view of an app and its operator: every rule of the protocol, every fault.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

#[path = "../auth_kit/cookies.rs"]
mod cookies;
mod details;
mod devices;
mod ends;
mod exhaustive;
mod faults;
mod fit;
mod kit;
mod login;
mod memory;
mod model;
mod observed;
mod races;
mod reference;
mod refresh;
mod rows;
mod world;
