//! The example app on axum: a page to sign in with, routes that need a token, one that needs the
//! scope `admin`. `examples/actix` is the same app on actix-web.
//!
//! Browsers get the access token in a cookie that script cannot read; other clients ask for it in
//! the response's body and send it back in the `Authorization` header.

use std::error::Error;
use std::sync::Arc;

use auth_cookie::CookiePolicy;
use auth_core::{AccessTokenRequest, Authenticator, CookieTransport, Issuer};
use auth_tower::{AuthLayer, Claims, MaybeClaims, RequestHead};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use example_shared::page::{self, View};
use example_shared::{
    AUDIENCE, BODY_LIMIT, Config, ISSUER, LoginRequest, Profile, Reply, Transport, Users,
    signing_key, welcome,
};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// What the handlers share.
struct Service {
    users: Arc<Users>,
    issuer: Issuer,
    auth: Arc<Authenticator<Profile>>,
    cookies: CookiePolicy,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .init();
    let config = Config::from_env(3000)?;
    let (users, demo) = Users::seeded(&config)?;

    let cookies = CookiePolicy::server_rendered();
    let issuer = Issuer::for_issuer(ISSUER)
        .audience(AUDIENCE)
        .keys(signing_key(&config.data_dir)?)?;
    let auth = issuer
        .authenticator::<Profile>()
        .with_cookies(cookies.clone())
        .with_login_page("/")
        .build()?;

    let anybody = AuthLayer::new(auth.guard().optional());
    let signed_in = AuthLayer::new(auth.guard());
    let admins = AuthLayer::new(auth.guard().require_scope("admin")?);
    let service = Arc::new(Service {
        users,
        issuer,
        auth,
        cookies,
    });

    let mut app = Router::new()
        .route("/", get(index).route_layer(anybody))
        .route("/me", get(me).route_layer(signed_in))
        .route("/admin", get(admin).route_layer(admins))
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .route("/.well-known/jwks.json", get(jwks));
    for path in page::files() {
        app = app.route(path, get(file));
    }
    let app = app
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(service);

    let listener = TcpListener::bind((config.host, config.port)).await?;
    println!("{}", welcome(listener.local_addr()?, &demo));
    axum::serve(listener, app)
        .with_graceful_shutdown(asked_to_stop())
        .await?;
    Ok(())
}

/// Ctrl-C or SIGTERM.
async fn asked_to_stop() {
    let (interrupt, terminate) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Any visitor: the page shows whether they are signed in.
async fn index(MaybeClaims(user): MaybeClaims<Profile>) -> Answer {
    page::index(View {
        framework: "axum",
        user: user.as_ref(),
        error: None,
    })
    .into()
}

/// Whoever has a good token.
async fn me(Claims(user): Claims<Profile>) -> Answer {
    Reply::identity(&user).into()
}

/// Whoever has a good token with the scope `admin`.
async fn admin(Claims(user): Claims<Profile>) -> Answer {
    Reply::json(&serde_json::json!({ "secret": format!("for {} only", user.name) })).into()
}

async fn log_in(
    State(service): State<Arc<Service>>,
    request: axum::http::request::Parts,
    body: Bytes,
) -> Result<Answer, Answer> {
    let content_type = request
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let login = LoginRequest::read(content_type, &body)?;
    if login.transport == Transport::Cookie {
        // Nobody may be signed in by another site, to an account that is not theirs.
        service.auth.check_same_site(&RequestHead::from(&request))?;
    }
    let Some(user) = service.users.check(&login.username, &login.password).await else {
        return Err(wrong_password(&login));
    };
    let token_request = AccessTokenRequest::for_subject(user.username)
        .scope(user.scope)
        .claims(&Profile { name: user.name })?;
    let token = service.issuer.mint(&token_request).await?;
    if login.transport == Transport::Body {
        return Ok(Reply::token(&token).into());
    }
    let cookie = service
        .cookies
        .set_access(token.expose(), Some(token.expires_in()))?;
    let reply = if login.is_form {
        Reply::see_other("/")
    } else {
        Reply::no_content()
    };
    Ok(reply.with_header("set-cookie", cookie).into())
}

/// The same for an unknown user, so that nobody learns who has an account.
fn wrong_password(login: &LoginRequest) -> Answer {
    let error = "Unknown user name or wrong password.";
    if login.is_form {
        page::index(View {
            framework: "axum",
            user: None,
            error: Some(error),
        })
        .into()
    } else {
        Reply::problem(403, error).into()
    }
}

/// Without a guard: whoever's token has expired may sign out as well.
async fn log_out(State(service): State<Arc<Service>>, request: Request) -> Result<Answer, Answer> {
    service.auth.check_same_site(&RequestHead::from(&request))?;
    let from_script = request
        .headers()
        .get(ACCEPT)
        .is_some_and(|value| value == "application/json");
    let mut reply = if from_script {
        Reply::no_content()
    } else {
        Reply::see_other("/")
    };
    for cookie in service.cookies.clear() {
        reply = reply.with_header("set-cookie", cookie);
    }
    Ok(reply.into())
}

/// The public keys, for services that accept our tokens.
async fn jwks(State(service): State<Arc<Service>>) -> Answer {
    Reply::new(200, "application/jwk-set+json", service.issuer.jwks()).into()
}

async fn file(uri: Uri) -> Answer {
    page::file(uri.path())
        .unwrap_or_else(|| Reply::problem(404, "not found"))
        .into()
}

/// A [`Reply`] as axum wants it.
struct Answer(Reply);

impl<R: Into<Reply>> From<R> for Answer {
    fn from(reply: R) -> Self {
        Self(reply.into())
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::builder().status(self.0.status);
        for (name, value) in self.0.headers {
            response = response.header(name, value);
        }
        let response = response.body(Body::from(self.0.body));
        response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }
}
