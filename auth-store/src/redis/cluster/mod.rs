//! A cluster: a session, its subject and the feed are in different slots, and no script reaches two
//! of them.
//!
//! 1. Every decision is one write in one slot. Its inputs from other slots are read again
//!    afterwards, and a change takes effect (rule 2 of the protocol).
//! 2. The entry of a session is written before its row is revoked (rule 14). After a crash in
//!    between there is one entry too many, and the next refresh completes the write. The longest
//!    access token lifetime is read again after that: a node that has raised it meanwhile may have
//!    issued a token for the earlier row.
//! 3. The entry of a subject is written after its version is raised: an entry too many would lock
//!    the user out. Both steps continue if the caller drops the call. If the entry fails, so does
//!    the call, and its retry raises the version once more.
//! 4. "End all but one" is decided at the subject: one write raises the version and records the
//!    session to keep. The next load of that row moves it to the new version.
//! 5. A login is added to the subject's index before its row is created, and reads the index again
//!    afterwards. The same write decides which sessions exceed the limit, so concurrent logins are
//!    serialized. Sessions stay condemned until their rows are marked, which the next login
//!    completes.
//! 6. A call that is dropped half-way has the effect of a crash; the next call repairs it.

mod end;
mod insert;
mod purge;

use auth_core::Timestamp;
use auth_core::session::SessionId;
use auth_core::store::{LoadedSession, SessionRecord, StoreError, StoreErrorKind};
use futures_util::future::try_join_all;
use redis::Value;

use super::link::Retry;
use super::row::{self, index_key, kept_key, row_key, subject_version_key};
use super::{RedisStore, reply};

/// Maximum number of retries of a decision after concurrent ones.
const ATTEMPTS: u32 = 100;
/// Scores of the index beyond every time: see `insert_reserve.lua`.
const PENDING: f64 = 1e16;

/// A subject, as of one moment.
struct Subject {
    subject_version: u64,
    kept: Option<SessionId>,
    /// The time of its node in milliseconds, never a driven one.
    now: i64,
    members: Vec<Member>,
}

struct Member {
    id: SessionId,
    score: f64,
}

impl Member {
    fn is_condemned(&self) -> bool {
        self.score == f64::NEG_INFINITY
    }

    /// Whether the login may still create its row.
    fn is_pending(&self, now: i64) -> bool {
        !self.is_condemned() && self.score < -PENDING && now as f64 <= -self.score - PENDING
    }
}

impl Subject {
    /// The record with the subject version to which it was moved.
    fn at_kept_version(&self, record: SessionRecord) -> SessionRecord {
        at_kept_version(record, self.subject_version, self.kept)
    }
}

fn at_kept_version(
    mut record: SessionRecord,
    subject_version: u64,
    kept: Option<SessionId>,
) -> SessionRecord {
    if kept == Some(record.id) {
        record.subject_version = subject_version;
    }
    record
}

impl RedisStore {
    pub(super) async fn cluster_load(
        &self,
        id: &SessionId,
    ) -> Result<Option<LoadedSession>, StoreError> {
        let Some((record, now)) = self.row(id).await? else {
            return Ok(None);
        };
        let (current_subject_version, kept) = self.version_and_kept(&record.subject).await?;
        let moves = kept == Some(*id) && record.subject_version < current_subject_version;
        if moves {
            self.keep_row(id, current_subject_version).await?;
        }
        Ok(Some(LoadedSession {
            record: at_kept_version(record, current_subject_version, kept),
            current_subject_version,
            now,
        }))
    }

    /// The row, and the time of its node.
    async fn row(&self, id: &SessionId) -> Result<Option<(SessionRecord, Timestamp)>, StoreError> {
        let call = self.call(&self.0.scripts.cluster.load_row).key(row_key(id));
        let answer = self.run(call, Retry::Harmless).await?;
        if answer == Value::Nil {
            return Ok(None);
        }
        let [row, now] = reply::tuple(answer)?;
        let record = row::decode(*id, &reply::bytes(row)?)?;
        Ok(Some((record, reply::time(now)?)))
    }

    /// The subject version, and the session that was moved to it.
    async fn version_and_kept(
        &self,
        subject: &str,
    ) -> Result<(u64, Option<SessionId>), StoreError> {
        let call = self
            .call(&self.0.scripts.subject_version)
            .key(subject_version_key(subject))
            .key(kept_key(subject));
        let [subject_version, kept] = reply::tuple(self.run(call, Retry::Harmless).await?)?;
        Ok((reply::number(subject_version)?, kept_id(kept)?))
    }

    async fn load_subject(&self, subject: &str) -> Result<Subject, StoreError> {
        let call = self
            .call(&self.0.scripts.cluster.load_subject)
            .key(subject_version_key(subject))
            .key(kept_key(subject))
            .key(index_key(subject));
        let answer = self.run(call, Retry::Harmless).await?;
        let [subject_version, kept, now, members] = reply::tuple(answer)?;
        let mut members = reply::array(members)?.into_iter();
        let mut found = Vec::new();
        while let (Some(id), Some(score)) = (members.next(), members.next()) {
            found.push(Member {
                id: reply::session_id(id)?,
                score: reply::number(score)?,
            });
        }
        Ok(Subject {
            subject_version: reply::number(subject_version)?,
            kept: kept_id(kept)?,
            now: reply::number(now)?,
            members: found,
        })
    }

    async fn keep_row(&self, id: &SessionId, subject_version: u64) -> Result<(), StoreError> {
        let call = self
            .call(&self.0.scripts.cluster.keep_row)
            .key(row_key(id))
            .number(subject_version);
        self.run(call, Retry::Harmless).await.map(drop)
    }

    async fn forget(&self, subject: &str, id: &SessionId) -> Result<(), StoreError> {
        let mut forget = redis::cmd("ZREM");
        forget.arg(index_key(subject)).arg(id.as_bytes());
        self.0.link.send(&forget).await.map(drop)
    }

    pub(super) async fn cluster_list(
        &self,
        subject: &str,
        limit: u32,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let of_subject = self.load_subject(subject).await?;
        let mut live = Vec::new();
        for row in self.rows(&of_subject).await?.into_iter().flatten() {
            let (record, now) = row?;
            let record = of_subject.at_kept_version(record);
            if record.is_live(of_subject.subject_version, now) {
                live.push(record);
            }
        }
        live.sort_unstable_by_key(|record| std::cmp::Reverse(order(record)));
        live.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(live)
    }

    /// The rows of all members, in order. An unreadable row is an error in its place.
    async fn rows(
        &self,
        subject: &Subject,
    ) -> Result<Vec<Option<Result<(SessionRecord, Timestamp), StoreError>>>, StoreError> {
        let rows = subject
            .members
            .iter()
            .map(async |member| match self.row(&member.id).await {
                Ok(row) => Ok(row.map(Ok)),
                Err(error) if error.kind() == StoreErrorKind::Corrupt => Ok(Some(Err(error))),
                Err(error) => Err(error),
            });
        try_join_all(rows).await
    }
}

fn order(record: &SessionRecord) -> (Timestamp, Timestamp, SessionId) {
    (record.last_used_at, record.created_at, record.id)
}

fn kept_id(value: Value) -> Result<Option<SessionId>, StoreError> {
    match value {
        Value::BulkString(bytes) if bytes.is_empty() => Ok(None),
        value => reply::session_id(value).map(Some),
    }
}
