//! The ready-made session routes: core parses and responds, adapters carry bytes.
//!
//! | route | input | response |
//! |---|---|---|
//! | `POST {prefix}/refresh` | the refresh token, in its cookie, in `{"refresh_token": "…"}`, or in the form of RFC 6749 §6 | new tokens, by the same carrier |
//! | `POST {prefix}/logout` | the same, or nothing | 204, cookies cleared |
//! | `GET {prefix}/sessions` | an access token | the user's live sessions |
//! | `DELETE {prefix}/sessions/{sid}` | an access token | 204; 404 for a session of another user |
//! | `POST {prefix}/logout-others` | an access token | a new access token |
//! | `POST {prefix}/logout-all` | an access token | 204, cookies cleared |
//!
//! 1. Tokens that came in cookies are returned in cookies, and in no body; tokens that came in a body
//!    are returned in a body. A refresh token in both is 400.
//! 2. Cookies are cleared when a session has ended, never because of a lost race, a forged token or
//!    unavailable infrastructure.
//! 3. A request that sets, sends or ends something by cookie must pass the CSRF rule. A client
//!    without cookies needs no proof, but if it sends `Origin` or `Sec-Fetch-Site`, as browsers
//!    do, they must be right.
//! 4. Logout always succeeds, unless the store is unavailable: then the response is 503 and no cookie
//!    is cleared, because the session is still alive.
//! 5. Every response has `Cache-Control: no-store`.
//! 6. The access token must belong to a session, and to the client of these sessions: a token that was
//!    issued to another client, or without a session, is 403. The app adds further requirements for
//!    listing or ending sessions, such as a recent login ([`SessionRoutes::with_guard`]).

pub(crate) mod body;
pub(crate) mod endpoint;
pub(crate) mod route;
pub(crate) mod shared;

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use self::body::MAX_BODY_BYTES;
pub use self::route::SessionRoute;
pub use self::shared::Transport;
use self::shared::{RouteState, Who};
use crate::base::config::ConfigError;
use crate::base::id::SessionId;
use crate::endpoints::oauth_error::OAuthError;
use crate::endpoints::reply;
use crate::guard::Guard;
use crate::guard::authenticator::Authenticator;
use crate::guard::verdict::{BoxFuture, Verdict};
use crate::http::request::RequestView;
use crate::http::response::Response;
use crate::http::site_path::is_site_path;
use crate::http::source::PresentedToken;
use crate::session::{EndedBy, LoginError, LoginRequest, Sessions};

/// A kind of browser data of an origin, by its name in `Clear-Site-Data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SiteData {
    /// Responses in the cache.
    Cache,
    /// All cookies of the registrable domain.
    Cookies,
    /// Open pages, which are reloaded.
    ExecutionContexts,
    /// Data of pages: local storage, databases, service workers.
    Storage,
}

impl SiteData {
    fn token(self) -> &'static str {
        match self {
            Self::Cache => "\"cache\"",
            Self::Cookies => "\"cookies\"",
            Self::ExecutionContexts => "\"executionContexts\"",
            Self::Storage => "\"storage\"",
        }
    }
}

/// The session routes and the login, to be mounted by an adapter.
pub struct SessionRoutes<T> {
    shared: Arc<RouteState<T>>,
    prefix: Box<str>,
}

impl<T> Clone for SessionRoutes<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            prefix: self.prefix.clone(),
        }
    }
}

impl<T> fmt::Debug for SessionRoutes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRoutes")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> SessionRoutes<T> {
    /// Creates routes under `/auth`. The authenticator verifies the access tokens that these
    /// sessions issue, and defines the cookies.
    ///
    /// # Errors
    /// [`ConfigError`] if sessions and authenticator have different issuers, revocation lists or
    /// clocks.
    pub fn new(
        sessions: Sessions,
        authenticator: Arc<Authenticator<T>>,
    ) -> Result<Self, ConfigError> {
        authenticator.verifier.check_sessions(&sessions)?;
        let guard = Guard::from(&authenticator);
        let shared = Arc::new(RouteState {
            sessions,
            authenticator,
            guard,
            clear_site_data: None,
            logout_page: None,
        });
        Ok(Self {
            shared,
            prefix: "/auth".into(),
        })
    }

    /// Sets the path prefix. Default: `/auth`. An empty prefix mounts the routes at the root.
    ///
    /// # Errors
    /// [`ConfigError`] if `prefix` is neither empty nor a plain path that starts, and does not end,
    /// with `/`.
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self, ConfigError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
        let path = prefix.starts_with('/') && !prefix.ends_with('/') && !prefix.contains("//");
        if !(prefix.is_empty() || path && prefix.bytes().all(plain)) {
            return Err(ConfigError::new("prefix", "must be a path such as /auth"));
        }
        self.prefix = prefix.into();
        Ok(self)
    }

    /// Sets a guard for the routes that list sessions or end other sessions. It may require a
    /// recent login, a scope or a role. Default: a valid access token of a session suffices. Its
    /// responder renders the refusals of all routes. Its silent refresh has no effect here.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use auth_core::session::Sessions;
    /// use auth_core::{Authenticator, ConfigError, SessionRoutes};
    ///
    /// fn routes(sessions: Sessions, auth: Arc<Authenticator<()>>) -> Result<SessionRoutes<()>, ConfigError> {
    ///     let recent = auth.guard().require_max_age(Duration::from_secs(600));
    ///     SessionRoutes::new(sessions, auth)?.with_guard(recent)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ConfigError`] if its authenticator is not that of these routes.
    pub fn with_guard(mut self, guard: Guard<T>) -> Result<Self, ConfigError> {
        if !Arc::ptr_eq(guard.authenticator(), &self.shared.authenticator) {
            return Err(ConfigError::new(
                "guard",
                "must have the authenticator of the routes",
            ));
        }
        Arc::make_mut(&mut self.shared).guard = guard.without_silent_refresh();
        Ok(self)
    }

    /// Sends `Clear-Site-Data` with these kinds of data on every logout. Default: only the two
    /// cookies are deleted.
    ///
    /// [`SiteData::Cookies`] clears all cookies of the registrable domain, including those of other
    /// apps; [`SiteData::Storage`] clears the data of pages, including service workers. Browsers
    /// obey it over TLS only.
    #[must_use]
    pub fn with_clear_site_data(mut self, kinds: impl IntoIterator<Item = SiteData>) -> Self {
        let kinds: Vec<&str> = kinds.into_iter().map(SiteData::token).collect();
        let text = (!kinds.is_empty()).then(|| kinds.join(", ").into_boxed_str());
        Arc::make_mut(&mut self.shared).clear_site_data = text;
        self
    }

    /// Sets the page of this site to which a logout by a form leads, with 303. Default: none, the
    /// response is 204.
    ///
    /// # Errors
    /// [`ConfigError`] if it is not a path of this site.
    pub fn with_logout_page(mut self, path: &str) -> Result<Self, ConfigError> {
        if !is_site_path(path) {
            return Err(ConfigError::new(
                "logout page",
                format!("{path:?} is not a path of this site, such as /"),
            ));
        }
        Arc::make_mut(&mut self.shared).logout_page = Some(path.into());
        Ok(self)
    }

    /// The paths to register, each for every method; methods are checked here. `{sid}` stands for
    /// one path segment.
    pub fn paths(&self) -> impl Iterator<Item = (String, SessionRoute)> {
        let prefix = self.prefix.clone();
        SessionRoute::ALL
            .into_iter()
            .map(move |route| (format!("{prefix}{}", route.suffix()), route))
    }

    /// Finds the route of a path, for adapters to servers without routing.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<SessionRoute> {
        let suffix = path.strip_prefix(&*self.prefix)?;
        let listed = |route: &SessionRoute| match route.suffix().strip_suffix("{sid}") {
            Some(parent) => suffix
                .strip_prefix(parent)
                .is_some_and(|sid| !sid.is_empty() && !sid.contains('/')),
            None => route.suffix() == suffix,
        };
        SessionRoute::ALL.into_iter().find(listed)
    }

    /// Maximum length of a body, in bytes. Adapters stop reading there and respond with
    /// [`too_large`](Self::too_large).
    #[must_use]
    pub fn max_body_bytes(&self) -> usize {
        MAX_BODY_BYTES
    }

    /// The response to a body over the limit.
    #[must_use]
    pub fn too_large(&self) -> Response {
        reply::too_large()
    }

    /// Responds to a request for one of the [`paths`](Self::paths).
    #[must_use]
    pub fn respond(
        &self,
        route: SessionRoute,
        request: &dyn RequestView,
        body: &[u8],
    ) -> BoxFuture<Response> {
        if request.method() != route.method() {
            return reply::ready(reply::method_not_allowed(route.method()));
        }
        match route {
            SessionRoute::Refresh => self.refresh(request, body),
            SessionRoute::Logout => self.logout(request, body),
            SessionRoute::Session => {
                let sid = request.path().rsplit('/').next().and_then(SessionId::parse);
                self.guarded(request, move |shared, who| {
                    Box::pin(shared.end_session(who, sid))
                })
            }
            SessionRoute::Sessions => {
                self.guarded(request, |shared, who| Box::pin(shared.list(who)))
            }
            SessionRoute::LogoutOthers => {
                self.guarded(request, |shared, who| Box::pin(shared.logout_others(who)))
            }
            SessionRoute::LogoutAll => {
                self.guarded(request, |shared, who| Box::pin(shared.logout_all(who)))
            }
        }
    }

    /// Logs in a user authenticated by the app, and responds with the tokens.
    ///
    /// The session in the request's cookie ends. The user agent is recorded unless `login` sets
    /// one. Pass the request as it came: with [`Transport::Cookie`] it must pass the CSRF rule,
    /// which is checked here. Check it *before* the password too
    /// ([`check_csrf`](Authenticator::check_csrf)), so that other sites learn nothing.
    ///
    /// # Security
    /// If the user is disabled, or all their sessions were ended in the meantime, the response is
    /// 400 `invalid_grant`.
    #[must_use]
    pub fn login(
        &self,
        request: &dyn RequestView,
        login: LoginRequest,
        transport: Transport,
    ) -> BoxFuture<Response> {
        let by_cookie = transport == Transport::Cookie || self.carried(request).is_some();
        if let Err(refusal) = self.shared.check_site(request, by_cookie) {
            return reply::ready(refusal);
        }
        self.sign_in(request, login, transport)
    }

    /// Logs in a user after a redirect from an identity provider ("Sign in with …"), and responds
    /// with cookies. Otherwise like [`login`](Self::login).
    ///
    /// The request comes from another site, so nothing in it proves that this browser started the
    /// login here. Nor does it contain the time of the user's login at the provider: set it with
    /// [`with_auth_time`](LoginRequest::with_auth_time). Providers must return it if it is
    /// requested with `max_age`. Without it the session satisfies no maximum age: a route that
    /// requires one responds with 401, and with 403 after another login without it.
    ///
    /// # Security
    /// The app must have verified the login before the call. The request's `state` must equal that
    /// in a cookie of this browser that no other site can set (`__Host-`). The ID token must have
    /// the `nonce` of the same login. Without these checks, an attacker can log visitors in to the
    /// attacker's account.
    #[must_use]
    pub fn login_after_redirect(
        &self,
        request: &dyn RequestView,
        login: LoginRequest,
    ) -> BoxFuture<Response> {
        self.sign_in(request, login.after_redirect(), Transport::Cookie)
    }

    /// The refresh token of the request. An unreadable cookie counts as absent: a login must always
    /// work.
    fn carried<'r>(&self, request: &'r dyn RequestView) -> Option<PresentedToken<'r>> {
        let cookies = self.shared.requests().cookies.as_ref()?;
        cookies.find_refresh(request).ok().flatten()
    }

    /// Logs in. The request has passed the CSRF rule.
    fn sign_in(
        &self,
        request: &dyn RequestView,
        login: LoginRequest,
        transport: Transport,
    ) -> BoxFuture<Response> {
        let shared = Arc::clone(&self.shared);
        if transport == Transport::Cookie && shared.requests().cookies.is_none() {
            tracing::error!(target: "auth::setup", "a login by cookie needs with_cookies");
            return reply::ready(reply::failed());
        }
        let mut login = login;
        if let Some(token) = self.carried(request) {
            login = login.with_replaced_session(token.expose());
        }
        let login = login.with_default_client(shared.requests().client_of(request));
        let snapshot = shared.snapshot(request);
        Box::pin(async move {
            let head = shared.head(transport);
            match shared.sessions.login_into(login, head).await {
                Ok(tokens) => reply::granted(tokens),
                Err(LoginError::Disabled | LoginError::Superseded) => {
                    OAuthError::InvalidGrant.response()
                }
                Err(LoginError::Invalid(error)) => reply::invalid_login(&error),
                Err(LoginError::Unavailable(error)) => shared.unavailable(error, &snapshot),
            }
        })
    }

    fn refresh(&self, request: &dyn RequestView, body: &[u8]) -> BoxFuture<Response> {
        let (token, transport) = match self.shared.presented(request, body) {
            Ok(Some(presented)) => presented,
            Ok(None) => return reply::ready(OAuthError::InvalidRequest.response()),
            Err(response) => return reply::ready(response),
        };
        let shared = Arc::clone(&self.shared);
        let client = shared.requests().client_of(request);
        let snapshot = shared.snapshot(request);
        Box::pin(async move {
            let head = shared.head(transport);
            let outcome = shared.sessions.refresh_into(&token, &client, head).await;
            shared.outcome(outcome, transport, &snapshot)
        })
    }

    fn logout(&self, request: &dyn RequestView, body: &[u8]) -> BoxFuture<Response> {
        let refresh = match self.shared.presented(request, body) {
            Ok(presented) => presented.map(|(token, _)| token),
            Err(response) => return reply::ready(response),
        };
        let access = self.shared.access_token(request);
        let shared = Arc::clone(&self.shared);
        let snapshot = shared.snapshot(request);
        Box::pin(async move {
            let mut ended = Ok(None);
            if let Some(token) = refresh {
                ended = shared.sessions.end_by_token(&token).await;
            }
            if let (Ok(None), Some(access)) = (&ended, access)
                && let Some((subject, session)) = shared.bearer_of(&access).await
            {
                let done = shared
                    .sessions
                    .end(session, EndedBy::Logout(&subject))
                    .await;
                ended = done.map(|_| Some(session));
            }
            match ended {
                Ok(_) => shared.signed_out(&snapshot),
                Err(error) => shared.unavailable(error, &snapshot),
            }
        })
    }

    /// Runs `then` for the user of the access token.
    fn guarded<F>(&self, request: &dyn RequestView, then: F) -> BoxFuture<Response>
    where
        F: FnOnce(Arc<RouteState<T>>, Who) -> BoxFuture<Response> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let snapshot = shared.snapshot(request);
        let access = shared.access_token(request);
        let step = shared.guard.check(request);
        Box::pin(async move {
            match step.verdict().await {
                Verdict::Refuse(refusal) => refusal.into_parts().1,
                Verdict::Pass(pass) => {
                    let (context, edits) = pass.into_parts();
                    let who = match Who::read(&shared, &context, access, snapshot) {
                        Ok(who) => who,
                        Err(response) => return response,
                    };
                    then(shared, who).await.with_edits(edits)
                }
            }
        })
    }
}
