//! The app: a page, a button, the redirect to the provider and the redirect back.

use std::sync::Arc;
use std::time::Duration;

use auth_cookie::CookiePolicy;
use auth_core::revocation::{Revocations, StalePolicy};
use auth_core::session::{LoginRequest, RefreshKey, Sessions};
use auth_core::testing::MemoryStore;
use auth_core::{
    Algorithm, AuthErrorKind, Authenticator, Guard, Issuer, Key, Requires, SessionRoute,
    SessionRoutes, SystemClock,
};
use auth_tower::{
    AuthLayer, AuthRejection, Claims, MaybeClaims, RequestHead, Require, SessionAnswer,
    session_routes,
};
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};

use crate::accounts::{Accounts, Profile};
use crate::oidc::{Answer, Oidc, Settings, SignedIn, StepUp};
use crate::pending::{Pending, PendingCookie};
use crate::{Failure, page};

/// State shared by the handlers. Clones share it.
#[derive(Clone)]
pub struct App(Arc<AppState>);

struct AppState {
    oidc: Oidc,
    provider: String,
    pending: PendingCookie,
    accounts: Arc<Accounts>,
    auth: Arc<Authenticator<Profile>>,
    pages: Guard<Profile>,
    routes: SessionRoutes<Profile>,
}

impl App {
    /// Creates an app whose users log in at one provider. Keys and sessions end with it; the other
    /// examples persist them.
    pub fn new(settings: Settings) -> Result<Self, Failure> {
        let (key, _) = Key::generate("example-1", Algorithm::Es256)?;
        let issuer = Issuer::for_issuer("https://app.example")
            .audience("https://app.example")
            .keys(key)?;
        let accounts = Arc::new(Accounts::default());
        let store = Arc::new(MemoryStore::new());
        // One process and a store in memory: no other node can revoke anything.
        let revocations = Revocations::new(StalePolicy::FailOpen, Arc::new(SystemClock));
        let sessions = Sessions::builder(issuer.clone(), store, RefreshKey::ephemeral()?)
            .with_claims(accounts.clone())
            .with_revocations(revocations.clone())
            .build()?;
        // SameSite=Lax, like the cookie of the pending login: another site opens the page to which
        // users return.
        let auth = issuer
            .authenticator::<Profile>()
            .with_cookies(CookiePolicy::server_rendered())
            .with_revocations(revocations)
            .build()?;
        let pages = auth.guard().with_silent_refresh(sessions.clone())?;
        let oidc = Oidc::new(settings)?;
        Ok(Self(Arc::new(AppState {
            provider: oidc.origin()?,
            oidc,
            pending: PendingCookie::new()?,
            accounts,
            routes: SessionRoutes::new(sessions, auth.clone())?,
            auth,
            pages,
        })))
    }

    /// The routes.
    pub fn router(&self) -> Router {
        let app = &self.0;
        let visitors = AuthLayer::new(app.pages.clone().with_anonymous());
        let users = AuthLayer::new(app.pages.clone());
        Router::new()
            .route("/me", get(me).route_layer(users.clone()))
            .route("/account", get(account).route_layer(users))
            .route("/", get(home).route_layer(visitors))
            .route("/login", post(begin))
            .route("/callback", get(come_back))
            .route("/logout", post(log_out))
            .merge(session_routes(app.routes.clone()))
            .with_state(self.clone())
    }
}

async fn home(State(App(app)): State<App>, MaybeClaims(user): MaybeClaims<Profile>) -> Response {
    page::home(user.as_ref(), &app.provider)
}

async fn me(Claims(user): Claims<Profile>) -> Json<serde_json::Value> {
    Json(serde_json::json!({
        "subject": user.subject(),
        "name": user.name,
        "acr": user.acr(),
        "amr": user.amr().collect::<Vec<_>>(),
    }))
}

/// Requires a login within the last five minutes.
struct Recent;

impl Requires for Recent {
    const MAX_AGE: Option<Duration> = Some(Duration::from_secs(300));
}

/// A page that requires a recent login. A user whose login is too old or has no date is redirected
/// to the provider again. If the second login has no date either, the response is 403 and remains
/// so.
async fn account(
    State(App(app)): State<App>,
    Claims(user): Claims<Profile>,
    recent: Result<Require<Recent>, AuthRejection>,
) -> Response {
    match recent {
        Ok(_) => page::account(&user, &app.provider),
        Err(refused) => match refused.error().kind() {
            AuthErrorKind::InsufficientAuthentication => {
                let mut page = page::sign_in_again(refused.error(), &app.provider);
                // Clients other than browsers get a challenge (RFC 9470).
                if let Some(challenge) = refused.into_response().headers().get(WWW_AUTHENTICATE) {
                    page.headers_mut()
                        .insert(WWW_AUTHENTICATE, challenge.clone());
                }
                page
            }
            _ => refused.into_response(),
        },
    }
}

/// Redirects the user to the provider. Only by POST from the app's own pages, so that another site
/// cannot begin a login for a visitor.
async fn begin(State(App(app)): State<App>, request: Parts, body: String) -> Response {
    if let Err(refusal) = app.auth.check_csrf(&RequestHead::from(&request)) {
        return SessionAnswer::from(refusal.into_parts().1).into_response();
    }
    let sent = async {
        let step_up: StepUp = serde_urlencoded::from_str(&body)?;
        let (url, pending) = app.oidc.begin(&step_up).await?;
        Ok::<_, Failure>((url, app.pending.set(&pending)?))
    };
    match sent.await {
        Ok((url, cookie)) => {
            let headers = [(LOCATION, url.to_string()), (SET_COOKIE, cookie)];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "the provider cannot be reached");
            page::failed(StatusCode::SERVICE_UNAVAILABLE, &app.provider)
        }
    }
}

/// The redirect URI. The request may be forged.
async fn come_back(State(App(app)): State<App>, request: Parts) -> Response {
    let (answer, pending) = match answered(&app, &request) {
        Ok(answered) => answered,
        // The pending login stays, because a forged request must not end it.
        Err(error) => return not_completed(&app, error),
    };
    let mut response = match app.oidc.finish(answer, pending).await {
        Ok(user) => sign_in(&app, &request, user).await,
        Err(error) => not_completed(&app, error),
    };
    if let Ok(cleared) = HeaderValue::try_from(app.pending.clear()) {
        response.headers_mut().append(SET_COOKIE, cleared);
    }
    response
}

/// The provider's response, and the pending login of this browser that it belongs to.
fn answered(app: &AppState, request: &Parts) -> Result<(Answer, Pending), Failure> {
    let answer: Answer = serde_urlencoded::from_str(request.uri.query().unwrap_or_default())?;
    let pending = app.pending.find(&RequestHead::from(request))?;
    let pending = pending.ok_or("this browser has not begun a login")?;
    if !pending.is_answered_by(&answer.state) {
        return Err("this browser has begun another login".into());
    }
    Ok((answer, pending))
}

/// The error goes to the log only: an attacker may read the page.
fn not_completed(app: &AppState, error: Failure) -> Response {
    tracing::info!(%error, "a login was not completed");
    page::failed(StatusCode::BAD_REQUEST, &app.provider)
}

/// Logs in the user, as after any other login: the session is new, and an old one of this browser
/// ends. Time and method of the login come from the ID token only, since a redirect proves neither.
async fn sign_in(app: &AppState, request: &Parts, user: SignedIn) -> Response {
    let account = app.accounts.find_or_add(user.identity, user.profile);
    let mut login = LoginRequest::for_subject(account).with_amr(user.methods);
    if let Some(auth_time) = user.auth_time {
        login = login.with_auth_time(auth_time);
    }
    if let Some(class) = user.class {
        login = login.with_acr(class);
    }
    let head = RequestHead::from(request);
    let answer = app.routes.login_after_redirect(&head, login).await;
    then_show_home(SessionAnswer::from(answer).into_response())
}

/// The logout form; script calls `/auth/logout`.
async fn log_out(State(App(app)): State<App>, request: Parts) -> Response {
    let head = RequestHead::from(&request);
    let answer = app.routes.respond(SessionRoute::Logout, &head, b"").await;
    then_show_home(SessionAnswer::from(answer).into_response())
}

/// Redirects to the page after a success. The cookies stay in the response.
fn then_show_home(mut response: Response) -> Response {
    if response.status().is_success() {
        *response.status_mut() = StatusCode::SEE_OTHER;
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(CONTENT_TYPE);
        let home = HeaderValue::from_static("/");
        response.headers_mut().insert(LOCATION, home);
    }
    response
}
