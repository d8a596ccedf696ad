//! The data of a login, and its errors.
//!
//! 1. A login always creates a session. Identifiers from the client are never adopted; the session
//!    that the request carried is ended.
//! 2. A login counts from its beginning: if all sessions of the user are ended while a password is
//!    still being checked, the new session is dead.
//! 3. The authentication time is never invented. It is the beginning of the login
//!    ([`begin_login`](super::Sessions::begin_login)) or the time from the app
//!    ([`LoginRequest::with_auth_time`]). Otherwise it is unknown, and meets no maximum age.

use std::time::Duration;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::base::client::ClientInfo;
use crate::base::clock::Timestamp;
use crate::base::config::ConfigError;
use crate::base::opaque::opaque_debug;
use crate::base::scope::Scope;
use crate::session::outcome::Unavailable;
use crate::session::store::record::SessionDetails;

const LONGEST_SUBJECT: usize = 255;
const LARGEST_DATA: usize = 16 * 1024;

/// A login that has begun, before the user is authenticated.
#[derive(Clone)]
#[must_use]
pub struct LoginStart {
    pub(crate) subject: Box<str>,
    pub(crate) subject_version: u64,
    pub(crate) began: Timestamp,
}

opaque_debug!(LoginStart);

/// A login of an authenticated user.
///
/// ```
/// use std::time::Duration;
/// use auth_core::Scope;
/// use auth_core::session::LoginRequest;
///
/// let login = LoginRequest::for_subject("ada")
///     .with_scope(Scope::parse("read write")?)
///     .with_label("Ada's laptop")
///     .with_idle(Duration::from_secs(12 * 60 * 60));
/// # Ok::<(), auth_core::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct LoginRequest {
    pub(crate) subject: Box<str>,
    pub(crate) subject_version: Option<u64>,
    pub(crate) began: Option<Timestamp>,
    pub(crate) idle: Option<Duration>,
    pub(crate) absolute: Option<Duration>,
    pub(crate) replaces: Option<Zeroizing<String>>,
    pub(crate) client: ClientInfo,
    pub(crate) details: SessionDetails,
    /// Error of a setter, kept for the login.
    pub(crate) invalid: Option<ConfigError>,
}

impl LoginRequest {
    /// Creates a login for a subject: 1 to 255 bytes without NUL, not only white space.
    ///
    /// The authentication time is unknown. For a login that the app carries out itself, use
    /// [`started`](Self::started). After a redirect, add the time from the identity provider
    /// ([`with_auth_time`](Self::with_auth_time)).
    pub fn for_subject(subject: impl Into<String>) -> Self {
        Self {
            subject: subject.into().into_boxed_str(),
            subject_version: None,
            began: None,
            idle: None,
            absolute: None,
            replaces: None,
            client: ClientInfo::new(),
            details: SessionDetails::default(),
            invalid: None,
        }
    }

    /// Creates a login from its beginning, after the user was authenticated. The beginning is the
    /// authentication time, unless [`with_auth_time`](Self::with_auth_time) sets another.
    pub fn started(start: LoginStart) -> Self {
        Self {
            subject_version: Some(start.subject_version),
            began: Some(start.began),
            ..Self::for_subject(start.subject)
        }
    }

    /// Sets the refresh token that the request carried: its session is ended. A token that was not
    /// issued here has no effect. Default: none.
    pub fn with_replaced_session(mut self, refresh_token: impl Into<String>) -> Self {
        self.replaces = Some(Zeroizing::new(refresh_token.into()));
        self
    }

    /// Sets the idle time of this session: it ends after this time without a refresh. Default: the
    /// policy's.
    pub fn with_idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// Sets the absolute time of this session, for example for "remember me". Default: the
    /// policy's.
    pub fn with_absolute(mut self, absolute: Duration) -> Self {
        self.absolute = Some(absolute);
        self
    }

    /// Sets the maximum scope of this session. Default: none, the app's hook decides alone.
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.details.scope = Some(scope.as_str().into());
        self
    }

    /// Sets the authentication time. A time in the future counts as now. Default: the beginning of
    /// the login, or unknown.
    ///
    /// # Security
    /// Routes that require a recent login rely on it. After a redirect, use only the `auth_time` of
    /// the verified ID token: a return from the provider does not prove a recent login there.
    pub fn with_auth_time(mut self, auth_time: Timestamp) -> Self {
        self.details.auth_time = Some(auth_time.as_secs());
        self
    }

    /// Sets the authentication methods (RFC 8176: `pwd`, `otp`, …). Default: none.
    pub fn with_amr<M: Into<String>>(mut self, methods: impl IntoIterator<Item = M>) -> Self {
        self.details.amr = methods
            .into_iter()
            .map(|method| method.into().into_boxed_str())
            .collect();
        self
    }

    /// Sets the authentication context class. Default: none.
    pub fn with_acr(mut self, acr: impl Into<String>) -> Self {
        self.details.acr = Some(acr.into().into_boxed_str());
        self
    }

    /// Sets the label of this session in the list of devices, cut to 64 bytes. Default: none.
    pub fn with_label(mut self, label: &str) -> Self {
        self.details.set_label(label);
        self
    }

    /// Sets the user agent and address of the client.
    pub fn with_client(mut self, client: ClientInfo) -> Self {
        self.client = client;
        self
    }

    /// Sets the app's own data, which is stored with the session and passed to the claims hook. At
    /// most 16 KiB of JSON: the login fails with [`LoginError::Invalid`] if it is larger, or cannot
    /// be serialized.
    pub fn with_data<T: Serialize + ?Sized>(mut self, data: &T) -> Self {
        match session_data(data) {
            Ok(value) => self.details.data = Some(value),
            Err(error) => self.invalid = Some(error),
        }
        self
    }

    /// Sets cookies that end with the browser session, for a login without "remember me". The
    /// lifetime of the session in the store does not change.
    pub fn with_nonpersistent_cookies(mut self) -> Self {
        self.details.transient = true;
        self
    }

    /// Sets the user agent and address from `client` where the app has set none.
    pub(crate) fn with_default_client(mut self, client: ClientInfo) -> Self {
        self.client.user_agent = self.client.user_agent.or(client.user_agent);
        self.client.ip = self.client.ip.or(client.ip);
        self
    }

    /// Makes it the login that began with `start`, whatever the app made of it.
    pub(crate) fn belonging_to(mut self, start: LoginStart) -> Self {
        self.subject_version = Some(start.subject_version);
        self.began = Some(start.began);
        self.subject = start.subject;
        self
    }

    /// Makes it the login of `subject`, whatever the app made of it.
    pub(crate) fn with_subject(mut self, subject: String) -> Self {
        self.subject = subject.into_boxed_str();
        self
    }

    /// Sets the label, unless the app has set one.
    pub(crate) fn with_default_label(mut self, label: &str) -> Self {
        if self.details.label().is_none() {
            self.details.set_label(label);
        }
        self
    }

    pub(crate) fn idle(&self) -> Option<Duration> {
        self.idle
    }

    /// Discards the beginning as authentication time: the user was authenticated elsewhere.
    pub(crate) fn after_redirect(mut self) -> Self {
        self.began = None;
        self
    }

    /// The authentication time, if known.
    pub(crate) fn auth_time(&self, now: Timestamp) -> Option<Timestamp> {
        let said = self.details.auth_time().or(self.began)?;
        Some(said.min(now))
    }

    pub(crate) fn check(&self) -> Result<(), LoginError> {
        if let Some(error) = &self.invalid {
            return Err(LoginError::Invalid(error.clone()));
        }
        check_subject(&self.subject)?;
        let absurd = |lifetime: Option<Duration>| lifetime.is_some_and(|l| l.is_zero());
        if absurd(self.idle) || absurd(self.absolute) {
            return Err(LoginError::Invalid(ConfigError::new(
                "lifetime",
                "must be longer than zero",
            )));
        }
        Ok(())
    }
}

opaque_debug!(LoginRequest);

fn session_data<T: Serialize + ?Sized>(data: &T) -> Result<serde_json::Value, ConfigError> {
    let value = serde_json::to_value(data)
        .map_err(|_| ConfigError::new("session data", "cannot be serialized as JSON"))?;
    if value.to_string().len() > LARGEST_DATA {
        return Err(ConfigError::new(
            "session data",
            "must be at most 16 KiB of JSON: store larger data in the app's database",
        ));
    }
    Ok(value)
}

pub(crate) fn check_subject(subject: &str) -> Result<(), LoginError> {
    let blank = subject.trim().is_empty();
    if !blank && subject.len() <= LONGEST_SUBJECT && !subject.contains('\0') {
        return Ok(());
    }
    Err(LoginError::Invalid(ConfigError::new(
        "subject",
        "must have 1 to 255 bytes, no NUL, and more than white space",
    )))
}

/// The error of a login that created no session.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The app's hook reports the user as disabled.
    #[error("the user is disabled")]
    Disabled,
    /// The request is invalid: a fault of the app.
    #[error(transparent)]
    Invalid(ConfigError),
    /// All sessions of the user were ended since the login began. The user must log in again.
    #[error("all sessions of the user were ended during the login")]
    Superseded,
    /// The infrastructure failed: 503.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl LoginError {
    /// The outcome of a failed login as a word, for a metric label.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Invalid(_) => "invalid",
            Self::Superseded => "superseded",
            Self::Unavailable(_) => "unavailable",
        }
    }
}
