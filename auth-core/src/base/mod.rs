//! Plain values: time, identifiers, clients, scopes, errors, strict JSON.

pub(crate) mod base64url;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod device;
pub(crate) mod error;
pub(crate) mod id;
pub(crate) mod keep_alive;
pub(crate) mod kind_error;
pub(crate) mod opaque;
pub(crate) mod scope;
pub(crate) mod strict_json;
pub(crate) mod words;
