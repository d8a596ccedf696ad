//! [`Login`]: the login of a user, in steps.
//!
//! 1. A page of another site is refused first, before any store call and before the password check:
//!    it learns nothing, and logs no visitor in.
//! 2. Signs of a browser select the transport, never a wish of the client. `Origin`,
//!    `Sec-Fetch-Site`, a cookie of this app or a form select cookies, if the app has them.
//!    Otherwise the tokens are in the body.
//! 3. A login counts from [`begin`](Login::begin): if all sessions of the user are ended during the
//!    password check, the response is 409. The same time is the authentication time (`auth_time`).
//!    After a redirect, only the identity provider knows it.
//! 4. An unknown user, a disabled user and a wrong password get the same response, after the same
//!    store calls.
//! 5. A login creates a session, and ends the previous session of the browser.

mod attempt;
mod rate_limit;

use std::fmt;

use serde::de::DeserializeOwned;

pub use self::attempt::LoginAttempt;
pub use self::rate_limit::RateLimitKey;
use crate::auth::Auth;
use crate::base::client::ClientInfo;
use crate::guard::refusal::Refusal;
use crate::guard::request_rules::RequestRules;
use crate::http::browser;
use crate::http::request::{RequestSnapshot, RequestView};
use crate::http::source::SecretToken;
use crate::session::LoginError;

/// Subject whose version is read for an unknown user.
const NOBODY: &str = "-";

/// A login request.
///
/// The adapters have an extractor for it. Without one, call [`Auth::login`].
///
/// ```
/// use auth_core::adapter::{Refusal, RequestView};
/// use auth_core::{Auth, AuthResponse};
///
/// # async fn password_is_right(_: &str, _: &str) -> bool { true }
/// async fn log_in(
///     auth: &Auth,
///     request: &dyn RequestView,
///     (name, password): (&str, &str),
/// ) -> Result<AuthResponse, Refusal> {
///     // Checks where the request comes from, then reads the subject's version.
///     let attempt = auth.login(request).begin(name).await?;
///     if !password_is_right(name, password).await {
///         return Err(attempt.refuse().then_show("/login?wrong"));
///     }
///     let answer = attempt.finish(|session| session.with_amr(["pwd"])).await?;
///     Ok(answer.then_show("/"))
/// }
/// ```
///
/// # Security
/// The app identifies the user. Limit the number of attempts
/// ([`LoginAttempt::rate_limit_key`]). Hash the password of an unknown user too, so that the
/// response takes as long as for a known one.
pub struct Login<T = ()> {
    auth: Auth<T>,
    request: RequestSnapshot,
    client: ClientInfo,
    /// Refresh token of the replaced session.
    replaced: Option<SecretToken>,
    has_cookie: bool,
    transport: Transport,
}

/// The choice of the transport of the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    BySigns,
    Body,
}

impl<T: DeserializeOwned + Send + Sync + 'static> Auth<T> {
    /// Creates a [`Login`] from the head of a request. The adapters have an extractor for it.
    #[must_use]
    pub fn login(&self, request: &dyn RequestView) -> Login<T> {
        Login::read(self, request)
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Login<T> {
    fn read(auth: &Auth<T>, request: &dyn RequestView) -> Self {
        let rules = auth.0.guard.requests();
        let (mut replaced, mut has_cookie) = (None, false);
        if let Some(cookies) = &rules.cookies {
            // An unreadable cookie is a sign of a browser too. It replaces nothing: a login must
            // always work.
            let refresh = cookies.find_refresh(request);
            has_cookie =
                !matches!(refresh, Ok(None)) || !matches!(cookies.find_access(request), Ok(None));
            replaced = refresh.ok().flatten().map(SecretToken::of);
        }
        Self {
            auth: auth.clone(),
            request: rules.snapshot(request),
            client: rules.client_of(request),
            replaced,
            has_cookie,
            transport: Transport::BySigns,
        }
    }

    /// Returns the tokens in the body, regardless of the signs of a browser, for app shells such as
    /// Capacitor or Tauri. Add the origin of the shell to the [`CsrfPolicy`](crate::CsrfPolicy).
    #[must_use]
    pub fn in_body(mut self) -> Self {
        self.transport = Transport::Body;
        self
    }

    /// Sets the address of the client, as far as the app trusts it. Default: that of the [header
    /// field](crate::AuthBuilder::with_client_ip_field) in which a proxy puts it.
    #[must_use]
    pub fn with_client_ip(mut self, ip: impl Into<String>) -> Self {
        self.client = self.client.with_ip(ip);
        self
    }

    /// Begins the login of a user, before the user is authenticated.
    ///
    /// If the subjects of the app are not the names that users type, look up the subject first, and
    /// call [`begin_nobody`](Self::begin_nobody) for an unknown name. A text that cannot be a subject
    /// counts as an unknown name.
    ///
    /// # Errors
    /// The refusal to respond with: 403 without proof that the request comes from this site or a
    /// trusted origin, 503 if the store is unavailable.
    pub async fn begin(self, subject: &str) -> Result<LoginAttempt<T>, Refusal> {
        self.check_site()?;
        let start = self.auth.sessions().begin_login(subject).await;
        match start {
            Ok(start) => Ok(LoginAttempt::of(self, Some(start))),
            Err(LoginError::Unavailable(error)) => Err(self.unavailable(error)),
            Err(_) => self.nobody().await,
        }
    }

    /// Begins the login of an unknown user. It takes as long as [`begin`](Self::begin), and every
    /// end of it is a refusal.
    ///
    /// # Errors
    /// The same as for [`begin`](Self::begin).
    pub async fn begin_nobody(self) -> Result<LoginAttempt<T>, Refusal> {
        self.check_site()?;
        self.nobody().await
    }

    /// Begins the login of a user who was authenticated elsewhere, by an identity provider or a
    /// one-time link. The request may come from another site.
    ///
    /// The authentication time is unknown unless the provider states it: set it with
    /// [`LoginRequest::with_auth_time`](crate::session::LoginRequest::with_auth_time). Without it
    /// the session satisfies no maximum age.
    ///
    /// # Security
    /// Nothing in the request proves that this browser started the login. The app must have proven
    /// it: by a `state` in a `__Host-` cookie of this browser, and for a provider by the `nonce` of
    /// the ID token. Without that, an attacker can log visitors in to an account that is not theirs.
    pub fn after_redirect(self, subject: impl Into<String>) -> LoginAttempt<T> {
        LoginAttempt::after_redirect(self, subject.into())
    }

    async fn nobody(self) -> Result<LoginAttempt<T>, Refusal> {
        match self.auth.sessions().begin_login(NOBODY).await {
            Err(LoginError::Unavailable(error)) => Err(self.unavailable(error)),
            _ => Ok(LoginAttempt::of(self, None)),
        }
    }

    /// Checks rule 1. Tokens in a body need no proof, unless the request names its origin.
    fn check_site(&self) -> Result<(), Refusal> {
        if self.by_cookie() || browser::names_site(&self.request) {
            return self.rules().check_csrf(&self.request);
        }
        Ok(())
    }

    fn rules(&self) -> &RequestRules {
        self.auth.0.guard.requests()
    }

    /// Applies rule 2.
    fn by_cookie(&self) -> bool {
        let page = self.has_cookie || browser::is_from_page(&self.request);
        self.transport == Transport::BySigns && self.has_cookies() && page
    }

    fn has_cookies(&self) -> bool {
        self.rules().cookies.is_some()
    }
}

impl<T> fmt::Debug for Login<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}
