//! The closed sets of words that logs, metrics, events and stored rows share.

use std::fmt;

/// How a token turned out to be reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "the rows of the protocol's table; a new one is a new protocol"
)]
pub enum ReuseCause {
    /// The last-but-one token, too late or too often.
    RecentPredecessor,
    /// A token that a late recovery had orphaned.
    Orphan,
    /// A token from long before.
    Stale,
}

impl ReuseCause {
    #[cfg(feature = "metrics")]
    pub(crate) const ALL: [Self; 3] = [Self::RecentPredecessor, Self::Orphan, Self::Stale];

    /// The cause as a short fixed word, for a log field or a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.reason().as_str()
    }

    /// The cause behind a revocation, if reuse was the reason for it.
    pub(crate) fn behind(reason: RevokeReason) -> Option<Self> {
        [Self::RecentPredecessor, Self::Orphan, Self::Stale]
            .into_iter()
            .find(|cause| cause.reason() == reason)
    }

    /// The reason that the row keeps.
    pub(crate) fn reason(self) -> RevokeReason {
        match self {
            Self::RecentPredecessor => RevokeReason::RecentPredecessor,
            Self::Orphan => RevokeReason::Orphan,
            Self::Stale => RevokeReason::Stale,
        }
    }
}

/// What kind of trouble a store has. All are answered with 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// A row cannot be read or written as what it should be.
    Corrupt,
    /// There is no room for another session.
    Full,
    /// The bound of time has passed; what was asked may still happen.
    Timeout,
    /// The store cannot be reached, or gave up.
    Unavailable,
}

impl StoreErrorKind {
    /// The kind as a short fixed word, for a log field or a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Corrupt => "corrupt",
            Self::Full => "full",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Corrupt => "the session store holds something unreadable",
            Self::Full => "the session store is full",
            Self::Timeout => "the session store did not answer in time",
            Self::Unavailable => "the session store is not available",
        }
    }
}

/// What kind of trouble of ours keeps a request from being answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnavailableKind {
    /// The app could not say what the user may do now.
    Claims,
    /// Others changed the session again and again meanwhile.
    Contention,
    /// The request took too long.
    Deadline,
    /// No access token could be made.
    Mint,
    /// The tokens do not fit into cookies, or their cookies not into an answer: 500, since no
    /// retry helps until the claims are fewer.
    Oversized,
    /// The store did not do what it was asked.
    Store(StoreErrorKind),
}

impl UnavailableKind {
    /// One for each word.
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

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Claims => "the app could not say what the user may do",
            Self::Contention => "the session kept changing",
            Self::Deadline => "the request took too long",
            Self::Mint => "no access token could be made",
            Self::Oversized => "the tokens are too long for cookies",
            Self::Store(_) => "the session store is not available",
        }
    }
}

/// Why a session was ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RevokeReason {
    /// All sessions of the subject were ended.
    All,
    /// The app's own code ended it.
    App,
    /// The app says that the user is disabled.
    Disabled,
    /// A login beyond the session limit ended it as the least recently used.
    Limit,
    /// Its user signed out.
    Logout,
    /// A token was used that a late recovery had orphaned.
    Orphan,
    /// Another session of its subject ended all others, or this one.
    Others,
    /// The last-but-one token was used again, too late.
    RecentPredecessor,
    /// A login in the same client took its place.
    Replaced,
    /// A token from long before was used again.
    Stale,
}

impl RevokeReason {
    pub(crate) const ALL: [Self; 10] = [
        Self::All,
        Self::App,
        Self::Disabled,
        Self::Limit,
        Self::Logout,
        Self::Orphan,
        Self::Others,
        Self::RecentPredecessor,
        Self::Replaced,
        Self::Stale,
    ];

    /// The reason as a short fixed word, as stores keep it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::App => "app",
            Self::Disabled => "disabled",
            Self::Limit => "limit",
            Self::Logout => "logout",
            Self::Orphan => "orphan",
            Self::Others => "others",
            Self::RecentPredecessor => "recent_predecessor",
            Self::Replaced => "replaced",
            Self::Stale => "stale",
        }
    }
}

/// What was wrong with a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FetchFault {
    /// The metadata name another issuer than the one that was asked for.
    Issuer,
    /// The answer is not what it should be: no JSON, no key set, no metadata.
    Malformed,
    /// A document without a usable key.
    NoUsableKey,
    /// The answer is a redirect, which is never followed.
    Redirected,
    /// The answer has another status than 200.
    Status,
    /// The task has ended.
    Stopped,
    /// It took too long.
    TimedOut,
    /// More than 64 keys.
    TooManyKeys,
    /// More than 64 KiB.
    TooLarge,
    /// No connection, or it broke.
    Unreachable,
    /// The address may not be fetched: not `https`, or with credentials in it.
    Url,
}

impl FetchFault {
    /// The fault as a short fixed word, for a log field or a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::Malformed => "malformed",
            Self::NoUsableKey => "no_usable_key",
            Self::Redirected => "redirected",
            Self::Status => "status",
            Self::Stopped => "stopped",
            Self::TimedOut => "timed_out",
            Self::TooManyKeys => "too_many_keys",
            Self::TooLarge => "too_large",
            Self::Unreachable => "unreachable",
            Self::Url => "url",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Issuer => "the metadata are another issuer's",
            Self::Malformed => "the answer is not a document of the expected kind",
            Self::NoUsableKey => "the key set has no usable key",
            Self::Redirected => "the answer is a redirect, which is not followed",
            Self::Status => "the answer has another status than 200",
            Self::Stopped => "the task that fetches keys has ended",
            Self::TimedOut => "fetching the keys took too long",
            Self::TooManyKeys => "the key set has more than 64 keys",
            Self::TooLarge => "the answer is larger than 64 KiB",
            Self::Unreachable => "the server cannot be reached",
            Self::Url => "the address may not be fetched: https only, without credentials",
        }
    }
}

impl fmt::Display for FetchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Why tokens were granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GrantKind {
    /// A login.
    Login,
    /// All other sessions of the subject were ended.
    Others,
    /// The refresh token stays as it is.
    Fresh,
    /// An access token only: the client keeps the refresh token that it has.
    Held,
    /// The client had lost the successor of its refresh token, and gets another one.
    Recovered,
    /// A retry: the same successor as before.
    Replayed,
    /// The store had lost the rotation that made this refresh token.
    Resumed,
    /// The refresh token moved on.
    Rotated,
}

impl GrantKind {
    /// The kind as a short fixed word, for a log field or a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Others => "others",
            Self::Fresh => "fresh",
            Self::Held => "held",
            Self::Recovered => "recovered",
            Self::Replayed => "replayed",
            Self::Resumed => "resumed",
            Self::Rotated => "rotated",
        }
    }
}
