//! [`AuthBuilder`]. Issuer, audience and store are successive types; the rest has defaults.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::auth::settings::{RevocationCheck, Settings};
use crate::auth::store::{AnyStore, Store};
use crate::auth::users::{Access, OwnedUserQuery, Users, UsersFn, UsersHook};
use crate::endpoints::routes::SiteData;
use crate::guard::refusal::Responder;
use crate::http::cookies::CookieTransport;
use crate::http::csrf::CsrfPolicy;
use crate::keys::Algorithm;
use crate::observe::events::Events;
use crate::session::{ClaimsHook, SessionPolicy, UsersUnavailable};
use crate::token::verify::TrustedIssuer;

/// A builder of an [`Auth`](crate::Auth) that still needs its audience.
#[derive(Clone, Debug)]
#[must_use = "name the audience next"]
pub struct AuthNeedsAudience {
    issuer: Box<str>,
}

impl AuthNeedsAudience {
    pub(super) fn new(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into().into_boxed_str(),
        }
    }

    /// Sets the audience: the `aud` of the access tokens, which names this API.
    pub fn audience(self, audience: impl Into<String>) -> AuthNeedsStore {
        AuthNeedsStore {
            issuer: self.issuer,
            audience: audience.into().into_boxed_str(),
        }
    }
}

/// A builder of an [`Auth`](crate::Auth) that still needs its store.
#[derive(Clone, Debug)]
#[must_use = "name the store next"]
pub struct AuthNeedsStore {
    issuer: Box<str>,
    audience: Box<str>,
}

impl AuthNeedsStore {
    /// Sets the store of sessions, revocations and keys.
    pub fn store(self, store: impl Store) -> AuthBuilder<()> {
        AuthBuilder {
            settings: Settings::new(self.issuer, self.audience),
            store: Box::new(store),
            users: None,
            claims: PhantomData,
        }
    }
}

/// A builder of an [`Auth`](crate::Auth) with all required settings. The optional ones have
/// defaults that are safe in production.
#[must_use = "call start().await"]
pub struct AuthBuilder<T> {
    pub(crate) settings: Settings,
    pub(super) store: AnyStore,
    pub(super) users: Option<Arc<dyn ClaimsHook>>,
    claims: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for AuthBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthBuilder")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<T> AuthBuilder<T> {
    /// Sets the lookup of users: their state, roles and claims. Its claims type becomes that of the
    /// [`Auth`](crate::Auth). Default: every user is enabled, with the scope of the login and
    /// without claims.
    pub fn with_users<U: Users>(self, users: U) -> AuthBuilder<U::Claims> {
        AuthBuilder {
            settings: self.settings,
            store: self.store,
            users: Some(Arc::new(UsersHook(users))),
            claims: PhantomData,
        }
    }

    /// Sets the users like [`with_users`](Self::with_users), by a closure.
    ///
    /// ```
    /// use auth_core::{Access, Auth};
    /// # #[derive(Clone)]
    /// # struct Db;
    /// # struct Row { roles: Vec<String> }
    /// # impl Db {
    /// #     async fn user(&self, id: &str) -> Result<Option<Row>, std::io::Error> { Ok(None) }
    /// # }
    /// # fn build(db: Db, store: impl auth_core::store::Store) {
    /// let auth = Auth::for_issuer("https://app.example")
    ///     .audience("https://app.example/api")
    ///     .store(store)
    ///     .with_users_fn(move |user| {
    ///         let db = db.clone();
    ///         async move {
    ///             let row = db.user(&user.subject).await?;
    ///             Ok(row.map(|row| Access::new(()).with_roles(row.roles)))
    ///         }
    ///     });
    /// # }
    /// ```
    pub fn with_users_fn<F, A, C>(self, access: F) -> AuthBuilder<C>
    where
        F: Fn(OwnedUserQuery) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Option<Access<C>>, UsersUnavailable>> + Send + 'static,
        C: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        self.with_users(UsersFn::new(access))
    }

    /// Sets the cookies for the tokens of browsers, such as `CookiePolicy::server_rendered()` of
    /// `auth-cookie`. Default: none, bearer tokens only.
    pub fn with_cookies(mut self, cookies: impl CookieTransport + 'static) -> Self {
        self.settings.cookies = Some(Arc::new(cookies));
        self
    }

    /// Sets the login page, a path of this site such as `/login`, to which
    /// [pages](crate::Auth::pages) redirect navigations without a token. Needs
    /// [cookies](Self::with_cookies). Default: none, the response is 401.
    pub fn with_login_page(mut self, path: impl Into<String>) -> Self {
        self.settings.login_page = Some(path.into().into_boxed_str());
        self
    }

    /// Sets the lifetime of access tokens. Default: 10 minutes.
    pub fn with_access_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.access_lifetime = lifetime;
        self
    }

    /// Sets lifetimes, rotation and number of sessions. Default: [`SessionPolicy::default`], idle
    /// 14 days, absolute 90 days.
    pub fn with_session_policy(mut self, policy: SessionPolicy) -> Self {
        self.settings.policy = policy;
        self
    }

    /// Sets the leeway for the clocks of other issuers. Default: 30 s, at most 5 min.
    pub fn with_leeway(mut self, leeway: Duration) -> Self {
        self.settings.leeway = leeway;
        self
    }

    /// Sets the maximum time without contact to the revocation feed. After it, this node responds
    /// 503 to every token. Default: 30 s, at least 5 s.
    pub fn with_max_staleness(mut self, after: Duration) -> Self {
        self.settings.revocations = RevocationCheck::FailClosed(after);
        self
    }

    /// Accepts tokens without contact to the revocation feed too.
    ///
    /// # Security
    /// Tokens of sessions that other nodes have ended meanwhile are accepted until they expire.
    pub fn with_insecure_stale_revocations(mut self) -> Self {
        self.settings.revocations = RevocationCheck::FailOpen;
        self
    }

    /// Omits the revocation list.
    ///
    /// # Security
    /// The access tokens of an ended session are accepted until they expire, which takes up to the
    /// [access lifetime](Self::with_access_lifetime).
    pub fn without_revocations(mut self) -> Self {
        self.settings.revocations = RevocationCheck::Off;
        self
    }

    /// Issues opaque access tokens instead of JWTs: the claims stay in the store, and each request
    /// costs one load. Default: JWTs.
    pub fn with_reference_tokens(mut self) -> Self {
        self.settings.reference_tokens = true;
        self
    }

    /// Accepts the tokens of another issuer too. They have no sessions here. See
    /// [`AuthenticatorBuilder::with_issuer`](crate::AuthenticatorBuilder::with_issuer).
    pub fn with_issuer(mut self, issuer: TrustedIssuer) -> Self {
        self.settings.issuers.push(issuer);
        self
    }

    /// Sets the origins that may send unsafe requests with cookies. Default: the app's own.
    pub fn with_csrf(mut self, csrf: CsrfPolicy) -> Self {
        self.settings.csrf = csrf;
        self
    }

    /// Sets the maximum total length of a response's `Set-Cookie` lines, in bytes. Default: 4096.
    /// See [`AuthenticatorBuilder::with_max_cookie_bytes`](crate::AuthenticatorBuilder::with_max_cookie_bytes).
    pub fn with_max_cookie_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_cookie_bytes = Some(bytes);
        self
    }

    /// Sets the protection space in challenges (RFC 9110 §11.5). Default: `api`.
    pub fn with_realm(mut self, realm: impl Into<String>) -> Self {
        self.settings.realm = Some(realm.into());
        self
    }

    /// Sets the renderer of refusal bodies. Default: problem JSON (RFC 9457).
    pub fn with_responder(mut self, responder: impl Responder + 'static) -> Self {
        self.settings.responder = Some(Arc::new(responder));
        self
    }

    /// Sets the header field in which the proxy in front of this app puts the client's address,
    /// such as `x-real-ip`. Default: none.
    ///
    /// # Security
    /// The proxy must replace the field in client requests.
    pub fn with_client_ip_field(mut self, name: impl Into<String>) -> Self {
        self.settings.client_ip_field = Some(name.into().into_boxed_str());
        self
    }

    /// Refuses gRPC calls with a gRPC status instead of an HTTP status. Default: off. See
    /// [`AuthenticatorBuilder::with_grpc_statuses`](crate::AuthenticatorBuilder::with_grpc_statuses).
    pub fn with_grpc_statuses(mut self) -> Self {
        self.settings.grpc_statuses = true;
        self
    }

    /// Sends `Clear-Site-Data` with these kinds of data on every logout. Default: only the two
    /// cookies are deleted.
    pub fn with_clear_site_data(mut self, kinds: impl IntoIterator<Item = SiteData>) -> Self {
        self.settings.site_data = kinds.into_iter().collect();
        self
    }

    /// Sets the capacity of the cache of verified tokens. Default: 10,000; 0 turns it off.
    pub fn with_cache_size(mut self, tokens: usize) -> Self {
        self.settings.cache_size = Some(tokens);
        self
    }

    /// Sets the algorithm of new signing keys. Default: ES256.
    pub fn with_algorithm(mut self, algorithm: Algorithm) -> Self {
        self.settings.algorithm = algorithm;
        self
    }

    /// Sets the time for which a signing key signs. Default: 30 days.
    pub fn with_key_period(mut self, period: Duration) -> Self {
        self.settings.key_period = Some(period);
        self
    }

    /// Sets a listener for events of sessions, requests and keys, for an audit log. Default: none.
    pub fn with_events(mut self, events: impl Events + 'static) -> Self {
        self.settings.events = Some(Arc::new(events));
        self
    }

    /// Reads the time from `clock`. Default: the system clock.
    #[cfg(feature = "testing")]
    pub fn with_clock(mut self, clock: impl crate::Clock) -> Self {
        self.settings.clock = Arc::new(clock);
        self
    }
}
