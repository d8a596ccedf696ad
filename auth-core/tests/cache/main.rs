//! The cache of verified tokens, seen from outside: it saves work and changes no answer.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod answers;
mod hits;
mod world;
