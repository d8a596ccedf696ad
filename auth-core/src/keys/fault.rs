//! Faults of key material, as fixed texts.

use std::fmt;

use crate::base::config::ConfigError;

/// The reason why key material was refused. Fixed text only, so that it can be logged even for a
/// key from a remote document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyFault {
    setting: &'static str,
    problem: &'static str,
    /// JWK member at fault.
    member: Option<&'static str>,
}

impl KeyFault {
    pub(super) const fn new(setting: &'static str, problem: &'static str) -> Self {
        Self {
            setting,
            problem,
            member: None,
        }
    }

    /// Sets the JWK member at fault.
    pub(super) const fn at(self, member: &'static str) -> Self {
        Self {
            member: Some(member),
            ..self
        }
    }

    /// The member at fault, for a log field.
    pub(crate) const fn member(self) -> Option<&'static str> {
        self.member
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

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.problem)
    }
}

impl From<KeyFault> for ConfigError {
    fn from(fault: KeyFault) -> Self {
        Self::new(fault.setting, fault.problem)
    }
}
