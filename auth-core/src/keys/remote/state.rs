//! The cache rules as a state machine. Its inputs are the time and the events, its outputs are the
//! actions to take. It neither waits nor fetches.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::keys::remote::document::Skipped;
use crate::keys::remote::fetch::FetchError;
use crate::keys::remote::negative::NegativeCache;
use crate::observe::words::FetchFault;

/// Minimum time between the end of a fetch and the start of the next.
pub(crate) const COOL_DOWN: Duration = Duration::from_secs(30);
/// Time for which a set may be used after it became stale.
pub(crate) const MAX_STALE: Duration = Duration::from_secs(60 * 60);

/// The action for a token whose key is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Refuse: the key does not exist.
    Refuse,
    /// Respond with 503: the last fetch failed, and the next must not start yet.
    Unavailable,
    /// Wait for the running or requested fetch.
    Wait,
}

/// The current set.
#[derive(Debug)]
struct Set {
    fetched_at: Timestamp,
    fresh_for: Duration,
    etag: Option<Box<str>>,
}

#[derive(Debug)]
struct Attempt {
    ended_at: Timestamp,
    error: Option<FetchError>,
}

#[derive(Debug, Default)]
pub(crate) struct FetchState {
    set: Option<Set>,
    last: Option<Attempt>,
    fetching: bool,
    wanted: bool,
    missing: NegativeCache,
    pub(crate) fetches: u64,
    pub(crate) successes: u64,
    pub(crate) failures: u64,
    pub(crate) last_success: Option<Timestamp>,
    /// Unused entries of the last document.
    pub(crate) skipped: Vec<Skipped>,
}

impl FetchState {
    /// The action for a token whose key is missing. `kid` is `None` if any key would do.
    pub(crate) fn find(&mut self, kid: Option<&str>, now: Timestamp) -> Unknown {
        if kid.is_some_and(|kid| self.missing.contains(kid, now)) {
            return Unknown::Refuse;
        }
        if self.request_fetch(now) {
            Unknown::Wait
        } else if self.has_succeeded() {
            Unknown::Refuse
        } else {
            Unknown::Unavailable
        }
    }

    /// Requests a fetch. Returns false if none is running and none may start.
    pub(crate) fn request_fetch(&mut self, now: Timestamp) -> bool {
        if !self.fetching && !self.is_cool(now) {
            return false;
        }
        self.wanted |= !self.fetching;
        true
    }

    /// Records that a successful fetch did not return this key.
    pub(crate) fn note_missing(&mut self, kid: &str, now: Timestamp) {
        self.missing.note(kid, now);
    }

    pub(crate) fn is_fetching(&self) -> bool {
        self.fetching
    }

    /// Whether the last fetch returned usable keys.
    pub(crate) fn has_succeeded(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.error.is_none())
    }

    pub(crate) fn last_fault(&self) -> Option<FetchFault> {
        self.last_error().map(|error| error.fault())
    }

    pub(crate) fn last_error(&self) -> Option<FetchError> {
        self.last.as_ref().and_then(|last| last.error.clone())
    }

    pub(crate) fn etag(&self) -> Option<Box<str>> {
        self.set.as_ref().and_then(|set| set.etag.clone())
    }

    /// Starts a fetch, if it is due.
    pub(crate) fn begin(&mut self, now: Timestamp) -> bool {
        let due = self.due_at().is_some_and(|at| at <= now) || self.stepped_back(now);
        let begins = !self.fetching && self.is_cool(now) && (self.wanted || due);
        if begins {
            self.fetching = true;
            self.wanted = false;
            self.fetches = self.fetches.saturating_add(1);
        }
        begins
    }

    /// Records a fetch that returned a set, or confirmed the current one (then `etag` is
    /// unchanged).
    pub(crate) fn succeed(&mut self, now: Timestamp, fresh_for: Duration, etag: Option<Box<str>>) {
        self.set = Some(Set {
            fetched_at: now,
            fresh_for,
            etag,
        });
        self.last_success = Some(now);
        self.successes = self.successes.saturating_add(1);
        self.end(now, None);
    }

    /// Records a failed fetch. The current set stays.
    pub(crate) fn fail(&mut self, now: Timestamp, error: FetchError) {
        self.failures = self.failures.saturating_add(1);
        self.end(now, Some(error));
    }

    /// Records that the issuer has withdrawn its keys: a document without a usable key.
    pub(crate) fn withdraw(&mut self, now: Timestamp) {
        self.set = None;
        self.fail(now, FetchError::new(FetchFault::NoUsableKey));
    }

    fn end(&mut self, now: Timestamp, error: Option<FetchError>) {
        self.fetching = false;
        self.last = Some(Attempt {
            ended_at: now,
            error,
        });
    }

    /// The time of the next scheduled fetch. `None` before the first.
    pub(crate) fn due_at(&self) -> Option<Timestamp> {
        let last = self.last.as_ref()?;
        let cool_at = last.ended_at.saturating_add(COOL_DOWN);
        match &self.set {
            Some(set) if last.error.is_none() => Some(cool_at.max(set.refresh_at())),
            _ => Some(cool_at),
        }
    }

    /// The time after which the current set must not be used.
    pub(crate) fn usable_until(&self) -> Option<Timestamp> {
        let set = self.set.as_ref()?;
        let fresh_until = set.fetched_at.saturating_add(set.fresh_for);
        Some(fresh_until.saturating_add(MAX_STALE))
    }

    fn is_cool(&self, now: Timestamp) -> bool {
        let Some(last) = &self.last else {
            return true;
        };
        now >= last.ended_at.saturating_add(COOL_DOWN) || self.stepped_back(now)
    }

    /// Whether the clock was set back past the last fetch, which makes the recorded times
    /// meaningless.
    fn stepped_back(&self, now: Timestamp) -> bool {
        self.last.as_ref().is_some_and(|last| now < last.ended_at)
    }
}

impl Set {
    /// The time of the next refresh, at 80 % of the freshness.
    fn refresh_at(&self) -> Timestamp {
        self.fetched_at.saturating_add(self.fresh_for / 5 * 4)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T0: Timestamp = Timestamp::from_secs(1_800_000_000);
    const FRESH: Duration = Duration::from_secs(600);

    fn at(secs: u64) -> Timestamp {
        T0.saturating_add(Duration::from_secs(secs))
    }

    fn unreachable() -> FetchError {
        FetchError::new(FetchFault::Unreachable)
    }

    /// A set that was fetched at 0.
    fn loaded() -> FetchState {
        let mut state = FetchState::default();
        assert!(!state.begin(T0), "nobody has asked");
        assert_eq!(state.find(None, T0), Unknown::Wait);
        assert!(state.begin(T0));
        assert!(!state.begin(T0), "one at a time");
        state.succeed(T0, FRESH, None);
        state
    }

    #[test]
    fn a_set_is_fetched_again_at_four_fifths_of_its_freshness() {
        let mut state = loaded();
        assert_eq!(state.due_at(), Some(at(480)));
        assert!(!state.begin(at(479)));
        assert!(state.begin(at(480)));
    }

    #[test]
    fn f01_the_cool_down_counts_from_the_end_of_a_fetch_however_it_ended() {
        let mut state = loaded();
        assert_eq!(state.find(Some("x"), at(29)), Unknown::Refuse);
        assert_eq!(state.find(Some("x"), at(30)), Unknown::Wait);
        assert!(state.begin(at(30)));
        assert_eq!(
            state.find(Some("y"), at(31)),
            Unknown::Wait,
            "the same fetch"
        );
        state.fail(at(40), unreachable());
        assert_eq!(state.find(Some("x"), at(69)), Unknown::Unavailable);
        assert!(!state.begin(at(69)));
        assert!(state.begin(at(70)), "tried again by itself");
        state.succeed(at(71), FRESH, None);
        state.note_missing("x", at(71));
        assert_eq!(state.find(Some("x"), at(200)), Unknown::Refuse);
        assert_eq!(state.find(Some("y"), at(200)), Unknown::Wait);
    }

    #[test]
    fn f04_a_set_is_good_for_an_hour_beyond_its_freshness() {
        let mut state = loaded();
        assert!(state.begin(at(480)));
        state.fail(at(490), unreachable());
        assert_eq!(state.usable_until(), Some(at(600 + 3600)));
        assert!(state.begin(at(520)));
        state.succeed(at(520), FRESH, None);
        assert_eq!(state.usable_until(), Some(at(520 + 600 + 3600)));
        assert!(state.begin(at(1000)));
        state.withdraw(at(1000));
        assert_eq!(state.usable_until(), None);
        assert_eq!(state.last_fault(), Some(FetchFault::NoUsableKey));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_end_the_fetches() {
        let mut state = loaded();
        let before = T0.saturating_sub(Duration::from_secs(86_400));
        assert!(state.begin(before));
        state.succeed(before, FRESH, None);
        assert!(!state.begin(before.saturating_add(Duration::from_secs(29))));
    }

    proptest! {
        /// Fetches never overlap, and none starts within the cool-down, for any sequence of
        /// requests and results.
        #[test]
        fn f01_fetches_keep_their_distance(
            steps in prop::collection::vec((0u64..40, 0u8..5), 1..200),
        ) {
            let mut state = FetchState::default();
            let (mut now, mut fetching) = (0, false);
            let mut ended: Option<u64> = None;
            for (pause, event) in steps {
                now += pause;
                match event {
                    0 | 1 => {
                        state.find(Some("x"), at(now));
                    }
                    2 if fetching => state.fail(at(now), unreachable()),
                    3 if fetching => state.succeed(at(now), FRESH, None),
                    4 if fetching => state.withdraw(at(now)),
                    _ => {}
                }
                if event >= 2 && fetching {
                    (fetching, ended) = (false, Some(now));
                }
                if state.begin(at(now)) {
                    prop_assert!(!fetching);
                    prop_assert!(ended.is_none_or(|ended| now >= ended + 30));
                    fetching = true;
                }
            }
        }
    }
}
