//! What a request for tokens comes to: one enum, from which the adapters derive cookies, so that
//! no adapter can clear a cookie after a lost race.
//!
//! 1. [`RefreshOutcome::Granted`]: tokens. Cookies are set for those that are there.
//! 2. [`RefreshOutcome::SessionEnded`]: the session is over. Cookies are cleared, the client signs in.
//! 3. [`RefreshOutcome::TokenRejected`]: not a token to act on. Cookies are untouched: the browser may hold
//!    newer ones than those that it sent.
//! 4. [`RefreshOutcome::Unavailable`]: trouble of ours, 503 or, for claims that fit no cookie, 500. Cookies are
//!    untouched, and a retry is welcome.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::base::error::{AuthError, AuthErrorKind, Cause};
use crate::base::id::{Generation, SessionId};
use crate::http::cookies::CookieError;
use crate::http::header::HeaderLine;
use crate::observe::metrics;
use crate::observe::words::{GrantKind, ReuseCause, RevokeReason, UnavailableKind};
use crate::session::store::error::StoreError;
use crate::session::token::RefreshToken;
use crate::token::issuer::AccessToken;

/// What a request for tokens comes to.
#[derive(Debug)]
#[must_use]
#[allow(
    clippy::exhaustive_enums,
    reason = "adapters must answer every kind; a new one is a new protocol"
)]
pub enum RefreshOutcome {
    /// New tokens.
    Granted(Tokens),
    /// The session is over.
    SessionEnded(SessionEnded),
    /// The token is not one to act on.
    TokenRejected(TokenRejected),
    /// Trouble of ours.
    Unavailable(Unavailable),
}

impl RefreshOutcome {
    /// What it comes to, as a short fixed word, for a log field or a metric label.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Granted(tokens) => tokens.kind.as_str(),
            Self::SessionEnded(SessionEnded::Disabled) => "disabled",
            Self::SessionEnded(SessionEnded::Expired) => "expired",
            Self::SessionEnded(SessionEnded::Reuse(_)) => "reuse",
            Self::SessionEnded(SessionEnded::Revoked(_)) => "revoked",
            Self::SessionEnded(SessionEnded::Unknown) => "unknown",
            Self::TokenRejected(TokenRejected::Ahead) => "ahead",
            Self::TokenRejected(TokenRejected::Forged) => "forged",
            Self::TokenRejected(TokenRejected::JustEnded(_)) => "just_ended",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

/// The tokens of a granted request, and what is needed to answer it.
#[derive(Clone)]
#[must_use]
pub struct Tokens {
    pub(crate) kind: GrantKind,
    pub(crate) subject: Box<str>,
    pub(crate) session: SessionId,
    pub(crate) generation: Generation,
    pub(crate) access: AccessToken,
    pub(crate) refresh: Option<RefreshToken>,
    pub(crate) ends_in: Duration,
    pub(crate) transient: bool,
    /// The cookies of the answer, if it is one with cookies.
    pub(crate) lines: Vec<HeaderLine>,
}

impl Tokens {
    /// Why they were granted.
    #[must_use]
    pub fn kind(&self) -> GrantKind {
        self.kind
    }

    /// Whose they are.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The session they belong to.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The session's current generation.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The new access token.
    #[must_use]
    pub fn access(&self) -> &AccessToken {
        &self.access
    }

    /// The refresh token to use from now on; `None` tells the client to keep the one it has.
    #[must_use]
    pub fn refresh(&self) -> Option<&RefreshToken> {
        self.refresh.as_ref()
    }

    /// How long the session lives if it is not refreshed: the Max-Age of its cookies.
    #[must_use]
    pub fn ends_in(&self) -> Duration {
        self.ends_in
    }

    /// How long a browser is to keep the cookies; `None` for as long as it stays open.
    #[must_use]
    pub fn cookie_max_age(&self) -> Option<Duration> {
        (!self.transient).then_some(self.ends_in)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("kind", &self.kind)
            .field("session", &self.session)
            .field("generation", &self.generation.get())
            .finish_non_exhaustive()
    }
}

/// How a session turned out to be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionEnded {
    /// The app says that its user is disabled.
    Disabled,
    /// It came to its end.
    Expired,
    /// One of its tokens was used twice, and that has just ended it.
    Reuse(ReuseCause),
    /// It was ended before.
    Revoked(RevokeReason),
    /// There is no such session any more.
    Unknown,
}

/// Why a token is not one to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenRejected {
    /// It is ahead of the store by more than the store can have lost.
    Ahead,
    /// It is not one that we issued.
    Forged,
    /// Its session was signed out, or replaced by a newer login, just now: what comes now is a
    /// request that was on its way, and the browser may hold the cookies of the newer login.
    JustEnded(RevokeReason),
}

/// Trouble of ours: 503, or 500 for tokens that no cookie can hold. Nothing was consumed that a retry
/// would need.
///
/// `Display` and `Debug` are fixed texts; the source is for operators.
#[derive(Clone)]
pub struct Unavailable {
    kind: UnavailableKind,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Unavailable {
    /// Tells the operator, unless whoever found the trouble has told more.
    pub(crate) fn new(kind: UnavailableKind) -> Self {
        metrics::unavailable(kind);
        match kind {
            UnavailableKind::Mint | UnavailableKind::Oversized | UnavailableKind::Store(_) => {}
            _ => tracing::error!(target: "auth::session", kind = kind.as_str(), "{}", kind.text()),
        }
        Self { kind, source: None }
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// What kind of trouble it is.
    #[must_use]
    pub fn kind(&self) -> UnavailableKind {
        self.kind
    }
}

impl From<StoreError> for Unavailable {
    fn from(error: StoreError) -> Self {
        tracing::error!(target: "auth::store", kind = ?error.kind(), "{error}");
        Self::new(UnavailableKind::Store(error.kind())).with_source(error)
    }
}

impl From<CookieError> for Unavailable {
    fn from(error: CookieError) -> Self {
        tracing::error!(target: "auth::setup", "{error}");
        Self::new(UnavailableKind::Oversized).with_source(error)
    }
}

impl fmt::Debug for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unavailable")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.text())
    }
}

impl Error for Unavailable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

impl AuthError {
    /// Trouble with a session: of the store, the app's hook or the signer, or tokens that no cookie
    /// can hold, which no retry will change.
    pub(crate) fn store_unavailable(source: Unavailable) -> Self {
        let error = match source.kind() {
            UnavailableKind::Oversized => Self::new(AuthErrorKind::Misconfigured, Cause::Oversized),
            _ => Self::unavailable(Cause::StoreUnavailable),
        };
        error.with_source(source)
    }
}
