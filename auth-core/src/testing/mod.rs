//! Aids for tests: a clock to turn by hand, tokens with any defect, stores that fail, the kit
//! that proves a store, and the reader of published key sets. Feature `testing`.
//!
//! Not for production: turn the feature on in `[dev-dependencies]` only.

mod clock;
mod faults;
mod key_set;
mod mint;
mod store_kit;

pub use clock::ManualClock;
pub use faults::{Fault, FaultStore, StoreOp};
pub use key_set::read_key_set;
pub use mint::TokenForge;
pub use store_kit::{Act, KitFailure, KitReport, StoreFixture, prove_history, prove_store};
