//! How a request is seen and a response is written. The only decision made here is the CSRF rule.

pub(crate) mod answer;
pub(crate) mod cookies;
pub(crate) mod csrf;
pub(crate) mod edits;
pub(crate) mod header;
pub(crate) mod request;
pub(crate) mod same_url;
pub(crate) mod source;
pub(crate) mod subprotocol;
