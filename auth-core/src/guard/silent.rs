//! Silent refresh, for pages that a server renders: the guard itself refreshes a session whose
//! access cookie has expired.
//!
//! 1. Only if the access cookie's token has expired, or the access cookie is gone while the refresh
//!    cookie is there. A token that is bad for another reason is no reason to refresh. Never on a
//!    request that asks for another protocol.
//! 2. Only if `Sec-Fetch-Site` says, once, that the request is this site's own or the user's
//!    (`same-origin`, `none`). Beyond `GET` and `HEAD` it must be `same-origin`, and the CSRF rule
//!    must pass. A navigation that another site may have caused gets the [interstitial page],
//!    unless the guard leaves it out.
//! 3. Nothing is let through that had to be written. If the token moves on, the answer is ours,
//!    before the app hears of the request: a redirect to the same URL with both cookies, 303, or
//!    307 so that a form is sent again. So no page is read without a trace of the refresh, and
//!    however long a page takes, and whoever stops it, the new token is not lost with it.
//! 4. A token that stays as it is lets its request through. The page gets the access cookie alone,
//!    if it is ready within the request deadline: pages carry no refresh cookie.
//! 5. The identity comes from the new access token, verified like any other. While this node's list
//!    of revocations is too stale for that, nothing is refreshed.
//! 6. If the session is over, its cookies are cleared. Trouble of ours is 503, tokens that no
//!    cookie can hold are 500, and both leave the session as it is.
//!
//! [interstitial page]: super::interstitial

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::base::clock::{Clock, Timestamp};
use crate::base::error::{AuthError, AuthErrorKind, Cause};
use crate::guard::authenticator::Authenticator;
use crate::guard::interstitial::{Interstitial, interstitial};
use crate::http::answer::Response;
use crate::http::edits::ResponseEdits;
use crate::http::header::HeaderLine;
use crate::http::request::{RequestView, SingleField, asks_for_another_protocol, single_field};
use crate::http::same_url::SameUrl;
use crate::http::source::SecretToken;
use crate::observe::words::GrantKind;
use crate::revocation::Revocations;
use crate::session::{ClientInfo, RefreshOutcome, Sessions, Tokens};
use crate::token::claims::Verified;

/// What a guard does before it refuses a visitor who has a refresh cookie.
pub(crate) enum Detour {
    /// Send the browser to the same URL by a page of ours.
    Interstitial(Response),
    /// Refresh the session in the request's stead.
    Refresh(SilentRefresh),
}

/// A refresh that the guard is about to make in a request's stead.
pub(crate) struct SilentRefresh {
    sessions: Sessions,
    token: SecretToken,
    client: ClientInfo,
    redirect: Redirect,
}

/// The answer to a request whose session has moved on.
struct Redirect {
    status: u16,
    to: SameUrl,
}

/// What came of it.
pub(crate) enum Silent<T> {
    /// The session has moved on, and the browser must ask again.
    Moved(Response),
    /// The session stays as it is: an identity, and the access cookie that goes with it.
    Renewed(Arc<Verified<T>>, ResponseEdits),
    /// The session is over: these lines clear its cookies.
    Over(AuthError, Vec<HeaderLine>),
    /// Not a token to act on.
    Unchanged,
    /// Trouble of ours.
    Unavailable(AuthError),
}

impl Detour {
    /// Rules 1 and 2, but for what only the caller knows: that the access cookie is gone or its
    /// token has expired, and that no other credential was sent.
    pub(crate) fn of<T>(
        auth: &Authenticator<T>,
        request: &dyn RequestView,
        page: Interstitial,
    ) -> Option<Self> {
        let sessions = auth.silent_refresh.as_ref()?;
        if asks_for_another_protocol(request) {
            return None;
        }
        let token = auth.cookies()?.find_refresh(request).ok().flatten()?;
        let status = match (request.method(), single_field(request, "sec-fetch-site")) {
            ("GET" | "HEAD", SingleField::One(b"same-origin" | b"none")) => 303,
            ("GET", SingleField::One(b"cross-site" | b"same-site")) => {
                let shown = page == Interstitial::Shown && is_navigation(request);
                return shown.then(|| Self::Interstitial(interstitial(request)));
            }
            (_, SingleField::One(b"same-origin")) if auth.csrf.check_always(request).is_ok() => 307,
            _ => return None,
        };
        Some(Self::Refresh(SilentRefresh {
            sessions: sessions.clone(),
            token: SecretToken::of(token),
            client: auth.rules.client_of(request),
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
        let revocations = auth.rules.revocations.as_ref();
        if revocations.is_some_and(Revocations::is_too_stale) {
            return Silent::Unavailable(AuthError::unavailable(Cause::FeedStale));
        }
        let deadline = self.sessions.policy().request_deadline();
        let ready_by = auth.rules.clock.now().saturating_add(deadline);
        let token = self.token.expose();
        let head = auth.cookie_head();
        match self.sessions.refresh_into(token, &self.client, head).await {
            RefreshOutcome::Granted(tokens) => match tokens.kind() {
                GrantKind::Rotated | GrantKind::Recovered | GrantKind::Resumed => {
                    Silent::Moved(self.redirect.with(tokens))
                }
                _ => renewed(auth, tokens, ready_by).await,
            },
            RefreshOutcome::SessionEnded(_) => Silent::Over(
                AuthError::invalid_token(Cause::Revoked),
                auth.clearing_lines(),
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

/// Rules 4 and 5.
async fn renewed<T>(auth: &Authenticator<T>, tokens: Tokens, ready_by: Timestamp) -> Silent<T>
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    let verified = match auth.verify_any(tokens.access().expose()).await {
        Ok(verified) => verified,
        Err(error) if error.kind() == AuthErrorKind::Unavailable => {
            return Silent::Unavailable(error);
        }
        // Ended between the refresh and now, or the issuer is another one than the verifier's.
        Err(error) => return Silent::Over(error, Vec::new()),
    };
    match tokens.lines.into_iter().next() {
        Some(access) => {
            let clock: Arc<dyn Clock> = Arc::clone(&auth.rules.clock);
            Silent::Renewed(verified, ResponseEdits::renewing(access, clock, ready_by))
        }
        None => Silent::Unchanged,
    }
}

/// Fetch Metadata says that a browser shows the answer in a tab of its own.
fn is_navigation(request: &dyn RequestView) -> bool {
    single_field(request, "sec-fetch-mode") == SingleField::One(b"navigate")
        && single_field(request, "sec-fetch-dest") == SingleField::One(b"document")
}
