//! [`RequestRules`]: how an app reads tokens from requests, and how it responds.

use std::sync::Arc;

use crate::base::client::ClientInfo;
use crate::base::error::{AuthError, AuthErrorKind};
use crate::guard::refusal::{Refusal, RefusalRenderer};
use crate::http::cookies::CookieTransport;
use crate::http::csrf::CsrfPolicy;
use crate::http::header::{HeaderLine, SET_COOKIE};
use crate::http::request::{RequestSnapshot, RequestView};
use crate::http::source::TokenSources;
use crate::observe::events::{Event, Events};
use crate::session::Unavailable;
use crate::session::cookies::CookieHead;
use crate::token::claims::RegisteredClaims;

/// The part of an authenticator that speaks HTTP: token sources, cookies, the CSRF rule, refusals.
#[derive(Clone, Debug)]
pub(crate) struct RequestRules {
    pub(crate) sources: TokenSources,
    pub(crate) csrf: CsrfPolicy,
    pub(crate) cookies: Option<Arc<dyn CookieTransport>>,
    pub(super) max_cookie_bytes: usize,
    pub(super) refusals: RefusalRenderer,
    pub(super) events: Option<Arc<dyn Events>>,
    /// Header field in which a proxy puts the client's address.
    pub(super) client_ip_field: Option<Box<str>>,
}

impl RequestRules {
    /// The cookie settings of a response.
    pub(crate) fn cookie_head(&self) -> Option<CookieHead<'_>> {
        Some(CookieHead {
            cookies: &**self.cookies.as_ref()?,
            limit: self.max_cookie_bytes,
        })
    }

    /// The header lines that delete the cookies of this app.
    pub(crate) fn clearing_lines(&self) -> Vec<HeaderLine> {
        let texts = self.cookies.iter().flat_map(|cookies| cookies.clear());
        texts
            .map(|text| HeaderLine::new(SET_COOKIE, text))
            .collect()
    }

    /// The parts of a request that are kept during a wait.
    pub(crate) fn snapshot(&self, request: &dyn RequestView) -> RequestSnapshot {
        let client_ip = self.client_ip_field.as_deref();
        let extra = [self.csrf.required_header(), client_ip];
        RequestSnapshot::of(request, extra.into_iter().flatten())
    }

    /// The client of a request.
    pub(crate) fn client_of(&self, request: &dyn RequestView) -> ClientInfo {
        ClientInfo::of(request, self.client_ip_field.as_deref())
    }

    /// Creates the refusal of a request. Emits an event if permissions are missing. The claims are
    /// those of the request, if known.
    pub(crate) fn refuse(
        &self,
        error: AuthError,
        who: Option<&RegisteredClaims>,
        request: &dyn RequestView,
    ) -> Refusal {
        let denied = matches!(
            error.kind(),
            AuthErrorKind::CrossSite | AuthErrorKind::Forbidden | AuthErrorKind::InsufficientScope
        );
        if denied && let Some(events) = &self.events {
            events.on_event(&Event::Refused {
                issuer: who.and_then(RegisteredClaims::issuer),
                subject: who.and_then(RegisteredClaims::subject),
                session: who.and_then(RegisteredClaims::session),
                cause: error.cause(),
                client: &self.client_of(request),
            });
        }
        self.refusals.refuse(error, request)
    }

    /// Applies the CSRF rule to a request without a token.
    pub(crate) fn check_csrf(&self, request: &dyn RequestView) -> Result<(), Refusal> {
        self.csrf.check_always(request).map_err(|cause| {
            let error = AuthError::new(AuthErrorKind::CrossSite, cause);
            self.refuse(error, None, request)
        })
    }

    /// Creates the refusal for an unavailable session store.
    pub(crate) fn store_unavailable(
        &self,
        source: Unavailable,
        request: &dyn RequestView,
    ) -> Refusal {
        self.refuse(AuthError::store_unavailable(source), None, request)
    }
}
