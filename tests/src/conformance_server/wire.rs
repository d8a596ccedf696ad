//! The bodies that the shims' own routes answer with.

use auth_core::{Authenticated, Carrier};
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

/// `/typed`.
#[must_use]
pub fn typed(user: &Authenticated<Typed>) -> Value {
    json!({"tenant": user.tenant, "level": user.level})
}
