//! The example app on actix-web: a page to sign in with, routes that need a token, one that needs
//! the scope `admin`. `examples/axum` is the same app on axum.
//!
//! Browsers get the access token in a cookie that script cannot read; other clients ask for it in
//! the response's body and send it back in the `Authorization` header.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, ResponseError};
use auth_actix::{AuthMiddleware, Claims, MaybeClaims, RequestHead};
use auth_cookie::CookiePolicy;
use auth_core::{AccessTokenRequest, Authenticator, CookieTransport, Issuer};
use example_shared::page::{self, View};
use example_shared::{
    AUDIENCE, BODY_LIMIT, Config, ISSUER, LoginRequest, Profile, Reply, Transport, Users,
    signing_key, welcome,
};

/// What the handlers share.
struct Service {
    users: Arc<Users>,
    issuer: Issuer,
    auth: Arc<Authenticator<Profile>>,
    cookies: CookiePolicy,
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .init();
    let config = Config::from_env(3001)?;
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

    let anybody = AuthMiddleware::new(auth.guard().optional());
    let signed_in = AuthMiddleware::new(auth.guard());
    let admins = AuthMiddleware::new(auth.guard().require_scope("admin")?);
    let service = Data::new(Service {
        users,
        issuer,
        auth,
        cookies,
    });

    let server = HttpServer::new(move || {
        let mut app = App::new()
            .app_data(service.clone())
            .app_data(web::PayloadConfig::new(BODY_LIMIT))
            .service(web::resource("/login").post(log_in))
            .service(web::resource("/logout").post(log_out))
            .route("/.well-known/jwks.json", web::get().to(jwks))
            .service(web::resource("/").wrap(anybody.clone()).get(index))
            .service(web::resource("/me").wrap(signed_in.clone()).get(me))
            .service(web::resource("/admin").wrap(admins.clone()).get(admin));
        for path in page::files() {
            app = app.route(path, web::get().to(file));
        }
        app
    })
    .shutdown_timeout(5)
    .bind((config.host, config.port))?;
    if let Some(address) = server.addrs().first() {
        println!("{}", welcome(*address, &demo));
    }
    // It ends gracefully on Ctrl-C and SIGTERM.
    Ok(server.run().await?)
}

/// Any visitor: the page shows whether they are signed in.
async fn index(MaybeClaims(user): MaybeClaims<Profile>) -> Answer {
    let view = View {
        framework: "actix-web",
        user: user.as_ref(),
        error: None,
    };
    page::index(view).into()
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
    service: Data<Service>,
    request: HttpRequest,
    body: Bytes,
) -> Result<Answer, Answer> {
    let content_type = request
        .headers()
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
            framework: "actix-web",
            user: None,
            error: Some(error),
        })
        .into()
    } else {
        Reply::problem(403, error).into()
    }
}

/// Without a guard: whoever's token has expired may sign out as well.
async fn log_out(service: Data<Service>, request: HttpRequest) -> Result<Answer, Answer> {
    service.auth.check_same_site(&RequestHead::from(&request))?;
    let from_script = request
        .headers()
        .get("accept")
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
async fn jwks(service: Data<Service>) -> Answer {
    Reply::new(200, "application/jwk-set+json", service.issuer.jwks()).into()
}

async fn file(request: HttpRequest) -> Answer {
    page::file(request.path())
        .unwrap_or_else(|| Reply::problem(404, "not found"))
        .into()
}

/// A [`Reply`] as actix-web wants it, also where a handler fails.
struct Answer(Reply);

impl<R: Into<Reply>> From<R> for Answer {
    fn from(reply: R) -> Self {
        Self(reply.into())
    }
}

impl actix_web::Responder for Answer {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.error_response()
    }
}

impl ResponseError for Answer {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        for (name, value) in &self.0.headers {
            response.append_header((*name, value.as_str()));
        }
        response.body(self.0.body.clone())
    }
}

/// The status alone: the headers may hold a cookie.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({})", self.0.status)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
