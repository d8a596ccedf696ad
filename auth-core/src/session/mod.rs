//! Sessions: refresh tokens that rotate, survive races and faults, and catch thieves.
//!
//! One login on one device is one session, and one row in a [`RefreshStore`]. Its access tokens
//! are short; its refresh token moves on as it is used. What a presented token means is decided by
//! a pure function over the row; stores only load rows and write them conditionally.
//!
//! 1. Load, decide, ask the app, write conditionally, answer. Nothing is consumed before every
//!    check has passed.
//! 2. A refresh never inserts a row and never brings one back. A revoked session stays revoked.
//! 3. Only a token that we provably issued can revoke a session; garbage and forgeries are refused
//!    without touching the store.
//! 4. Time is the store's own: it stamps rows inside its writes, so skewed nodes cannot make a
//!    retry look like theft.
//! 5. Trouble with the store is never the client's fault: it is 503, and no cookie is touched.

mod decide;
mod events;
mod flight;
mod hook;
mod id;
mod keys;
mod login;
mod manage;
mod memory;
mod minting;
mod outcome;
mod policy;
mod record;
mod reference;
mod refresh;
mod replays;
mod sessions;
mod store;
mod token;

pub use decide::{Decision, ReuseCause, RotationStep, decide};
pub use events::{Event, Events};
pub use hook::{ClaimsHook, ClaimsUnavailable, CurrentClaims, UserQuery, UserState};
pub use id::{Generation, SessionId};
pub use keys::{RefreshKey, RefreshKeys};
pub use login::{ClientInfo, LoginError, LoginRequest, LoginStart};
pub use manage::Device;
#[cfg(feature = "testing")]
pub use memory::MemoryBackup;
pub use memory::MemoryStore;
pub use outcome::{
    GrantKind, Outcome, RefusedToken, Terminal, Tokens, Unavailable, UnavailableKind,
};
pub use policy::{LateRecovery, OnRollback, SessionPolicy};
pub use record::{Reference, RevokeReason, SessionDetails, SessionRecord, SessionRevocation};
pub(crate) use reference::is_reference;
pub use replays::{ReplayAdvice, Replays};
pub use sessions::{Sessions, SessionsBuilder};
pub use store::{
    Advance, Advanced, EndAll, Inserted, Loaded, NewSession, RefreshStore, Revoke, StoreClock,
    StoreError, StoreErrorKind,
};
pub use token::RefreshToken;

use zeroize::Zeroizing;

/// Reads base64url without padding, exactly as it would be written: trailing bits are zero.
fn decode_base64url(text: &str) -> Option<Vec<u8>> {
    let codec = base64_simd::URL_SAFE_NO_PAD;
    let bytes = codec.decode_to_vec(text).ok()?;
    let again = Zeroizing::new(codec.encode_to_string(&bytes));
    (*again == text).then_some(bytes)
}

/// Feeds `bytes` behind their length, so that no two inputs run into each other.
fn update_prefixed(context: &mut aws_lc_rs::hmac::Context, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    context.update(&length.to_be_bytes());
    context.update(bytes);
}
