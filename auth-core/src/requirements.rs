//! What a route asks of an authenticated request: scopes, roles, a recent or strong login.
//!
//! 1. Scopes and roles are all required; a missing one is 403 `insufficient_scope`.
//! 2. Step-up (RFC 9470): `max_age` and `acr`; falling short is 401
//!    `insufficient_user_authentication`, which tells the client to have the user log in again.
//! 3. A token that does not say when the user logged in never satisfies `max_age`.

use std::sync::Arc;
use std::time::Duration;

use crate::claims::RegisteredClaims;
use crate::clock::Timestamp;
use crate::error::{AuthError, AuthErrorKind, Cause, ConfigError, Needs};
use crate::scope::Scope;

/// What a route asks of an authenticated request.
///
/// ```
/// use auth_core::Requirements;
/// use std::time::Duration;
///
/// let admin = Requirements::new().with_scope("admin")?.with_max_age(Duration::from_secs(300));
/// # Ok::<(), auth_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Requirements {
    roles: Vec<Box<str>>,
    scope: Arc<Needs>,
    step_up: Arc<Needs>,
}

impl Requirements {
    /// Nothing but a good token.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds scopes, space-separated; all are required.
    ///
    /// # Errors
    /// If the text is no valid scope (RFC 6749 §3.3).
    pub fn with_scope(mut self, scope: &str) -> Result<Self, ConfigError> {
        let joined = format!("{} {scope}", self.scope.scope);
        self.scope = Arc::new(Needs {
            scope: Scope::parse(&joined)?,
            ..Needs::default()
        });
        Ok(self)
    }

    /// Adds a role; all are required (claim `roles`, RFC 9068 §2.2.3.1).
    #[must_use]
    pub fn with_role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into().into_boxed_str());
        self
    }

    /// The user must have logged in at most `max_age` ago (whole seconds; claim `auth_time`).
    #[must_use]
    pub fn with_max_age(mut self, max_age: Duration) -> Self {
        let acr = self.step_up.acr.clone();
        self.step_up = Arc::new(Needs {
            max_age: Some(max_age),
            acr,
            ..Needs::default()
        });
        self
    }

    /// The login must have been of one of these classes (claim `acr`), the preferred one first.
    ///
    /// # Errors
    /// If a class cannot be written into a challenge: empty, or not printable ASCII without space,
    /// quote and backslash.
    pub fn with_acr<I>(mut self, classes: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut acr = Vec::new();
        for class in classes {
            let class = class.as_ref();
            if class.is_empty() || class.contains(' ') || Scope::parse(class).is_err() {
                let problem = "only printable ASCII without space, quote and backslash";
                return Err(ConfigError::new("acr", problem));
            }
            acr.push(class.into());
        }
        let max_age = self.step_up.max_age;
        self.step_up = Arc::new(Needs {
            max_age,
            acr,
            ..Needs::default()
        });
        Ok(self)
    }

    pub(crate) fn check(&self, claims: &RegisteredClaims, now: Timestamp) -> Result<(), AuthError> {
        let lacking = |cause| {
            AuthError::new(AuthErrorKind::InsufficientScope, cause).needing(Arc::clone(&self.scope))
        };
        if !claims.scope().contains_all(&self.scope.scope) {
            return Err(lacking(Cause::Scope));
        }
        if !self
            .roles
            .iter()
            .all(|role| claims.roles().any(|own| *own == **role))
        {
            return Err(lacking(Cause::Role));
        }
        if self.is_recent(claims, now) && self.is_strong(claims) {
            return Ok(());
        }
        let kind = AuthErrorKind::InsufficientAuthentication;
        Err(AuthError::new(kind, Cause::Authentication).needing(Arc::clone(&self.step_up)))
    }

    fn is_recent(&self, claims: &RegisteredClaims, now: Timestamp) -> bool {
        let Some(max_age) = self.step_up.max_age else {
            return true;
        };
        claims
            .auth_time()
            .is_some_and(|at| now.saturating_since(at) <= max_age)
    }

    fn is_strong(&self, claims: &RegisteredClaims) -> bool {
        let classes = &self.step_up.acr;
        classes.is_empty()
            || claims
                .acr()
                .is_some_and(|acr| classes.iter().any(|class| **class == *acr))
    }
}
