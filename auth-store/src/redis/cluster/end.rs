//! The end of sessions in a cluster: rules 2 to 4.

use std::time::Duration;

use auth_core::Timestamp;
use auth_core::session::SessionId;
use auth_core::store::{
    Listing, RaisedSubjectVersion, RevocationMark, RevokeSession, RevokeSubject, Revoked,
    StoreError, StoreErrorKind,
};
use futures_util::future::try_join;
use redis::Value;

use super::{ATTEMPTS, Subject};
use crate::redis::link::Retry;
use crate::redis::row::{
    FEED, FOREVER, LIFETIMES, index_key, kept_key, raiser_key, row_key, subject_version_key,
};
use crate::redis::{RedisStore, reply};

/// The listing time of a revocation that is not listed.
const NOT_YET: i64 = -1;

/// The session or subject of a listed revocation.
#[derive(Clone, Copy)]
enum Entry<'a> {
    Session(&'a SessionId),
    /// A subject, with the lowest accepted subject version.
    Subject(&'a str, u64),
}

/// The listing time of a revocation, and the time of the read.
struct Listed {
    now: Timestamp,
    millis: i64,
}

impl Listed {
    fn until(&self) -> Timestamp {
        let millis = u64::try_from(self.millis).unwrap_or_default();
        self.now.saturating_add(Duration::from_millis(millis))
    }
}

impl RedisStore {
    pub(in crate::redis) async fn cluster_revoke(
        &self,
        revoke: &RevokeSession,
    ) -> Result<Option<Revoked>, StoreError> {
        let Some((record, _)) = self.row(&revoke.id).await? else {
            return Ok(None);
        };
        let entry = Entry::Session(&revoke.id);
        // A session that was revoked before has its entry: the call only reads the time.
        let already = record.revoked.map_or(NOT_YET, |_| FOREVER);
        let listed = self.append_listing(entry, &revoke.listing, already).await?;
        let call = self
            .call(&self.0.scripts.revoke)
            .key(row_key(&revoke.id))
            .arg(revoke.reason.as_str())
            .mark(&revoke.mark)
            .number(listed.millis)
            .number(0);
        let answer = reply::revoked(self.run(call, Retry::Harmless).await?)?;
        let already = already.max(listed.millis);
        let ((), listed) = try_join(
            self.forget(&record.subject, &revoke.id),
            self.append_listing(entry, &revoke.listing, already),
        )
        .await?;
        Ok(answer.map(|revoked| Revoked {
            listed_until: listed.until(),
            ..revoked
        }))
    }

    /// Lists a revocation, unless its listing lasts for `already`. Returns the duration of the
    /// listing.
    async fn append_listing(
        &self,
        entry: Entry<'_>,
        listing: &Listing,
        already: i64,
    ) -> Result<Listed, StoreError> {
        let call = self
            .call(&self.0.scripts.cluster.append_listing)
            .key(FEED)
            .key(LIFETIMES)
            .listing(listing)
            .number(already);
        let call = match entry {
            Entry::Session(id) => call.arg("s").arg(id.as_bytes().as_slice()),
            Entry::Subject(subject, lowest_subject_version) => call
                .arg("j")
                .arg(subject)
                .arg("e")
                .number(lowest_subject_version),
        };
        let [now, millis] = reply::tuple(self.run(call, Retry::Harmless).await?)?;
        Ok(Listed {
            now: reply::time(now)?,
            millis: reply::number(millis)?,
        })
    }

    pub(in crate::redis) async fn cluster_end_all(
        &self,
        end: &RevokeSubject<'_>,
    ) -> Result<Option<RaisedSubjectVersion>, StoreError> {
        let (store, subject) = (self.clone(), end.subject.to_owned());
        let RevokeSubject {
            keep,
            reason,
            listing,
            ..
        } = *end;
        // The task continues if the caller drops the call.
        let ending = tokio::spawn(async move {
            let subject = subject.as_str();
            let end = RevokeSubject {
                subject,
                keep,
                reason,
                listing,
            };
            let Some(subject_version) = store.bounded(store.raise_version(&end)).await? else {
                return Ok(None);
            };
            let entry = Entry::Subject(subject, subject_version);
            let listed = store.append_listing(entry, &listing, NOT_YET).await?;
            Ok(Some(RaisedSubjectVersion {
                subject_version,
                listed_until: listed.until(),
            }))
        });
        let ended = ending.await;
        // The runtime is shutting down.
        ended.unwrap_or_else(|_| Err(StoreError::new(StoreErrorKind::Unavailable)))
    }

    /// Raises the subject version by one. `None` if the session to keep is missing or has ended.
    async fn raise_version(&self, end: &RevokeSubject<'_>) -> Result<Option<u64>, StoreError> {
        let mark = RevocationMark::random()?;
        let keep = end.keep.map(|id| id.as_bytes().to_vec());
        for _ in 0..ATTEMPTS {
            let subject = self.load_subject(end.subject).await?;
            if let Some(keep) = &end.keep
                && !self.is_live(keep, end.subject, &subject).await?
            {
                return Ok(None);
            }
            let call = self
                .call(&self.0.scripts.cluster.end_all)
                .key(subject_version_key(end.subject))
                .key(kept_key(end.subject))
                .key(index_key(end.subject))
                .key(raiser_key(end.subject))
                .number(subject.subject_version)
                .listing(&end.listing)
                .mark(&mark)
                .arg(keep.clone().unwrap_or_default());
            let answer = self.run(call, Retry::Harmless).await?;
            if answer != Value::Nil {
                return reply::number(answer).map(Some);
            }
        }
        Err(StoreError::new(StoreErrorKind::Unavailable))
    }

    /// Whether the row exists, belongs to the subject and is live.
    async fn is_live(
        &self,
        id: &SessionId,
        of: &str,
        subject: &Subject,
    ) -> Result<bool, StoreError> {
        let Some((record, now)) = self.row(id).await? else {
            return Ok(false);
        };
        let is_its = *record.subject == *of;
        Ok(is_its
            && subject
                .at_kept_version(record)
                .is_live(subject.subject_version, now))
    }
}
