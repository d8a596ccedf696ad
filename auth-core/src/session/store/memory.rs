//! [`MemoryStore`]: sessions in the memory of one process.
//!
//! 1. Every operation is one critical section without an await: it happens as a whole or not at
//!    all.
//! 2. The number of rows is bounded. If all of them are live sessions, a login gets 503; live
//!    sessions are not removed for it. The version of a subject whose sessions were all ended is
//!    kept forever, as in every store: without it they would be live again.
//! 3. Ended rows are removed once they have been dead for a day. The sweep runs at the latest after
//!    as many inserts as there are rows, and gives their memory back.
//! 4. The store is also a revocation feed, for several nodes in one process. Entries that are no
//!    longer in force are removed, since followers do not need them.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::base::clock::{Clock, SystemClock, Timestamp};
use crate::base::id::{Generation, SessionId};
use crate::base::opaque::opaque_debug;
#[cfg(feature = "testing")]
use crate::keys::rotation::document::KeySet;
use crate::observe::words::{RevokeReason, StoreErrorKind};
use crate::revocation::Revocation as Listed;
use crate::revocation::feed::{Batch, Cursor, FeedError, RevocationFeed, Snapshot};
use crate::session::store::ending::{
    Listing, RaisedSubjectVersion, RevocationMark, RevokeSession, RevokeSubject, Revoked,
};
use crate::session::store::error::StoreError;
use crate::session::store::record::{SessionRecord, SessionRevocation};
use crate::session::store::{
    InsertOutcome, LoadedSession, NewSession, RefreshStore, RotateSession, RotatedAt, StoreClock,
};

const DEFAULT_CAPACITY: usize = 100_000;
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Minimum number of inserts between two sweeps.
const SWEEP_AT_LEAST: usize = 1024;
/// Minimum time between two sweeps of a full store.
const FULL_SWEEP_EVERY: Duration = Duration::from_secs(1);

/// A bounded, expiring store in memory, for tests, demos and services of one process whose users
/// may log in again after a restart.
///
/// ```
/// use std::sync::Arc;
/// use auth_core::testing::MemoryStore;
///
/// let store = Arc::new(MemoryStore::new().with_capacity(10_000));
/// assert!(store.is_empty());
/// ```
pub struct MemoryStore {
    clock: StoreClock,
    capacity: usize,
    tables: Mutex<Tables>,
    /// The keys of the app.
    #[cfg(feature = "testing")]
    pub(super) keys: Mutex<Option<(u64, KeySet)>>,
    revoked: watch::Sender<()>,
}

#[derive(Clone, Default)]
struct Tables {
    sessions: HashMap<SessionId, SessionRecord>,
    /// The sessions of each subject with rows, ended ones included.
    by_subject: HashMap<Box<str>, Vec<SessionId>>,
    /// The raised subject versions. All others are 0.
    subject_versions: HashMap<Box<str>, u64>,
    /// The marks of rows that a marked call has ended.
    marks: HashMap<SessionId, RevocationMark>,
    /// The longest access token lifetime of each issuer.
    lifetimes: HashMap<Box<str>, Duration>,
    inserts_since_sweep: usize,
    full_sweep_after: Option<Timestamp>,
    log: Log,
}

/// The revocations in force. Older ones may be included.
#[derive(Clone, Default)]
struct Log {
    /// Number of entries removed at the front.
    gone: u64,
    entries: VecDeque<Listed>,
}

impl Log {
    fn append(&mut self, revocation: Listed, now: Timestamp) {
        while self
            .entries
            .front()
            .is_some_and(|entry| entry.until() <= now)
        {
            self.entries.pop_front();
            self.gone += 1;
        }
        self.entries.push_back(revocation);
    }

    fn next(&self) -> u64 {
        self.gone.saturating_add(self.entries.len() as u64)
    }

    fn since(&self, number: u64) -> Vec<Listed> {
        let skip = usize::try_from(number.saturating_sub(self.gone)).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip).cloned().collect()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// Creates a store for at most 100,000 sessions, with the system clock.
    #[must_use]
    pub fn new() -> Self {
        Self {
            clock: StoreClock::own(),
            capacity: DEFAULT_CAPACITY,
            tables: Mutex::default(),
            #[cfg(feature = "testing")]
            keys: Mutex::default(),
            revoked: watch::Sender::new(()),
        }
    }

    /// Sets the maximum number of rows, including sessions that ended within the last day. Default:
    /// 100,000.
    #[must_use]
    pub fn with_capacity(mut self, sessions: usize) -> Self {
        self.capacity = sessions;
        self
    }

    /// Sets the clock. Default: the system clock.
    #[must_use]
    pub fn with_clock(mut self, clock: StoreClock) -> Self {
        self.clock = clock;
        self
    }

    /// The number of rows, ended sessions included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tables().sessions.len()
    }

    /// Whether the store has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies the whole store into a backup.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn back_up(&self) -> MemoryBackup {
        MemoryBackup(self.tables().clone())
    }

    /// Restores a backup: everything written since is lost.
    #[cfg(feature = "testing")]
    pub fn restore(&self, backup: &MemoryBackup) {
        *self.tables() = backup.0.clone();
    }

    /// Wakes the followers of the feed.
    fn wake(&self) {
        self.revoked.send_replace(());
    }

    fn now(&self) -> Timestamp {
        self.clock.driven_now().unwrap_or_else(|| SystemClock.now())
    }

    /// No code under this lock can panic half-way, so a poisoned lock holds whole rows.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A backup of a [`MemoryStore`], for tests of a store that loses writes.
#[cfg(feature = "testing")]
pub struct MemoryBackup(Tables);

#[cfg(feature = "testing")]
opaque_debug!(MemoryBackup);

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("clock", &self.clock)
            .field("capacity", &self.capacity)
            .field("sessions", &self.len())
            .finish_non_exhaustive()
    }
}

impl Tables {
    fn subject_version(&self, subject: &str) -> u64 {
        self.subject_versions.get(subject).copied().unwrap_or(0)
    }

    fn listed_until(&self, listing: Listing, now: Timestamp) -> Timestamp {
        let longest = self.lifetimes.values().max().copied().unwrap_or_default();
        now.saturating_add(listing.beside(longest))
    }

    fn revoke(&mut self, revoke: &RevokeSession, now: Timestamp) -> Option<Revoked> {
        let RevokeSession { id, reason, .. } = *revoke;
        let listed_until = self.listed_until(revoke.listing, now);
        let record = self.sessions.get_mut(&id)?;
        let reason = match record.revoked {
            Some(earlier) => earlier.reason,
            None => {
                record.revoked = Some(SessionRevocation { at: now, reason });
                self.marks.insert(id, revoke.mark);
                let until = listed_until;
                self.log.append(Listed::Session { id, until }, now);
                reason
            }
        };
        Some(Revoked {
            mark: self.marks.get(&id).copied(),
            reason,
            listed_until,
        })
    }

    /// The live sessions of a subject, the most recently used first.
    fn live(&self, subject: &str, now: Timestamp) -> Vec<&SessionRecord> {
        let subject_version = self.subject_version(subject);
        let mut live: Vec<_> = self
            .by_subject
            .get(subject)
            .into_iter()
            .flatten()
            .filter_map(|id| self.sessions.get(id))
            .filter(|record| record.is_live(subject_version, now))
            .collect();
        live.sort_by_key(|record| {
            std::cmp::Reverse((record.last_used_at, record.created_at, record.id))
        });
        live
    }

    fn remove(&mut self, id: &SessionId) {
        let Some(record) = self.sessions.remove(id) else {
            return;
        };
        self.marks.remove(id);
        if let Some(ids) = self.by_subject.get_mut(&record.subject) {
            ids.retain(|other| other != id);
            if ids.is_empty() {
                self.by_subject.remove(&record.subject);
            }
        }
    }

    /// Removes at most `batch` rows that ended at least `kept` ago, and returns their number.
    fn purge(&mut self, kept: Duration, batch: usize, now: Timestamp) -> usize {
        let ended: Vec<_> = self
            .sessions
            .values()
            .filter(|record| {
                let end = match record.revoked {
                    Some(revocation) => revocation.at.min(record.ends_at()),
                    None => record.ends_at(),
                };
                record.subject_version != self.subject_version(&record.subject)
                    || end.saturating_add(kept) <= now
            })
            .map(|record| record.id)
            .take(batch)
            .collect();
        for id in &ended {
            self.remove(id);
        }
        ended.len()
    }

    fn make_room(&mut self, capacity: usize, now: Timestamp) -> Result<(), StoreError> {
        let full = self.sessions.len() >= capacity;
        let due = self.inserts_since_sweep >= self.sessions.len().max(SWEEP_AT_LEAST);
        let may_sweep_full = self.full_sweep_after.is_none_or(|after| now >= after);
        if due || (full && may_sweep_full) {
            self.purge(KEPT, usize::MAX, now);
            self.inserts_since_sweep = 0;
            self.full_sweep_after = Some(now.saturating_add(FULL_SWEEP_EVERY));
            self.shrink();
        }
        if self.sessions.len() >= capacity {
            return Err(StoreError::new(StoreErrorKind::Full));
        }
        self.inserts_since_sweep += 1;
        Ok(())
    }

    fn shrink(&mut self) {
        if self.sessions.capacity() > 4 * self.sessions.len().max(SWEEP_AT_LEAST) {
            self.sessions.shrink_to(2 * self.sessions.len());
            self.by_subject.shrink_to(2 * self.by_subject.len());
            self.marks.shrink_to(2 * self.marks.len());
        }
    }
}

#[async_trait]
impl RefreshStore for MemoryStore {
    async fn subject_version(&self, subject: &str) -> Result<u64, StoreError> {
        Ok(self.tables().subject_version(subject))
    }

    async fn insert(&self, session: &NewSession<'_>) -> Result<InsertOutcome, StoreError> {
        let now = self.now();
        let mut tables = self.tables();
        if tables.subject_version(session.subject) != session.subject_version {
            return Ok(InsertOutcome::SubjectVersionChanged);
        }
        tables.make_room(self.capacity, now)?;
        if tables.sessions.contains_key(&session.id) {
            return Err(StoreError::new(StoreErrorKind::Corrupt));
        }
        let record = fresh_row(session, now);
        let replaced = session
            .replaces
            .and_then(|old| tables.revoke(&ended_by(session, old, RevokeReason::Replaced), now));
        tables
            .by_subject
            .entry(record.subject.clone())
            .or_default()
            .push(record.id);
        tables.sessions.insert(record.id, record);
        let mut evicted = Vec::new();
        if let Some(limit) = session.limit {
            let others = usize::try_from(limit.get() - 1).unwrap_or(usize::MAX);
            evicted = tables
                .live(session.subject, now)
                .into_iter()
                .map(|record| record.id)
                .filter(|id| *id != session.id)
                .skip(others)
                .collect();
            for id in &evicted {
                tables.revoke(&ended_by(session, *id, RevokeReason::Limit), now);
            }
        }
        let listed_until = tables.listed_until(session.listing, now);
        drop(tables);
        self.wake();
        Ok(InsertOutcome::Done {
            now,
            replaced,
            evicted,
            listed_until,
        })
    }

    async fn load(&self, id: &SessionId) -> Result<Option<LoadedSession>, StoreError> {
        let now = self.now();
        let tables = self.tables();
        Ok(tables.sessions.get(id).map(|record| LoadedSession {
            record: record.clone(),
            current_subject_version: tables.subject_version(&record.subject),
            now,
        }))
    }

    async fn advance(&self, step: &RotateSession<'_>) -> Result<Option<RotatedAt>, StoreError> {
        let now = self.now();
        let mut tables = self.tables();
        let current_subject_version = tables.subject_version(step.subject);
        let Some(record) = tables.sessions.get_mut(&step.id) else {
            return Ok(None);
        };
        let unchanged = record.generation == step.from_generation
            && record.predecessor == step.from_predecessor
            && record.revoked.is_none()
            && record.subject_version == step.subject_version
            && current_subject_version == step.subject_version;
        if !unchanged {
            return Ok(None);
        }
        record.generation = step.generation;
        record.predecessor = step.predecessor;
        record.recovered = step.recovered;
        record.details = step.details.clone();
        record.rotated_at = now;
        record.last_used_at = now;
        record.idle_expires_at = now
            .saturating_add(step.idle)
            .min(record.absolute_expires_at);
        Ok(Some(RotatedAt {
            now,
            idle_expires_at: record.idle_expires_at,
        }))
    }

    async fn revoke(&self, revoke: &RevokeSession) -> Result<Option<Revoked>, StoreError> {
        let now = self.now();
        let revoked = self.tables().revoke(revoke, now);
        self.wake();
        Ok(revoked)
    }

    async fn end_all(
        &self,
        end: &RevokeSubject<'_>,
    ) -> Result<Option<RaisedSubjectVersion>, StoreError> {
        let now = self.now();
        let mut tables = self.tables();
        let subject_version = tables.subject_version(end.subject);
        let raised = subject_version.saturating_add(1);
        if let Some(keep) = end.keep {
            match tables.sessions.get_mut(&keep) {
                Some(record)
                    if *record.subject == *end.subject && record.is_live(subject_version, now) =>
                {
                    record.subject_version = raised;
                }
                _ => return Ok(None),
            }
        }
        tables.subject_versions.insert(end.subject.into(), raised);
        let listed_until = tables.listed_until(end.listing, now);
        let listed = Listed::Subject {
            subject: end.subject.into(),
            lowest_subject_version: raised,
            until: listed_until,
        };
        tables.log.append(listed, now);
        drop(tables);
        self.wake();
        Ok(Some(RaisedSubjectVersion {
            subject_version: raised,
            listed_until,
        }))
    }

    async fn raise_subject_version(&self, subject: &str, at_least: u64) -> Result<u64, StoreError> {
        let mut tables = self.tables();
        let subject_version = tables.subject_version(subject);
        if subject_version >= at_least {
            return Ok(subject_version);
        }
        tables.subject_versions.insert(subject.into(), at_least);
        Ok(at_least)
    }

    async fn raise_access_lifetime(
        &self,
        issuer: &str,
        lifetime: Duration,
    ) -> Result<Duration, StoreError> {
        let mut tables = self.tables();
        let known = tables.lifetimes.entry(issuer.into()).or_default();
        *known = lifetime.max(*known);
        Ok(tables.lifetimes.values().max().copied().unwrap_or_default())
    }

    async fn list(&self, subject: &str, limit: u32) -> Result<Vec<SessionRecord>, StoreError> {
        let now = self.now();
        let tables = self.tables();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let live = tables.live(subject, now);
        Ok(live.into_iter().take(limit).cloned().collect())
    }

    async fn purge(&self, kept: Duration, batch: u32) -> Result<u32, StoreError> {
        let now = self.now();
        let batch = usize::try_from(batch).unwrap_or(usize::MAX);
        let mut tables = self.tables();
        let removed = tables.purge(kept, batch, now);
        tables.shrink();
        Ok(u32::try_from(removed).unwrap_or(u32::MAX))
    }
}

fn ended_by(session: &NewSession<'_>, id: SessionId, reason: RevokeReason) -> RevokeSession {
    RevokeSession {
        id,
        reason,
        mark: session.mark,
        listing: session.listing,
    }
}

#[async_trait]
impl RevocationFeed for MemoryStore {
    async fn snapshot(&self) -> Result<Snapshot, FeedError> {
        let tables = self.tables();
        Ok(Snapshot {
            revocations: tables.log.since(0),
            cursor: Cursor::new(tables.log.next().to_string()),
        })
    }

    async fn follow(&self, from: &Cursor, wait: Duration) -> Result<Batch, FeedError> {
        let number: u64 = from.as_str().parse().map_err(|_| FeedError::CursorLost)?;
        let mut revoked = self.revoked.subscribe();
        let next = self.tables().log.next();
        if next < number {
            return Err(FeedError::CursorLost);
        }
        if next == number {
            // The timeout needs no handling: the log is read in either case.
            let _ = tokio::time::timeout(wait, revoked.changed()).await;
        }
        let tables = self.tables();
        Ok(Batch {
            revocations: tables.log.since(number),
            cursor: Cursor::new(tables.log.next().to_string()),
        })
    }

    async fn append(&self, revocation: &Listed) -> Result<(), FeedError> {
        let now = self.now();
        self.tables().log.append(revocation.clone(), now);
        self.wake();
        Ok(())
    }
}

fn fresh_row(session: &NewSession<'_>, now: Timestamp) -> SessionRecord {
    let absolute_expires_at = now.saturating_add(session.absolute);
    SessionRecord {
        id: session.id,
        subject: session.subject.into(),
        subject_version: session.subject_version,
        generation: Generation::FIRST,
        predecessor: None,
        recovered: 0,
        created_at: now,
        rotated_at: now,
        last_used_at: now,
        idle_expires_at: now.saturating_add(session.idle).min(absolute_expires_at),
        absolute_expires_at,
        revoked: None,
        details: session.details.clone(),
    }
}
