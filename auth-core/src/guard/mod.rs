//! [`Guard`]: the decision about one request. The steps are in the order of the crate
//! documentation:
//!
//! 1. A CORS preflight passes as anonymous, if the guard allows preflights. It must be a real one:
//!    `OPTIONS` with `Origin` and `Access-Control-Request-Method` (Fetch §4.8).
//! 2. Exactly one credential, else 400; none: 401, or anonymous in optional mode.
//! 3. The token is verified. In optional mode, an invalid token in the header is still refused:
//!    clients send it on purpose. An invalid token in a cookie makes the request anonymous: users
//!    cannot omit it. With silent refresh, a session whose access cookie has expired may be
//!    refreshed first: the response is then a redirect to the same URL, or an interstitial page.
//! 4. The CSRF rule, if the token came from a cookie.
//! 5. Scopes, roles and step-up.
//!
//! Unavailable infrastructure (keys, store, feed) is 503 in both modes, never anonymous.

pub(crate) mod access_end;
pub(crate) mod authenticator;
pub(crate) mod builder;
pub(crate) mod context;
pub(crate) mod interstitial;
pub(crate) mod refusal;
pub(crate) mod requirements;
pub(crate) mod silent;
pub(crate) mod verdict;

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use self::authenticator::{Authenticator, Missing, Unverified};
use self::context::AuthContext;
use self::interstitial::Interstitial;
use self::refusal::Refusal;
use self::requirements::Requirements;
use self::silent::{Detour, Silent, SilentRefresh};
use self::verdict::{Pass, Step, Verdict};
use crate::base::config::ConfigError;
use crate::base::error::{AuthError, AuthErrorKind, Cause};
use crate::http::answer::Response;
use crate::http::edits::ResponseEdits;
use crate::http::header::HeaderLine;
use crate::http::request::{RequestSnapshot, RequestView, SingleField, single_field};
use crate::http::source::{Carrier, PresentedToken};
use crate::token::claims::Verified;

/// The guard of a set of routes: an authenticator, the mode for anonymous requests, and the
/// requirements.
///
/// ```
/// use auth_core::{Authenticator, Guard, Key};
/// use std::sync::Arc;
///
/// let auth: Arc<Authenticator<()>> = Authenticator::for_issuer("https://issuer.example")
///     .audience("https://api.example")
///     .keys(Key::hs256("k1", &[7; 32])?)
///     .build()?;
/// let public = Guard::from(&auth).optional();
/// let admins = Guard::from(&auth).require_scope("admin")?;
/// # Ok::<(), auth_core::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Guard<T> {
    authenticator: Arc<Authenticator<T>>,
    requirements: Requirements,
    mode: Mode,
    preflight: Preflight,
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
            requirements: self.requirements.clone(),
            mode: self.mode,
            preflight: self.preflight,
            interstitial: self.interstitial,
        }
    }
}

impl<T> From<Arc<Authenticator<T>>> for Guard<T> {
    fn from(authenticator: Arc<Authenticator<T>>) -> Self {
        Self {
            authenticator,
            requirements: Requirements::new(),
            mode: Mode::Required,
            preflight: Preflight::Guarded,
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
    pub fn optional(mut self) -> Self {
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
    pub fn allow_preflight(mut self) -> Self {
        self.preflight = Preflight::Passes;
        self
    }

    /// Omits the interstitial page before a [silent
    /// refresh](crate::AuthenticatorBuilder::with_silent_refresh). A navigation from another site
    /// with an expired access cookie then counts as one without it. For popups that must keep their
    /// `window.opener`, which the page's `Cross-Origin-Opener-Policy` removes.
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
    /// Whether the guard requires a scope or role of every request.
    pub(crate) fn is_selective(&self) -> bool {
        self.mode == Mode::Required
            && self.preflight == Preflight::Guarded
            && self.requirements.is_selective()
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Guard<T> {
    /// Decides about a request.
    #[must_use]
    pub fn check(&self, request: &dyn RequestView) -> Step {
        match self.find(request) {
            Ok(None) => Step::Done(self.pass_anonymous(None, ResponseEdits::default())),
            Ok(Some(token)) => self.judge(token, request),
            Err(error) => match self.detour(&error, request) {
                Some(detour) => self.take(detour, error, request),
                None => Step::Done(self.without_token(error, request)),
            },
        }
    }

    /// Applies rules 1 and 2. Returns the one credential, or `None` for a preflight that passes.
    fn find<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, AuthError> {
        if self.preflight == Preflight::Passes && is_preflight(request) {
            return Ok(None);
        }
        match self.authenticator.sources.find(request)? {
            Some(token) => Ok(Some(token)),
            None => Err(AuthError::new(
                AuthErrorKind::MissingCredential,
                Cause::Absent,
            )),
        }
    }

    fn without_token(&self, error: AuthError, request: &dyn RequestView) -> Verdict {
        let absent = error.kind() == AuthErrorKind::MissingCredential;
        if absent && self.mode == Mode::Optional {
            return self.pass_anonymous(None, ResponseEdits::default());
        }
        self.refuse(error, request)
    }

    fn judge(&self, token: PresentedToken<'_>, request: &dyn RequestView) -> Step {
        let carrier = token.carrier();
        let error = match self.authenticator.verify(token.expose()) {
            Ok(verified) => {
                return Step::Done(self.admit(
                    verified,
                    carrier,
                    request,
                    ResponseEdits::default(),
                ));
            }
            Err(Unverified::NotYet(missing)) => return self.judge_later(missing, token, request),
            Err(Unverified::Refused(error)) => error,
        };
        if carrier == Carrier::Cookie
            && let Some(detour) = self.detour(&error, request)
        {
            return self.take(detour, error, request);
        }
        Step::Done(self.reject(error, carrier, request, Vec::new()))
    }

    /// Judges a token like [`Guard::judge`], if its claims are in the session store or its key may
    /// be fetched.
    fn judge_later(
        &self,
        missing: Missing,
        token: PresentedToken<'_>,
        request: &dyn RequestView,
    ) -> Step {
        let guard = self.clone();
        let carrier = token.carrier();
        let token = Zeroizing::new(token.expose().to_owned());
        let detour = match carrier {
            Carrier::Cookie => Detour::of(&self.authenticator, request, self.interstitial),
            Carrier::Header => None,
        };
        let request = self.authenticator.snapshot(request);
        Step::Wait(Box::pin(async move {
            match guard.authenticator.verify_with(missing, &token).await {
                Ok(verified) => guard.admit(verified, carrier, &request, ResponseEdits::default()),
                Err(error) => match detour.filter(|_| error.cause() == Cause::Expired) {
                    Some(Detour::Interstitial(page)) => mended(error, page),
                    Some(Detour::Refresh(refresh)) => guard.renewed(refresh, error, &request).await,
                    None => guard.reject(error, carrier, &request, Vec::new()),
                },
            }
        }))
    }

    /// Applies the rules for valid tokens.
    fn admit(
        &self,
        verified: Arc<Verified<T>>,
        carrier: Carrier,
        request: &dyn RequestView,
        edits: ResponseEdits,
    ) -> Verdict {
        let auth = &self.authenticator;
        if carrier == Carrier::Cookie
            && let Err(cause) = auth.csrf.check(request)
        {
            let error = AuthError::new(AuthErrorKind::CrossSite, cause);
            let who = Some(&verified.registered);
            return Verdict::Refuse(auth.rules.refuse(error, who, request));
        }
        if let Err(error) = self
            .requirements
            .check(&verified.registered, || auth.rules.clock.now())
        {
            let who = Some(&verified.registered);
            let refusal = auth.rules.refuse(error, who, request);
            return Verdict::Refuse(refusal.with_edits(edits));
        }
        let rules = Arc::clone(&auth.rules);
        let context = AuthContext::identified(verified, carrier, rules);
        let edits = edits.personal(carrier == Carrier::Cookie);
        Verdict::Pass(Pass::new(context, edits))
    }

    /// Applies rule 3. `clearing` are the lines that delete the cookies of an ended session.
    fn reject(
        &self,
        error: AuthError,
        carrier: Carrier,
        request: &dyn RequestView,
        clearing: Vec<HeaderLine>,
    ) -> Verdict {
        let forgivable = self.mode == Mode::Optional
            && carrier == Carrier::Cookie
            && error.kind() == AuthErrorKind::InvalidToken;
        if forgivable {
            tracing::debug!(target: "auth::anonymous", cause = error.cause().as_str());
            return self.pass_anonymous(Some(error), ResponseEdits::clearing(clearing));
        }
        let refusal = self.authenticator.rules.answers.refuse(error, request);
        Verdict::Refuse(refusal.with_lines(clearing))
    }

    /// The detour to take instead of this error, if there is one.
    fn detour(&self, error: &AuthError, request: &dyn RequestView) -> Option<Detour> {
        match error.cause() {
            Cause::Absent | Cause::Expired => {
                Detour::of(&self.authenticator, request, self.interstitial)
            }
            _ => None,
        }
    }

    fn take(&self, detour: Detour, error: AuthError, request: &dyn RequestView) -> Step {
        let refresh = match detour {
            Detour::Interstitial(page) => return Step::Done(mended(error, page)),
            Detour::Refresh(refresh) => refresh,
        };
        let guard = self.clone();
        let request = self.authenticator.snapshot(request);
        Step::Wait(Box::pin(async move {
            guard.renewed(refresh, error, &request).await
        }))
    }

    async fn renewed(
        &self,
        refresh: SilentRefresh,
        error: AuthError,
        request: &RequestSnapshot,
    ) -> Verdict {
        match refresh.run(&self.authenticator).await {
            Silent::Moved(redirect) => mended(error, redirect),
            Silent::Renewed(verified, edits) => {
                self.admit(verified, Carrier::Cookie, request, edits)
            }
            Silent::Over(error, clearing) => self.reject(error, Carrier::Cookie, request, clearing),
            Silent::Unchanged if error.cause() == Cause::Absent => {
                self.without_token(error, request)
            }
            Silent::Unchanged => self.reject(error, Carrier::Cookie, request, Vec::new()),
            Silent::Unavailable(error) => self.refuse(error, request),
        }
    }

    fn pass_anonymous(&self, cause: Option<AuthError>, edits: ResponseEdits) -> Verdict {
        let context = AuthContext::anonymous(Arc::clone(&self.authenticator.rules), cause);
        Verdict::Pass(Pass::new(context, edits))
    }

    fn refuse(&self, error: AuthError, request: &dyn RequestView) -> Verdict {
        Verdict::Refuse(self.authenticator.rules.answers.refuse(error, request))
    }
}

/// A refusal that is not counted: the browser repeats the request at once.
fn mended(error: AuthError, answer: Response) -> Verdict {
    Verdict::Refuse(Refusal::mended(error, answer))
}

fn is_preflight(request: &dyn RequestView) -> bool {
    let has = |name| matches!(single_field(request, name), SingleField::One(_));
    request.method() == "OPTIONS" && has("origin") && has("access-control-request-method")
}

impl<T> Authenticator<T> {
    /// Creates a guard with this authenticator, in required mode.
    #[must_use]
    pub fn guard(self: &Arc<Self>) -> Guard<T> {
        Guard::from(self)
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Authenticator<T> {
    /// Decides about a request on routes that require a token and nothing more.
    #[must_use]
    pub fn authenticate(self: &Arc<Self>, request: &dyn RequestView) -> Step {
        self.guard().check(request)
    }
}
