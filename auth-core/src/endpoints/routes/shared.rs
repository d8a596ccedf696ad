//! The shared state of all routes, and their common steps.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::base::error::{AuthError, AuthErrorKind, Cause};
use crate::base::id::SessionId;
use crate::endpoints::oauth_error::OAuthError;
use crate::endpoints::reply;
use crate::endpoints::routes::body::RefreshBody;
use crate::guard::Guard;
use crate::guard::authenticator::Authenticator;
use crate::guard::context::AuthContext;
use crate::guard::request_rules::RequestRules;
use crate::http::browser::navigates;
use crate::http::request::{RequestSnapshot, RequestView, SingleField, single_field};
use crate::http::response::{CLEAR_SITE_DATA, Response};
use crate::http::source::Carrier;
use crate::session::cookies::CookieHead;
use crate::session::{EndedBy, RefreshOutcome, Sessions, Unavailable};
use crate::token::claims::RegisteredClaims;

/// The carrier of the tokens of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// The response's JSON body, for clients without cookies: mobile, command line, services.
    Body,
    /// HttpOnly cookies, for browsers.
    Cookie,
}

pub(crate) struct RouteState<T> {
    pub(crate) sessions: Sessions,
    pub(crate) authenticator: Arc<Authenticator<T>>,
    pub(crate) guard: Guard<T>,
    /// Browser data to clear on logout.
    pub(crate) clear_site_data: Option<Box<str>>,
    /// Page to which a logout by a form leads.
    pub(crate) logout_page: Option<Box<str>>,
}

impl<T> Clone for RouteState<T> {
    fn clone(&self) -> Self {
        Self {
            sessions: self.sessions.clone(),
            authenticator: Arc::clone(&self.authenticator),
            guard: self.guard.clone(),
            clear_site_data: self.clear_site_data.clone(),
            logout_page: self.logout_page.clone(),
        }
    }
}

/// The user of a request, from a verified access token.
pub(crate) struct Who {
    subject: Box<str>,
    session: SessionId,
    carrier: Carrier,
    access: Zeroizing<String>,
    snapshot: RequestSnapshot,
}

impl Who {
    pub(crate) fn read<T: DeserializeOwned + Send + Sync + 'static>(
        shared: &RouteState<T>,
        context: &AuthContext,
        access: Option<Zeroizing<String>>,
        snapshot: RequestSnapshot,
    ) -> Result<Self, Response> {
        let who = context
            .require::<T>(&snapshot)
            .map_err(|refusal| refusal.into_parts().1)?;
        let refuse = |error| {
            let who = Some(who.registered());
            shared
                .requests()
                .refuse(error, who, &snapshot)
                .into_parts()
                .1
        };
        if !shared.is_own(who.issuer()) {
            return Err(refuse(AuthError::invalid_token(Cause::Issuer)));
        }
        let Some(session) = shared.own_session(who.registered()) else {
            return Err(refuse(AuthError::new(
                AuthErrorKind::Forbidden,
                Cause::Client,
            )));
        };
        Ok(Self {
            subject: who.subject().into(),
            session,
            carrier: who.carrier(),
            access: access.unwrap_or_default(),
            snapshot,
        })
    }

    fn transport(&self) -> Transport {
        match self.carrier {
            Carrier::Cookie => Transport::Cookie,
            Carrier::Header => Transport::Body,
        }
    }
}

impl<T> RouteState<T> {
    pub(crate) fn requests(&self) -> &RequestRules {
        self.guard.requests()
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> RouteState<T> {
    /// Finds the refresh token of a request and its carrier, by rules 1 and 3.
    pub(crate) fn presented(
        &self,
        request: &dyn RequestView,
        body: &[u8],
    ) -> Result<Option<(Zeroizing<String>, Transport)>, Response> {
        let cookies = self.requests().cookies.as_ref();
        let cookie = match cookies
            .map(|cookies| cookies.find_refresh(request))
            .transpose()
        {
            Ok(found) => found.flatten(),
            Err(_) => return Err(OAuthError::InvalidRequest.response()),
        };
        self.check_site(request, cookie.is_some())?;
        let body = RefreshBody::read(request, body).map_err(OAuthError::response)?;
        match (cookie, body.refresh_token) {
            (Some(_), Some(_)) => Err(OAuthError::InvalidRequest.response()),
            (Some(cookie), None) => {
                let token = Zeroizing::new(cookie.expose().to_owned());
                Ok(Some((token, Transport::Cookie)))
            }
            (None, Some(token)) => Ok(Some((Zeroizing::new(token), Transport::Body))),
            (None, None) => Ok(None),
        }
    }

    /// Checks rule 3.
    pub(crate) fn check_site(
        &self,
        request: &dyn RequestView,
        by_cookie: bool,
    ) -> Result<(), Response> {
        let says = |name| single_field(request, name) != SingleField::Absent;
        if by_cookie || says("origin") || says("sec-fetch-site") {
            let checked = self.requests().check_csrf(request);
            return checked.map_err(|refusal| refusal.into_parts().1);
        }
        Ok(())
    }

    /// Whether tokens of `issuer` name these subjects and sessions. The authenticator may trust
    /// other issuers too, whose `alice` is a different user.
    fn is_own(&self, issuer: &str) -> bool {
        issuer == self.sessions.issuer().name()
    }

    /// The session of a token. `None` for tokens that were issued to another client, or without a
    /// session: they have no access to sessions.
    fn own_session(&self, claims: &RegisteredClaims) -> Option<SessionId> {
        let own = claims.client_id()? == self.sessions.issuer().client_id();
        claims.session().filter(|_| own)
    }

    /// The user and the session of a valid access token, regardless of the rest of the request.
    pub(crate) async fn bearer_of(&self, access: &str) -> Option<(Box<str>, SessionId)> {
        let verified = self.authenticator.verifier.verify_any(access).await.ok()?;
        let claims = &verified.registered;
        if !self.is_own(claims.issuer()?) {
            return None;
        }
        Some((claims.subject()?.into(), self.own_session(claims)?))
    }

    pub(crate) fn access_token(&self, request: &dyn RequestView) -> Option<Zeroizing<String>> {
        let token = self.requests().sources.find(request).ok().flatten()?;
        Some(Zeroizing::new(token.expose().to_owned()))
    }

    pub(crate) async fn list(self: Arc<Self>, who: Who) -> Response {
        match self.sessions.list(&who.subject, Some(who.session)).await {
            Ok(devices) => reply::devices(&devices),
            Err(error) => self.unavailable(error, &who.snapshot),
        }
    }

    pub(crate) async fn end_session(self: Arc<Self>, who: Who, sid: Option<SessionId>) -> Response {
        let Some(sid) = sid else {
            return reply::not_found();
        };
        match self.sessions.end(sid, EndedBy::User(&who.subject)).await {
            Ok(true) if who.session == sid => self.signed_out(&who.snapshot),
            Ok(true) => reply::done(),
            Ok(false) => reply::not_found(),
            Err(error) => self.unavailable(error, &who.snapshot),
        }
    }

    pub(crate) async fn logout_others(self: Arc<Self>, who: Who) -> Response {
        let head = self.head(who.transport());
        let outcome = self
            .sessions
            .end_others_into(&who.subject, who.session, &who.access, head)
            .await;
        self.outcome(outcome, who.transport(), &who.snapshot)
    }

    pub(crate) async fn logout_all(self: Arc<Self>, who: Who) -> Response {
        match self
            .sessions
            .end_all(&who.subject, EndedBy::User(&who.subject))
            .await
        {
            Ok(()) => self.signed_out(&who.snapshot),
            Err(error) => self.unavailable(error, &who.snapshot),
        }
    }

    pub(crate) fn outcome(
        &self,
        outcome: RefreshOutcome,
        transport: Transport,
        request: &dyn RequestView,
    ) -> Response {
        match outcome {
            RefreshOutcome::Granted(tokens) => reply::granted(tokens),
            RefreshOutcome::SessionEnded(_) => {
                OAuthError::InvalidGrant
                    .response()
                    .with_cookies(match transport {
                        Transport::Cookie => self.requests().clearing_lines(),
                        Transport::Body => Vec::new(),
                    })
            }
            RefreshOutcome::TokenRejected(_) => OAuthError::InvalidGrant.response(),
            RefreshOutcome::Unavailable(error) => self.unavailable(error, request),
        }
    }

    /// The cookie settings of a response, if it has cookies.
    pub(crate) fn head(&self, transport: Transport) -> Option<CookieHead<'_>> {
        match transport {
            Transport::Cookie => self.requests().cookie_head(),
            Transport::Body => None,
        }
    }

    pub(crate) fn signed_out(&self, request: &dyn RequestView) -> Response {
        let response = match &self.logout_page {
            Some(page) if navigates(request) => reply::see_other(page),
            _ => reply::done(),
        };
        let response = response.with_cookies(self.requests().clearing_lines());
        match &self.clear_site_data {
            Some(kinds) => response.with_header(CLEAR_SITE_DATA, &**kinds),
            None => response,
        }
    }

    pub(crate) fn unavailable(&self, source: Unavailable, request: &dyn RequestView) -> Response {
        self.requests()
            .store_unavailable(source, request)
            .into_parts()
            .1
    }

    pub(crate) fn snapshot(&self, request: &dyn RequestView) -> RequestSnapshot {
        self.requests().snapshot(request)
    }
}
