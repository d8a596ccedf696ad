//! [`LoginAttempt`]: a login that has begun.

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::auth::login::{Login, RateLimitKey};
use crate::auth::response::AuthResponse;
use crate::base::config::ConfigError;
use crate::base::error::{AuthError, AuthErrorKind, Cause};
use crate::endpoints::reply;
use crate::guard::refusal::Refusal;
use crate::http::browser;
use crate::session::{LoginError, LoginRequest, LoginStart, Unavailable};

/// A login that has begun.
///
/// [`refuse`](Self::refuse) or [`finish`](Self::finish) it.
#[must_use = "refuse or finish the login"]
pub struct LoginAttempt<T = ()> {
    login: Login<T>,
    subject: Subject,
}

/// The user of a login.
enum Subject {
    Begun(LoginStart),
    Nobody,
    /// Authenticated elsewhere.
    Redirected(String),
}

impl<T: DeserializeOwned + Send + Sync + 'static> LoginAttempt<T> {
    pub(super) fn of(login: Login<T>, start: Option<LoginStart>) -> Self {
        let subject = start.map_or(Subject::Nobody, Subject::Begun);
        Self { login, subject }
    }

    pub(super) fn after_redirect(login: Login<T>, subject: String) -> Self {
        Self {
            login,
            subject: Subject::Redirected(subject),
        }
    }

    /// The key of subject and client for the app's rate limiter: a digest, equal on every node.
    ///
    /// Without an [address](Login::with_client_ip) it is a key of the subject alone. A limit then
    /// lets any client lock a user out. For an [unknown user](Login::begin_nobody) it is a key of
    /// the client.
    #[must_use]
    pub fn rate_limit_key(&self) -> RateLimitKey {
        let subject = match &self.subject {
            Subject::Begun(start) => &*start.subject,
            Subject::Nobody => "",
            Subject::Redirected(subject) => subject,
        };
        RateLimitKey::of(subject, self.login.client.ip())
    }

    /// The refusal after a failed authentication: 403, the same for an unknown user, a disabled user
    /// and a wrong password.
    #[must_use]
    pub fn refuse(&self) -> Refusal {
        self.login
            .refuse(AuthErrorKind::LoginRefused, Cause::Credentials)
    }

    /// Finishes the login after a successful authentication. `session` sets the details of the new
    /// session. It cannot change the subject.
    ///
    /// The tokens are in cookies or in the body, by the signs of a browser. The session of the
    /// request's cookie ends. The default label is a device name from the user agent.
    ///
    /// # Errors
    /// The refusal to respond with: 403 as for [`refuse`](Self::refuse) if the user is disabled or
    /// unknown; 409 if all sessions of the user were ended since the login began; 503 if the store
    /// or the users are unavailable; 500 for invalid details, and for tokens that exceed a cookie.
    ///
    /// # Cancel safety
    /// If the future is dropped, there is a new session or none. One whose tokens were not
    /// delivered ends after its idle time.
    pub async fn finish(
        self,
        session: impl FnOnce(LoginRequest) -> LoginRequest,
    ) -> Result<AuthResponse, Refusal> {
        let Self { login, subject } = self;
        let redirected = matches!(subject, Subject::Redirected(_));
        let request = match subject {
            Subject::Begun(start) => {
                session(LoginRequest::started(start.clone())).belonging_to(start)
            }
            Subject::Redirected(subject) => {
                let details = session(LoginRequest::for_subject(subject.as_str()));
                details.after_redirect().with_subject(subject)
            }
            Subject::Nobody => {
                return Err(login.refuse(AuthErrorKind::LoginRefused, Cause::Credentials));
            }
        };
        let by_cookie = match redirected {
            true => login.redirected_by_cookie()?,
            false => login.by_cookie(),
        };
        let request = login.complete(request)?;
        let head = login.rules().cookie_head().filter(|_| by_cookie);
        let tokens = match login.auth.sessions().login_into(request, head).await {
            Ok(tokens) => tokens,
            Err(error) => return Err(login.failed(error)),
        };
        let shows = by_cookie && (redirected || browser::navigates(&login.request));
        let session = Some(tokens.session());
        Ok(AuthResponse::new(reply::granted(tokens), session, shows))
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Login<T> {
    pub(super) fn refuse(&self, kind: AuthErrorKind, cause: Cause) -> Refusal {
        self.refuse_for(AuthError::new(kind, cause))
    }

    fn refuse_for(&self, error: AuthError) -> Refusal {
        self.rules().refuse(error, None, &self.request)
    }

    pub(super) fn unavailable(&self, source: Unavailable) -> Refusal {
        self.rules().store_unavailable(source, &self.request)
    }

    fn failed(&self, error: LoginError) -> Refusal {
        match error {
            LoginError::Disabled => self.refuse(AuthErrorKind::LoginRefused, Cause::Disabled),
            LoginError::Superseded => {
                self.refuse(AuthErrorKind::LoginSuperseded, Cause::Superseded)
            }
            LoginError::Unavailable(error) => self.unavailable(error),
            LoginError::Invalid(error) => self.misconfigured(&error),
        }
    }

    fn misconfigured(&self, error: &ConfigError) -> Refusal {
        tracing::error!(target: "auth::setup", "a login cannot be finished: {error}");
        self.refuse_for(AuthError::misconfigured())
    }

    /// Selects the transport after a redirect: cookies, because the tab would display a body.
    fn redirected_by_cookie(&self) -> Result<bool, Refusal> {
        if self.transport == super::Transport::Body {
            return Ok(false);
        }
        if self.has_cookies() {
            return Ok(true);
        }
        Err(self.misconfigured(&ConfigError::new(
            "cookies",
            "a login after a redirect needs with_cookies, or in_body()",
        )))
    }

    /// Adds the details that the request states, where the app has set none.
    fn complete(&self, mut request: LoginRequest) -> Result<LoginRequest, Refusal> {
        let longest = self.auth.sessions().policy().absolute();
        if let Some(idle) = request.idle().filter(|idle| *idle > longest) {
            return Err(self.misconfigured(&too_long(idle, longest)));
        }
        if let Some(token) = &self.replaced {
            request = request.with_replaced_session(token.expose());
        }
        if let Some(name) = self.client.device_name() {
            request = request.with_default_label(&name);
        }
        Ok(request.with_default_client(self.client.clone()))
    }
}

/// The error for an idle time over that for which refresh keys are kept.
fn too_long(idle: Duration, longest: Duration) -> ConfigError {
    ConfigError::new(
        "idle",
        format!(
            "a login asks for {idle:?}, the policy's absolute lifetime is {longest:?}: raise it \
             with .with_session_policy(SessionPolicy::default().with_absolute({idle:?}))"
        ),
    )
}

impl<T> fmt::Debug for LoginAttempt<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginAttempt").finish_non_exhaustive()
    }
}
