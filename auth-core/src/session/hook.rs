//! [`ClaimsHook`]: the app says, whenever tokens are about to be made, whether the user is still
//! enabled and what they may do now.
//!
//! 1. It is asked before anything is written: if it fails, nothing is consumed.
//! 2. A disabled user's session is revoked.
//! 3. What a login was granted is the most that its session gets: a later answer may narrow the
//!    scope of a session that began with one, never widen it (RFC 6749 §6).

use std::error::Error;
use std::fmt;

use async_trait::async_trait;
use serde::Serialize;

use crate::base::id::SessionId;
use crate::base::scope::Scope;
use crate::session::store::record::SessionDetails;
use crate::token::issuer::{AccessTokenRequest, MintError};

/// The app's word on its users.
///
/// ```
/// use async_trait::async_trait;
/// use auth_core::Scope;
/// use auth_core::session::{ClaimsHook, ClaimsUnavailable, CurrentClaims, UserQuery, UserState};
///
/// #[derive(Debug)]
/// struct Users;
///
/// #[async_trait]
/// impl ClaimsHook for Users {
///     async fn current(&self, user: &UserQuery<'_>) -> Result<UserState, ClaimsUnavailable> {
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
    /// Whether the user is enabled, and what they may do now.
    ///
    /// # Errors
    /// [`ClaimsUnavailable`] if that cannot be found out at present: 503, nothing is consumed.
    ///
    /// # Cancel safety
    /// The future may be dropped at any await.
    async fn current(&self, user: &UserQuery<'_>) -> Result<UserState, ClaimsUnavailable>;
}

/// Whom the hook is asked about.
#[derive(Clone, Copy)]
pub struct UserQuery<'a> {
    pub(crate) subject: &'a str,
    pub(crate) session: SessionId,
    pub(crate) details: &'a SessionDetails,
}

impl<'a> UserQuery<'a> {
    /// The user.
    #[must_use]
    pub fn subject(&self) -> &'a str {
        self.subject
    }

    /// The session that the tokens will belong to.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// What is known about the session, among it the data that the app put into it at login.
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

/// The hook's answer.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_enums, reason = "an app must answer one of the two")]
pub enum UserState {
    /// The user may go on, with these claims.
    Enabled(CurrentClaims),
    /// The user may not: their session is ended.
    Disabled,
}

/// What a user may do now: goes into the next access token.
#[derive(Clone, Default)]
#[must_use]
pub struct CurrentClaims {
    pub(crate) scope: Option<Scope>,
    pub(crate) roles: Vec<String>,
    pub(crate) claims: Option<serde_json::Value>,
}

impl CurrentClaims {
    /// No roles, no claims of the app's, and the scope that the login was granted.
    pub fn new() -> Self {
        Self::default()
    }

    /// The scope; a session whose login was granted one gets what both name.
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// The roles.
    pub fn with_roles<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        self.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// The app's own claims: a struct or map.
    ///
    /// # Errors
    /// [`MintError`] if it is no struct or map, or names a registered claim.
    pub fn with_claims<T: Serialize + ?Sized>(mut self, claims: &T) -> Result<Self, MintError> {
        // Refuses now what would otherwise fail at every refresh.
        let _checked = AccessTokenRequest::for_subject("").claims(claims)?;
        let claims =
            serde_json::to_value(claims).map_err(|error| MintError::Claims(error.into()))?;
        self.claims = Some(claims);
        Ok(self)
    }

    /// The scope of the next access token: what the user may do now, within what the login was
    /// granted.
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

impl fmt::Debug for CurrentClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentClaims").finish_non_exhaustive()
    }
}

/// The hook cannot tell at present. Any error turns into it with `?`.
pub struct ClaimsUnavailable(Box<dyn Error + Send + Sync>);

impl ClaimsUnavailable {
    /// Because of this.
    #[must_use]
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(source.into())
    }

    pub(crate) fn into_source(self) -> Box<dyn Error + Send + Sync> {
        self.0
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for ClaimsUnavailable {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

impl fmt::Debug for ClaimsUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimsUnavailable").finish_non_exhaustive()
    }
}

/// The hook of an app without one: everybody is enabled, with the scope that the login granted.
#[derive(Debug)]
pub(crate) struct AsGranted;

#[async_trait]
impl ClaimsHook for AsGranted {
    async fn current(&self, _user: &UserQuery<'_>) -> Result<UserState, ClaimsUnavailable> {
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
