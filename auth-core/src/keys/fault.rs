//! What can be wrong with key material, as fixed text.

use std::fmt;

use crate::base::config::ConfigError;

/// Why key material was refused. Holds fixed text only, so that it can be logged even if the key
/// came from a remote document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    setting: &'static str,
    problem: &'static str,
}

impl Fault {
    pub(super) const fn new(setting: &'static str, problem: &'static str) -> Self {
        Self { setting, problem }
    }

    pub(super) const fn key(problem: &'static str) -> Self {
        Self::new("key", problem)
    }

    pub(super) const fn jwk(problem: &'static str) -> Self {
        Self::new("JWK", problem)
    }

    /// The reason, for a log field.
    pub(crate) const fn as_str(self) -> &'static str {
        self.problem
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.problem)
    }
}

impl From<Fault> for ConfigError {
    fn from(fault: Fault) -> Self {
        Self::new(fault.setting, fault.problem)
    }
}
