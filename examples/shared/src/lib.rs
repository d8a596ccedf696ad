//! What the example apps have in common and no framework changes: configuration, users and their
//! passwords, where things are kept, the login form, the page.
//!
//! What is worth reading first is in the apps themselves, `examples/axum` and `examples/actix`:
//! how tokens are issued, cookies set and routes guarded.

mod config;
mod devices;
mod keys;
mod listen;
mod login;
mod metrics;
pub mod page;
#[cfg(doctest)]
mod readme;
mod reply;
mod store;
mod thief;
mod upkeep;
mod users;
mod welcome;

use serde::{Deserialize, Serialize};

pub use config::Config;
pub use devices::Ending;
pub use listen::listen;
pub use login::Credentials;
pub use metrics::Metrics;
pub use reply::Reply;
pub use store::{Store, open_store};
pub use thief::Thief;
pub use upkeep::upkeep;
pub use users::{DemoUser, User, Users};
pub use welcome::welcome;

/// The issuer's name in every token: what `iss` is compared with. In production, its HTTPS URL.
pub const ISSUER: &str = "https://issuer.example";

/// This service's name in every token: what `aud` must contain.
pub const AUDIENCE: &str = "https://app.example";

/// The largest body that the apps read, in bytes: a login form is the largest thing they expect.
pub const BODY_LIMIT: usize = 8 * 1024;

/// The apps' own claims in the access token, beside the registered ones (`sub`, `scope`, …).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Profile {
    /// What to call the user.
    pub name: String,
}
