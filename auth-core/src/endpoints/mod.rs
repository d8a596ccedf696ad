//! Endpoints with complete responses: session routes, OAuth endpoints, JWKS, health.

pub(crate) mod endpoint;
pub mod health;
pub(crate) mod jwks;
pub mod oauth;
pub(crate) mod oauth_error;
pub(crate) mod reply;
pub(crate) mod routes;
