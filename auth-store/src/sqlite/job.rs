//! [`Job`]: a request to the writer, and its reply channel.

use std::num::NonZeroU32;
use std::time::Duration;

use auth_core::revocation::Revocation as Listed;
use auth_core::session::{RevokeReason, SessionId};
use auth_core::store::{
    InsertOutcome, Listing, NewSession, RaisedSubjectVersion, RevocationMark, RevokeSession,
    RevokeSubject, Revoked, RotateSession, RotatedAt, StoreError, StoreErrorKind,
};
use auth_core::{Clock, SystemClock};
use tokio::sync::oneshot;

use crate::StoreOptions;
use crate::sql::signed;

/// An owned [`NewSession`].
pub(super) struct OwnedSession {
    pub(super) id: SessionId,
    pub(super) subject: String,
    pub(super) subject_version: i64,
    pub(super) idle: Duration,
    pub(super) absolute: Duration,
    pub(super) details: String,
    pub(super) limit: Option<NonZeroU32>,
    pub(super) replaces: Option<SessionId>,
    pub(super) mark: RevocationMark,
    pub(super) listing: Listing,
}

impl OwnedSession {
    pub(super) fn new(session: &NewSession<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: session.id,
            subject: session.subject.to_owned(),
            subject_version: signed(session.subject_version)?,
            idle: session.idle,
            absolute: session.absolute,
            details: session.details.encode()?,
            limit: session.limit,
            replaces: session.replaces,
            mark: session.mark,
            listing: session.listing,
        })
    }
}

/// An owned [`RotateSession`].
pub(super) struct OwnedAdvance {
    pub(super) id: SessionId,
    pub(super) subject: String,
    pub(super) from_generation: i64,
    pub(super) from_predecessor: Option<i64>,
    pub(super) subject_version: i64,
    pub(super) generation: i64,
    pub(super) predecessor: Option<i64>,
    pub(super) recovered: i64,
    pub(super) idle: Duration,
    pub(super) details: String,
}

impl OwnedAdvance {
    pub(super) fn new(step: &RotateSession<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: step.id,
            subject: step.subject.to_owned(),
            from_generation: i64::from(step.from_generation.get()),
            from_predecessor: step.from_predecessor.map(|number| i64::from(number.get())),
            subject_version: signed(step.subject_version)?,
            generation: i64::from(step.generation.get()),
            predecessor: step.predecessor.map(|number| i64::from(number.get())),
            recovered: i64::from(step.recovered),
            idle: step.idle,
            details: step.details.encode()?,
        })
    }
}

/// An owned [`RevokeSubject`].
pub(super) struct OwnedEnd {
    subject: String,
    keep: Option<SessionId>,
    reason: RevokeReason,
    listing: Listing,
}

impl OwnedEnd {
    pub(super) fn new(end: &RevokeSubject<'_>) -> Self {
        Self {
            subject: end.subject.to_owned(),
            keep: end.keep,
            reason: end.reason,
            listing: end.listing,
        }
    }

    pub(super) fn borrowed(&self) -> RevokeSubject<'_> {
        RevokeSubject {
            subject: &self.subject,
            keep: self.keep,
            reason: self.reason,
            listing: self.listing,
        }
    }
}

/// A write for the writer.
pub(super) enum Write {
    RotateSession(OwnedAdvance),
    Append(Listed),
    RevokeSubject(OwnedEnd),
    Insert(Box<OwnedSession>),
    Purge {
        kept: Duration,
        batch: u32,
    },
    RaiseEpoch {
        subject: String,
        at_least: i64,
    },
    RaiseLifetime {
        issuer: String,
        lifetime: Duration,
    },
    RevokeSession(RevokeSession),
    SaveKeys {
        expected: Option<i64>,
        sealed: Box<[u8]>,
    },
}

impl Write {
    /// Whether the write may have revoked a session, so that followers should read.
    pub(super) fn may_revoke(&self) -> bool {
        match self {
            Self::RotateSession(_)
            | Self::Purge { .. }
            | Self::RaiseEpoch { .. }
            | Self::RaiseLifetime { .. }
            | Self::SaveKeys { .. } => false,
            Self::Insert(session) => session.limit.is_some() || session.replaces.is_some(),
            Self::Append(_) | Self::RevokeSubject(_) | Self::RevokeSession(_) => true,
        }
    }
}

/// The result of a write.
pub(super) enum Written {
    RotatedAt(Option<RotatedAt>),
    Appended,
    Ended(Option<RaisedSubjectVersion>),
    EpochRaised(u64),
    InsertOutcome(Option<InsertOutcome>),
    KeysSaved(bool),
    LongestLifetime(Duration),
    Purged(u32),
    Revoked(Option<Revoked>),
}

pub(super) struct Job {
    pub(super) write: Write,
    pub(super) reply: oneshot::Sender<Result<Written, StoreError>>,
}

/// The store's time in milliseconds: the system clock, since SQLite has none.
pub(super) fn now(options: &StoreOptions) -> i64 {
    options
        .driven_now()
        .unwrap_or_else(|| SystemClock.now().as_millis())
}

pub(super) fn gone() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable)
}
