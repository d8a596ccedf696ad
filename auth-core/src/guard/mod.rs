//! [`Guard`]: an authenticator, and what a set of routes asks of a request. `check.rs` decides about
//! a request.

pub(crate) mod access_end;
pub(crate) mod authenticator;
pub(crate) mod builder;
pub(crate) mod check;
pub(crate) mod context;
pub(crate) mod fit;
pub(crate) mod interstitial;
pub(crate) mod refusal;
pub(crate) mod request_rules;
pub(crate) mod requirements;
pub(crate) mod silent;
pub(crate) mod verdict;
pub(crate) mod verifier;

use std::sync::Arc;
use std::time::Duration;

use self::authenticator::Authenticator;
use self::context::GuardRuntime;
use self::interstitial::Interstitial;
use self::refusal::{RefusalRenderer, Responder};
use self::request_rules::RequestRules;
use self::requirements::Requirements;
use crate::base::config::ConfigError;
use crate::http::site_path::is_site_path;
use crate::session::Sessions;

/// The guard of a set of routes: an authenticator, the requirements, and the responses to requests
/// that do not meet them.
///
/// Guards of one authenticator share its cache and its revocation list. A guard [within
/// another](Self::check_within) takes over the identity that the outer one has proved.
///
/// ```
/// use auth_core::{Authenticator, Guard, Key};
/// use std::sync::Arc;
///
/// let auth: Arc<Authenticator<()>> = Authenticator::for_issuer("https://issuer.example")
///     .audience("https://api.example")
///     .keys(Key::hs256("k1", &[7; 32])?)
///     .build()?;
/// let public = Guard::from(&auth).with_anonymous();
/// let admins = Guard::from(&auth).require_scope("admin")?;
/// # Ok::<(), auth_core::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Guard<T> {
    authenticator: Arc<Authenticator<T>>,
    runtime: Arc<GuardRuntime>,
    requirements: Requirements,
    mode: Mode,
    preflight: Preflight,
    silent_refresh: Option<Sessions>,
    interstitial: Interstitial,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Required,
    Optional,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preflight {
    Guarded,
    Passes,
}

impl<T> Clone for Guard<T> {
    fn clone(&self) -> Self {
        Self {
            authenticator: Arc::clone(&self.authenticator),
            runtime: Arc::clone(&self.runtime),
            requirements: self.requirements.clone(),
            mode: self.mode,
            preflight: self.preflight,
            silent_refresh: self.silent_refresh.clone(),
            interstitial: self.interstitial,
        }
    }
}

impl<T> From<Arc<Authenticator<T>>> for Guard<T> {
    fn from(authenticator: Arc<Authenticator<T>>) -> Self {
        let runtime = GuardRuntime {
            requests: Arc::clone(&authenticator.requests),
            validity: Arc::clone(&authenticator.verifier.validity),
        };
        Self {
            authenticator,
            runtime: Arc::new(runtime),
            requirements: Requirements::new(),
            mode: Mode::Required,
            preflight: Preflight::Guarded,
            silent_refresh: None,
            interstitial: Interstitial::Shown,
        }
    }
}

impl<T> From<&Arc<Authenticator<T>>> for Guard<T> {
    fn from(authenticator: &Arc<Authenticator<T>>) -> Self {
        Self::from(Arc::clone(authenticator))
    }
}

impl<T> Guard<T> {
    /// The authenticator of this guard.
    #[must_use]
    pub fn authenticator(&self) -> &Arc<Authenticator<T>> {
        &self.authenticator
    }

    /// Lets requests without a token pass as anonymous. Default: refused with 401.
    ///
    /// # Security
    /// The requirements of this guard apply to authenticated requests only; anonymous ones pass.
    #[must_use]
    pub fn with_anonymous(mut self) -> Self {
        self.mode = Mode::Optional;
        self
    }

    /// Lets real CORS preflights pass. Default: refused. Needed if the CORS layer is inside the
    /// guard. It belongs outside, where it responds to preflights itself.
    ///
    /// # Security
    /// Every client can send a request that looks like a preflight. Code that handles `OPTIONS`
    /// inside the guard runs without authentication, e.g. a handler for any method, unless CORS
    /// comes before it.
    #[must_use]
    pub fn with_preflight(mut self) -> Self {
        self.preflight = Preflight::Passes;
        self
    }

    /// Refreshes sessions on the server if their access cookie has expired, for server-rendered
    /// pages. Default: off.
    ///
    /// The response to a request whose session rotates is a redirect to its own URL with the new
    /// cookies, 303 or, for methods other than `GET` and `HEAD`, 307. A navigation from another
    /// site gets an interstitial page first, which the guard [can
    /// omit](Self::without_interstitial).
    ///
    /// ```
    /// use auth_core::session::Sessions;
    /// use auth_core::{Authenticator, ConfigError, Guard};
    /// use std::sync::Arc;
    ///
    /// /// Guards of the pages and of the API, with one cache and one revocation list.
    /// fn guards(
    ///     auth: &Arc<Authenticator<()>>,
    ///     sessions: &Sessions,
    /// ) -> Result<[Guard<()>; 2], ConfigError> {
    ///     let pages = auth
    ///         .guard()
    ///         .with_silent_refresh(sessions.clone())?
    ///         .with_login_page("/login")?;
    ///     Ok([pages, auth.guard()])
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ConfigError`] if the authenticator has no cookies, if the sessions' policy is
    /// [strict](crate::session::SessionPolicy::with_strict_mode), or if sessions and authenticator do not
    /// belong together.
    pub fn with_silent_refresh(mut self, sessions: Sessions) -> Result<Self, ConfigError> {
        let refuse = |problem| Err(ConfigError::new("silent_refresh", problem));
        if self.runtime.requests.cookies.is_none() {
            return refuse("needs cookies: call with_cookies on the authenticator's builder");
        }
        // A redirect whose response is lost must be repeated, which strict mode treats as reuse.
        if sessions.policy().is_strict() {
            return refuse("needs a reuse interval: in strict mode, only scripts can refresh");
        }
        self.authenticator.verifier.check_sessions(&sessions)?;
        self.silent_refresh = Some(sessions);
        Ok(self)
    }

    /// Turns silent refresh off, for routes that scripts call.
    pub(crate) fn without_silent_refresh(mut self) -> Self {
        self.silent_refresh = None;
        self
    }

    /// Sets the login page, a path of this site such as `/login`. A navigation (`GET` with
    /// `Sec-Fetch-Mode: navigate`) is redirected to it instead of getting a 401, by this guard and
    /// by the extractors of its routes. Default: none, or that of the [outer
    /// guard](Self::check_within).
    ///
    /// # Errors
    /// [`ConfigError`] if `path` is not a path of this site: another site's page would invite
    /// phishing.
    pub fn with_login_page(mut self, path: impl Into<String>) -> Result<Self, ConfigError> {
        let path: String = path.into();
        if !is_site_path(&path) {
            return Err(ConfigError::new(
                "login_page",
                "must be a path of this site, such as /login",
            ));
        }
        self.refusals().login_page = Some(path.into_boxed_str());
        Ok(self)
    }

    /// Sets the renderer of refusal bodies, for this guard and the extractors of its routes.
    /// Default: problem JSON (RFC 9457), or that of the [outer guard](Self::check_within).
    #[must_use]
    pub fn with_responder(mut self, responder: impl Responder + 'static) -> Self {
        self.refusals().responder = Some(Arc::new(responder));
        self
    }

    fn refusals(&mut self) -> &mut RefusalRenderer {
        let runtime = Arc::make_mut(&mut self.runtime);
        &mut Arc::make_mut(&mut runtime.requests).refusals
    }

    /// Omits the interstitial page before a [silent refresh](Self::with_silent_refresh). A
    /// navigation from another site with an expired access cookie then counts as one without it.
    /// For popups that must keep their `window.opener`, which the page's
    /// `Cross-Origin-Opener-Policy` removes.
    #[must_use]
    pub fn without_interstitial(mut self) -> Self {
        self.interstitial = Interstitial::Omitted;
        self
    }

    /// Requires scopes, space-separated.
    ///
    /// # Errors
    /// The same as for [`Requirements::with_scope`].
    pub fn require_scope(mut self, scope: &str) -> Result<Self, ConfigError> {
        self.requirements = self.requirements.with_scope(scope)?;
        Ok(self)
    }

    /// Requires a role.
    #[must_use]
    pub fn require_role(mut self, role: impl Into<String>) -> Self {
        self.requirements = self.requirements.with_role(role);
        self
    }

    /// Requires a login at most `max_age` ago (RFC 9470).
    #[must_use]
    pub fn require_max_age(mut self, max_age: Duration) -> Self {
        self.requirements = self.requirements.with_max_age(max_age);
        self
    }

    /// Requires a login of one of these classes (RFC 9470).
    ///
    /// # Errors
    /// The same as for [`Requirements::with_acr`].
    pub fn require_acr<I>(mut self, classes: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.requirements = self.requirements.with_acr(classes)?;
        Ok(self)
    }
}

impl<T> Guard<T> {
    /// The rules of the authenticator, with the refusals of this guard.
    pub(crate) fn requests(&self) -> &RequestRules {
        &self.runtime.requests
    }

    /// Whether the guard requires a scope or role of every request.
    pub(crate) fn is_selective(&self) -> bool {
        self.mode == Mode::Required
            && self.preflight == Preflight::Guarded
            && self.requirements.is_selective()
    }
}

impl<T> Authenticator<T> {
    /// Creates a guard with this authenticator, in required mode.
    #[must_use]
    pub fn guard(self: &Arc<Self>) -> Guard<T> {
        Guard::from(self)
    }
}
