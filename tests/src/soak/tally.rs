//! What was asked how often.

use std::fmt;

/// What was asked how often.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub(super) valid: u64,
    pub(super) invalid: u64,
    pub(super) refreshes: u64,
    pub(super) bad_refreshes: u64,
    pub(super) logins: u64,
    pub(super) logouts: u64,
}

impl Tally {
    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        self.valid += other.valid;
        self.invalid += other.invalid;
        self.refreshes += other.refreshes;
        self.bad_refreshes += other.bad_refreshes;
        self.logins += other.logins;
        self.logouts += other.logouts;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "judged: access {} valid, {} invalid; refresh {} valid, {} invalid; {} logins, {} logouts",
            self.valid, self.invalid, self.refreshes, self.bad_refreshes, self.logins, self.logouts,
        )
    }
}
