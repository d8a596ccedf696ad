//! [`ProtectedResource`]: the metadata of an API (RFC 9728), for clients that do not know it yet.

use crate::base::config::ConfigError;
use crate::base::scope::Scope;
use crate::endpoints::endpoint::Endpoint;
use crate::endpoints::oauth::metadata::{MetadataMembers, Url};
use crate::guard::builder::AuthenticatorBuilder;
use crate::guard::verdict::BoxFuture;
use crate::http::request::RequestView;
use crate::http::response::Response;

/// The metadata of a protected resource (RFC 9728): the accepted issuers, and the scopes.
///
/// Pass it to [`with_resource_metadata`](crate::AuthenticatorBuilder::with_resource_metadata) too,
/// so that a refused client finds it.
///
/// ```
/// use auth_core::adapter::Endpoint;
/// use auth_core::oauth::ProtectedResource;
/// use auth_core::{Authenticator, Key};
///
/// # fn main() -> Result<(), auth_core::ConfigError> {
/// let resource = ProtectedResource::new("https://api.example/v1")?
///     .with_authorization_server("https://issuer.example")?
///     .with_scopes("orders:read orders:write")?;
/// assert_eq!(resource.path(), "/.well-known/oauth-protected-resource/v1");
///
/// let auth = Authenticator::<()>::for_issuer("https://issuer.example")
///     .audience("https://api.example/v1")
///     .keys(Key::hs256("k1", &[7; 32])?)
///     .with_resource_metadata(&resource)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ProtectedResource {
    members: MetadataMembers,
    path: Box<str>,
    url: Box<str>,
}

impl ProtectedResource {
    /// Creates the metadata of the API with this URL. The URL should be the authenticator's
    /// audience (RFC 9728 §7.4).
    ///
    /// # Errors
    /// [`ConfigError`] unless it is an `https` URL (`http` on loopback) with a plain path, without
    /// query and fragment.
    pub fn new(resource: &str) -> Result<Self, ConfigError> {
        let url = Url::parse("resource", resource)?;
        let path = url.well_known("oauth-protected-resource");
        let mut members = MetadataMembers::default();
        members.set("resource", resource);
        // RFC 6750 §2.1; the body and the query are never read.
        members.extend("bearer_methods_supported", ["header"]);
        Ok(Self {
            members,
            url: format!("{}{path}", url.origin).into(),
            path: path.into(),
        })
    }

    /// Adds an issuer whose tokens are accepted.
    ///
    /// # Errors
    /// The same as for [`new`](Self::new): an issuer identifier is such a URL too (RFC 8414 §2).
    pub fn with_authorization_server(mut self, issuer: &str) -> Result<Self, ConfigError> {
        Url::parse("authorization server", issuer)?;
        self.members.extend("authorization_servers", [issuer]);
        Ok(self)
    }

    /// Adds supported scopes, space-separated.
    ///
    /// # Errors
    /// [`ConfigError`] if the text is not a valid scope (RFC 6749 §3.3).
    pub fn with_scopes(mut self, scopes: &str) -> Result<Self, ConfigError> {
        let scopes = Scope::parse(scopes)?;
        self.members.extend("scopes_supported", scopes.iter());
        Ok(self)
    }

    /// Sets the display name of the API.
    pub fn with_name(mut self, name: &str) -> Self {
        self.members.set("resource_name", name);
        self
    }

    /// Sets the URL of a page for developers.
    ///
    /// # Errors
    /// The same as for [`new`](Self::new).
    pub fn with_documentation(mut self, url: &str) -> Result<Self, ConfigError> {
        Url::parse("documentation", url)?;
        self.members.set("resource_documentation", url);
        Ok(self)
    }

    /// The URL of the document, as in the challenge.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Endpoint for ProtectedResource {
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

impl<T> AuthenticatorBuilder<T> {
    /// Adds the URL of this metadata to every challenge (RFC 9728 §5.1), so that a refused client
    /// finds the issuers of tokens.
    pub fn with_resource_metadata(mut self, resource: &ProtectedResource) -> Self {
        self.resource_metadata = Some(resource.url().into());
        self
    }
}
