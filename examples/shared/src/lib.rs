//! Code shared by the example apps that depends on no framework: configuration, users and
//! passwords, stores, the login form, the page.
//!
//! Read the apps first, `examples/axum` and `examples/actix`: they issue tokens, set cookies and
//! guard routes.

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

/// The issuer (`iss`) of every token. In production, its HTTPS URL.
pub const ISSUER: &str = "https://issuer.example";

/// The audience (`aud`) of every token.
pub const AUDIENCE: &str = "https://app.example";

/// Maximum size of a request body in bytes. The largest expected body is a login form.
pub const BODY_LIMIT: usize = 8 * 1024;

/// The apps' own claims in the access token, beside the registered ones (`sub`, `scope`, …).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Profile {
    /// The user's display name.
    pub name: String,
}
