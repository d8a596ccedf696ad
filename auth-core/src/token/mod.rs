//! Access tokens: claims, verification, caching and issuing.

pub(crate) mod cache;
pub(crate) mod claims;
pub(crate) mod issuer;
pub mod mapping;
pub(crate) mod needs;
pub(crate) mod provider;
pub(crate) mod verify;
