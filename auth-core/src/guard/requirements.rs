//! [`Requirements`] of a route for an authenticated request: scopes, roles, a recent or strong
//! login.
//!
//! 1. All scopes and roles are required; a missing one is 403 `insufficient_scope`.
//! 2. Step-up (RFC 9470): `max_age` and `acr`. An insufficient authentication is 401
//!    `insufficient_user_authentication`, which tells the client to let the user log in again.
//! 3. A token without a time of authentication never satisfies `max_age`, nor does one with a time in
//!    the future: its age is unknown. If the user logged in again and the new session has no time
//!    either, the response is 403: a third login would have the same result.
//! 4. An empty scope or an empty list of classes is an error: it is usually a missing setting.
//! 5. A handler states its requirements as a type, [`Requires`]; a guard as a value,
//!    [`Requirements`]. Both use the same checks and get the same responses.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::config::ConfigError;
use crate::base::error::{AuthError, AuthErrorKind, Cause, Needs};
use crate::base::scope::{Scope, is_scope_byte};
use crate::token::claims::RegisteredClaims;

/// Maximum time by which `auth_time` may be in the future, for clock differences.
const MAX_SKEW: Duration = Duration::from_secs(30);

/// The requirements of a route for an authenticated request.
///
/// ```
/// use auth_core::adapter::Requirements;
/// use std::time::Duration;
///
/// let admin = Requirements::new().with_scope("admin")?.with_max_age(Duration::from_secs(300));
/// # Ok::<(), auth_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Requirements {
    scope: Scope,
    roles: Vec<Box<str>>,
    max_age: Option<Duration>,
    acr: Vec<Box<str>>,
}

impl Requirements {
    /// Creates requirements that any valid token satisfies.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds scopes, space-separated. All are required.
    ///
    /// # Errors
    /// [`ConfigError`] if the text is not a valid scope (RFC 6749 §3.3) or is empty.
    pub fn with_scope(mut self, scope: &str) -> Result<Self, ConfigError> {
        if Scope::parse(scope)?.is_empty() {
            return Err(ConfigError::new("scope", "must not be empty"));
        }
        self.scope = Scope::parse(&format!("{} {scope}", self.scope))?;
        Ok(self)
    }

    /// Adds a role (claim `roles`, RFC 9068 §2.2.3.1). All are required.
    #[must_use]
    pub fn with_role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into().into_boxed_str());
        self
    }

    /// Sets the maximum age of the login, in whole seconds (claim `auth_time`). The shortest of
    /// several counts.
    #[must_use]
    pub fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(self.max_age.map_or(max_age, |own| own.min(max_age)));
        self
    }

    /// Sets the accepted classes of the login (claim `acr`), the preferred one first. Replaces
    /// classes that were set before.
    ///
    /// # Errors
    /// [`ConfigError`] if there is none, or if one cannot be written into a challenge: empty, or
    /// not printable ASCII without space, quote and backslash.
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
        if acr.is_empty() {
            return Err(ConfigError::new("acr", "must not be empty"));
        }
        self.acr = acr;
        Ok(self)
    }

    /// Whether a scope or role is required.
    pub(crate) fn is_selective(&self) -> bool {
        !self.roles.is_empty() || !self.scope.is_empty()
    }

    /// The requirements in the form that is checked.
    pub(crate) fn as_check(&self) -> RequirementCheck<'_, Box<str>> {
        RequirementCheck {
            scope: self.scope.as_str(),
            roles: &self.roles,
            max_age: self.max_age,
            acr: &self.acr,
        }
    }
}

/// The requirements of a handler as a type, for extractors in its signature.
///
/// Values that cannot be written into a challenge (see [`Requirements`]) do not compile, and
/// nothing is built per request.
///
/// ```
/// use auth_core::Requires;
/// use std::time::Duration;
///
/// /// The permission to close accounts, after a recent login.
/// struct Closer;
///
/// impl Requires for Closer {
///     const SCOPE: &'static str = "accounts:close";
///     const MAX_AGE: Option<Duration> = Some(Duration::from_secs(300));
/// }
/// ```
///
/// ```compile_fail
/// use auth_core::adapter::{Refusal, RequestView};
/// use auth_core::{AuthContext, Requires};
///
/// struct Quoted;
/// impl Requires for Quoted {
///     const SCOPE: &'static str = "ad\"min";
/// }
/// let require_type: fn(&AuthContext, &dyn RequestView) -> Result<(), Refusal> =
///     AuthContext::require_type::<Quoted>;
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not declare requirements",
    note = "implement `auth_core::Requires` for it and set `SCOPE`, `ROLES`, `MAX_AGE` or `ACR`"
)]
pub trait Requires: 'static {
    /// Required scopes, space-separated. Default: none.
    const SCOPE: &'static str = "";

    /// Required roles (claim `roles`, RFC 9068 §2.2.3.1). Default: none.
    const ROLES: &'static [&'static str] = &[];

    /// Maximum age of the login, in whole seconds (claim `auth_time`). Default: any.
    const MAX_AGE: Option<Duration> = None;

    /// Accepted classes of the login (claim `acr`), the preferred one first. Default: any.
    const ACR: &'static [&'static str] = &[];
}

const fn are_classes(classes: &[&str]) -> bool {
    let mut rest = classes;
    while let Some((class, after)) = rest.split_first() {
        if class.is_empty() || !are_scope_tokens(class, false) {
            return false;
        }
        rest = after;
    }
    true
}

const fn are_scope_tokens(text: &str, spaces: bool) -> bool {
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        if !(is_scope_byte(*byte) || spaces && *byte == b' ') {
            return false;
        }
        rest = after;
    }
    true
}

/// Requirements in either form.
pub(crate) struct RequirementCheck<'a, S> {
    scope: &'a str,
    roles: &'a [S],
    max_age: Option<Duration>,
    acr: &'a [S],
}

impl RequirementCheck<'static, &'static str> {
    /// The requirements of a type.
    pub(crate) fn of<R: Requires>() -> Self {
        const {
            assert!(
                are_scope_tokens(R::SCOPE, true),
                "SCOPE: only printable ASCII without quote and backslash"
            );
            assert!(
                are_classes(R::ACR),
                "ACR: only printable ASCII without space, quote and backslash, and not empty"
            );
        }
        Self {
            scope: R::SCOPE,
            roles: R::ROLES,
            max_age: R::MAX_AGE,
            acr: R::ACR,
        }
    }
}

impl<S: AsRef<str>> RequirementCheck<'_, S> {
    /// Checks a request. `now` is called only for requirements on time.
    pub(crate) fn check(
        &self,
        claims: &RegisteredClaims,
        now: impl FnOnce() -> Timestamp,
    ) -> Result<(), AuthError> {
        let mut scope = self.scope.split(' ').filter(|token| !token.is_empty());
        if !scope.all(|token| claims.scope().contains(token)) {
            return Err(self.missing(Cause::Scope));
        }
        let has = |role: &str| claims.roles().any(|own| own == role);
        if !self.roles.iter().all(|role| has(role.as_ref())) {
            return Err(self.missing(Cause::Role));
        }
        let recent = self.is_recent(claims, now);
        if recent && self.is_strong(claims) {
            return Ok(());
        }
        if !recent && claims.undated {
            return Err(AuthError::new(AuthErrorKind::Forbidden, Cause::Undated));
        }
        let kind = AuthErrorKind::InsufficientAuthentication;
        Err(AuthError::new(kind, Cause::Authentication).needing(Needs {
            max_age: self.max_age,
            acr: self.acr.iter().map(|class| class.as_ref().into()).collect(),
            ..Needs::default()
        }))
    }

    fn missing(&self, cause: Cause) -> AuthError {
        AuthError::new(AuthErrorKind::InsufficientScope, cause).needing(Needs {
            scope: Scope::parse(self.scope).unwrap_or_default(),
            ..Needs::default()
        })
    }

    fn is_recent(&self, claims: &RegisteredClaims, now: impl FnOnce() -> Timestamp) -> bool {
        let Some(max_age) = self.max_age else {
            return true;
        };
        let Some(at) = claims.auth_time() else {
            return false;
        };
        let now = now();
        at <= now.saturating_add(MAX_SKEW) && now.saturating_since(at) <= max_age
    }

    fn is_strong(&self, claims: &RegisteredClaims) -> bool {
        self.acr.is_empty()
            || claims
                .acr()
                .is_some_and(|acr| self.acr.iter().any(|class| class.as_ref() == acr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn logged_in(seconds_ago: i64) -> RegisteredClaims {
        RegisteredClaims {
            auth_time: Some(Timestamp::from_secs(NOW.as_secs() - seconds_ago)),
            ..RegisteredClaims::default()
        }
    }

    fn recent(claims: &RegisteredClaims) -> bool {
        let requirements = Requirements::new().with_max_age(Duration::from_secs(60));
        requirements.as_check().check(claims, || NOW).is_ok()
    }

    #[test]
    fn a_login_is_recent_up_to_and_including_max_age() {
        assert!(recent(&logged_in(0)));
        assert!(recent(&logged_in(60)));
        assert!(!recent(&logged_in(61)));
        assert!(!recent(&RegisteredClaims::default()));
    }

    #[test]
    fn h08_a_second_login_without_a_date_is_not_asked_for_a_third() {
        let mut claims = RegisteredClaims::default();
        let requirements = Requirements::new()
            .with_max_age(Duration::from_secs(60))
            .with_acr(["gold"])
            .unwrap();
        let refused =
            |claims: &RegisteredClaims| requirements.as_check().check(claims, || NOW).unwrap_err();
        let first = refused(&claims);
        assert_eq!(first.kind(), AuthErrorKind::InsufficientAuthentication);
        assert_eq!(first.max_age(), Some(Duration::from_secs(60)));
        assert_eq!(first.acr_values().collect::<Vec<_>>(), ["gold"]);
        claims.undated = true;
        let second = refused(&claims);
        assert_eq!(second.kind(), AuthErrorKind::Forbidden);
        assert_eq!(second.cause(), Cause::Undated);
        assert!(
            Requirements::new()
                .as_check()
                .check(&claims, || NOW)
                .is_ok()
        );
    }

    #[test]
    fn a_login_in_the_future_is_not_recent() {
        assert!(recent(&logged_in(-30)));
        assert!(!recent(&logged_in(-31)));
        assert!(!recent(&logged_in(-1_000_000_000)));
    }

    #[test]
    fn a_missing_setting_does_not_require_nothing() {
        for empty in ["", " ", "   "] {
            assert!(Requirements::new().with_scope(empty).is_err());
        }
        assert!(Requirements::new().with_acr([] as [&str; 0]).is_err());
    }

    #[test]
    fn b09_what_no_challenge_can_name_is_refused() {
        for bad in ["a\"b", "a\\b", "a\r\nb", "\u{e9}"] {
            assert!(Requirements::new().with_scope(bad).is_err(), "{bad:?}");
            assert!(Requirements::new().with_acr([bad]).is_err(), "{bad:?}");
        }
        assert!(Requirements::new().with_acr(["a b"]).is_err());
    }

    #[test]
    fn the_shortest_max_age_counts() {
        let minute = Duration::from_secs(60);
        let hour = Duration::from_secs(3600);
        for (first, second) in [(minute, hour), (hour, minute)] {
            let requirements = Requirements::new().with_max_age(first).with_max_age(second);
            assert!(
                requirements
                    .as_check()
                    .check(&logged_in(61), || NOW)
                    .is_err()
            );
        }
    }
}
