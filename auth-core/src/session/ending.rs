//! Ending sessions in the store, on this node's list, and in what the app is told.
//!
//! 1. **A session is listed on this node in any case** once a call has asked for its end: if it
//!    took effect, if the row was revoked before, and if there is no answer, because the store
//!    failed, the deadline passed or the client went away. An entry too many is harmless: the next
//!    refresh finds it and finishes the write. Only the end of all sessions of a subject, and that
//!    of a session which a login replaces, wait for the store's answer, because listing them
//!    without one could end what was to stay.
//! 2. **Events tell of it once**: whoever finds their own mark on the row has ended it. A call
//!    without an answer tells of it as unconfirmed; its retry finds the mark of the first try and
//!    tells nothing. If the first try had no effect after all, its retry tells of it as confirmed.
//! 3. Before the first row is read that an access token could be made for, the store is told how
//!    long they live: a revocation between the two is listed at least as long as that.
//! 4. **A subject's entry ahead of the epoch that was loaded** proves that the epoch was raised
//!    and that the store has lost it, or does not know it yet: the store is told, and asked again.

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

/// An end that was asked for and is not answered yet. Dropped like that, it counts as unconfirmed.
pub(super) struct PendingEnd<'a> {
    inner: &'a Inner,
    session: Option<SessionId>,
    subject: Option<&'a str>,
    reason: RevokeReason,
    /// Where the reuse that is the reason came from.
    client: Option<&'a ClientInfo>,
    /// Whether the session is listed without an answer.
    listed: bool,
    answered: bool,
}

impl PendingEnd<'_> {
    /// The store has answered: it is known what became of it.
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
        let (session, subject, reason) = (self.session, self.subject, self.reason);
        self.inner
            .tell_of_end(session, subject, reason, self.client, false);
    }
}

impl Inner {
    /// Ends a session. Answers whether this call did it: `false` if it had ended before, or is none.
    pub(super) async fn revoke(
        &self,
        session: SessionId,
        subject: Option<&str>,
        reason: RevokeReason,
    ) -> Result<bool, Unavailable> {
        self.revoke_for(session, subject, reason, None).await
    }

    /// As [`revoke`](Self::revoke), for reuse that came from `client`.
    pub(super) async fn revoke_for(
        &self,
        session: SessionId,
        subject: Option<&str>,
        reason: RevokeReason,
        client: Option<&ClientInfo>,
    ) -> Result<bool, Unavailable> {
        let mark = RevocationMark::random()?;
        let revoke = RevokeSession {
            id: session,
            reason,
            mark,
            listing: self.listing(),
        };
        let mut asked = self.asked(Some(session), subject, reason);
        asked.client = client;
        let revoked = self.store.revoke(&revoke).await?;
        asked.answered();
        let Some(revoked) = revoked else {
            return Ok(false);
        };
        self.list_session(session, revoked.listed_until);
        let own = revoked.mark == Some(mark);
        if own {
            self.tell_of_end(Some(session), subject, reason, client, true);
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
        let asked = self.asked(None, Some(subject), reason);
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
        self.tell_of_end(None, Some(subject), reason, None, true);
        Ok(Some(subject_version))
    }

    /// To be held until the store has answered.
    fn asked<'a>(
        &'a self,
        session: Option<SessionId>,
        subject: Option<&'a str>,
        reason: RevokeReason,
    ) -> PendingEnd<'a> {
        PendingEnd {
            inner: self,
            session,
            subject,
            reason,
            client: None,
            listed: session.is_some(),
            answered: false,
        }
    }

    /// A login may not have happened: the session that it replaces is not listed without an answer.
    pub(super) fn asked_to_replace(&self, old: SessionId) -> PendingEnd<'_> {
        let mut asked = self.asked(Some(old), None, RevokeReason::Replaced);
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
        subject: Option<&str>,
        reason: RevokeReason,
        client: Option<&ClientInfo>,
        confirmed: bool,
    ) {
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

    /// Longer than any access token that is alive now can be.
    pub(super) fn listed_for(&self) -> Duration {
        self.listing()
            .beside(self.longest.known().unwrap_or_default())
    }

    fn listed_until(&self) -> Timestamp {
        self.issuer.clock().now().saturating_add(self.listed_for())
    }

    /// Tells the store how long access tokens live, unless this node has done so.
    pub(super) async fn announce_lifetime(&self) -> Result<(), Unavailable> {
        if self.longest.known().is_none() {
            self.raise_lifetime().await?;
        }
        Ok(())
    }

    /// Tells the store how long access tokens live, and learns how long those of others do.
    pub(super) async fn raise_lifetime(&self) -> Result<(), StoreError> {
        let (name, lifetime) = (self.issuer.name(), self.issuer.lifetime());
        let longest = self.store.raise_access_lifetime(name, lifetime).await?;
        self.longest.learn(longest.max(lifetime));
        Ok(())
    }

    /// The row of a session that may be granted an access token, with what this node's list knows of its subject's epoch.
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

    /// The subject's epoch, with what this node's list knows of it.
    pub(super) async fn subject_version(&self, subject: &str) -> Result<u64, Unavailable> {
        self.announce_lifetime().await?;
        let subject_version = self.store.subject_version(subject).await?;
        match self.subject_version_ahead_of(subject_version, subject) {
            Some(lowest) => Ok(self.store.raise_subject_version(subject, lowest).await?),
            None => Ok(subject_version),
        }
    }

    /// The lowest epoch of the subject that this node accepts, if it is above `epoch`.
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
