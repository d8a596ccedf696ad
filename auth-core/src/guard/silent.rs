//! Silent refresh for server-rendered pages: the guard itself refreshes a session whose access
//! cookie has expired.
//!
//! 1. It applies only if the access cookie's token has expired, or the access cookie is missing while
//!    the refresh cookie is present. A token that is invalid for another reason is not refreshed, nor
//!    is a request that switches to another protocol.
//! 2. `Sec-Fetch-Site` must be present once and say that the request comes from this site or from the
//!    user (`same-origin`, `none`). For methods other than `GET` and `HEAD` it must be `same-origin`,
//!    and the CSRF rule must pass. A navigation that another site may have caused gets the
//!    [interstitial page], unless the guard omits it.
//! 3. A rotation never lets the request through. If the refresh token rotates, the response is a
//!    redirect to the same URL with both cookies, before the app sees the request. Its status is
//!    303, or 307 so that a form is sent again. A slow or cancelled page then cannot lose the new
//!    tokens.
//! 4. If the refresh token stays, the request passes. The response gets the access cookie only, if it
//!    is ready within the request deadline: pages carry no refresh cookie.
//! 5. The identity comes from the new access token, verified like any other. While this node's
//!    revocation list is too stale for that, nothing is refreshed.
//! 6. If the session has ended, its cookies are cleared. Unavailable infrastructure is 503, tokens
//!    that exceed a cookie are 500, and both leave the session unchanged.
//!
//! [interstitial page]: super::interstitial

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::base::clock::{Clock, Timestamp};
use crate::base::error::{AuthError, AuthErrorKind, Cause};
use crate::guard::authenticator::Authenticator;
use crate::guard::interstitial::{Interstitial, interstitial};
use crate::guard::request_rules::RequestRules;
use crate::http::edits::ResponseEdits;
use crate::http::header::HeaderLine;
use crate::http::request::{RequestView, SingleField, asks_for_another_protocol, single_field};
use crate::http::response::Response;
use crate::http::same_url::SameUrl;
use crate::http::source::SecretToken;
use crate::observe::words::GrantKind;
use crate::revocation::Revocations;
use crate::session::{ClientInfo, RefreshOutcome, Sessions, Tokens};
use crate::token::claims::Verified;

/// The action of a guard before it refuses a request that has a refresh cookie.
pub(crate) enum Detour {
    /// Redirect the browser to the same URL by an interstitial page.
    Interstitial(Response),
    /// Refresh the session on behalf of the request.
    Refresh(SilentRefresh),
}

/// A refresh that the guard makes on behalf of a request.
pub(crate) struct SilentRefresh {
    sessions: Sessions,
    token: SecretToken,
    client: ClientInfo,
    redirect: Redirect,
}

/// The redirect for a request whose session has rotated.
struct Redirect {
    status: u16,
    to: SameUrl,
}

/// The result of a silent refresh.
pub(crate) enum Silent<T> {
    /// The session has rotated, and the browser must repeat the request.
    Moved(Response),
    /// The session stays: an identity, and the access cookie for it.
    Renewed(Arc<Verified<T>>, ResponseEdits),
    /// The session has ended: these lines clear its cookies.
    Over(AuthError, Vec<HeaderLine>),
    /// The refresh token is not usable.
    Unchanged,
    /// The infrastructure is unavailable.
    Unavailable(AuthError),
}

impl Detour {
    /// Checks rules 1 and 2. The caller checks that the access cookie is missing or its token
    /// expired, and that no other credential was sent.
    pub(crate) fn of(
        sessions: &Sessions,
        rules: &RequestRules,
        request: &dyn RequestView,
        page: Interstitial,
    ) -> Option<Self> {
        if asks_for_another_protocol(request) {
            return None;
        }
        let cookies = rules.cookies.as_ref()?;
        let token = cookies.find_refresh(request).ok().flatten()?;
        let status = match (request.method(), single_field(request, "sec-fetch-site")) {
            ("GET" | "HEAD", SingleField::One(b"same-origin" | b"none")) => 303,
            ("GET", SingleField::One(b"cross-site" | b"same-site")) => {
                let shown = page == Interstitial::Shown && is_navigation(request);
                return shown.then(|| Self::Interstitial(interstitial(request)));
            }
            (_, SingleField::One(b"same-origin")) if rules.csrf.check_always(request).is_ok() => {
                307
            }
            _ => return None,
        };
        Some(Self::Refresh(SilentRefresh {
            sessions: sessions.clone(),
            token: SecretToken::of(token),
            client: rules.client_of(request),
            redirect: Redirect {
                status,
                to: SameUrl::of(request.target()),
            },
        }))
    }
}

impl SilentRefresh {
    pub(crate) async fn run<T>(self, auth: &Authenticator<T>) -> Silent<T>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let revocations = auth.verifier.validity.revocations.as_ref();
        if revocations.is_some_and(Revocations::is_too_stale) {
            return Silent::Unavailable(AuthError::unavailable(Cause::FeedStale));
        }
        let deadline = self.sessions.policy().request_deadline();
        let ready_by = auth.verifier.validity.now().saturating_add(deadline);
        let token = self.token.expose();
        let head = auth.requests.cookie_head();
        match self.sessions.refresh_into(token, &self.client, head).await {
            RefreshOutcome::Granted(tokens) => match tokens.kind() {
                GrantKind::Rotated | GrantKind::Recovered | GrantKind::Resumed => {
                    Silent::Moved(self.redirect.with(tokens))
                }
                _ => renewed(auth, tokens, ready_by).await,
            },
            RefreshOutcome::SessionEnded(_) => Silent::Over(
                AuthError::invalid_token(Cause::Revoked),
                auth.requests.clearing_lines(),
            ),
            RefreshOutcome::TokenRejected(_) => Silent::Unchanged,
            RefreshOutcome::Unavailable(unavailable) => {
                Silent::Unavailable(AuthError::store_unavailable(unavailable))
            }
        }
    }
}

impl Redirect {
    fn with(&self, tokens: Tokens) -> Response {
        Response::new(self.status)
            .with_header("location", self.to.as_str())
            .no_store()
            .with_cookies(tokens.lines)
    }
}

/// Applies rules 4 and 5.
async fn renewed<T>(auth: &Authenticator<T>, tokens: Tokens, ready_by: Timestamp) -> Silent<T>
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    let verified = match auth.verifier.verify_any(tokens.access().expose()).await {
        Ok(verified) => verified,
        Err(error) if error.kind() == AuthErrorKind::Unavailable => {
            return Silent::Unavailable(error);
        }
        // The session ended after the refresh, or the sessions' issuer is not the verifier's.
        Err(error) => return Silent::Over(error, Vec::new()),
    };
    match tokens.lines.into_iter().next() {
        Some(access) => {
            let clock: Arc<dyn Clock> = Arc::clone(&auth.verifier.validity.clock);
            Silent::Renewed(verified, ResponseEdits::renewing(access, clock, ready_by))
        }
        None => Silent::Unchanged,
    }
}

/// Whether Fetch Metadata says that the response is shown in a browser tab.
fn is_navigation(request: &dyn RequestView) -> bool {
    single_field(request, "sec-fetch-mode") == SingleField::One(b"navigate")
        && single_field(request, "sec-fetch-dest") == SingleField::One(b"document")
}
