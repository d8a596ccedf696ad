//! The keys module as its callers see it. Tests are named after the requirement they check.

mod documents;
mod fixtures;
mod jwks;
mod keyring;
mod secrets;
mod signatures;
