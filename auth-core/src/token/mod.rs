//! Access tokens: their claims, verifying, remembering and issuing them.

pub(crate) mod cache;
pub(crate) mod claims;
pub(crate) mod issuer;
pub mod mapping;
pub(crate) mod provider;
pub(crate) mod verify;
