//! One table of requests, run against all conformance servers: status, headers and body must be
//! the same, and what the checklist says. Tests are named after its lines.

mod bearer;
mod client;
mod config;
mod cookies;
mod corpora;
mod csrf;
mod forge;
mod front_door;
mod guards;
mod in_process;
mod issuers;
mod logins;
mod oauth;
mod player;
mod revocation;
mod secrets;
mod sessions;
mod shims;
mod silent;
mod stores;
mod token_claims;
mod token_form;
mod token_keys;
