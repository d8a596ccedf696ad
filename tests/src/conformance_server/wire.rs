//! The bodies that the shims' own routes answer with.

use auth_core::Authenticated;
use auth_core::source::Carrier;
use serde_json::{Value, json};

use super::{PrivateClaims, Typed};

/// `/me` and its like.
#[must_use]
pub fn whoami(user: &Authenticated<PrivateClaims>) -> Value {
    let carrier = match user.carrier() {
        Carrier::Cookie => "cookie",
        _ => "header",
    };
    json!({
        "sub": user.subject(),
        "sid": user.session_id(),
        "iss": user.issuer(),
        "scope": user.scope().iter().collect::<Vec<_>>(),
        "carrier": carrier,
        "claims": user.claims(),
    })
}

/// `/maybe`.
#[must_use]
pub fn whoami_maybe(user: Option<&Authenticated<PrivateClaims>>) -> Value {
    user.map_or_else(
        || json!({"sub": null, "sid": null, "iss": null, "scope": [], "carrier": null, "claims": {}}),
        whoami,
    )
}

/// What `/cached` says, an answer that its app wants in every cache.
pub const CACHED: [(&str, &str); 3] = [
    ("cache-control", "public, max-age=60"),
    ("cdn-cache-control", "max-age=600"),
    ("surrogate-control", "max-age=600"),
];

/// `/typed`.
#[must_use]
pub fn typed(user: &Authenticated<Typed>) -> Value {
    json!({"tenant": user.tenant, "level": user.level})
}
