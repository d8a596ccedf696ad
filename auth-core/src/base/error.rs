//! The errors of this crate: one type for configuration, one for requests.
//!
//! 1. [`ConfigError`] occurs while building. Operators read it, and it may repeat their input.
//! 2. [`AuthError`] occurs on a request. Its text is fixed and contains nothing from outside. The
//!    response depends on [`AuthErrorKind`] alone.
//! 3. [`Cause`] names the check that failed, for logs, metrics and response extensions. It never
//!    reaches a client: all bad tokens get the same response.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::base::kind_error::BoxError;
use crate::base::scope::Scope;
use crate::base::words::words;

type Source = Arc<dyn std::error::Error + Send + Sync>;

/// The kind of a request error. It alone determines the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthErrorKind {
    /// The request is cross-site, or lacks proof that it is not.
    CrossSite,
    /// The request is authenticated by a means that the route does not accept. A new login does not
    /// help.
    Forbidden,
    /// The authentication is too old or too weak (RFC 9470).
    InsufficientAuthentication,
    /// The request is authenticated, but a scope or role is missing.
    InsufficientScope,
    /// The token is invalid, for any reason.
    InvalidToken,
    /// The user has not proven their identity, or is disabled.
    LoginRefused,
    /// All sessions of the user were ended during their login. Another login helps.
    LoginSuperseded,
    /// The credential is malformed, repeated or ambiguous.
    MalformedCredential,
    /// The request has no credential.
    MissingCredential,
    /// The app is misconfigured, for example by an extractor without the layer.
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
            Self::LoginRefused => "the user could not be signed in",
            Self::LoginSuperseded => "all sessions were ended meanwhile, sign in again",
            Self::MalformedCredential => "the credential is malformed or ambiguous",
            Self::MissingCredential => "no credential was sent",
            Self::Misconfigured => "authentication is not set up for this route",
            Self::Unavailable => "authentication is temporarily unavailable",
        }
    }
}

words! {
    /// The check that failed. For logs and metrics, never for clients.
    pub enum Cause {
        /// The authentication's `acr` or age is insufficient.
        Authentication = "authentication",
        /// `aud` has the wrong type or does not name this API.
        Audience = "audience",
        /// The header's `alg` differs from the algorithm of the key.
        Algorithm = "algorithm",
        /// Several credentials were sent.
        Ambiguous = "ambiguous",
        /// A part of the app cannot be reached.
        AppUnavailable = "app_unavailable",
        /// A claim has the wrong type or a forbidden value.
        Claims = "claims",
        /// The token belongs to another client, or to no session.
        Client = "client",
        /// The payload does not deserialize to the app's claims type.
        ClaimsType = "claims_type",
        /// The user did not prove their identity at the login, or does not exist.
        Credentials = "credentials",
        /// The header has a critical extension (`crit`).
        Critical = "critical",
        /// The app's users have this user as disabled.
        Disabled = "disabled",
        /// No credential was sent.
        Absent = "absent",
        /// `exp` has passed.
        Expired = "expired",
        /// The revocation feed is older than its limit.
        FeedStale = "feed_stale",
        /// `iat` is in the future or after `exp`.
        IssuedAt = "issued_at",
        /// `iss` is missing, has the wrong type or is not trusted.
        Issuer = "issuer",
        /// The keys of the issuer are unavailable.
        KeysUnavailable = "keys_unavailable",
        /// The total lifetime of the token exceeds the maximum.
        Lifetime = "lifetime",
        /// The credential or token is malformed.
        Malformed = "malformed",
        /// `aud` is missing, or the claim configured in its place.
        MissingAudience = "missing_aud",
        /// `client_id` is missing.
        MissingClientId = "missing_client_id",
        /// `exp` is missing.
        MissingExpiry = "missing_exp",
        /// `iat` is missing.
        MissingIssuedAt = "missing_iat",
        /// `sub` is missing, and so is every claim configured in its place.
        MissingSubject = "missing_sub",
        /// `jti` is missing.
        MissingTokenId = "missing_jti",
        /// `nbf` is in the future.
        NotYetValid = "not_yet_valid",
        /// The tokens do not fit into cookies, or their cookies not into a response.
        Oversized = "oversized",
        /// `Origin` or `Sec-Fetch-Site` fails the CSRF rule, or both are missing.
        Origin = "origin",
        /// The session or subject was revoked.
        Revoked = "revoked",
        /// A required role is missing.
        Role = "role",
        /// A required scope is missing.
        Scope = "scope",
        /// The app is misconfigured.
        Setup = "setup",
        /// The signature is invalid.
        Signature = "signature",
        /// The session store cannot be reached.
        StoreUnavailable = "store_unavailable",
        /// All sessions of the user were ended during their login.
        Superseded = "superseded",
        /// The token exceeds the maximum length for its issuer.
        TooLong = "too_long",
        /// The header's `typ` is not that of an access token.
        Type = "type",
        /// The time of the login is unknown, even after a new login.
        Undated = "undated",
        /// No configured key matches the token's `kid`.
        UnknownKey = "unknown_key",
        /// The custom header required by the cross-site cookie preset is missing.
        UnprovenHeader = "unproven_header",
    }
}

/// The error for a refused request, and the cause why an optional one is anonymous.
///
/// `Display` and `Debug` contain fixed text only. Adapters put the error into the response's
/// extensions, so that outer middleware can log or count it.
#[derive(Clone)]
pub struct AuthError {
    kind: AuthErrorKind,
    cause: Cause,
    needs: Option<Arc<Needs>>,
    source: Option<Source>,
}

/// The requirements of a refused route, for the challenge.
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

    pub(crate) fn needing(mut self, needs: Needs) -> Self {
        self.needs = Some(Arc::new(needs));
        self
    }

    /// Attaches the underlying error, for operators.
    pub(crate) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    pub(crate) fn needs(&self) -> Option<&Needs> {
        self.needs.as_deref()
    }

    /// The error for a misconfigured app: an extractor on a route without the layer, or with a
    /// different claims type than the layer's. For adapters; the response is 500.
    #[must_use]
    pub fn misconfigured() -> Self {
        Self::new(AuthErrorKind::Misconfigured, Cause::Setup)
    }

    /// The kind of the error, which determines the response.
    #[must_use]
    pub fn kind(&self) -> AuthErrorKind {
        self.kind
    }

    /// The check that failed.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.cause
    }

    /// The maximum age of an authentication that satisfies the route (RFC 9470 §3). `Some` if the
    /// request was refused for it: send it to an identity provider as `max_age`.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.needs()?.max_age
    }

    /// The authentication classes (`acr`) that satisfy the route, the preferred one first.
    /// Non-empty if the request was refused for them: send them to an identity provider as
    /// `acr_values`.
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
