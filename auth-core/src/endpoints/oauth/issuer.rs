//! [`IssuerMetadata`]: the metadata of an issuer (RFC 8414), for verifiers of its tokens.

use serde::Serialize;

use crate::base::config::ConfigError;
use crate::endpoints::endpoint::Endpoint;
use crate::endpoints::jwks::JwksEndpoint;
use crate::endpoints::oauth::metadata::{MetadataMembers, Url};
use crate::guard::verdict::BoxFuture;
use crate::http::request::RequestView;
use crate::http::response::Response;
use crate::token::issuer::Issuer;

/// The metadata of an issuer (RFC 8414), by which other services find its keys.
///
/// It contains no grant types and no authorization endpoint, since login belongs to the app. An app
/// with such endpoints adds them [as members](Self::with_member).
///
/// ```
/// use auth_core::adapter::Endpoint;
/// use auth_core::oauth::IssuerMetadata;
/// use auth_core::{Issuer, Key};
///
/// # fn main() -> Result<(), auth_core::ConfigError> {
/// let issuer = Issuer::for_issuer("https://issuer.example")
///     .audience("https://api.example")
///     .keys(Key::hs256("k1", &[7; 32])?)?;
/// let metadata = IssuerMetadata::new(&issuer)?
///     .with_revocation("https://issuer.example/oauth/revoke", &["none"])?;
/// assert_eq!(metadata.path(), "/.well-known/oauth-authorization-server");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct IssuerMetadata {
    members: MetadataMembers,
    path: Box<str>,
}

impl IssuerMetadata {
    /// Creates the metadata of `issuer`, whose keys are at [`JwksEndpoint::PATH`] of its host.
    ///
    /// # Errors
    /// [`ConfigError`] unless the issuer identifier is an `https` URL (`http` on loopback) with a
    /// plain path, without query and fragment (RFC 8414 §2).
    pub fn new(issuer: &Issuer) -> Result<Self, ConfigError> {
        let url = Url::parse("issuer", issuer.name())?;
        let mut members = MetadataMembers::default();
        members.set("issuer", issuer.name());
        members.set("jwks_uri", format!("{}{}", url.origin, JwksEndpoint::PATH));
        Ok(Self {
            members,
            path: url.well_known("oauth-authorization-server").into(),
        })
    }

    /// Sets the URL of the keys. Default: [`JwksEndpoint::PATH`] on the issuer's host.
    ///
    /// # Errors
    /// The same as for [`new`](Self::new).
    pub fn with_jwks_uri(mut self, url: &str) -> Result<Self, ConfigError> {
        Url::parse("jwks_uri", url)?;
        self.members.set("jwks_uri", url);
        Ok(self)
    }

    /// Adds the URL of the revocation endpoint
    /// ([`TokenRevocation`](crate::endpoints::oauth::TokenRevocation)), and its client
    /// authentication methods: those of `client_secret_basic`, `client_secret_post` and `none` that
    /// the app's [`AuthenticateClient`](crate::endpoints::oauth::AuthenticateClient) accepts.
    ///
    /// # Errors
    /// The same as for [`new`](Self::new).
    pub fn with_revocation(mut self, url: &str, methods: &[&str]) -> Result<Self, ConfigError> {
        Url::parse("revocation_endpoint", url)?;
        self.members.set("revocation_endpoint", url);
        let name = "revocation_endpoint_auth_methods_supported";
        self.members.extend(name, methods.iter().copied());
        Ok(self)
    }

    /// Adds the URL of the introspection endpoint
    /// ([`Introspection`](crate::endpoints::oauth::Introspection)). Callers authenticate with an
    /// access token of their own.
    ///
    /// # Errors
    /// The same as for [`new`](Self::new).
    pub fn with_introspection(mut self, url: &str) -> Result<Self, ConfigError> {
        Url::parse("introspection_endpoint", url)?;
        self.members.set("introspection_endpoint", url);
        let name = "introspection_endpoint_auth_methods_supported";
        self.members.extend(name, ["Bearer"]);
        Ok(self)
    }

    /// Adds a member for a function of the app, e.g. `token_endpoint` and `grant_types_supported`.
    ///
    /// # Errors
    /// [`ConfigError`] if the member is already set, or does not serialize to JSON.
    pub fn with_member(mut self, name: &str, value: impl Serialize) -> Result<Self, ConfigError> {
        self.members.add(name, value)?;
        Ok(self)
    }
}

impl Endpoint for IssuerMetadata {
    fn path(&self) -> &str {
        &self.path
    }

    fn methods(&self) -> &'static str {
        "GET, HEAD"
    }

    fn respond(&self, request: &dyn RequestView, _: &[u8]) -> BoxFuture<Response> {
        Box::pin(std::future::ready(self.members.respond(request)))
    }
}
