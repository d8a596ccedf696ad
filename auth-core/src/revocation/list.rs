//! [`RevocationList`]: the revocations in force, in memory.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::base::clock::Timestamp;
use crate::base::id::SessionId;
use crate::revocation::Revocation;
use crate::revocation::table::{Key128, ListEntry, ListTable};

/// The revoked sessions and subject versions, each with an end time.
///
/// Reads take no lock; with an empty list they are one atomic load. An entry ends when the last
/// access token that it concerns has expired, so the list holds the revocations of one access token
/// lifetime. An entry takes about 50 bytes for a session, 80 for a subject.
pub struct RevocationList {
    entries: AtomicUsize,
    sessions: Part,
    subjects: Part,
    seeds: (RandomState, RandomState),
}

/// One table with its writers' lock. The lock holds the number of keys. `keys` repeats it for
/// readers, so that they skip an empty table.
struct Part {
    table: ArcSwap<ListTable>,
    writing: Mutex<usize>,
    keys: AtomicUsize,
}

impl RevocationList {
    pub(crate) fn new() -> Self {
        Self {
            entries: AtomicUsize::new(0),
            sessions: Part::new(false),
            subjects: Part::new(true),
            seeds: (RandomState::new(), RandomState::new()),
        }
    }

    /// Adds an entry, or extends an existing one. `now` decides which entries have ended if room is
    /// needed.
    pub(crate) fn add(&self, revocation: &Revocation, now: Timestamp) {
        let (part, key, floor) = match revocation {
            Revocation::Session { id, .. } => (&self.sessions, session_key(id), 0),
            Revocation::Subject {
                subject,
                lowest_subject_version,
                ..
            } => (
                &self.subjects,
                self.subject_key(subject),
                *lowest_subject_version,
            ),
        };
        let entry = ListEntry {
            until: millis(revocation.until()),
            floor,
        };
        part.put(key, entry, millis(now), &self.entries);
    }

    /// Removes ended entries to free memory. The follower calls it periodically; results do not
    /// depend on it.
    pub(crate) fn sweep(&self, now: Timestamp) {
        self.sessions.sweep(millis(now), &self.entries);
        self.subjects.sweep(millis(now), &self.entries);
    }

    /// Number of entries, including ended ones that were not removed yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.load(Ordering::Acquire)
    }

    /// Whether the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this session is revoked at `now`.
    #[must_use]
    pub fn lists_session(&self, id: &SessionId, now: Timestamp) -> bool {
        !self.is_empty()
            && self
                .sessions
                .get(session_key(id))
                .is_some_and(|entry| entry.until > millis(now))
    }

    /// Whether tokens of this subject with this version are revoked at `now`.
    #[must_use]
    pub fn lists_subject(&self, subject: &str, subject_version: u64, now: Timestamp) -> bool {
        self.lowest_subject_version(subject, now)
            .is_some_and(|lowest| subject_version < lowest)
    }

    /// The lowest accepted version of this subject at `now`. `None` if it is not listed.
    #[must_use]
    pub fn lowest_subject_version(&self, subject: &str, now: Timestamp) -> Option<u64> {
        if self.is_empty() || self.subjects.is_empty() {
            return None;
        }
        let entry = self.subjects.get(self.subject_key(subject))?;
        (entry.until > millis(now)).then_some(entry.floor)
    }

    /// The table key of a subject. Subjects are arbitrary text, so they are hashed under two random
    /// seeds: an attacker cannot search for collisions.
    fn subject_key(&self, subject: &str) -> Key128 {
        Key128::new(
            self.seeds.0.hash_one(subject),
            self.seeds.1.hash_one(subject),
        )
    }
}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationList")
            .field("entries", &self.len())
            .finish_non_exhaustive()
    }
}

impl Part {
    fn new(with_floors: bool) -> Self {
        Self {
            table: ArcSwap::from_pointee(ListTable::new(with_floors)),
            writing: Mutex::new(0),
            keys: AtomicUsize::new(0),
        }
    }

    fn is_empty(&self) -> bool {
        self.keys.load(Ordering::Acquire) == 0
    }

    fn get(&self, key: Key128) -> Option<ListEntry> {
        self.table.load().get(key)
    }

    fn put(&self, key: Key128, entry: ListEntry, now: u64, total: &AtomicUsize) {
        let mut keys = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.table.load().is_full(*keys) {
            self.rebuild(&mut keys, now, total);
        }
        if self.table.load().put(key, entry) {
            *keys += 1;
            self.keys.store(*keys, Ordering::Release);
            total.fetch_add(1, Ordering::Release);
        }
    }

    fn sweep(&self, now: u64, total: &AtomicUsize) {
        let mut keys = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if *keys != 0 {
            self.rebuild(&mut keys, now, total);
        }
    }

    fn rebuild(&self, keys: &mut usize, now: u64, total: &AtomicUsize) {
        let (table, live) = self.table.load().swept(now);
        self.table.store(table.into());
        self.keys.store(live, Ordering::Release);
        total.fetch_sub(keys.saturating_sub(live), Ordering::Release);
        *keys = live;
    }
}

/// The table key of a session. The id is a digest, so it is used as it is.
fn session_key(id: &SessionId) -> Key128 {
    let bits = u128::from_be_bytes(*id.as_bytes());
    Key128::new((bits >> 64) as u64, bits as u64)
}

fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn sid(n: u64) -> SessionId {
        let spread = u128::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        SessionId::from_bytes(spread.to_be_bytes())
    }

    fn ended(n: u64, until: i64) -> Revocation {
        Revocation::Session {
            id: sid(n),
            until: at(until),
        }
    }

    #[test]
    fn a_listed_session_is_refused_until_its_time_and_others_never() {
        let list = RevocationList::new();
        assert!(!list.lists_session(&sid(1), at(0)));
        list.add(&ended(1, 100), at(0));
        assert!(list.lists_session(&sid(1), at(99)));
        assert!(!list.lists_session(&sid(1), at(100)));
        assert!(!list.lists_session(&sid(2), at(0)));
    }

    #[test]
    fn an_entry_only_ever_lasts_longer() {
        let list = RevocationList::new();
        list.add(&ended(1, 100), at(0));
        list.add(&ended(1, 50), at(0));
        assert!(list.lists_session(&sid(1), at(99)));
        assert_eq!(list.len(), 1);
    }

    #[test]
    fn the_end_of_all_is_one_entry_and_epochs_only_rise() {
        let list = RevocationList::new();
        let end = |lowest_subject_version| Revocation::Subject {
            subject: "alice".into(),
            lowest_subject_version,
            until: at(100),
        };
        list.add(&end(3), at(0));
        list.add(&end(2), at(0));
        assert_eq!(list.len(), 1);
        assert!(list.lists_subject("alice", 0, at(50)));
        assert!(list.lists_subject("alice", 2, at(50)));
        assert!(!list.lists_subject("alice", 3, at(50)));
        assert!(!list.lists_subject("bob", 0, at(50)));
        assert!(!list.lists_subject("alice", 0, at(100)));
    }

    #[test]
    fn it_grows_without_losing_and_shrinks_by_itself() {
        let list = RevocationList::new();
        for n in 1..=20_000 {
            list.add(&ended(n, 100), at(0));
        }
        assert_eq!(list.len(), 20_000);
        assert!((1..=20_000).all(|n| list.lists_session(&sid(n), at(0))));
        assert!((20_001..=40_000).all(|n| !list.lists_session(&sid(n), at(0))));
        list.sweep(at(100));
        assert!(list.is_empty());
    }

    #[test]
    fn readers_never_miss_while_writers_grow_it() {
        let list = RevocationList::new();
        let done = AtomicBool::new(false);
        let reached = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..=30_000 {
                    list.add(&ended(n, 100), at(0));
                    reached.store(n, Ordering::SeqCst);
                }
                done.store(true, Ordering::SeqCst);
            });
            while !done.load(Ordering::SeqCst) {
                let n = reached.load(Ordering::SeqCst);
                assert!(n == 0 || list.lists_session(&sid(n), at(0)), "missed {n}");
            }
        });
    }
}
