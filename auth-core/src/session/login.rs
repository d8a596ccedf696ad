//! What a login says, and how it can fail.
//!
//! 1. A login always makes a new session. Identifiers that a client sends are never adopted; the
//!    session that it carried is ended.
//! 2. A login counts from when it began: if all sessions of the user are ended while a password is
//!    still being checked, the session that comes of it is dead.
//! 3. When the user proved who they are is never invented. It is when the login
//!    [began](super::Sessions::begin_login), or what the app says
//!    ([`LoginRequest::with_auth_time`]); else it is not known, and no maximum age is met.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use zeroize::Zeroizing;

use crate::base::client::ClientInfo;
use crate::base::clock::Timestamp;
use crate::base::config::ConfigError;
use crate::base::scope::Scope;
use crate::session::outcome::Unavailable;
use crate::session::store::record::SessionDetails;

const LONGEST_SUBJECT: usize = 255;
const LARGEST_DATA: usize = 16 * 1024;

/// A login that has begun, before the user has proved anything.
#[derive(Clone)]
#[must_use]
pub struct LoginStart {
    pub(crate) subject: Box<str>,
    pub(crate) subject_version: u64,
    pub(crate) began: Timestamp,
}

impl fmt::Debug for LoginStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginStart").finish_non_exhaustive()
    }
}

/// A user who has just proved who they are.
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
}

impl LoginRequest {
    /// A login of this user: any text of 1 to 255 bytes without NUL, not of white space alone.
    ///
    /// Nothing says when they proved who they are: for a login that the app carries out itself,
    /// use [`started`](Self::started); after a redirect, add what the provider says
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
        }
    }

    /// The login that began with this: between the two, the user proved who they are. Unless
    /// [`with_auth_time`](Self::with_auth_time) says otherwise, that was when it began.
    pub fn started(start: LoginStart) -> Self {
        Self {
            subject_version: Some(start.subject_version),
            began: Some(start.began),
            ..Self::for_subject(start.subject)
        }
    }

    /// The refresh token that the request carried, if any: its session is replaced. One that is
    /// not ours is passed over.
    pub fn replacing(mut self, refresh_token: impl Into<String>) -> Self {
        self.replaces = Some(Zeroizing::new(refresh_token.into()));
        self
    }

    /// How long this session lives without a refresh, instead of the policy's idle time.
    pub fn with_idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// How long this session lives at most, instead of the policy's absolute time: "remember me".
    pub fn with_absolute(mut self, absolute: Duration) -> Self {
        self.absolute = Some(absolute);
        self
    }

    /// The most that this session may do. Without it the app's hook decides alone.
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.details.scope = Some(scope.as_str().into());
        self
    }

    /// When the user proved who they are. A moment that has not come yet counts as now.
    ///
    /// # Security
    /// Routes that ask for a recent login go by it. After a redirect it is the `auth_time` of the
    /// verified ID token and nothing else: that the provider has just sent the user back says
    /// nothing about when they last signed in there.
    pub fn with_auth_time(mut self, auth_time: Timestamp) -> Self {
        self.details.auth_time = Some(auth_time.as_secs());
        self
    }

    /// How they proved it (RFC 8176: `pwd`, `otp`, …).
    pub fn with_amr<M: Into<String>>(mut self, methods: impl IntoIterator<Item = M>) -> Self {
        self.details.amr = methods
            .into_iter()
            .map(|method| method.into().into_boxed_str())
            .collect();
        self
    }

    /// The class of that proof.
    pub fn with_acr(mut self, acr: impl Into<String>) -> Self {
        self.details.acr = Some(acr.into().into_boxed_str());
        self
    }

    /// What the list of devices calls this session. 64 bytes of it are kept.
    pub fn with_label(mut self, label: &str) -> Self {
        self.details.set_label(label);
        self
    }

    /// What is known about the client.
    pub fn with_client(mut self, client: ClientInfo) -> Self {
        self.client = client;
        self
    }

    /// Data of the app's, kept with the session and shown to the claims hook. Small: at most
    /// 16 KiB of JSON.
    ///
    /// # Errors
    /// [`ConfigError`] if it cannot be written as JSON, or is larger.
    pub fn with_data<T: Serialize + ?Sized>(mut self, data: &T) -> Result<Self, ConfigError> {
        let value = serde_json::to_value(data)
            .map_err(|_| ConfigError::new("session data", "cannot be written as JSON"))?;
        if value.to_string().len() > LARGEST_DATA {
            return Err(ConfigError::new(
                "session data",
                "at most 16 KiB of JSON: keep large data in a table of your own",
            ));
        }
        self.details.data = Some(value);
        Ok(self)
    }

    /// The browser forgets the cookies when it is closed: for a login without "remember me". The
    /// session's own ends are as they are.
    pub fn until_browser_closes(mut self) -> Self {
        self.details.transient = true;
        self
    }

    /// Notes of `client` what the app has not said itself.
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

    /// For a login whose user came from elsewhere: when it began here says nothing about when they
    /// proved who they are.
    pub(crate) fn after_redirect(mut self) -> Self {
        self.began = None;
        self
    }

    /// What is known of when the user proved who they are.
    pub(crate) fn auth_time(&self, now: Timestamp) -> Option<Timestamp> {
        let said = self.details.auth_time().or(self.began)?;
        Some(said.min(now))
    }

    pub(crate) fn check(&self) -> Result<(), LoginError> {
        check_subject(&self.subject)?;
        let absurd = |lifetime: Option<Duration>| lifetime.is_some_and(|l| l.is_zero());
        if absurd(self.idle) || absurd(self.absolute) {
            return Err(LoginError::Invalid(ConfigError::new(
                "lifetime",
                "a session that ends at once is no session",
            )));
        }
        Ok(())
    }
}

impl fmt::Debug for LoginRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginRequest").finish_non_exhaustive()
    }
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

/// Why a login made no session.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The app's hook says that the user is disabled.
    #[error("the user is disabled")]
    Disabled,
    /// The request contradicts itself: a fault of the app's.
    #[error(transparent)]
    Invalid(ConfigError),
    /// All sessions of the user were ended since the login began; sign in again.
    #[error("all sessions were ended while this login was under way")]
    Superseded,
    /// Trouble of ours: 503.
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
