//! [`Login`]: signs a user in, step by step.
//!
//! 1. A page of another site is refused first, before the store is asked and before a password is
//!    looked at: it learns nothing, and signs nobody in.
//! 2. The transport follows from signs of a browser, never from a wish of the client. `Origin`,
//!    `Sec-Fetch-Site`, one of our cookies, or a form mean cookies, if the app has them; otherwise
//!    the tokens are in the body.
//! 3. A login counts from [`begin`](Login::begin): if all sessions of the user are ended while the
//!    password is checked, the login is refused with 409. That is also when the user proved their
//!    identity (`auth_time`); after a redirect only the provider knows.
//! 4. An unknown user, a disabled one and a wrong password get the same response, after the same
//!    calls of the store.
//! 5. A login makes a new session, and ends the one that the browser had before.

mod answer;
mod attempt;
mod rate_limit;

use std::fmt;

use serde::de::DeserializeOwned;

pub use self::answer::LoginAnswer;
pub use self::attempt::LoginAttempt;
pub use self::rate_limit::RateLimitKey;
use crate::auth::Auth;
use crate::base::client::ClientInfo;
use crate::guard::refusal::Refusal;
use crate::http::browser;
use crate::http::request::{RequestSnapshot, RequestView};
use crate::http::source::SecretToken;
use crate::session::{LoginError, LoginStart};

/// Subject whose version is read for a user who does not exist.
const NOBODY: &str = "-";

/// A request to sign in.
///
/// The adapters extract it; by hand it is [`Auth::login`].
///
/// ```
/// use auth_core::{Auth, LoginAnswer, Refusal, RequestView};
///
/// # async fn password_is_right(_: &str, _: &str) -> bool { true }
/// async fn log_in(
///     auth: &Auth,
///     request: &dyn RequestView,
///     (name, password): (&str, &str),
/// ) -> Result<LoginAnswer, Refusal> {
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
/// It takes the app's word for who the user is. Limit the number of attempts
/// ([`LoginAttempt::rate_limit_key`]), and let the password check of an unknown user take as long
/// as that of a known one: hash the password in any case.
pub struct Login<T = ()> {
    auth: Auth<T>,
    request: RequestSnapshot,
    client: ClientInfo,
    /// Refresh token of the request, whose session is replaced.
    replaced: Option<SecretToken>,
    has_cookie: bool,
    transport: Transport,
}

/// The way in which a login hands out its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    BySigns,
    Body,
}

impl<T: DeserializeOwned + Send + Sync + 'static> Auth<T> {
    /// Reads a request to sign in. The adapters have an extractor for it.
    #[must_use]
    pub fn login(&self, request: &dyn RequestView) -> Login<T> {
        Login::read(self, request)
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Login<T> {
    fn read(auth: &Auth<T>, request: &dyn RequestView) -> Self {
        let authenticator = &auth.0.authenticator;
        let (mut replaced, mut has_cookie) = (None, false);
        if let Some(cookies) = authenticator.cookies() {
            // An unreadable cookie is a sign of a browser too, but not to be replaced: a login must
            // always work.
            let refresh = cookies.find_refresh(request);
            has_cookie =
                !matches!(refresh, Ok(None)) || !matches!(cookies.find_access(request), Ok(None));
            replaced = refresh.ok().flatten().map(SecretToken::of);
        }
        Self {
            auth: auth.clone(),
            request: authenticator.snapshot(request),
            client: authenticator.rules.client_of(request),
            replaced,
            has_cookie,
            transport: Transport::BySigns,
        }
    }

    /// Hands out the tokens in the body, whatever the signs: for shells that are half a browser,
    /// such as Capacitor or Tauri, whose pages can keep them safe. Add the origin of the shell to
    /// the [`CsrfPolicy`](crate::CsrfPolicy).
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

    /// Begins the login of a user, before they prove their identity.
    ///
    /// An app whose subjects are not what users type looks up the subject first, and calls
    /// [`begin_nobody`](Self::begin_nobody) if there is none. A text that cannot be a subject counts
    /// as nobody.
    ///
    /// # Errors
    /// 403 unless the request is proven to come from this site or a trusted origin, 503 if the
    /// store is unavailable.
    pub async fn begin(self, subject: &str) -> Result<LoginAttempt<T>, Refusal> {
        self.check_site()?;
        let start = self.auth.sessions().begin_login(subject).await;
        match start {
            Ok(start) => Ok(LoginAttempt::of(self, Some(start))),
            Err(LoginError::Unavailable(error)) => Err(self.unavailable(error)),
            Err(_) => self.nobody().await,
        }
    }

    /// Begins the login of a user who does not exist. It takes as long as [`begin`](Self::begin),
    /// and can only be refused.
    ///
    /// # Errors
    /// The same as for [`begin`](Self::begin).
    pub async fn begin_nobody(self) -> Result<LoginAttempt<T>, Refusal> {
        self.check_site()?;
        self.nobody().await
    }

    /// Begins the login of a user whose identity is already proven elsewhere: by an identity
    /// provider or a one-time link, in a request that comes from another site.
    ///
    /// The time of the proof is unknown, unless the provider says it
    /// ([`LoginRequest::with_auth_time`](crate::session::LoginRequest::with_auth_time)). Without it
    /// the session satisfies no maximum age.
    ///
    /// # Security
    /// Nothing in the request proves that this browser started the login. The app must have proven
    /// it: by a `state` that only this browser has, in a `__Host-` cookie, and for a provider by the
    /// `nonce` of the ID token. Without that, an attacker signs visitors in to an account of theirs.
    #[must_use]
    pub fn after_redirect(self, subject: impl Into<String>) -> LoginAttempt<T> {
        LoginAttempt::after_redirect(self, subject.into())
    }

    async fn nobody(self) -> Result<LoginAttempt<T>, Refusal> {
        match self.auth.sessions().begin_login(NOBODY).await {
            Ok(_) => Ok(LoginAttempt::of(self, None::<LoginStart>)),
            Err(LoginError::Unavailable(error)) => Err(self.unavailable(error)),
            Err(_) => Ok(LoginAttempt::of(self, None)),
        }
    }

    /// Rule 1. A body needs no proof, unless the request says where it comes from.
    fn check_site(&self) -> Result<(), Refusal> {
        if self.by_cookie() || browser::names_site(&self.request) {
            return self.auth.0.authenticator.check_csrf(&self.request);
        }
        Ok(())
    }

    /// Rule 2.
    fn by_cookie(&self) -> bool {
        let page = self.has_cookie || browser::is_from_page(&self.request);
        self.transport == Transport::BySigns && self.has_cookies() && page
    }

    fn has_cookies(&self) -> bool {
        self.auth.0.authenticator.cookies().is_some()
    }
}

impl<T> fmt::Debug for Login<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}
