//! A negative cache: key ids that a successful fetch did not return.
//!
//! The ids come from unverified tokens. They are stored as hashes under a random key, and their
//! number is limited.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::base::clock::Timestamp;

const CAPACITY: usize = 1024;
/// Time for which an id counts as missing. It is short, because a request with the guessed id of a
/// future key caches it as missing.
const LIFETIME: Duration = Duration::from_secs(5 * 60);

#[derive(Debug, Default)]
pub(crate) struct NegativeCache {
    hasher: RandomState,
    noted: HashMap<u64, Timestamp>,
    /// Time of the last search for expired ids.
    swept_at: Timestamp,
}

impl NegativeCache {
    pub(crate) fn contains(&self, kid: &str, now: Timestamp) -> bool {
        let noted = self.noted.get(&self.hasher.hash_one(kid));
        noted.is_some_and(|at| is_recent(*at, now))
    }

    /// Records an id, unless the cache is full.
    pub(crate) fn note(&mut self, kid: &str, now: Timestamp) {
        if self.noted.len() >= CAPACITY && self.swept_at != now {
            self.swept_at = now;
            self.noted.retain(|_, at| is_recent(*at, now));
        }
        if self.noted.len() < CAPACITY {
            self.noted.insert(self.hasher.hash_one(kid), now);
        }
    }
}

fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    at <= now && now < at.saturating_add(LIFETIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a06b_the_memory_of_missing_keys_stays_bounded() {
        let mut missing = NegativeCache::default();
        let start = Timestamp::from_secs(1_800_000_000);
        for n in 0..1_000_000 {
            missing.note(&format!("kid-{n}"), start);
        }
        assert_eq!(missing.noted.len(), CAPACITY);
        assert!(missing.noted.capacity() < 4 * CAPACITY);
        assert!(missing.contains("kid-0", start));
        // Expired ids make room for new ones.
        let later = start.saturating_add(LIFETIME);
        assert!(!missing.contains("kid-0", later));
        missing.note("late", later);
        assert!(missing.contains("late", later) && missing.noted.len() == 1);
        assert!(
            !missing.contains("late", start),
            "a clock that was set back"
        );
    }
}
