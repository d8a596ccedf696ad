//! [`ConfigError`]: the error for a configuration that cannot work.

/// The error for a configuration that cannot work or is not safe. Occurs when building, never
/// later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct ConfigError {
    setting: &'static str,
    problem: String,
}

impl ConfigError {
    /// Creates an error about `setting`. `problem` names the fault and its remedy.
    #[must_use]
    pub fn new(setting: &'static str, problem: impl Into<String>) -> Self {
        Self {
            setting,
            problem: problem.into(),
        }
    }

    /// The setting at fault.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        self.setting
    }
}
