//! What came out of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Plan;
use super::book::{Book, locked};
use super::chaos::Fault;
use super::quiet::Quiet;

/// What came out of a run; [`Display`](fmt::Display) is for people.
#[derive(Clone, Debug)]
pub struct Report {
    plan: Plan,
    quiet: Quiet,
    faults: Vec<Fault>,
    revocations: BTreeMap<&'static str, usize>,
    latencies: Vec<Duration>,
    catch_ups: Vec<Duration>,
    verified: u64,
    checks: u64,
    misses: u64,
    violations: u64,
    unacknowledged: u64,
    words: Vec<String>,
}

impl Report {
    pub(super) fn new(plan: Plan, book: &Book, quiet: Quiet, faults: Vec<Fault>) -> Self {
        let mut revocations = BTreeMap::new();
        for revoked in book.revoked() {
            *revocations.entry(revoked.how).or_default() += 1;
        }
        let sorted = |durations: &std::sync::Mutex<Vec<Duration>>| {
            let mut durations = locked(durations).clone();
            durations.sort();
            durations
        };
        Self {
            plan,
            quiet,
            faults,
            revocations,
            latencies: sorted(&book.latencies),
            catch_ups: sorted(&book.catch_ups),
            verified: book.verified.load(Ordering::SeqCst),
            checks: book.checks.load(Ordering::SeqCst),
            misses: book.misses.load(Ordering::SeqCst),
            violations: book.violations.load(Ordering::SeqCst),
            unacknowledged: book.unacknowledged.load(Ordering::SeqCst),
            words: locked(&book.words).clone(),
        }
    }

    /// Whether every promise was kept.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.misses == 0 && self.violations == 0 && !self.latencies.is_empty()
    }

    /// From acknowledged logout to refusal on every connected node, for 99 of 100 logouts.
    #[must_use]
    pub fn p99(&self) -> Duration {
        quantile(&self.latencies, 99)
    }
}

/// `0` of nothing; the largest one for 100.
fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(rank).copied().unwrap_or_default()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: usize = self.revocations.values().sum();
        let (name, seed) = (self.plan.store.name(), self.plan.seed);
        writeln!(f, "{name}, seed {seed}")?;
        write!(f, "  revocations acknowledged   {total}:")?;
        for (how, count) in &self.revocations {
            write!(f, " {how} {count}")?;
        }
        writeln!(f, "; given up by the client: {}", self.unacknowledged)?;
        write!(f, "  faults                     {}:", self.faults.len())?;
        for fault in Fault::ALL {
            let count = self.faults.iter().filter(|done| **done == fault).count();
            write!(f, " {} {count};", fault.name())?;
        }
        writeln!(f)?;
        let [p50, p99, max] = [50, 99, 100].map(|percent| quantile(&self.latencies, percent));
        writeln!(
            f,
            "  refused on every node      p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?} \
             after the logout was acknowledged ({} measured)",
            self.latencies.len()
        )?;
        let [p50, max] = [50, 100].map(|percent| quantile(&self.catch_ups, percent));
        writeln!(
            f,
            "  caught up after a fault    p50 {p50:.1?}, max {max:.1?}"
        )?;
        writeln!(
            f,
            "  revoked tokens tried again {}, accepted: {}",
            self.checks, self.misses
        )?;
        writeln!(
            f,
            "  verified requests          {}, other violations: {}",
            self.verified, self.violations
        )?;
        let quiet = self.quiet;
        writeln!(
            f,
            "  network calls per request  {}: {} requests, {} calls for sessions, {} messages to \
             the store ({} in the same time without requests)",
            quiet.session_calls.div_ceil(quiet.requests.max(1)),
            quiet.requests,
            quiet.session_calls,
            quiet.sent,
            quiet.sent_idle
        )?;
        for words in &self.words {
            writeln!(f, "  VIOLATION {words}")?;
        }
        Ok(())
    }
}
