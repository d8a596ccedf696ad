//! Sessions: refresh tokens that rotate, tolerate races and faults, and reveal theft.
//!
//! One login on one device is one session, and one row in a [`RefreshStore`](crate::store::RefreshStore). Its access tokens are
//! short-lived; its refresh token rotates with use. A pure function over the row decides about a
//! presented token; stores only load rows and write them conditionally.
//!
//! 1. The order is load, decide, ask the app's hook, write conditionally, respond. Nothing is consumed
//!    before every check has passed.
//! 2. A refresh never inserts a row and never brings one back. A revoked session stays revoked.
//! 3. Only a token that was provably issued here can revoke a session; invalid and forged tokens are
//!    refused without touching the store.
//! 4. Time is the store's own: it stamps rows inside its writes, so that clock differences between
//!    nodes cannot make a retry look like theft.
//! 5. A failing store is never the client's fault: the response is 503, and no cookie is touched.

pub(crate) mod cookies;
#[cfg_attr(
    not(feature = "testing"),
    allow(unreachable_pub, reason = "public in `testing` only")
)]
pub(crate) mod decide;
pub(crate) mod ending;
pub(crate) mod flight;
pub(crate) mod hook;
pub(crate) mod inner;
pub(crate) mod log_in;
pub(crate) mod login;
pub(crate) mod manage;
pub(crate) mod minting;
pub(crate) mod outcome;
pub(crate) mod policy;
pub(crate) mod purge;
pub(crate) mod reference;
pub(crate) mod refresh;
pub(crate) mod replays;
pub(crate) mod sessions;
pub(crate) mod store;
pub(crate) mod token;

pub use self::hook::{ClaimsHook, CurrentClaims, UserQuery, UserState, UsersUnavailable};
pub use self::login::{LoginError, LoginRequest, LoginStart};
pub use self::manage::{Device, EndedBy};
pub use self::outcome::{RefreshOutcome, SessionEnded, TokenRejected, Tokens, Unavailable};
pub use self::policy::{LateRecovery, OnRollback, SessionPolicy};
pub(crate) use self::reference::is_reference;
pub use self::replays::{ReplayAdvice, Replays};
pub use self::sessions::{Sessions, SessionsBuilder};
pub use self::token::RefreshToken;
pub use crate::base::client::ClientInfo;
pub use crate::base::id::SessionId;
pub use crate::keys::refresh::{RefreshKey, RefreshKeys};
pub use crate::observe::events::{Event, Events};
pub use crate::observe::words::{GrantKind, ReuseCause, RevokeReason, UnavailableKind};
