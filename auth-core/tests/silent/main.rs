//! Silent refresh without an adapter: a browser, an app with pages, and other sites.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod browser;
#[path = "../auth_kit/cookies.rs"]
mod cookies;
mod delivery;
mod model;
mod other_sites;
mod pages;
mod thief;
mod within;
