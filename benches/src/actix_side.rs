//! Middleware around an actix-web service that answers at once.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_jwt_auth_middleware::{AuthenticationService, Authority};
use actix_session::storage::CookieSessionStore;
use actix_session::{SessionExt, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, always_ready};
use actix_web::test::TestRequest;
use actix_web::{Error, HttpMessage, HttpResponse};
use actix_web_httpauth::extractors::bearer::BearerAuth;
use actix_web_httpauth::middleware::HttpAuthentication;
use auth_actix::AuthMiddleware;
use auth_core::Authenticator;
use jwt_compact::TimeOptions;
use jwt_compact::alg::{Hs256, Hs256Key};

use crate::harness::{Run, Table, timed};
use crate::tower_side::{Carried, by_hand};
use crate::world::{AllClaims, COOKIE, CustomClaims, SECRET, User, World, now};

type Answer = Result<ServiceResponse, Error>;

/// The app.
struct App;

impl Service<ServiceRequest> for App {
    type Response = ServiceResponse;
    type Error = Error;
    type Future = Ready<Answer>;

    always_ready!();

    fn call(&self, request: ServiceRequest) -> Self::Future {
        ready(Ok(request.into_response(HttpResponse::Ok().finish())))
    }
}

/// Passes the request on with one `Arc` in its extensions.
struct NoOp(App, Arc<u64>);

impl Service<ServiceRequest> for NoOp {
    type Response = ServiceResponse;
    type Error = Error;
    type Future = Ready<Answer>;

    always_ready!();

    fn call(&self, request: ServiceRequest) -> Self::Future {
        request.extensions_mut().insert(Arc::clone(&self.1));
        self.0.call(request)
    }
}

/// Puts something into the session, so that the next request has a cookie.
struct Visited;

impl Service<ServiceRequest> for Visited {
    type Response = ServiceResponse;
    type Error = Error;
    type Future = Ready<Answer>;

    always_ready!();

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let session = request.get_session();
        if request.path() == "/login" {
            session.insert("sub", "alice").expect("a string");
        } else {
            let sub: Option<String> = session.get("sub").expect("a string");
            assert!(sub.is_some(), "signed in");
        }
        ready(Ok(request.into_response(HttpResponse::Ok().finish())))
    }
}

fn request(token: &str, carried: &Carried) -> ServiceRequest {
    let request = TestRequest::get()
        .uri("/me")
        .insert_header(("host", "api.example"));
    match carried {
        Carried::Bearer => request.insert_header(("authorization", format!("Bearer {token}"))),
        Carried::Cookie => request.insert_header(("cookie", format!("{COOKIE}={token}"))),
        Carried::Other(cookie) => request.insert_header(("cookie", cookie.as_str())),
        Carried::CookieAmong(_) => unreachable!("measured with tower"),
    }
    .to_srv_request()
}

fn run<S, B>(service: S, token: &str, carried: Carried) -> Run
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: 'static,
{
    let token = token.to_owned();
    Box::new(move |calls| {
        timed(
            calls,
            || request(&token, &carried),
            |request| match now(service.call(request)) {
                Ok(response) => response.status() == 200,
                Err(error) => panic!("refused: {error}"),
            },
        )
    })
}

/// The app inside of a middleware.
fn wrapped<M, S, F>(middleware: M, app: S) -> M::Transform
where
    M: Transform<S, ServiceRequest, InitError = (), Future = F>,
    F: Future<Output = Result<M::Transform, ()>>,
    S: Service<ServiceRequest>,
{
    match now(middleware.new_transform(app)) {
        Ok(service) => service,
        Err(()) => panic!("no middleware"),
    }
}

fn ours(auth: &Arc<Authenticator<User>>) -> AuthMiddleware<User> {
    AuthMiddleware::new(auth.guard())
}

/// Ours and its baselines, under one algorithm.
pub fn fill(table: &mut Table, world: &World) {
    let token = &world.token;
    let auth = world.with_cache();
    table.baseline("actix: no layer", run(App, token, Carried::Bearer));
    let no_op = || NoOp(App, Arc::new(7));
    let base = table.baseline("actix: no-op layer", run(no_op(), token, Carried::Bearer));
    table.against(
        base,
        "ours on actix, miss",
        run(
            wrapped(ours(&world.without_cache()), App),
            token,
            Carried::Bearer,
        ),
    );
    table.against(
        base,
        "ours on actix, hit",
        run(wrapped(ours(&auth), App), token, Carried::Bearer),
    );
    let base = table.baseline(
        "actix: no-op layer, token in a cookie",
        run(no_op(), token, Carried::Cookie),
    );
    table.against(
        base,
        "ours on actix, hit, cookie",
        run(wrapped(ours(&auth), App), token, Carried::Cookie),
    );
}

/// What others have written, with HS256.
pub fn fill_peers(table: &mut Table, world: &World) {
    let token = &world.token;
    let base = table.baseline(
        "actix: no-op layer (peers)",
        run(NoOp(App, Arc::new(7)), token, Carried::Bearer),
    );
    let (key, rules) = by_hand(world);
    let rules = Arc::new((key, rules));
    let httpauth =
        HttpAuthentication::bearer(move |request: ServiceRequest, bearer: BearerAuth| {
            let rules = Arc::clone(&rules);
            async move {
                let data = jsonwebtoken::decode::<AllClaims>(bearer.token(), &rules.0, &rules.1)
                    .expect("a good token");
                request.extensions_mut().insert(Arc::new(data.claims));
                Ok(request)
            }
        });
    table.against(
        base,
        "actix-web-httpauth 0.8 + jsonwebtoken",
        run(wrapped(httpauth, App), token, Carried::Bearer),
    );
    let authority = Authority::<CustomClaims, Hs256, _, _>::new()
        .refresh_authorizer(|| async { Ok(()) })
        .access_token_name(COOKIE)
        .renew_access_token_automatically(false)
        .verifying_key(Hs256Key::new(SECRET.as_bytes()))
        .algorithm(Hs256)
        .time_options(TimeOptions::default())
        .build()
        .expect("complete");
    // In a cookie: what it reads from the header has `Bearer ` still before it, and is refused.
    let middleware = AuthenticationService::new(authority);
    let with_cookie = table.baseline(
        "actix: no-op layer, token in a cookie (peers)",
        run(NoOp(App, Arc::new(7)), token, Carried::Cookie),
    );
    table.against(
        with_cookie,
        "actix-jwt-auth-middleware 0.5",
        run(wrapped(middleware, App), token, Carried::Cookie),
    );
    let cookie = session_cookie();
    let other = Carried::Other(cookie);
    let base = table.baseline(
        "actix: no-op layer, session cookie",
        run(NoOp(App, Arc::new(7)), token, other.clone()),
    );
    table.against(
        base,
        "actix-session 0.11, cookie store",
        run(wrapped(sessions(), Visited), token, other),
    );
}

fn sessions() -> SessionMiddleware<CookieSessionStore> {
    SessionMiddleware::new(CookieSessionStore::default(), Key::from(&[7; 64]))
}

fn session_cookie() -> String {
    let request = TestRequest::get().uri("/login").to_srv_request();
    let response = now(wrapped(sessions(), Visited).call(request)).expect("answers");
    let cookie = response.headers().get("set-cookie").expect("a cookie");
    let cookie = cookie.to_str().expect("text");
    cookie.split(';').next().unwrap_or_default().to_owned()
}
