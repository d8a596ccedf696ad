//! Automatic key rotation. The public page `docs/rotation.md` lists its guarantees.

pub(crate) mod builder;
pub(crate) mod document;
pub(crate) mod health;
pub(crate) mod material;
pub(crate) mod persistence;
pub(crate) mod plan;
pub(crate) mod rules;
pub(crate) mod schedule;
pub(crate) mod sealed;
pub(crate) mod task;

pub use self::builder::KeyRotationBuilder;
pub use self::health::RotationHealth;
pub use self::plan::KeyState;
pub use self::schedule::{KeySchedule, RefreshKeySchedule};
pub use self::sealed::{EncryptedKeys, KeyEncryptionKey};
pub use self::task::{KeyRotation, RotationError};

#[cfg(test)]
mod tests;
