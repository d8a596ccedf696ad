//! [`Auth`]: the parts of this crate, combined for an app.
//!
//! 1. One `Auth` owns the clock, the leeway, the lifetimes and the revocation list. All other
//!    settings are derived from them, so the parts fit together.
//! 2. An omission with an effect on security does not compile, or does not start: issuer, audience,
//!    store, the key that encrypts the keys in a shared store, and users for a claims type.
//! 3. [`AuthBuilder::start`] spawns the tasks that keep the parts up to date. `Auth`, every guard,
//!    layer and route, the issuer and [`Sessions`] keep them running. They end with the last of
//!    these.
//! 4. A node without contact to the revocation feed for 30 s responds 503 to every token.

mod background;
mod builder;
mod error;
mod login;
mod response;
mod routes;
mod settings;
mod start;
mod store;
mod users;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::background::Background;
pub use self::builder::{AuthBuilder, AuthNeedsAudience, AuthNeedsStore};
pub use self::error::StartError;
pub use self::login::{Login, LoginAttempt, RateLimitKey};
pub use self::response::AuthResponse;
pub use self::routes::AuthRoutes;
pub use self::store::{OpenedStore, SealedStore, Store};
pub use self::users::{Access, OwnedUserQuery, Users};
use crate::base::config::ConfigError;
use crate::endpoints::health::Health;
use crate::endpoints::jwks::JwksEndpoint;
use crate::endpoints::routes::SessionRoutes;
use crate::guard::Guard;
use crate::session::Sessions;
use crate::token::issuer::Issuer;

/// The authentication of an app: sessions, keys, revocations and guards. Cheap to clone.
///
/// ```no_run
/// use auth_core::Auth;
///
/// # async fn start(
/// #     store: impl auth_core::store::Store,
/// #     cookies: impl auth_core::adapter::CookieTransport + 'static,
/// #     users: impl auth_core::Users<Claims = ()>,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// // The store: `SqliteStore::open("data/app.db").await?`, or, for several servers,
/// // `PostgresStore::connect(&url).await?.sealed_by(key)`.
/// let auth = Auth::for_issuer("https://app.example")
///     .audience("https://app.example/api")
///     .store(store)
///     .with_cookies(cookies) // CookiePolicy::server_rendered(); left out: bearer tokens only
///     .with_login_page("/login")
///     .with_users(users)
///     .start()
///     .await?;
///
/// // For layers and middleware:
/// let signed_in = auth.guard();
/// let admins = auth.require_role("admin");
/// let pages = auth.pages();
/// # let _ = (signed_in, admins, pages);
/// # Ok(())
/// # }
/// ```
///
/// # Claims
/// `T` is the claims type of the app's [`Users`], or `()` without users.
pub struct Auth<T = ()>(Arc<Parts<T>>);

struct Parts<T> {
    issuer: Issuer,
    sessions: Sessions,
    guard: Guard<T>,
    pages: Guard<T>,
    routes: SessionRoutes<T>,
    jwks: JwksEndpoint,
    health: Health,
    background: Arc<Background>,
}

impl Auth<()> {
    /// Starts with the issuer: the `iss` of the access tokens, by convention the URL of the app.
    pub fn for_issuer(issuer: impl Into<String>) -> AuthNeedsAudience {
        AuthNeedsAudience::new(issuer)
    }
}

impl<T> Auth<T> {
    /// The sessions, to list them or to end them on behalf of the app.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }

    /// The issuer of the access tokens, for tokens without a session.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.0.issuer
    }

    /// The health of this node. A check pings the store: do not expose it publicly.
    pub fn health(&self) -> &Health {
        &self.0.health
    }

    /// Ends the tasks, and waits for their end. Afterwards the node counts as not ready. A drop of
    /// the last part ends the tasks too, without a wait.
    pub async fn stop(&self) {
        self.0.background.stop().await;
    }
}

/// Guards.
impl<T> Auth<T> {
    /// A guard that requires a valid access token, for an API. It never redirects.
    #[must_use]
    pub fn guard(&self) -> Guard<T> {
        self.0.guard.clone()
    }

    /// A guard for server-rendered pages. It [refreshes silently](Guard::with_silent_refresh), and
    /// redirects navigations without a token to the [login page](AuthBuilder::with_login_page).
    /// Without cookies and in strict mode it refreshes nothing.
    #[must_use]
    pub fn pages(&self) -> Guard<T> {
        self.0.pages.clone()
    }

    /// A [guard](Self::guard) that lets requests without a token pass as anonymous.
    ///
    /// # Security
    /// Handlers must distinguish anonymous requests from authenticated ones.
    #[must_use]
    pub fn optional(&self) -> Guard<T> {
        self.guard().with_anonymous()
    }

    /// A [guard](Self::guard) that requires a role too.
    #[must_use]
    pub fn require_role(&self, role: impl Into<String>) -> Guard<T> {
        self.guard().require_role(role)
    }

    /// A [guard](Self::guard) that requires scopes too, space-separated.
    ///
    /// # Errors
    /// The same as for [`Guard::require_scope`].
    pub fn require_scope(&self, scope: &str) -> Result<Guard<T>, ConfigError> {
        self.guard().require_scope(scope)
    }

    /// A [guard](Self::guard) that requires a login at most `max_age` ago too (RFC 9470).
    #[must_use]
    pub fn require_max_age(&self, max_age: Duration) -> Guard<T> {
        self.guard().require_max_age(max_age)
    }
}

impl<T> From<&Auth<T>> for Guard<T> {
    fn from(auth: &Auth<T>) -> Self {
        auth.guard()
    }
}

impl<T> Clone for Auth<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Auth<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").finish_non_exhaustive()
    }
}
