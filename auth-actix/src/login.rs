//! The login of core for actix-web handlers.

use std::fmt;
use std::future::{Ready, ready};

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder};
use auth_core::adapter::Refusal;
use auth_core::session::{LoginRequest, SessionId};
use auth_core::{Auth, LoginAttempt, RateLimitKey};
use serde::de::DeserializeOwned;

use crate::request::RequestHead;
use crate::response::{AuthRejection, into_actix};

/// A login request: [`auth_core::Login`], which has the rules, as an extractor.
///
/// It takes the [`Auth`] that [`auth_routes`](crate::auth_routes) has put into the app's data.
/// Without these routes, call [`new`](Self::new).
///
/// ```
/// use actix_web::web::Form;
/// use auth_actix::{AuthRejection, AuthResponse, Login};
///
/// # #[derive(serde::Deserialize)]
/// # struct Credentials { username: String, password: String }
/// # async fn password_is_right(_: &Credentials) -> Result<bool, std::io::Error> { Ok(true) }
/// async fn log_in(
///     login: Login,
///     Form(form): Form<Credentials>,
/// ) -> Result<AuthResponse, AuthRejection> {
///     let attempt = login.begin(&form.username).await?;
///     if !password_is_right(&form).await.map_err(AuthRejection::unavailable)? {
///         return Err(attempt.refuse().then_show("/login?wrong"));
///     }
///     match attempt.finish(|session| session.with_amr(["pwd"])).await {
///         Ok(response) => Ok(response.then_show("/")),
///         // A disabled user gets the response to a wrong password.
///         Err(refused) => Err(refused.then_show("/login?wrong")),
///     }
/// }
/// # let _ = actix_web::App::new().route("/login", actix_web::web::post().to(log_in));
/// ```
///
/// # Errors
/// [`AuthRejection`], always 500: the app's data has no [`Auth`] of this claims type.
pub struct Login<T = ()>(auth_core::Login<T>);

impl<T: DeserializeOwned + Send + Sync + 'static> Login<T> {
    /// Creates a login from its request.
    #[must_use]
    pub fn new(auth: &Auth<T>, request: &HttpRequest) -> Self {
        Self(auth.login(&RequestHead::from(request)))
    }

    /// Returns the tokens in the body: see [`auth_core::Login::in_body`].
    #[must_use]
    pub fn in_body(self) -> Self {
        Self(self.0.in_body())
    }

    /// Sets the address of the client: see [`auth_core::Login::with_client_ip`].
    #[must_use]
    pub fn with_client_ip(self, ip: impl Into<String>) -> Self {
        Self(self.0.with_client_ip(ip))
    }

    /// Begins the login of a user, before the password check: see [`auth_core::Login::begin`].
    ///
    /// # Errors
    /// 403 without proof that the request comes from this site or a trusted origin, 503 if the store
    /// is unavailable.
    pub async fn begin(self, subject: &str) -> Result<Attempt<T>, AuthRejection> {
        Ok(Attempt(self.0.begin(subject).await?))
    }

    /// Begins the login of an unknown user: see [`auth_core::Login::begin_nobody`].
    ///
    /// # Errors
    /// The same as for [`begin`](Self::begin).
    pub async fn begin_nobody(self) -> Result<Attempt<T>, AuthRejection> {
        Ok(Attempt(self.0.begin_nobody().await?))
    }

    /// Begins the login of a user who was authenticated elsewhere: see
    /// [`auth_core::Login::after_redirect`], which says what the app must have proven.
    pub fn after_redirect(self, subject: impl Into<String>) -> Attempt<T> {
        Attempt(self.0.after_redirect(subject))
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> FromRequest for Login<T> {
    type Error = AuthRejection;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let login = request.app_data().map(|auth| Self::new(auth, request));
        ready(login.ok_or_else(|| {
            tracing::error!(
                target: "auth::setup",
                claims = std::any::type_name::<T>(),
                "Login is extracted without an Auth of its claims type; add it with \
                 App::configure(auth_routes(&auth))"
            );
            Refusal::misconfigured().into()
        }))
    }
}

/// A login that has begun: [`auth_core::LoginAttempt`].
#[must_use = "refuse or finish the login"]
pub struct Attempt<T = ()>(LoginAttempt<T>);

impl<T: DeserializeOwned + Send + Sync + 'static> Attempt<T> {
    /// The key of subject and client for a rate limiter: see
    /// [`auth_core::LoginAttempt::rate_limit_key`].
    #[must_use]
    pub fn rate_limit_key(&self) -> RateLimitKey {
        self.0.rate_limit_key()
    }

    /// The rejection after a failed authentication: 403, the same for an unknown user and a wrong
    /// password.
    #[must_use]
    pub fn refuse(&self) -> AuthRejection {
        self.0.refuse().into()
    }

    /// Finishes the login after a successful authentication: see
    /// [`auth_core::LoginAttempt::finish`].
    ///
    /// # Errors
    /// 403 if the user is disabled or unknown, 409 if all sessions of the user were ended since the
    /// login began, 503 if store or users are unavailable, 500 for invalid details.
    pub async fn finish(
        self,
        session: impl FnOnce(LoginRequest) -> LoginRequest,
    ) -> Result<AuthResponse, AuthRejection> {
        Ok(AuthResponse(self.0.finish(session).await?))
    }
}

/// The response to a finished login, with the tokens, or to a logout by
/// [`Auth::logout`](auth_core::Auth::logout).
#[derive(Clone, Debug)]
#[must_use = "return it from the handler"]
pub struct AuthResponse(auth_core::AuthResponse);

impl AuthResponse {
    /// Redirects a browser navigation to a page of this site, with the cookies (303). The response
    /// to a script, and to a client without cookies, does not change.
    ///
    /// `path` must be a path of this site. Any other text redirects to `/`.
    pub fn then_show(self, path: &str) -> Self {
        Self(self.0.then_show(path))
    }

    /// The new session, after a login.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        self.0.session()
    }
}

impl From<auth_core::AuthResponse> for AuthResponse {
    fn from(response: auth_core::AuthResponse) -> Self {
        Self(response)
    }
}

impl Responder for AuthResponse {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse<BoxBody> {
        into_actix(self.0.into_response())
    }
}

impl<T> fmt::Debug for Login<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Attempt<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").finish_non_exhaustive()
    }
}
