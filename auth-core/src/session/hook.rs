//! [`ClaimsHook`]: the current state and claims of a user, supplied by the app.
//!
//! 1. The hook is called before any write: if it fails, nothing is consumed.
//! 2. The session of a disabled user is revoked.
//! 3. The scope of the login is the maximum for its session: later scopes of the hook may narrow it,
//!    never widen it (RFC 6749 §6).

use std::error::Error;
use std::fmt;

use async_trait::async_trait;
use serde::Serialize;

use crate::base::id::SessionId;
use crate::base::opaque::opaque_debug;
use crate::base::scope::Scope;
use crate::session::store::record::SessionDetails;
use crate::token::issuer::{AccessTokenRequest, MintError};

/// A hook that returns the current state and claims of a user.
///
/// ```
/// use async_trait::async_trait;
/// use auth_core::Scope;
/// use auth_core::session::{ClaimsHook, UsersUnavailable, CurrentClaims, UserQuery, UserState};
///
/// #[derive(Debug)]
/// struct Users;
///
/// #[async_trait]
/// impl ClaimsHook for Users {
///     async fn current(&self, user: &UserQuery<'_>) -> Result<UserState, UsersUnavailable> {
///         // Ask your database; `?` on its errors makes this request a 503.
///         if user.subject() == "mallory" {
///             return Ok(UserState::Disabled);
///         }
///         let claims = CurrentClaims::new().with_scope(Scope::parse("read write")?);
///         Ok(UserState::Enabled(claims))
///     }
/// }
/// ```
#[async_trait]
pub trait ClaimsHook: Send + Sync + fmt::Debug {
    /// Returns whether the user is enabled, and their current claims.
    ///
    /// # Errors
    /// [`UsersUnavailable`] if the state is not available now. The response is 503, and nothing is
    /// consumed.
    ///
    /// # Cancel safety
    /// The future may be dropped at any await.
    async fn current(&self, user: &UserQuery<'_>) -> Result<UserState, UsersUnavailable>;
}

/// The user and session of a hook call.
#[derive(Clone, Copy)]
pub struct UserQuery<'a> {
    pub(crate) subject: &'a str,
    pub(crate) session: SessionId,
    pub(crate) details: &'a SessionDetails,
}

impl<'a> UserQuery<'a> {
    /// The subject of the session.
    #[must_use]
    pub fn subject(&self) -> &'a str {
        self.subject
    }

    /// The session of the tokens.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The details of the session, including the data that the app stored at login.
    #[must_use]
    pub fn details(&self) -> &'a SessionDetails {
        self.details
    }
}

impl fmt::Debug for UserQuery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserQuery")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// The state of a user.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_enums, reason = "an app must answer one of the two")]
pub enum UserState {
    /// The user is enabled, with these claims.
    Enabled(CurrentClaims),
    /// The user is disabled: the session ends.
    Disabled,
}

/// The current claims of a user, for the next access token.
#[derive(Clone, Default)]
#[must_use]
pub struct CurrentClaims {
    pub(crate) scope: Option<Scope>,
    pub(crate) roles: Vec<String>,
    pub(crate) claims: Option<serde_json::Value>,
}

impl CurrentClaims {
    /// Creates claims without roles and private claims, with the scope of the login.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the scope. A session with a scope from its login gets the intersection of both.
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Sets the roles.
    pub fn with_roles<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        self.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the app's own claims: a struct or map.
    ///
    /// # Errors
    /// [`MintError`] if it is not a struct or map, or contains a registered claim.
    pub fn with_claims<T: Serialize + ?Sized>(mut self, claims: &T) -> Result<Self, MintError> {
        // Fails now instead of at every refresh.
        let _checked = AccessTokenRequest::for_subject("").with_claims(claims)?;
        let claims =
            serde_json::to_value(claims).map_err(|error| MintError::Claims(error.into()))?;
        self.claims = Some(claims);
        Ok(self)
    }

    /// The scope of the next access token: the current scope, within that of the login.
    pub(crate) fn scope_within(&self, granted: Option<&str>) -> Scope {
        let granted = granted.map(Scope::from_claim);
        match (&self.scope, granted) {
            (Some(now), Some(granted)) => {
                Scope::from_tokens(now.iter().filter(|token| granted.contains(token)))
            }
            (Some(now), None) => now.clone(),
            (None, granted) => granted.unwrap_or_default(),
        }
    }
}

opaque_debug!(CurrentClaims);

/// The error for a state that is not available now. Any error converts into it with `?`.
pub struct UsersUnavailable(Box<dyn Error + Send + Sync>);

impl UsersUnavailable {
    /// Creates an error with its source.
    #[must_use]
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(source.into())
    }

    pub(crate) fn into_source(self) -> Box<dyn Error + Send + Sync> {
        self.0
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for UsersUnavailable {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

opaque_debug!(UsersUnavailable);

/// The default hook: every user is enabled, with the scope of the login.
#[derive(Debug)]
pub(crate) struct AsGranted;

#[async_trait]
impl ClaimsHook for AsGranted {
    async fn current(&self, _user: &UserQuery<'_>) -> Result<UserState, UsersUnavailable> {
        Ok(UserState::Enabled(CurrentClaims::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d13_the_scope_narrows_and_never_widens() {
        let now = CurrentClaims::new().with_scope(Scope::parse("b c admin").unwrap());
        assert_eq!(now.scope_within(Some("a b c")).as_str(), "b c");
        assert_eq!(now.scope_within(None).as_str(), "b c admin");
        assert_eq!(now.scope_within(Some("")).as_str(), "");
        assert_eq!(
            CurrentClaims::new().scope_within(Some("a b")).as_str(),
            "a b"
        );
    }

    #[test]
    fn claims_of_the_app_cannot_take_a_registered_name() {
        let claims = serde_json::json!({"sub": "eve"});
        assert!(CurrentClaims::new().with_claims(&claims).is_err());
    }
}
