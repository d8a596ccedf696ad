//! What a program tells: one line per thing that it did, and the violations that it counted.

use std::fmt;
use std::time::Duration;

/// So many violations are told in words.
const TOLD: usize = 10;

/// The counts of one scenario.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Which scenario, on what.
    pub name: String,
    /// Races, or whatever else was done again and again.
    pub rounds: u64,
    /// Requests that were answered.
    pub requests: u64,
    /// Faults that were injected.
    pub faults: u64,
    /// Answers of 503, and none at all: what a fault may cost.
    pub transient: u64,
    /// Generations that were consumed more than once.
    pub double_wins: u64,
    /// Sessions that an honest client could not go on with.
    pub lost: u64,
    /// Answers that contradict the protocol.
    pub wrong: u64,
    /// How long it took.
    pub took: Duration,
    /// The first few violations, in words.
    pub violations: Vec<String>,
    /// What else is worth telling.
    pub notes: Vec<String>,
}

impl Report {
    /// Nothing yet.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// Whether nothing was violated.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.double_wins + self.lost + self.wrong == 0
    }

    /// A generation that was consumed twice.
    pub fn double_win(&mut self, what: impl FnOnce() -> String) {
        self.double_wins += 1;
        self.tell(what);
    }

    /// A session that is lost.
    pub fn lost(&mut self, what: impl FnOnce() -> String) {
        self.lost += 1;
        self.tell(what);
    }

    /// A wrong answer.
    pub fn wrong(&mut self, what: impl FnOnce() -> String) {
        self.wrong += 1;
        self.tell(what);
    }

    /// Something that is no violation.
    pub fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        if self.violations.len() < TOLD {
            self.violations.push(what());
        }
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: Self) {
        self.rounds += other.rounds;
        self.requests += other.requests;
        self.faults += other.faults;
        self.transient += other.transient;
        self.double_wins += other.double_wins;
        self.lost += other.lost;
        self.wrong += other.wrong;
        self.violations.extend(other.violations);
        self.violations.truncate(TOLD);
        self.notes.extend(other.notes);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<34} rounds {:>6}  faults {:>5}  requests {:>8}  503 or none {:>6}  double wins {}  \
             lost sessions {}  wrong answers {}  ({:.1} s)",
            self.name,
            self.rounds,
            self.faults,
            self.requests,
            self.transient,
            self.double_wins,
            self.lost,
            self.wrong,
            self.took.as_secs_f64(),
        )?;
        for note in &self.notes {
            write!(f, "\n    {note}")?;
        }
        for violation in &self.violations {
            write!(f, "\n    VIOLATION {violation}")?;
        }
        Ok(())
    }
}
