//! Test utilities: a settable clock, defective tokens, failing stores, the conformance kit for stores,
//! and a reader of published key sets. Feature `testing`.
//!
//! Not for production: turn the feature on in `[dev-dependencies]` only.

mod auth;
mod clock;
mod faults;
mod key_set;
mod mint;
mod store_kit;

pub use crate::session::decide::{Decision, Grant, RefreshRefusal, RotationStep, decide};
pub use crate::session::store::memory::{MemoryBackup, MemoryStore};

pub use self::clock::ManualClock;
pub use self::faults::{Fault, FaultStore, StoreOp};
pub use self::key_set::read_key_set;
pub use self::mint::TokenForge;
pub use self::store_kit::{
    Act, End, KitFailure, KitReport, StoreFixture, prove_history, prove_store,
};
