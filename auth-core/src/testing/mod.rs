//! Aids for tests: a clock to turn by hand, and tokens with any defect. Feature `testing`.
//!
//! Not for production: turn the feature on in `[dev-dependencies]` only.

mod clock;
mod mint;

pub use clock::ManualClock;
pub use mint::TokenForge;
