//! The endpoints for OAuth clients.

use std::sync::Arc;

use async_trait::async_trait;
use auth_core::adapter::Endpoint;
use auth_core::oauth::{
    AuthenticateClient, ClientCredentials, ClientsUnavailable, Introspection, IssuerMetadata,
    ProtectedResource, PublicClient, TokenRevocation,
};
use auth_core::{Authenticator, ConfigError};

use super::PrivateClaims;
use super::config::OAuthConfig;
use super::sessions::Backend;

/// Metadata of the resource.
pub(super) fn resource(
    config: &OAuthConfig,
    issuer: &str,
) -> Result<ProtectedResource, ConfigError> {
    ProtectedResource::new(&config.resource)?
        .with_authorization_server(issuer)?
        .with_scopes("admin")
        .map(|resource| resource.with_name("the shim"))
}

/// All of them; revocation where there are sessions.
pub(super) fn endpoints(
    config: &OAuthConfig,
    issuer: &str,
    auth: &Arc<Authenticator<PrivateClaims>>,
    backend: Option<&Backend>,
) -> Result<Vec<Arc<dyn Endpoint>>, ConfigError> {
    let callers = auth.guard().require_scope(&config.introspect)?;
    let mut endpoints: Vec<Arc<dyn Endpoint>> = vec![
        Arc::new(resource(config, issuer)?),
        Arc::new(Introspection::new(Arc::clone(auth), callers)?),
    ];
    if let Some(backend) = backend {
        let sessions = backend.sessions();
        let revoke = format!("{issuer}/oauth/revoke");
        let (method, clients): (_, Box<dyn AuthenticateClient>) = match &config.client {
            Some((id, secret)) => (
                "client_secret_basic",
                Box::new(Known(id.clone(), secret.clone())),
            ),
            None => ("none", Box::new(PublicClient::new("first-party"))),
        };
        let metadata = IssuerMetadata::new(sessions.issuer())?
            .with_revocation(&revoke, &[method])?
            .with_introspection(&format!("{issuer}/oauth/introspect"))?;
        endpoints.push(Arc::new(metadata));
        let revocation = TokenRevocation::new(sessions.clone(), Arc::clone(auth), clients);
        endpoints.push(Arc::new(revocation));
    }
    Ok(endpoints)
}

/// A client with a secret. One that is called `unsure` is not known today.
#[derive(Debug)]
struct Known(String, String);

#[async_trait]
impl AuthenticateClient for Known {
    async fn authenticate(
        &self,
        credentials: &ClientCredentials,
    ) -> Result<Option<String>, ClientsUnavailable> {
        if credentials.id() == Some("unsure") {
            return Err(ClientsUnavailable::new("the list of clients is away"));
        }
        let known = credentials.id() == Some(&self.0) && credentials.secret_is(self.1.as_bytes());
        Ok(known.then(|| self.0.clone()))
    }
}
