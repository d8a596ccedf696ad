//! The end of sessions: in the store, on this node's list, and as events.
//!
//! 1. **A session is always listed on this node** once a call has requested its end. This holds if
//!    the call took effect, if the row was already revoked, and if there is no response because the
//!    store failed, the deadline passed or the client disconnected. A superfluous entry is
//!    harmless: the next refresh finds it and completes the write. The end of all sessions of a
//!    subject waits for the store's response, as does that of a session which a login replaces.
//!    Listing them without it could end sessions that should stay.
//! 2. **An end is emitted once**: the call that finds its own mark on the row has ended it. A call
//!    without a response emits it as unconfirmed; its retry finds the mark of the first try and
//!    emits nothing. If the first try had no effect after all, its retry emits it as confirmed.
//! 3. The lifetime of access tokens is written to the store before the first row is read for which
//!    one could be made. A revocation in between is listed at least as long as that.
//! 4. **A subject's entry ahead of the loaded subject version** proves that the version was raised,
//!    and that the store has lost it or does not know it yet. The version in the store is raised,
//!    and read again.

use std::time::Duration;

use crate::base::client::ClientInfo;
use crate::base::clock::Timestamp;
use crate::base::id::SessionId;
use crate::observe::events::Event;
use crate::observe::words::{ReuseCause, RevokeReason};
use crate::revocation::Revocation;
use crate::session::inner::Inner;
use crate::session::outcome::Unavailable;
use crate::session::store::LoadedSession;
use crate::session::store::ending::{
    Listing, RaisedSubjectVersion, RevocationMark, RevokeSession, RevokeSubject,
};
use crate::session::store::error::StoreError;

/// The reason for an end, with the subject and the client, if they are known.
#[derive(Clone, Copy)]
pub(super) struct EndCause<'a> {
    pub(super) reason: RevokeReason,
    pub(super) subject: Option<&'a str>,
    /// Client that caused the reuse, if reuse is the reason.
    pub(super) client: Option<&'a ClientInfo>,
}

impl<'a> EndCause<'a> {
    pub(super) fn of(subject: &'a str, reason: RevokeReason) -> Self {
        Self {
            subject: Some(subject),
            ..reason.into()
        }
    }
}

impl From<RevokeReason> for EndCause<'_> {
    fn from(reason: RevokeReason) -> Self {
        Self {
            reason,
            subject: None,
            client: None,
        }
    }
}

/// A requested end without a response yet. Dropped in this state, it counts as unconfirmed.
pub(super) struct PendingEnd<'a> {
    inner: &'a Inner,
    session: Option<SessionId>,
    cause: EndCause<'a>,
    /// Whether the session is listed without a response.
    listed: bool,
    answered: bool,
}

impl PendingEnd<'_> {
    /// Marks the end as answered: its result is known.
    pub(super) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for PendingEnd<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        if let (true, Some(session)) = (self.listed, self.session) {
            self.inner.list_session(session, self.inner.listed_until());
        }
        self.inner.tell_of_end(self.session, self.cause, false);
    }
}

impl Inner {
    /// Ends a session. Returns whether this call did: `false` if it had ended before, or does not
    /// exist.
    pub(super) async fn revoke(
        &self,
        session: SessionId,
        cause: EndCause<'_>,
    ) -> Result<bool, Unavailable> {
        let mark = RevocationMark::random()?;
        let revoke = RevokeSession {
            id: session,
            reason: cause.reason,
            mark,
            listing: self.listing(),
        };
        let asked = self.asked(Some(session), cause);
        let revoked = self.store.revoke(&revoke).await?;
        asked.answered();
        let Some(revoked) = revoked else {
            return Ok(false);
        };
        self.list_session(session, revoked.listed_until);
        let own = revoked.mark == Some(mark);
        if own {
            self.tell_of_end(Some(session), cause, true);
        }
        Ok(own)
    }

    /// Ends all sessions of a subject, or all but one.
    pub(super) async fn end_subject(
        &self,
        subject: &str,
        keep: Option<SessionId>,
        reason: RevokeReason,
    ) -> Result<Option<u64>, Unavailable> {
        let end = RevokeSubject {
            subject,
            keep,
            reason,
            listing: self.listing(),
        };
        let cause = EndCause::of(subject, reason);
        let asked = self.asked(None, cause);
        let raised = self.store.end_all(&end).await?;
        asked.answered();
        let Some(RaisedSubjectVersion {
            subject_version,
            listed_until,
        }) = raised
        else {
            return Ok(None);
        };
        self.add_to_revocation_list(&Revocation::Subject {
            subject: subject.into(),
            lowest_subject_version: subject_version,
            until: listed_until,
        });
        self.tell_of_end(None, cause, true);
        Ok(Some(subject_version))
    }

    /// Creates the guard that is held until the store has responded.
    fn asked<'a>(&'a self, session: Option<SessionId>, cause: EndCause<'a>) -> PendingEnd<'a> {
        PendingEnd {
            inner: self,
            session,
            cause,
            listed: session.is_some(),
            answered: false,
        }
    }

    /// Creates the guard for a replaced session, which is not listed without a response: the login
    /// may not have happened.
    pub(super) fn asked_to_replace(&self, old: SessionId) -> PendingEnd<'_> {
        let mut asked = self.asked(Some(old), RevokeReason::Replaced.into());
        asked.listed = false;
        asked
    }

    pub(super) fn list_session(&self, id: SessionId, until: Timestamp) {
        self.add_to_revocation_list(&Revocation::Session { id, until });
    }

    fn add_to_revocation_list(&self, revocation: &Revocation) {
        if let Some(revocations) = &self.revocations {
            revocations.add(revocation);
        }
    }

    pub(super) fn tell_of_end(
        &self,
        session: Option<SessionId>,
        cause: EndCause<'_>,
        confirmed: bool,
    ) {
        let EndCause {
            reason,
            subject,
            client,
        } = cause;
        self.emit(&Event::Revoked {
            session,
            subject,
            reason,
            confirmed,
        });
        if let (Some(cause), Some(session), Some(subject)) =
            (ReuseCause::behind(reason), session, subject)
        {
            self.emit(&Event::Reuse {
                session,
                subject,
                cause,
                client,
                confirmed,
            });
        }
    }

    pub(super) fn listing(&self) -> Listing {
        Listing {
            lifetime: self.issuer.lifetime(),
            margin: self.policy.listing_margin(),
        }
    }

    /// A time longer than the remaining life of any current access token.
    pub(super) fn listed_for(&self) -> Duration {
        self.listing()
            .beside(self.longest.known().unwrap_or_default())
    }

    fn listed_until(&self) -> Timestamp {
        self.issuer.clock().now().saturating_add(self.listed_for())
    }

    /// Writes the lifetime of access tokens to the store, unless this node has done so.
    pub(super) async fn announce_lifetime(&self) -> Result<(), Unavailable> {
        if self.longest.known().is_none() {
            self.raise_lifetime().await?;
        }
        Ok(())
    }

    /// Writes the lifetime of access tokens to the store, and reads the longest of all issuers.
    pub(super) async fn raise_lifetime(&self) -> Result<(), StoreError> {
        let (name, lifetime) = (self.issuer.name(), self.issuer.lifetime());
        self.longest.raise(&*self.store, name, lifetime).await
    }

    /// Loads a session that may be granted an access token, with this node's knowledge of its
    /// subject version.
    pub(super) async fn load(&self, id: &SessionId) -> Result<Option<LoadedSession>, Unavailable> {
        self.announce_lifetime().await?;
        let Some(loaded) = self.store.load(id).await? else {
            return Ok(None);
        };
        let subject = &loaded.record.subject;
        let Some(lowest) = self.subject_version_ahead_of(loaded.current_subject_version, subject)
        else {
            return Ok(Some(loaded));
        };
        self.store.raise_subject_version(subject, lowest).await?;
        Ok(self.store.load(id).await?)
    }

    /// The subject version, with this node's knowledge of it.
    pub(super) async fn subject_version(&self, subject: &str) -> Result<u64, Unavailable> {
        self.announce_lifetime().await?;
        let subject_version = self.store.subject_version(subject).await?;
        match self.subject_version_ahead_of(subject_version, subject) {
            Some(lowest) => Ok(self.store.raise_subject_version(subject, lowest).await?),
            None => Ok(subject_version),
        }
    }

    /// The lowest subject version that this node accepts, if it is above the given one.
    pub(super) fn subject_version_ahead_of(
        &self,
        subject_version: u64,
        subject: &str,
    ) -> Option<u64> {
        let list = self.revocations.as_ref()?.list();
        let lowest = list.lowest_subject_version(subject, self.issuer.clock().now())?;
        (lowest > subject_version).then_some(lowest)
    }

    pub(super) fn is_listed(&self, session: SessionId) -> bool {
        let now = self.issuer.clock().now();
        self.revocations
            .as_ref()
            .is_some_and(|revocations| revocations.list().lists_session(&session, now))
    }
}
