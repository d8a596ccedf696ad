//! Request views, token sources and response values. The CSRF rule is the only decision made here.

pub(crate) mod browser;
pub(crate) mod cookies;
pub(crate) mod csrf;
pub(crate) mod edits;
pub(crate) mod header;
pub(crate) mod origin;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod same_url;
pub(crate) mod site_path;
pub(crate) mod source;
pub(crate) mod subprotocol;
