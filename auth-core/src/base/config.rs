//! [`ConfigError`]: a configuration that cannot work, found while building.

/// A configuration that cannot work or would not be safe; found when building, never later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct ConfigError {
    setting: &'static str,
    problem: String,
}

impl ConfigError {
    /// An error about `setting`; `problem` says what is wrong and what to do instead.
    #[must_use]
    pub fn new(setting: &'static str, problem: impl Into<String>) -> Self {
        Self {
            setting,
            problem: problem.into(),
        }
    }

    /// The setting that is at fault.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        self.setting
    }
}
