//! Silent refresh, for pages that a server renders: the guard itself refreshes a session whose
//! access cookie has expired, and lets the request through.
//!
//! 1. Only if the access cookie's token has expired, or the access cookie is gone while the refresh
//!    cookie is there. A token that is bad for another reason is no reason to refresh.
//! 2. Only on `GET` and `HEAD`, and only if the request is proven to come from this site or is a
//!    top-level navigation, which shows its answer to the user and to nobody else.
//! 3. The identity comes from the new access token, verified like any other.
//! 4. The cookies go out with the app's own response. A response that took longer than half of
//!    settle − window leaves out its refresh cookie: by then the browser may hold a newer one.
//! 5. If the session is over, its cookies are cleared; trouble with the store is 503.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::base::clock::{Clock, Timestamp};
use crate::base::error::{AuthError, Cause};
use crate::endpoints::reply::cookie_lines;
use crate::guard::authenticator::Authenticator;
use crate::guard::verdict::ResponseEdits;
use crate::http::answer::HeaderLine;
use crate::http::request::{RequestView, SingleField, single_field};
use crate::http::source::SecretToken;
use crate::session::{ClientInfo, Outcome, Sessions, Tokens};
use crate::token::claims::Verified;

/// A refresh that the guard is about to make in a request's stead.
#[derive(Debug)]
pub(crate) struct SilentRefresh {
    sessions: Sessions,
    token: SecretToken,
    client: ClientInfo,
}

/// What came of it.
pub(crate) enum Silent<T> {
    /// A new identity, and the cookies that go with it.
    Renewed(Arc<Verified<T>>, ResponseEdits),
    /// The session is over: these lines clear its cookies.
    Over(AuthError, Vec<HeaderLine>),
    /// Not a token to act on.
    Unchanged,
    /// Nobody knows.
    Unavailable(AuthError),
}

impl SilentRefresh {
    /// Rules 1 and 2, but for what only the caller knows: that the access cookie is gone or its
    /// token has expired, and that no other credential was sent.
    pub(crate) fn of<T>(auth: &Authenticator<T>, request: &dyn RequestView) -> Option<Self> {
        let sessions = auth.silent_refresh.as_ref()?;
        if !matches!(request.method(), "GET" | "HEAD") {
            return None;
        }
        if !is_navigation(request) && auth.csrf.check_always(request).is_err() {
            return None;
        }
        let token = auth.cookies()?.find_refresh(request).ok().flatten()?;
        let token = SecretToken::of(token);
        Some(Self {
            sessions: sessions.clone(),
            token,
            client: auth.rules.client_of(request),
        })
    }

    pub(crate) async fn run<T>(self, auth: &Authenticator<T>) -> Silent<T>
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let began = auth.rules.clock.now();
        match self
            .sessions
            .refresh(self.token.expose(), &self.client)
            .await
        {
            Outcome::Granted(tokens) => {
                let limit = self.sessions.policy().silent_answer_limit();
                renewed(auth, &tokens, began, limit).await
            }
            Outcome::Terminal(_) => Silent::Over(
                AuthError::invalid_token(Cause::Revoked),
                auth.clearing_lines(),
            ),
            Outcome::Refused(_) => Silent::Unchanged,
            Outcome::Transient(unavailable) => {
                Silent::Unavailable(AuthError::store_unavailable(unavailable))
            }
        }
    }
}

async fn renewed<T>(
    auth: &Authenticator<T>,
    tokens: &Tokens,
    began: Timestamp,
    limit: Duration,
) -> Silent<T>
where
    T: DeserializeOwned + Send + Sync + 'static,
{
    let verified = match auth.verify_any(tokens.access().expose()).await {
        Ok(verified) => verified,
        // Ended between the refresh and now, or the issuer is another one than the verifier's.
        Err(error) => return Silent::Over(error, Vec::new()),
    };
    let Some(cookies) = auth.cookies() else {
        return Silent::Unchanged;
    };
    match cookie_lines(&**cookies, tokens) {
        Ok(lines) => {
            let clock: Arc<dyn Clock> = Arc::clone(&auth.rules.clock);
            Silent::Renewed(
                verified,
                ResponseEdits::renewing(lines, clock, began, limit),
            )
        }
        Err(error) => {
            tracing::error!(target: "auth::setup", "{error}");
            Silent::Unchanged
        }
    }
}

/// Fetch Metadata says that a browser shows the answer in a tab of its own.
fn is_navigation(request: &dyn RequestView) -> bool {
    single_field(request, "sec-fetch-mode") == SingleField::One(b"navigate")
        && single_field(request, "sec-fetch-dest") == SingleField::One(b"document")
}
