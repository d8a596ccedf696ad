//! [`TokenRevocation`]: token revocation by clients (RFC 7009).

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::base::config::ConfigError;
use crate::base::error::AuthErrorKind;
use crate::base::id::SessionId;
use crate::endpoints::endpoint::{Endpoint, checked_path};
use crate::endpoints::oauth::client::{AuthenticateClient, ClientCredentials};
use crate::endpoints::oauth::form::Form;
use crate::endpoints::oauth_error::OAuthError;
use crate::endpoints::reply;
use crate::guard::authenticator::Authenticator;
use crate::guard::verdict::BoxFuture;
use crate::http::request::{RequestSnapshot, RequestView};
use crate::http::response::Response;
use crate::session::Sessions;

/// The revocation endpoint (RFC 7009), by default at `/oauth/revoke`. It ends the session of a
/// refresh or access token, and with it all tokens of that session.
///
/// It is for OAuth clients; the app's own pages log out at `/auth/logout`, which also clears their
/// cookies. The endpoint ignores cookies.
///
/// ```
/// use auth_core::oauth::{PublicClient, TokenRevocation};
/// use auth_core::session::Sessions;
/// use auth_core::Authenticator;
/// use std::sync::Arc;
///
/// # fn example(sessions: Sessions, auth: Arc<Authenticator<()>>) {
/// // The app's own mobile clients: every holder of a token may revoke it.
/// let endpoint = TokenRevocation::new(sessions, auth, PublicClient::new("first-party"));
/// # }
/// ```
pub struct TokenRevocation<T> {
    shared: Arc<TokenRevocationState<T>>,
    path: Box<str>,
}

struct TokenRevocationState<T> {
    sessions: Sessions,
    authenticator: Arc<Authenticator<T>>,
    clients: Box<dyn AuthenticateClient>,
}

impl<T> TokenRevocation<T> {
    /// Creates the endpoint for `sessions`, whose access tokens `authenticator` verifies, and for
    /// the clients that `clients` accepts.
    #[must_use]
    pub fn new(
        sessions: Sessions,
        authenticator: Arc<Authenticator<T>>,
        clients: impl AuthenticateClient + 'static,
    ) -> Self {
        let shared = TokenRevocationState {
            sessions,
            authenticator,
            clients: Box::new(clients),
        };
        Self {
            shared: Arc::new(shared),
            path: "/oauth/revoke".into(),
        }
    }

    /// Sets the path. Default: `/oauth/revoke`.
    ///
    /// # Errors
    /// [`ConfigError`] if `path` is not a plain path that starts with `/`.
    pub fn with_path(mut self, path: &str) -> Result<Self, ConfigError> {
        self.path = checked_path(path)?;
        Ok(self)
    }
}

impl<T> fmt::Debug for TokenRevocation<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRevocation")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Endpoint for TokenRevocation<T> {
    fn path(&self) -> &str {
        &self.path
    }

    fn methods(&self) -> &'static str {
        "POST"
    }

    fn respond(&self, request: &dyn RequestView, body: &[u8]) -> BoxFuture<Response> {
        if request.method() != "POST" {
            return reply::ready(reply::method_not_allowed(self.methods()));
        }
        let Ok(asked) = RevocationRequest::read(request, body) else {
            return reply::ready(OAuthError::InvalidRequest.response());
        };
        let shared = Arc::clone(&self.shared);
        let snapshot = RequestSnapshot::of(request, None);
        Box::pin(async move { shared.revoke(asked, &snapshot).await })
    }
}

struct RevocationRequest {
    credentials: ClientCredentials,
    token: Option<Zeroizing<String>>,
}

impl RevocationRequest {
    fn read(
        request: &dyn RequestView,
        body: &[u8],
    ) -> Result<Self, crate::endpoints::oauth::form::BadForm> {
        let mut form = Form::read(request, body)?;
        // A hint only speeds up the lookup (RFC 7009 §2.1); the form of these tokens shows their
        // kind.
        form.take("token_type_hint")?;
        Ok(Self {
            credentials: ClientCredentials::read(request, &mut form)?,
            token: form.take("token")?,
        })
    }
}

/// A session, and the client to which its tokens were issued.
enum TokenSession {
    Session(SessionId, Box<str>),
    NoSession(Box<str>),
    Nothing,
}

impl<T: DeserializeOwned + Send + Sync + 'static> TokenRevocationState<T> {
    /// Checks the client first, then the token (RFC 7009 §2.1).
    async fn revoke(&self, asked: RevocationRequest, request: &RequestSnapshot) -> Response {
        let client = match self.clients.authenticate(&asked.credentials).await {
            Ok(Some(client)) => client,
            Ok(None) => return OAuthError::invalid_client(asked.credentials.in_header()),
            Err(error) => {
                let error = error.into_unavailable();
                let refusal = self
                    .authenticator
                    .requests
                    .store_unavailable(error, request);
                return refusal.into_parts().1;
            }
        };
        let Some(token) = asked.token else {
            return OAuthError::InvalidRequest.response();
        };
        let (session, owner) = match self.find(&token, request).await {
            Ok(TokenSession::Session(session, owner)) => (Some(session), owner),
            Ok(TokenSession::NoSession(owner)) => (None, owner),
            Ok(TokenSession::Nothing) => return reply::revoked(),
            Err(unavailable) => return unavailable,
        };
        if *owner != *client {
            return OAuthError::InvalidGrant.response();
        }
        let Some(session) = session else {
            return OAuthError::UnsupportedTokenType.response();
        };
        match self.sessions.end_presented(session).await {
            Ok(()) => reply::revoked(),
            Err(error) => {
                let refusal = self
                    .authenticator
                    .requests
                    .store_unavailable(error, request);
                refusal.into_parts().1
            }
        }
    }

    /// Finds the session of the token. `Err` is the response if the infrastructure is unavailable.
    async fn find(&self, token: &str, request: &RequestSnapshot) -> Result<TokenSession, Response> {
        let issuer = self.sessions.issuer();
        if let Some(session) = self.sessions.session_of(token) {
            return Ok(TokenSession::Session(session, issuer.client_id().into()));
        }
        let verified = match self.authenticator.verifier.verify_any(token).await {
            Ok(verified) => verified,
            Err(error) if error.kind() == AuthErrorKind::InvalidToken => {
                return Ok(TokenSession::Nothing);
            }
            Err(error) => {
                let refusal = self.authenticator.requests.refuse(error, None, request);
                return Err(refusal.into_parts().1);
            }
        };
        let claims = &verified.registered;
        if claims.issuer() != Some(issuer.name()) {
            return Ok(TokenSession::Nothing);
        }
        let owner = claims.client_id().unwrap_or_default().into();
        Ok(match claims.session() {
            Some(session) => TokenSession::Session(session, owner),
            None => TokenSession::NoSession(owner),
        })
    }
}
