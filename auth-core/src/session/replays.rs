//! [`Replays`]: counters of repeated refresh tokens, which reveal faults of clients.
//!
//! 1. The age of a replay shows its cause. A retry and a second tab arrive within moments of each
//!    other. A client whose response was lost returns after its timeout, or at its next start. A
//!    client that keeps old tokens presents any of them.
//! 2. A few replays are not significant: advice starts at [`ENOUGH`].
//! 3. The advice is logged at most once in [`TOLD_EVERY`], about the replays since the last one.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::observe::metrics;
use crate::observe::words::{GrantKind, ReuseCause};

/// Maximum age of replays by concurrent requests.
const AT_ONCE: Duration = Duration::from_secs(2);
/// Minimum number of replays, or of sessions ended by reuse, for advice.
const ENOUGH: u64 = 20;
const TOLD_EVERY: Duration = Duration::from_secs(60 * 60);

/// A use of a refresh token that was used before, by its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replay {
    Held,
    Recovered,
    Replayed,
    Reuse(ReuseCause),
}

impl Replay {
    fn as_str(self) -> &'static str {
        match self {
            Self::Held => GrantKind::Held.as_str(),
            Self::Recovered => GrantKind::Recovered.as_str(),
            Self::Replayed => GrantKind::Replayed.as_str(),
            Self::Reuse(cause) => cause.as_str(),
        }
    }
}

/// Counters of refresh tokens that had been used before, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replays {
    /// Replays with a grant, within 2 seconds of the rotation.
    pub at_once: u64,
    /// Later replays with a grant, within the minimum rotation interval.
    pub later: u64,
    /// Recoveries: the client had lost the response, and returned after the minimum rotation
    /// interval.
    pub recovered: u64,
    /// Sessions ended: the previous token came too late or too often.
    pub too_late: u64,
    /// Sessions ended: a token that a recovery had orphaned.
    pub orphaned: u64,
    /// Sessions ended: a token older than the previous one.
    pub stale: u64,
}

/// Advice on the probable cause of replays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReplayAdvice {
    /// Responses are lost: clients time out before the server, or are disconnected.
    AnswersAreLost,
    /// Clients refresh several times at once, without a lock.
    ClientsLackALock,
    /// Clients use tokens that they should have replaced, or the tokens were stolen.
    OldTokensAreUsed,
}

impl ReplayAdvice {
    /// The advice as a short fixed word, for a log field or a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AnswersAreLost => "answers_are_lost",
            Self::ClientsLackALock => "clients_lack_a_lock",
            Self::OldTokensAreUsed => "old_tokens_are_used",
        }
    }
}

impl fmt::Display for ReplayAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AnswersAreLost => {
                "most replays are later than 2 s: responses are lost; compare the timeouts of \
                 clients and proxies with the request deadline"
            }
            Self::ClientsLackALock => {
                "most replays are within 2 s: clients lack a lock; allow one refresh at a time \
                 across all tabs"
            }
            Self::OldTokensAreUsed => {
                "most sessions ended by reuse had older tokens: clients do not store new tokens, \
                 were restored from a backup, or their tokens were stolen"
            }
        })
    }
}

impl Replays {
    /// The advice. `None` if there are too few replays.
    #[must_use]
    pub fn advice(&self) -> Option<ReplayAdvice> {
        let reused = self.too_late + self.orphaned + self.stale;
        if reused >= ENOUGH && self.stale * 2 > reused {
            return Some(ReplayAdvice::OldTokensAreUsed);
        }
        let late = self.later + self.recovered + self.too_late + self.orphaned;
        if self.at_once + late < ENOUGH {
            return None;
        }
        Some(if self.at_once > late {
            ReplayAdvice::ClientsLackALock
        } else {
            ReplayAdvice::AnswersAreLost
        })
    }

    fn count(&mut self, replay: Replay, age: Duration) {
        let counter = match replay {
            Replay::Replayed | Replay::Held if age <= AT_ONCE => &mut self.at_once,
            Replay::Replayed | Replay::Held => &mut self.later,
            Replay::Recovered => &mut self.recovered,
            Replay::Reuse(ReuseCause::RecentPredecessor) => &mut self.too_late,
            Replay::Reuse(ReuseCause::Orphan) => &mut self.orphaned,
            Replay::Reuse(ReuseCause::Stale) => &mut self.stale,
        };
        *counter = counter.saturating_add(1);
    }
}

/// The replays of a node since it started, and since the last logged advice.
#[derive(Debug, Default)]
pub(super) struct ReplayLog(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    all: Replays,
    since_told: Replays,
    told_at: Option<Timestamp>,
}

impl ReplayLog {
    /// Counts a use of a token whose session was rotated `age` ago.
    pub(super) fn note(&self, replay: Replay, age: Duration, now: Timestamp) {
        // The age of the last rotation says nothing about a token from long before it.
        if !matches!(
            replay,
            Replay::Reuse(ReuseCause::Stale | ReuseCause::Orphan)
        ) {
            metrics::replayed(replay.as_str(), age);
        }
        if let Some((advice, replays)) = self.noted().note(replay, age, now) {
            let Replays {
                at_once,
                later,
                recovered,
                ..
            } = replays;
            let reused = replays.too_late + replays.orphaned + replays.stale;
            tracing::warn!(
                target: "auth::session",
                advice = advice.as_str(),
                at_once,
                later,
                recovered,
                reused,
                "{advice}"
            );
        }
    }

    pub(super) fn all(&self) -> Replays {
        self.noted().all
    }

    /// No code under this lock can panic half-way.
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noted {
    /// Counts, and returns the advice to log if it is due.
    fn note(
        &mut self,
        replay: Replay,
        age: Duration,
        now: Timestamp,
    ) -> Option<(ReplayAdvice, Replays)> {
        self.all.count(replay, age);
        self.since_told.count(replay, age);
        let is_due = self
            .told_at
            .is_none_or(|told| now < told || now.saturating_since(told) >= TOLD_EVERY);
        let advice = self.since_told.advice().filter(|_| is_due)?;
        self.told_at = Some(now);
        Some((advice, std::mem::take(&mut self.since_told)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn told(log: &ReplayLog, replay: Replay, age: u64, at: Timestamp) -> Option<ReplayAdvice> {
        log.noted()
            .note(replay, Duration::from_secs(age), at)
            .map(|(advice, _)| advice)
    }

    #[test]
    fn replays_at_once_lack_a_lock_and_later_ones_lost_their_answer() {
        let log = ReplayLog::default();
        for _ in 0..19 {
            assert_eq!(told(&log, Replay::Replayed, 1, T0), None);
        }
        let advice = told(&log, Replay::Held, 60, T0);
        assert_eq!(advice, Some(ReplayAdvice::ClientsLackALock));
        assert_eq!(log.all().at_once, 19);

        let log = ReplayLog::default();
        for _ in 0..19 {
            told(&log, Replay::Replayed, 8, T0);
        }
        let advice = told(&log, Replay::Reuse(ReuseCause::RecentPredecessor), 900, T0);
        assert_eq!(advice, Some(ReplayAdvice::AnswersAreLost));
    }

    #[test]
    fn sessions_lost_to_old_tokens_come_first() {
        let replays = Replays {
            at_once: 1000,
            too_late: 9,
            stale: 11,
            ..Replays::default()
        };
        assert_eq!(replays.advice(), Some(ReplayAdvice::OldTokensAreUsed));
    }

    #[test]
    fn advice_is_told_once_an_hour_about_what_came_since() {
        let log = ReplayLog::default();
        let mut times = Vec::new();
        for minute in 0..240 {
            let now = T0.saturating_add(Duration::from_secs(minute * 60));
            if told(&log, Replay::Replayed, 1, now).is_some() {
                times.push(minute);
            }
        }
        assert_eq!(times, [19, 79, 139, 199]);
        assert_eq!(log.all().at_once, 240);
    }
}
