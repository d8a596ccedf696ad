//! The cache of verified tokens, from outside: it saves work and changes no result.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod answers;
mod hits;
mod world;
