//! The outcomes of a request for tokens, as one enum. Adapters derive cookies from it, so that no
//! adapter can clear a cookie after a lost race.
//!
//! 1. [`RefreshOutcome::Granted`]: new tokens. Cookies are set for those that are present.
//! 2. [`RefreshOutcome::SessionEnded`]: the session has ended. Cookies are cleared, the client must
//!    log in.
//! 3. [`RefreshOutcome::TokenRejected`]: the token is not usable. Cookies are untouched: the browser
//!    may have newer ones than those that it sent.
//! 4. [`RefreshOutcome::Unavailable`]: the infrastructure failed: 503 or, for claims that exceed a
//!    cookie, 500. Cookies are untouched, and the client may retry.

use std::fmt;
use std::time::Duration;

use crate::base::error::{AuthError, AuthErrorKind, Cause};
use crate::base::id::{Generation, SessionId};
use crate::base::kind_error::{BoxError, ErrorKind, KindError};
use crate::http::cookies::CookieError;
use crate::http::header::HeaderLine;
use crate::observe::metrics;
use crate::observe::words::{GrantKind, ReuseCause, RevokeReason, UnavailableKind};
use crate::session::store::LoadedSession;
use crate::session::store::error::StoreError;
use crate::session::token::RefreshToken;
use crate::token::issuer::AccessToken;

/// The outcome of a request for tokens.
#[derive(Debug)]
#[must_use]
#[allow(
    clippy::exhaustive_enums,
    reason = "adapters must answer every kind; a new one is a new protocol"
)]
pub enum RefreshOutcome {
    /// New tokens.
    Granted(Tokens),
    /// The session has ended.
    SessionEnded(SessionEnded),
    /// The token is not usable, and nothing was changed.
    TokenRejected(TokenRejected),
    /// The infrastructure failed.
    Unavailable(Unavailable),
}

impl RefreshOutcome {
    /// The outcome as a short fixed word, for a log field or a metric label.
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

/// The tokens of a granted request, with the data for its response.
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
    /// Cookie lines of the response, if it has cookies.
    pub(crate) lines: Vec<HeaderLine>,
}

impl Tokens {
    /// The tokens of a loaded session, without cookies.
    pub(crate) fn of(
        loaded: &LoadedSession,
        kind: GrantKind,
        access: AccessToken,
        refresh: Option<RefreshToken>,
    ) -> Self {
        let record = &loaded.record;
        Self {
            kind,
            subject: record.subject.clone(),
            session: record.id,
            generation: record.generation,
            access,
            refresh,
            ends_in: loaded.ends_in(),
            transient: record.details.transient,
            lines: Vec::new(),
        }
    }

    /// The kind of the grant.
    #[must_use]
    pub fn kind(&self) -> GrantKind {
        self.kind
    }

    /// The subject of the tokens.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The session of the tokens.
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

    /// The new refresh token. `None` tells the client to keep its current one.
    #[must_use]
    pub fn refresh(&self) -> Option<&RefreshToken> {
        self.refresh.as_ref()
    }

    /// The remaining time of the session without a refresh: the Max-Age of its cookies.
    #[must_use]
    pub fn ends_in(&self) -> Duration {
        self.ends_in
    }

    /// The time for which a browser keeps the cookies. `None` until the browser closes.
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

/// The cause for which a session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionEnded {
    /// The app's hook reports the user as disabled.
    Disabled,
    /// The session has expired.
    Expired,
    /// A refresh token was reused, which has just ended the session.
    Reuse(ReuseCause),
    /// The session was ended before.
    Revoked(RevokeReason),
    /// The session no longer exists.
    Unknown,
}

/// The cause for which a token is not usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenRejected {
    /// The token is further ahead of the store than lost writes explain.
    Ahead,
    /// The token was not issued here.
    Forged,
    /// The session was logged out, or replaced by a newer login, just now. The request was probably
    /// in flight, and the browser may have the cookies of the newer login.
    JustEnded(RevokeReason),
}

/// The error of failed infrastructure: 503, or 500 for tokens that exceed a cookie. Nothing was
/// consumed that a retry needs.
///
/// `Display` and `Debug` are fixed texts; the source is for operators.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct Unavailable(KindError<UnavailableKind>);

impl Unavailable {
    /// Creates the error and logs it, unless its origin has logged more.
    pub(crate) fn new(kind: UnavailableKind) -> Self {
        metrics::unavailable(kind);
        match kind {
            UnavailableKind::Mint | UnavailableKind::Oversized | UnavailableKind::Store(_) => {}
            _ => tracing::error!(target: "auth::session", kind = kind.as_str(), "{}", kind.text()),
        }
        Self(KindError::new(kind))
    }

    pub(crate) fn with_source(self, source: impl Into<BoxError>) -> Self {
        Self(self.0.with_source(source))
    }

    /// The kind of the failure.
    #[must_use]
    pub fn kind(&self) -> UnavailableKind {
        self.0.kind()
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

impl AuthError {
    /// Creates the request error for a failure of the store, the app's hook or the signer, or for
    /// tokens that exceed a cookie, which no retry changes.
    pub(crate) fn store_unavailable(source: Unavailable) -> Self {
        let error = match source.kind() {
            UnavailableKind::Oversized => Self::new(AuthErrorKind::Misconfigured, Cause::Oversized),
            _ => Self::unavailable(Cause::StoreUnavailable),
        };
        error.with_source(source)
    }
}
