//! Closed sets of words, shared by logs, metrics, events and stored rows.

use std::fmt;

use crate::base::kind_error::ErrorKind;
use crate::base::words::words;

/// The kind of refresh token that was reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the rows of the protocol's table; a new one is a new protocol"
)]
pub enum ReuseCause {
    /// The previous token, presented too late or too often.
    RecentPredecessor,
    /// A token orphaned by a late recovery.
    Orphan,
    /// A token older than the previous one.
    Stale,
}

impl ReuseCause {
    pub(crate) const ALL: [Self; 3] = [Self::RecentPredecessor, Self::Orphan, Self::Stale];

    /// The cause as a short fixed word, for a log field or a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.reason().as_str()
    }

    /// The reuse cause of a revocation, if reuse was the reason.
    pub(crate) fn behind(reason: RevokeReason) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|cause| cause.reason() == reason)
    }

    /// The revocation reason that the row keeps for this cause.
    pub(crate) fn reason(self) -> RevokeReason {
        match self {
            Self::RecentPredecessor => RevokeReason::RecentPredecessor,
            Self::Orphan => RevokeReason::Orphan,
            Self::Stale => RevokeReason::Stale,
        }
    }
}

words! {
    /// A task that keeps an [`Auth`](crate::Auth) up to date.
    pub(crate) enum TaskName {
        /// Follows the revocation feed.
        Feed = "feed",
        /// Rotates the keys.
        Keys = "keys",
        /// Removes ended sessions.
        Purge = "purge",
    }
}

words! {
    /// The kind of a session store error. The response to each is 503.
    pub enum StoreErrorKind {
        /// A row cannot be encoded or decoded.
        Corrupt = "corrupt",
        /// The store has no room for another session.
        Full = "full",
        /// The call exceeded its timeout. Its write may still take effect.
        Timeout = "timeout",
        /// The store cannot be reached, or gave up.
        Unavailable = "unavailable",
    }
}

impl ErrorKind for StoreErrorKind {
    fn text(self) -> &'static str {
        match self {
            Self::Corrupt => "the session store has an unreadable row",
            Self::Full => "the session store is full",
            Self::Timeout => "the session store did not respond in time",
            Self::Unavailable => "the session store is not available",
        }
    }
}

/// The infrastructure failure that prevented a response to a session request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnavailableKind {
    /// The app's hook could not load the current claims of the user.
    Claims,
    /// Concurrent changes of the session won against every retry.
    Contention,
    /// The request exceeded its deadline.
    Deadline,
    /// The access token could not be issued.
    Mint,
    /// The tokens do not fit into cookies, or their cookies not into a response. The response is
    /// 500, since no retry helps until there are fewer claims.
    Oversized,
    /// The session store failed.
    Store(StoreErrorKind),
}

impl UnavailableKind {
    /// One value per word.
    #[cfg(feature = "metrics")]
    pub(crate) const ALL: [Self; 6] = [
        Self::Claims,
        Self::Contention,
        Self::Deadline,
        Self::Mint,
        Self::Oversized,
        Self::Store(StoreErrorKind::Unavailable),
    ];

    /// The kind as a short fixed word, for a log field or a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claims => "claims",
            Self::Contention => "contention",
            Self::Deadline => "deadline",
            Self::Mint => "mint",
            Self::Oversized => "oversized",
            Self::Store(_) => "store",
        }
    }
}

impl ErrorKind for UnavailableKind {
    fn text(self) -> &'static str {
        match self {
            Self::Claims => "the app's claims hook failed",
            Self::Contention => "concurrent changes of the session won every retry",
            Self::Deadline => "the request exceeded its deadline",
            Self::Mint => "the access token could not be issued",
            Self::Oversized => "the tokens are too long for cookies",
            Self::Store(_) => "the session store is not available",
        }
    }
}

words! {
    /// The reason why a session was ended before its expiry.
    pub enum RevokeReason {
        /// All sessions of the subject were ended.
        All = "all",
        /// The app ended the session.
        App = "app",
        /// The app's hook reports the user as disabled.
        Disabled = "disabled",
        /// A login exceeded the session limit, and the session was the least recently used one.
        Limit = "limit",
        /// The user logged out.
        Logout = "logout",
        /// A token orphaned by a late recovery was used.
        Orphan = "orphan",
        /// Another session of the subject ended all others, or this one.
        Others = "others",
        /// The previous refresh token was used again, too late.
        RecentPredecessor = "recent_predecessor",
        /// A login in the same client replaced the session.
        Replaced = "replaced",
        /// A refresh token older than the previous one was used again.
        Stale = "stale",
    }
}

words! {
    /// The fault of a failed fetch of keys or metadata.
    pub enum FetchFault {
        /// The metadata name a different issuer than the requested one.
        Issuer = "issuer",
        /// The response is not a document of the expected kind: no JSON, no key set, no metadata.
        Malformed = "malformed",
        /// The key set contains no usable key.
        NoUsableKey = "no_usable_key",
        /// The response is a redirect, which is never followed.
        Redirected = "redirected",
        /// The response has a status other than 200.
        Status = "status",
        /// The fetching task has ended.
        Stopped = "stopped",
        /// The fetch exceeded its timeout.
        TimedOut = "timed_out",
        /// The key set has more keys than the limit, 64 by default.
        TooManyKeys = "too_many_keys",
        /// The response has more bytes than the limit, 64 KiB by default.
        TooLarge = "too_large",
        /// The connection could not be opened, or broke.
        Unreachable = "unreachable",
        /// The URL may not be fetched: it is not `https`, or it contains credentials.
        Url = "url",
    }
}

impl ErrorKind for FetchFault {
    fn text(self) -> &'static str {
        match self {
            Self::Issuer => "the metadata name a different issuer",
            Self::Malformed => "the response is not a document of the expected kind",
            Self::NoUsableKey => "the key set has no usable key",
            Self::Redirected => "the response is a redirect, which is not followed",
            Self::Status => "the response has a status other than 200",
            Self::Stopped => "the fetching task has ended",
            Self::TimedOut => "the fetch exceeded its timeout",
            Self::TooManyKeys => "the key set has more keys than the limit, 64 by default",
            Self::TooLarge => "the response is larger than the limit, 64 KiB by default",
            Self::Unreachable => "the server cannot be reached",
            Self::Url => "the URL may not be fetched: https only, without credentials",
        }
    }
}

impl fmt::Display for FetchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

words! {
    /// The kind of a grant of tokens.
    pub enum GrantKind {
        /// A login.
        Login = "login",
        /// All other sessions of the subject were ended.
        Others = "others",
        /// A new access token; the refresh token is recent enough to stay.
        Fresh = "fresh",
        /// Only an access token: the client keeps its current refresh token.
        Held = "held",
        /// A new successor, for a client that lost the first one.
        Recovered = "recovered",
        /// A retry: the same successor as before.
        Replayed = "replayed",
        /// A resumed session: the store had lost the rotation that created this refresh token.
        Resumed = "resumed",
        /// A rotation: a new refresh token.
        Rotated = "rotated",
    }
}
