//! The errors of this crate: one type for configuration, one for requests.
//!
//! 1. [`ConfigError`] arises while building, is read by operators and may echo what they wrote.
//! 2. [`AuthError`] arises from a request. Its text is fixed; nothing that came from outside is in
//!    it. What a client is told depends on [`AuthErrorKind`] alone.
//! 3. [`Cause`] says which check failed, for logs, metrics and response extensions. It never
//!    reaches a client: all bad tokens look the same from outside.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::base::scope::Scope;

type Source = Arc<dyn std::error::Error + Send + Sync>;

/// What went wrong with a request, as far as the answer depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthErrorKind {
    /// The request came from another site, or does not prove that it did not.
    CrossSite,
    /// Authenticated, but not in a way that is let in here, and signing in again does not help.
    Forbidden,
    /// Authenticated, but too long ago or too weakly (RFC 9470).
    InsufficientAuthentication,
    /// Authenticated, but a scope or role is missing.
    InsufficientScope,
    /// The token is bad, for whatever reason.
    InvalidToken,
    /// The credential is malformed, repeated or ambiguous.
    MalformedCredential,
    /// There is no credential.
    MissingCredential,
    /// The app is put together wrongly, e.g. an extractor without the layer.
    Misconfigured,
    /// A store, a key source or the revocation feed cannot be reached.
    Unavailable,
}

impl AuthErrorKind {
    fn text(self) -> &'static str {
        match self {
            Self::CrossSite => "the request is not proven to come from this site",
            Self::Forbidden => "this authentication is not accepted here",
            Self::InsufficientAuthentication => "the authentication is too old or too weak",
            Self::InsufficientScope => "a scope or role is missing",
            Self::InvalidToken => "the token is not valid",
            Self::MalformedCredential => "the credential is malformed or ambiguous",
            Self::MissingCredential => "no credential was sent",
            Self::Misconfigured => "authentication is not set up for this route",
            Self::Unavailable => "authentication is temporarily unavailable",
        }
    }
}

/// Which check failed. For logs and metrics, never for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The acr or the age of the authentication does not suffice.
    Authentication,
    /// `aud` is missing, mistyped or does not name us.
    Audience,
    /// The header's `alg` is not the key's.
    Algorithm,
    /// Several credentials were sent.
    Ambiguous,
    /// A required claim is missing or has the wrong type.
    Claims,
    /// The token belongs to another client, or to no session.
    Client,
    /// The app's own claims type does not fit the payload.
    ClaimsType,
    /// The header names a critical extension.
    Critical,
    /// No credential was sent.
    Absent,
    /// `exp` has passed.
    Expired,
    /// The revocation feed is staler than its bound.
    FeedStale,
    /// `iat` lies in the future or after `exp`.
    IssuedAt,
    /// `iss` is missing, mistyped or not trusted.
    Issuer,
    /// The keys of the issuer cannot be had.
    KeysUnavailable,
    /// The token lives longer than the cap.
    Lifetime,
    /// The credential or token does not have the form it must have.
    Malformed,
    /// `nbf` lies in the future.
    NotYetValid,
    /// The tokens do not fit into cookies, or their cookies not into an answer.
    Oversized,
    /// The `Origin` field, `Sec-Fetch-Site` or their absence.
    Origin,
    /// The session or subject was revoked.
    Revoked,
    /// A required role is missing.
    Role,
    /// A required scope is missing.
    Scope,
    /// The app is put together wrongly.
    Setup,
    /// The signature does not verify.
    Signature,
    /// The session store cannot be reached.
    StoreUnavailable,
    /// The header's `typ` is not an access token's.
    Type,
    /// Nothing says when the user logged in, also after they signed in again.
    Undated,
    /// No configured key fits the token's `kid`.
    UnknownKey,
    /// The mandatory custom header of the cross-site cookie preset is missing.
    UnprovenHeader,
}

impl Cause {
    /// The cause as a short fixed word, for a log field or a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Audience => "audience",
            Self::Algorithm => "algorithm",
            Self::Ambiguous => "ambiguous",
            Self::Claims => "claims",
            Self::Client => "client",
            Self::ClaimsType => "claims_type",
            Self::Critical => "critical",
            Self::Absent => "absent",
            Self::Expired => "expired",
            Self::FeedStale => "feed_stale",
            Self::IssuedAt => "issued_at",
            Self::Issuer => "issuer",
            Self::KeysUnavailable => "keys_unavailable",
            Self::Lifetime => "lifetime",
            Self::Malformed => "malformed",
            Self::NotYetValid => "not_yet_valid",
            Self::Oversized => "oversized",
            Self::Origin => "origin",
            Self::Revoked => "revoked",
            Self::Role => "role",
            Self::Scope => "scope",
            Self::Setup => "setup",
            Self::Signature => "signature",
            Self::StoreUnavailable => "store_unavailable",
            Self::Type => "type",
            Self::Undated => "undated",
            Self::UnknownKey => "unknown_key",
            Self::UnprovenHeader => "unproven_header",
        }
    }
}

/// Why a request was refused, or why an optional one is anonymous.
///
/// `Display` and `Debug` hold fixed text only. Adapters put it into the response's extensions, so
/// that outer middleware can log or count it.
#[derive(Clone)]
pub struct AuthError {
    kind: AuthErrorKind,
    cause: Cause,
    needs: Option<Arc<Needs>>,
    source: Option<Source>,
}

/// What a refused route wants, for the challenge.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    pub(crate) scope: Scope,
    pub(crate) max_age: Option<Duration>,
    pub(crate) acr: Vec<Box<str>>,
}

impl AuthError {
    pub(crate) fn new(kind: AuthErrorKind, cause: Cause) -> Self {
        Self {
            kind,
            cause,
            needs: None,
            source: None,
        }
    }

    pub(crate) fn invalid_token(cause: Cause) -> Self {
        Self::new(AuthErrorKind::InvalidToken, cause)
    }

    pub(crate) fn unavailable(cause: Cause) -> Self {
        Self::new(AuthErrorKind::Unavailable, cause)
    }

    pub(crate) fn needing(mut self, needs: Arc<Needs>) -> Self {
        self.needs = Some(needs);
        self
    }

    /// Keeps the error behind it, for operators.
    pub(crate) fn with_source(
        mut self,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    pub(crate) fn needs(&self) -> Option<&Needs> {
        self.needs.as_deref()
    }

    /// The app is put together wrongly: an extractor on a route that no layer guards, or one that
    /// asks for another claims type than the layer's. For adapters; the answer is 500.
    #[must_use]
    pub fn misconfigured() -> Self {
        Self::new(AuthErrorKind::Misconfigured, Cause::Setup)
    }

    /// What went wrong, as far as the answer depends on it.
    #[must_use]
    pub fn kind(&self) -> AuthErrorKind {
        self.kind
    }

    /// Which check failed.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// How long ago a login may be at most that satisfies the route (RFC 9470 §3), for a refusal
    /// because of that: what to ask an identity provider for, as `max_age`.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.needs()?.max_age
    }

    /// Which classes of login satisfy the route, the preferred one first, for a refusal because of
    /// that: what to ask an identity provider for, as `acr_values`.
    pub fn acr_values(&self) -> impl Iterator<Item = &str> {
        let classes = self.needs().into_iter().flat_map(|needs| &needs.acr);
        classes.map(AsRef::as_ref)
    }
}

impl fmt::Debug for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthError")
            .field("kind", &self.kind)
            .field("cause", &self.cause)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.text())
    }
}

impl std::error::Error for AuthError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}
