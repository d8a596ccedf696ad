//! [`Introspection`]: token introspection (RFC 7662), for services that cannot verify tokens.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::base::clock::Timestamp;
use crate::base::config::ConfigError;
use crate::base::error::AuthErrorKind;
use crate::endpoints::endpoint::{Endpoint, checked_path};
use crate::endpoints::oauth::form::Form;
use crate::endpoints::oauth_error::OAuthError;
use crate::endpoints::reply;
use crate::guard::Guard;
use crate::guard::authenticator::Authenticator;
use crate::guard::verdict::{BoxFuture, Verdict};
use crate::http::request::{RequestSnapshot, RequestView};
use crate::http::response::Response;
use crate::token::claims::RegisteredClaims;

/// The introspection endpoint (RFC 7662), by default at `/oauth/introspect`. It returns whether a
/// token is active, and its claims.
///
/// An access token is active if the authenticator would accept it now. The response for any other
/// token, including refresh tokens and tokens for other audiences, is `{"active":false}`.
///
/// ```
/// use auth_core::oauth::Introspection;
/// use auth_core::Authenticator;
/// use std::sync::Arc;
///
/// # fn example(auth: Arc<Authenticator<()>>) -> Result<(), auth_core::ConfigError> {
/// let callers = auth.guard().require_scope("introspect")?;
/// let endpoint = Introspection::new(auth, callers)?;
/// # Ok(())
/// # }
/// ```
pub struct Introspection<T, C = T> {
    authenticator: Arc<Authenticator<T>>,
    callers: Guard<C>,
    path: Box<str>,
}

impl<T, C> Introspection<T, C> {
    /// Creates the endpoint for tokens that `authenticator` accepts, and for callers that pass
    /// `callers`.
    ///
    /// # Errors
    /// [`ConfigError`] if `callers` is optional or requires neither a scope nor a role: then every
    /// user could introspect any token they find (RFC 7662 §2.1, §4).
    pub fn new(
        authenticator: Arc<Authenticator<T>>,
        callers: Guard<C>,
    ) -> Result<Self, ConfigError> {
        if !callers.is_selective() {
            return Err(ConfigError::new(
                "callers",
                "must be a guard that requires a scope or a role",
            ));
        }
        Ok(Self {
            authenticator,
            callers,
            path: "/oauth/introspect".into(),
        })
    }

    /// Sets the path. Default: `/oauth/introspect`.
    ///
    /// # Errors
    /// [`ConfigError`] if `path` is not a plain path that starts with `/`.
    pub fn with_path(mut self, path: &str) -> Result<Self, ConfigError> {
        self.path = checked_path(path)?;
        Ok(self)
    }
}

impl<T, C> fmt::Debug for Introspection<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl<T, C> Endpoint for Introspection<T, C>
where
    T: DeserializeOwned + Send + Sync + 'static,
    C: DeserializeOwned + Send + Sync + 'static,
{
    fn path(&self) -> &str {
        &self.path
    }

    fn methods(&self) -> &'static str {
        "POST"
    }

    /// Checks the caller first: an unauthorized caller learns nothing, not even that the form is
    /// wrong.
    fn respond(&self, request: &dyn RequestView, body: &[u8]) -> BoxFuture<Response> {
        if request.method() != "POST" {
            return reply::ready(reply::method_not_allowed(self.methods()));
        }
        let caller = self.callers.check(request);
        let asked = token_of(request, body);
        let authenticator = Arc::clone(&self.authenticator);
        let snapshot = RequestSnapshot::of(request, None);
        Box::pin(async move {
            let edits = match caller.verdict().await {
                Verdict::Refuse(refusal) => return refusal.into_parts().1,
                Verdict::Pass(pass) => pass.into_parts().1,
            };
            let response = match asked {
                Some(token) => introspect(&authenticator, &token, &snapshot).await,
                None => OAuthError::InvalidRequest.response(),
            };
            response.with_edits(edits)
        })
    }
}

fn token_of(request: &dyn RequestView, body: &[u8]) -> Option<Zeroizing<String>> {
    let mut form = Form::read(request, body).ok()?;
    form.take("token_type_hint").ok()?;
    form.take("token").ok()?
}

async fn introspect<T>(
    authenticator: &Authenticator<T>,
    token: &str,
    request: &RequestSnapshot,
) -> Response
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    match authenticator.verifier.verify_any(token).await {
        Ok(verified) => reply::json_response(200, &active(&verified.registered)),
        Err(error) => match error.kind() {
            AuthErrorKind::Unavailable | AuthErrorKind::Misconfigured => {
                let refusal = authenticator.requests.refuse(error, None, request);
                refusal.into_parts().1
            }
            _ => reply::json_response(200, &json!({ "active": false })),
        },
    }
}

/// The response for an active token (RFC 7662 §2.2, and RFC 9470 §6.2 for `acr` and `auth_time`).
/// Absent claims are omitted; the app's own claims are left to services that verify tokens
/// themselves.
fn active(claims: &RegisteredClaims) -> Value {
    let mut members = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            members.insert(name.to_owned(), value);
        }
    };
    let text = |text: Option<&str>| text.map(Value::from);
    let secs = |at: Option<Timestamp>| at.map(|at| Value::from(at.as_secs()));
    let audience: Vec<&str> = claims.audience().collect();
    let scope = claims.scope();
    set("active", Some(true.into()));
    set("token_type", text(Some("Bearer")));
    set("scope", text((!scope.is_empty()).then(|| scope.as_str())));
    set("client_id", text(claims.client_id()));
    set("iss", text(claims.issuer()));
    set("sub", text(claims.subject()));
    set(
        "aud",
        match audience.as_slice() {
            [] => None,
            [one] => text(Some(one)),
            many => Some(many.into()),
        },
    );
    set("exp", secs(Some(claims.expires_at())));
    set("iat", secs(claims.issued_at()));
    set("nbf", secs(claims.not_before()));
    set("jti", text(claims.token_id()));
    set("acr", text(claims.acr()));
    set("auth_time", secs(claims.auth_time()));
    Value::Object(members)
}
