//! The decision about one request. The steps are in the order of the crate documentation:
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
//! A guard within another one of the same authenticator takes over the identity that the outer guard
//! has proved, so that a page's silent refresh counts for the routes within: steps 2 and 3 are
//! omitted. If the outer guard passed the request as anonymous, all steps apply. Login page and
//! responder are those of the outer guard, unless the inner one has its own.
//!
//! Unavailable infrastructure (keys, store, feed) is 503 in both modes, never anonymous.

use std::borrow::Cow;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::base::error::{AuthError, AuthErrorKind, Cause};
use crate::guard::authenticator::Authenticator;
use crate::guard::context::{AuthContext, GuardRuntime, Identity};
use crate::guard::refusal::Refusal;
use crate::guard::silent::{Detour, Silent, SilentRefresh};
use crate::guard::verdict::{Pass, Step, Verdict};
use crate::guard::{Guard, Mode, Preflight};
use crate::http::edits::ResponseEdits;
use crate::http::header::HeaderLine;
use crate::http::request::{RequestSnapshot, RequestView, SingleField, single_field};
use crate::http::response::Response;
use crate::http::source::{Carrier, PresentedToken};
use crate::token::claims::Verified;
use crate::token::verify::Unverified;

impl<T: DeserializeOwned + Send + Sync + 'static> Guard<T> {
    /// Decides about a request that may have passed another guard before. `outer` is the context in
    /// the request's extensions; one of another authenticator has no effect.
    ///
    /// If the outer guard has proved an identity, this guard takes it over and checks its own
    /// requirements, and the CSRF rule again. Without a login page and a responder of its own it
    /// refuses as the outer guard does.
    ///
    /// # Security
    /// The identity is not compared with the request's token: pass only the context of the same
    /// request.
    #[must_use]
    pub fn check_within(&self, outer: Option<&AuthContext>, request: &dyn RequestView) -> Step {
        let outer = outer.filter(|outer| self.runtime.is_beside(&outer.runtime));
        let Some(outer) = outer else {
            return self.check(request);
        };
        let guard = self.with_refusals_of(&outer.runtime);
        match outer.identity.as_ref().and_then(Identity::verified) {
            Some((verified, carrier)) if !self.passes_preflight(request) => {
                Step::Done(guard.admit(verified, carrier, request, ResponseEdits::default()))
            }
            _ => guard.check(request),
        }
    }

    /// This guard, with the refusals of the outer one if it has none of its own.
    fn with_refusals_of(&self, outer: &Arc<GuardRuntime>) -> Cow<'_, Self> {
        let is_plain = |runtime: &GuardRuntime| runtime.requests.refusals.is_plain();
        if !is_plain(&self.runtime) || is_plain(outer) {
            return Cow::Borrowed(self);
        }
        let mut guard = self.clone();
        guard.runtime = Arc::clone(outer);
        Cow::Owned(guard)
    }

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
        if self.passes_preflight(request) {
            return Ok(None);
        }
        match self.runtime.requests.sources.find(request)? {
            Some(token) => Ok(Some(token)),
            None => Err(AuthError::new(
                AuthErrorKind::MissingCredential,
                Cause::Absent,
            )),
        }
    }

    fn passes_preflight(&self, request: &dyn RequestView) -> bool {
        self.preflight == Preflight::Passes && is_preflight(request)
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
        let error = match self.authenticator.verifier.verify(token.expose()) {
            Ok(verified) => {
                return Step::Done(self.admit(
                    verified,
                    carrier,
                    request,
                    ResponseEdits::default(),
                ));
            }
            Err(Unverified::Refused(error)) => error,
            Err(unverified) => return self.judge_later(unverified, token, request),
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
        unverified: Unverified,
        token: PresentedToken<'_>,
        request: &dyn RequestView,
    ) -> Step {
        let guard = self.clone();
        let carrier = token.carrier();
        let token = Zeroizing::new(token.expose().to_owned());
        let detour = match carrier {
            Carrier::Cookie => self.silent_detour(request),
            Carrier::Header => None,
        };
        let request = self.runtime.requests.snapshot(request);
        Step::Wait(Box::pin(async move {
            match guard
                .authenticator
                .verifier
                .resume(unverified, &token)
                .await
            {
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
        let GuardRuntime { requests, validity } = &*self.runtime;
        let claims = &verified.registered;
        if carrier == Carrier::Cookie
            && let Err(cause) = requests.csrf.check(request)
        {
            let error = AuthError::new(AuthErrorKind::CrossSite, cause);
            return Verdict::Refuse(requests.refuse(error, Some(claims), request));
        }
        if let Err(error) = self
            .requirements
            .as_check()
            .check(claims, || validity.now())
        {
            let refusal = requests.refuse(error, Some(claims), request);
            return Verdict::Refuse(refusal.with_edits(edits));
        }
        let context = AuthContext::identified(verified, carrier, Arc::clone(&self.runtime));
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
        let refusal = self.runtime.requests.refuse(error, None, request);
        Verdict::Refuse(refusal.with_lines(clearing))
    }

    /// The detour to take instead of this error, if there is one.
    fn detour(&self, error: &AuthError, request: &dyn RequestView) -> Option<Detour> {
        match error.cause() {
            Cause::Absent | Cause::Expired => self.silent_detour(request),
            _ => None,
        }
    }

    fn silent_detour(&self, request: &dyn RequestView) -> Option<Detour> {
        let sessions = self.silent_refresh.as_ref()?;
        Detour::of(sessions, self.requests(), request, self.interstitial)
    }

    fn take(&self, detour: Detour, error: AuthError, request: &dyn RequestView) -> Step {
        let refresh = match detour {
            Detour::Interstitial(page) => return Step::Done(mended(error, page)),
            Detour::Refresh(refresh) => refresh,
        };
        let guard = self.clone();
        let request = self.runtime.requests.snapshot(request);
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
        let context = AuthContext::anonymous(Arc::clone(&self.runtime), cause);
        Verdict::Pass(Pass::new(context, edits))
    }

    fn refuse(&self, error: AuthError, request: &dyn RequestView) -> Verdict {
        Verdict::Refuse(self.runtime.requests.refuse(error, None, request))
    }
}

/// A refusal that is not counted: the browser repeats the request at once.
fn mended(error: AuthError, response: Response) -> Verdict {
    Verdict::Refuse(Refusal::mended(error, response))
}

fn is_preflight(request: &dyn RequestView) -> bool {
    let has = |name| matches!(single_field(request, name), SingleField::One(_));
    request.method() == "OPTIONS" && has("origin") && has("access-control-request-method")
}

impl<T: DeserializeOwned + Send + Sync + 'static> Authenticator<T> {
    /// Decides about a request on routes that require a token and nothing more.
    #[must_use]
    pub fn authenticate(self: &Arc<Self>, request: &dyn RequestView) -> Step {
        self.guard().check(request)
    }
}
