//! Tests of the public API of keys, named after the requirement that they check.

mod documents;
mod fixtures;
mod jwks;
mod keyring;
mod secrets;
mod signatures;
