//! Aids for tests: a clock to turn by hand, tokens with any defect, stores that fail, and the kit
//! that proves a store. Feature `testing`.
//!
//! Not for production: turn the feature on in `[dev-dependencies]` only.

mod clock;
mod faults;
mod mint;
mod store_kit;

pub use clock::ManualClock;
pub use faults::{Fault, FaultStore, StoreOp};
pub use mint::TokenForge;
pub use store_kit::{Act, KitFailure, KitReport, StoreFixture, prove_history, prove_store};
