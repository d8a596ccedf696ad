//! The feed of revocations for other nodes: a stream.
//!
//! 1. The revoking scripts write the entries. The server runs one script at a time and numbers its
//!    writes, so no entry can appear behind a cursor.
//! 2. Every read is a script, which a replica refuses: an empty result comes from the master.
//! 3. A cursor names its history. After a restart, a failover or FLUSHALL the history is another,
//!    and the follower starts over.
//! 4. Waiting happens on a separate connection, in slices shorter than the store's time limit, and
//!    ends with another read. If that connection is in use, the follower reads every 50 ms.
//! 5. An entry is removed a minute after the last access token that it concerns has expired.

use std::time::Duration;

use async_trait::async_trait;
use auth_core::Timestamp;
use auth_core::revocation::Revocation;
use auth_core::session::SessionId;
use auth_core::store::{Batch, Cursor, FeedError, RevocationFeed, Snapshot, StoreError};
use redis::Value;

use super::error::corrupt;
use super::link::Retry;
use super::row::{FEED, FEED_BIRTH, FOREVER, moment};
use super::{RedisStore, reply};

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Entries that one script returns.
const PAGE: usize = 1000;

/// A position in the stream: before the entries with a higher id.
#[derive(Clone, PartialEq, Eq)]
struct Place {
    history: String,
    id: EntryId,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct EntryId(u64, u64);

impl EntryId {
    const START: Self = Self(0, 0);

    fn parse(text: &str) -> Option<Self> {
        let (millis, number) = text.split_once('-')?;
        Some(Self(millis.parse().ok()?, number.parse().ok()?))
    }

    fn text(self) -> String {
        format!("{}-{}", self.0, self.1)
    }
}

impl Place {
    fn parse(cursor: &Cursor) -> Option<Self> {
        let (history, id) = cursor.as_str().split_once(' ')?;
        Some(Self {
            history: history.to_owned(),
            id: EntryId::parse(id)?,
        })
    }

    fn cursor(&self) -> Cursor {
        Cursor::new(format!("{} {}", self.history, self.id.text()))
    }
}

/// The result of a read.
struct FeedPosition {
    history: String,
    last: EntryId,
    deleted: EntryId,
    entries: Vec<(EntryId, Revocation)>,
}

impl RedisStore {
    async fn look(&self, after: EntryId) -> Result<FeedPosition, FeedError> {
        let call = self
            .call(&self.0.scripts.follow)
            .key(FEED)
            .key(FEED_BIRTH)
            .arg(after.text())
            .number(PAGE);
        let answer = self.run(call, Retry::Harmless).await;
        answer.and_then(seen).map_err(FeedError::unavailable)
    }

    /// All entries after a position in the current history, and the position after them.
    async fn entries_after(
        &self,
        mut id: EntryId,
        expected: Option<&str>,
    ) -> Result<(Vec<Revocation>, Place), FeedError> {
        let mut revocations = Vec::new();
        let mut history = expected.map(str::to_owned);
        loop {
            let seen = self.look(id).await?;
            // The first read of a snapshot determines the history, which must then stay.
            let same = history.get_or_insert_with(|| seen.history.clone()) == &seen.history;
            let whole = expected.is_none() || (seen.last >= id && seen.deleted <= id);
            if !same || !whole {
                return Err(FeedError::CursorLost);
            }
            let more = seen.entries.len() == PAGE;
            for (at, revocation) in seen.entries {
                id = at;
                revocations.push(revocation);
            }
            if !more {
                // Ids in the gap were deleted, and no entry may appear before it.
                id = id.max(seen.last);
                let place = Place {
                    history: seen.history,
                    id,
                };
                return Ok((revocations, place));
            }
        }
    }

    /// Waits until there is an entry after `id`, for at most `wait`. It may return early: the next
    /// read decides.
    async fn wait_for_news(&self, id: EntryId, wait: Duration) {
        let slice = wait.min(self.0.options.timeout / 2);
        let Ok(millis) = u64::try_from(slice.as_millis()) else {
            return;
        };
        if millis == 0 {
            return;
        }
        let Ok(mut tail) = self.0.tail.try_lock() else {
            tokio::time::sleep(slice.min(LOOK_EVERY)).await;
            return;
        };
        // Taken out of its place: a wait that is dropped half-way drops its connection too.
        let connection = match tail.take() {
            Some(connection) => Ok(connection),
            None => self.0.link.another().await,
        };
        let Ok(mut connection) = connection else {
            tokio::time::sleep(slice.min(LOOK_EVERY)).await;
            return;
        };
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT")
            .arg(1)
            .arg("BLOCK")
            .arg(millis)
            .arg("STREAMS")
            .arg(FEED)
            .arg(id.text());
        let bound = slice.saturating_add(self.0.options.timeout / 2);
        match tokio::time::timeout(bound, connection.send(&read)).await {
            Ok(Ok(_)) => *tail = Some(connection),
            // Pauses, so that a refusing server does not cause a busy loop.
            Ok(Err(_)) => tokio::time::sleep(slice.min(LOOK_EVERY)).await,
            Err(_) => {}
        }
    }
}

fn seen(answer: Value) -> Result<FeedPosition, StoreError> {
    let [birth, history, last, deleted, entries] = reply::tuple(answer)?;
    let entries: Result<Vec<_>, StoreError> =
        reply::array(entries)?.into_iter().map(entry).collect();
    Ok(FeedPosition {
        history: format!("{}.{}", reply::text(history)?, reply::text(birth)?),
        last: entry_id(last)?,
        deleted: entry_id(deleted)?,
        entries: entries?,
    })
}

fn entry_id(value: Value) -> Result<EntryId, StoreError> {
    EntryId::parse(&reply::text(value)?).ok_or_else(corrupt)
}

fn entry(value: Value) -> Result<(EntryId, Revocation), StoreError> {
    let [id, fields] = reply::tuple(value)?;
    let id = entry_id(id)?;
    let mut fields = reply::array(fields)?.into_iter();
    let mut until = None;
    let mut session = None;
    let mut subject = None;
    let mut lowest_subject_version = None;
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        match reply::bytes(name)?.as_slice() {
            b"u" => until = Some(moment(reply::number(value)?)),
            b"s" => session = Some(reply::session_id(value)?),
            b"j" => subject = Some(reply::text(value)?),
            b"e" => lowest_subject_version = Some(reply::number(value)?),
            // An entry of a newer version.
            _ => {}
        }
    }
    let revocation =
        revocation(until, session, subject, lowest_subject_version).ok_or_else(corrupt)?;
    Ok((id, revocation))
}

fn revocation(
    until: Option<Timestamp>,
    session: Option<SessionId>,
    subject: Option<String>,
    lowest_subject_version: Option<u64>,
) -> Option<Revocation> {
    let until = until?;
    match (session, subject, lowest_subject_version) {
        (Some(id), None, None) => Some(Revocation::Session { id, until }),
        (None, Some(subject), Some(lowest_subject_version)) => Some(Revocation::Subject {
            subject: subject.into_boxed_str(),
            lowest_subject_version,
            until,
        }),
        _ => None,
    }
}

#[async_trait]
impl RevocationFeed for RedisStore {
    async fn snapshot(&self) -> Result<Snapshot, FeedError> {
        let (revocations, place) = self.entries_after(EntryId::START, None).await?;
        Ok(Snapshot {
            revocations,
            cursor: place.cursor(),
        })
    }

    async fn follow(&self, cursor: &Cursor, wait: Duration) -> Result<Batch, FeedError> {
        let mut place = Place::parse(cursor).ok_or(FeedError::CursorLost)?;
        let deadline = tokio::time::Instant::now().checked_add(wait);
        loop {
            let (revocations, now_at) = self.entries_after(place.id, Some(&place.history)).await?;
            place = now_at;
            let left = deadline.map_or(wait, |deadline| {
                deadline.saturating_duration_since(tokio::time::Instant::now())
            });
            if !revocations.is_empty() || left.is_zero() {
                return Ok(Batch {
                    revocations,
                    cursor: place.cursor(),
                });
            }
            self.wait_for_news(place.id, left).await;
        }
    }

    async fn append(&self, revocation: &Revocation) -> Result<(), FeedError> {
        let until = revocation.until().as_millis().clamp(-FOREVER, FOREVER);
        let call = self.call(&self.0.scripts.append).key(FEED).number(until);
        let call = match revocation {
            Revocation::Session { id, .. } => call.arg("s").arg(id.as_bytes().as_slice()),
            Revocation::Subject {
                subject,
                lowest_subject_version,
                ..
            } => call
                .arg("j")
                .arg(&**subject)
                .arg("e")
                .number(lowest_subject_version),
        };
        self.run(call, Retry::Harmless)
            .await
            .map(drop)
            .map_err(FeedError::unavailable)
    }
}
