//! The conformance server over `examples/hyper`: an adapter for a server without a framework. See
//! `auth_tests::conformance_server`.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::process::ExitCode;
use std::sync::Arc;

use auth_tests::conformance_server::{
    self, Admin, Config, Failure, PrivateClaims, Setup, Typed, hyper_server,
};
use bytes::Bytes;
use example_hyper::{
    Head, Refused, Reply, authorize, claims, endpoint, finish, guarded, jwks, maybe_claims, reply,
    session_route,
};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HOST, HeaderName, SET_COOKIE};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Response, StatusCode, Version};
use serde_json::{Value, json};

type Request = hyper::Request<Incoming>;
type Handler = fn(&Request) -> Result<Reply, Refused>;

fn main() -> ExitCode {
    match conformance_server::runtime() {
        Ok(runtime) => runtime.block_on(conformance_server::run(serve)),
        Err(_) => ExitCode::FAILURE,
    }
}

async fn serve(config: Config, setup: Setup) -> Result<(), Failure> {
    let setup = Arc::new(setup);
    let service = service_fn(move |request: Request| {
        let setup = Arc::clone(&setup);
        async move {
            let method = request.method().clone();
            Ok::<_, Infallible>(finish(&method, answer(&setup, request).await))
        }
    });
    hyper_server::run(&config.listen, service).await
}

async fn answer(setup: &Setup, request: Request) -> Reply {
    if has_many_hosts(&request) {
        return with(StatusCode::BAD_REQUEST, CONNECTION, "close");
    }
    let request = match &setup.sessions {
        Some(part) => match session_route(&part.routes, request).await {
            Ok(answer) => return answer,
            Err(request) => request,
        },
        None => request,
    };
    let path = request.uri().path().to_owned();
    let mut endpoints = setup.endpoints.iter();
    if let Some(found) = endpoints.find(|endpoint| endpoint.path() == path) {
        return endpoint(&**found, request).await;
    }
    match path.as_str() {
        "/me" => guarded(&setup.required, request, handler(me)).await,
        "/admin" => guarded(&setup.required, request, handler(admin)).await,
        "/boom" => guarded(&setup.required, request, handler(boom)).await,
        "/maybe" => guarded(&setup.optional, request, handler(maybe)).await,
        "/cached" => guarded(&setup.optional, request, handler(cached)).await,
        "/strict" => guarded(&setup.strict, request, handler(me)).await,
        "/recent" => guarded(&setup.recent, request, handler(recent)).await,
        "/typed" => guarded(&setup.typed, request, handler(typed)).await,
        "/nested/a/b" => guarded(&setup.required, request, handler(me)).await,
        "/open" => get_only(&request)
            .map_or_else(|refused| *refused, |()| send(StatusCode::OK, &json!({}))),
        "/login" if setup.sessions.is_some() => log_in(setup, request).await,
        "/.well-known/jwks.json" => jwks(&setup.jwks, &request),
        _ if path.starts_with("/nested/") => {
            guarded(
                &setup.required,
                request,
                handler(|_| Err(Box::new(not_found()))),
            )
            .await
        }
        _ => match path.strip_prefix("/shim/") {
            Some(op) if !op.contains('/') => control(setup, op, request).await,
            _ => not_found(),
        },
    }
}

fn handler(answer: Handler) -> impl FnOnce(Request) -> Ready<Reply> {
    move |request| ready(answer(&request).unwrap_or_else(|refused| *refused))
}

fn me(request: &Request) -> Result<Reply, Refused> {
    if request.method() == Method::OPTIONS {
        return options(request);
    }
    let user = claims::<PrivateClaims, _>(request)?;
    Ok(send(StatusCode::OK, &conformance_server::whoami(&user)))
}

fn admin(request: &Request) -> Result<Reply, Refused> {
    if request.method() != Method::OPTIONS {
        authorize::<Admin, _>(request)?;
    }
    me(request)
}

fn maybe(request: &Request) -> Result<Reply, Refused> {
    let user = maybe_claims::<PrivateClaims, _>(request)?;
    Ok(send(
        StatusCode::OK,
        &conformance_server::whoami_maybe(user.as_ref()),
    ))
}

fn cached(request: &Request) -> Result<Reply, Refused> {
    let mut response = maybe(request)?;
    for (name, value) in conformance_server::CACHED {
        let value = hyper::header::HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

fn recent(request: &Request) -> Result<Reply, Refused> {
    get_only(request)?;
    me(request)
}

fn typed(request: &Request) -> Result<Reply, Refused> {
    if request.method() == Method::OPTIONS {
        return options(request);
    }
    let user = claims::<Typed, _>(request)?;
    Ok(send(StatusCode::OK, &conformance_server::typed(&user)))
}

fn boom(request: &Request) -> Result<Reply, Refused> {
    match *request.method() {
        Method::OPTIONS => options(request),
        Method::POST => {
            claims::<PrivateClaims, _>(request)?;
            Ok(with(StatusCode::INTERNAL_SERVER_ERROR, SET_COOKIE, "app=1"))
        }
        _ => Err(Box::new(method_not_allowed("OPTIONS,POST"))),
    }
}

/// A preflight that was let through comes from nobody.
fn options(request: &Request) -> Result<Reply, Refused> {
    match maybe_claims::<PrivateClaims, _>(request)? {
        Some(user) => Ok(send(StatusCode::OK, &conformance_server::whoami(&user))),
        None => Ok(empty(StatusCode::NO_CONTENT)),
    }
}

async fn log_in(setup: &Setup, request: Request) -> Reply {
    if request.method() != Method::POST {
        return method_not_allowed("POST");
    }
    let (parts, body) = request.into_parts();
    let request = hyper::Request::from_parts(parts, ());
    let body = read(body).await;
    let part = setup.sessions.as_ref();
    match part.and_then(|part| part.login(&Head::from(&request), &body)) {
        Some(answer) => reply(answer.await),
        None => empty(StatusCode::BAD_REQUEST),
    }
}

async fn control(setup: &Setup, op: &str, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    let body = read(body).await;
    let (status, body) = setup.control(parts.method.as_str(), op, &body).await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if body.is_null() {
        empty(status)
    } else {
        send(status, &body)
    }
}

async fn read(body: Incoming) -> Bytes {
    body.collect()
        .await
        .map_or_else(|_| Bytes::new(), |body| body.to_bytes())
}

/// RFC 9112 §3.2: a request with several `Host` lines gets a 400. hyper leaves that to the app.
fn has_many_hosts(request: &Request) -> bool {
    let hosts = HeaderMap::get_all(request.headers(), HOST).iter().count();
    hosts > 1 && request.version() < Version::HTTP_2
}

fn get_only(request: &Request) -> Result<(), Refused> {
    match *request.method() {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Box::new(method_not_allowed("GET,HEAD"))),
    }
}

fn method_not_allowed(allow: &'static str) -> Reply {
    with(StatusCode::METHOD_NOT_ALLOWED, ALLOW, allow)
}

fn not_found() -> Reply {
    empty(StatusCode::NOT_FOUND)
}

fn with(status: StatusCode, name: HeaderName, value: &'static str) -> Reply {
    let mut response = empty(status);
    let value = hyper::header::HeaderValue::from_static(value);
    response.headers_mut().insert(name, value);
    response
}

fn empty(status: StatusCode) -> Reply {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn send(status: StatusCode, body: &Value) -> Reply {
    let mut response = with(status, CONTENT_TYPE, "application/json");
    *response.body_mut() = Full::from(body.to_string());
    response
}
