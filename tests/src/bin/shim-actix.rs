//! The conformance server over `auth-actix`. See `auth_tests::conformance_server`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::ALLOW;
use actix_web::rt::System;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, Responder, Route, guard, web};
use auth_actix::{AuthMiddleware, Claims, MaybeClaims, RequestHead, Require, into_actix};
use auth_tests::conformance_server::{self, Admin, Config, Failure, PrivateClaims, Setup, Typed};

fn main() -> ExitCode {
    let Ok(runtime) = conformance_server::runtime() else {
        return ExitCode::FAILURE;
    };
    System::with_tokio_rt(|| runtime).block_on(conformance_server::run(serve))
}

async fn serve(config: Config, setup: Setup) -> Result<(), Failure> {
    let setup = Arc::new(setup);
    let server = HttpServer::new(move || {
        let routes = Arc::clone(&setup);
        App::new().configure(move |app| routes_of(app, &routes))
    })
    .workers(2)
    // A slow client is not what these servers are about.
    .client_request_timeout(Duration::ZERO)
    .keep_alive(Duration::from_secs(75))
    .shutdown_timeout(5)
    .bind_auto_h2c(&config.listen)?;
    if let Some(address) = server.addrs().first() {
        conformance_server::announce(*address)?;
    }
    Ok(server.run().await?)
}

fn routes_of(app: &mut web::ServiceConfig, setup: &Arc<Setup>) {
    let required = AuthMiddleware::new(setup.required.clone());
    app.service(any("/me").wrap(required.clone()))
        .service(
            web::scope("/nested")
                .service(any("/a/b"))
                .default_service(web::to(HttpResponse::NotFound))
                .wrap(required.clone()),
        )
        .service(
            web::resource("/maybe")
                .route(web::to(maybe))
                .wrap(AuthMiddleware::new(setup.optional.clone())),
        )
        .service(
            web::resource("/cached")
                .route(web::to(cached))
                .wrap(AuthMiddleware::new(setup.optional.clone())),
        )
        .service(
            web::resource("/admin")
                .route(preflight())
                .route(web::to(admin))
                .wrap(required.clone()),
        )
        .service(any("/strict").wrap(AuthMiddleware::new(setup.strict.clone())))
        .service(
            web::resource("/recent")
                .route(get().to(me))
                .default_service(web::to(|| method_not_allowed("GET,HEAD")))
                .wrap(AuthMiddleware::new(setup.recent.clone())),
        )
        .service(
            web::resource("/typed")
                .route(preflight())
                .route(web::to(typed))
                .wrap(AuthMiddleware::new(setup.typed.clone())),
        )
        .service(
            web::resource("/boom")
                .route(preflight())
                .route(web::post().to(boom))
                .default_service(web::to(|| method_not_allowed("OPTIONS,POST")))
                .wrap(required),
        )
        .service(
            web::resource("/open")
                .route(get().to(|| async { web::Json(serde_json::json!({})) }))
                .default_service(web::to(|| method_not_allowed("GET,HEAD"))),
        )
        .app_data(web::Data::from(Arc::clone(setup)))
        .service(web::resource("/shim/{op}").route(web::to(control)))
        .configure(auth_actix::jwks_route(setup.jwks.clone()));
    for endpoint in &setup.endpoints {
        app.configure(auth_actix::endpoint_route(Arc::clone(endpoint)));
    }
    session_routes(app, setup);
}

fn session_routes(app: &mut web::ServiceConfig, setup: &Setup) {
    let Some(part) = &setup.sessions else { return };
    app.service(
        web::resource("/login")
            .route(web::post().to(login))
            .default_service(web::to(|| method_not_allowed("POST"))),
    )
    .configure(auth_actix::session_routes(part.routes.clone()));
}

async fn login(setup: web::Data<Setup>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let answer = setup
        .sessions
        .as_ref()
        .and_then(|part| part.login(&RequestHead::from(&request), &body));
    match answer {
        Some(answer) => into_actix(answer.await),
        None => HttpResponse::BadRequest().finish(),
    }
}

async fn control(
    setup: web::Data<Setup>,
    op: web::Path<String>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let (status, body) = setup.control(request.method().as_str(), &op, &body).await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = HttpResponse::build(status);
    if body.is_null() {
        answer.finish()
    } else {
        answer.json(body)
    }
}

fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// A resource with `/me`'s handler for every method.
fn any(path: &str) -> actix_web::Resource {
    web::resource(path).route(preflight()).route(web::to(me))
}

fn preflight() -> Route {
    web::method(actix_web::http::Method::OPTIONS).to(options)
}

async fn me(Claims(user): Claims<PrivateClaims>) -> impl Responder {
    web::Json(conformance_server::whoami(&user))
}

async fn admin(_: Require<Admin>, Claims(user): Claims<PrivateClaims>) -> impl Responder {
    web::Json(conformance_server::whoami(&user))
}

async fn maybe(MaybeClaims(user): MaybeClaims<PrivateClaims>) -> impl Responder {
    web::Json(conformance_server::whoami_maybe(user.as_ref()))
}

async fn cached(MaybeClaims(user): MaybeClaims<PrivateClaims>) -> impl Responder {
    let mut answer = HttpResponse::Ok();
    for line in conformance_server::CACHED {
        answer.append_header(line);
    }
    answer.json(conformance_server::whoami_maybe(user.as_ref()))
}

/// A preflight that was let through comes from nobody.
async fn options(MaybeClaims(user): MaybeClaims<PrivateClaims>) -> HttpResponse {
    match user {
        Some(user) => HttpResponse::Ok().json(conformance_server::whoami(&user)),
        None => HttpResponse::NoContent().finish(),
    }
}

async fn typed(Claims(user): Claims<Typed>) -> impl Responder {
    web::Json(conformance_server::typed(&user))
}

async fn boom(_: Claims<PrivateClaims>) -> impl Responder {
    HttpResponse::InternalServerError()
        .append_header(("set-cookie", "app=1"))
        .finish()
}

async fn method_not_allowed(allow: &'static str) -> impl Responder {
    HttpResponse::MethodNotAllowed()
        .append_header((ALLOW, allow))
        .finish()
}
