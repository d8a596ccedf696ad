//! An adapter for another server: all code that is needed to use `auth-core`, here with bare hyper.
//!
//! It only translates. Cookies, optional mode, the cross-site rule, silent refresh, statuses and
//! challenges are core's, so this adapter passes the conformance suite of `auth-tower` and
//! `auth-actix`. An adapter for another framework needs these parts:
//!
//! 1. [`Head`] implements core's view of a request.
//! 2. [`guarded`] checks a request with the guard and applies the verdict.
//! 3. [`claims`], [`maybe_claims`] and [`authorize`] are for handlers.
//! 4. [`reply`] sends a response of core; [`session_route`], [`jwks`] and [`endpoint`] are its
//!    ready-made routes.
//! 5. [`finish`] is needed only for hyper: frameworks do this for every response.

use std::error::Error;

use auth_core::adapter::{
    Endpoint, HeaderLine, Refusal, RequestView, ResponseEdits, Verdict, request_authority,
};
use auth_core::rotation::JwksEndpoint;
use auth_core::{AuthContext, Authenticated, Guard, Requires, SessionRoutes};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Body;
use hyper::header::{CACHE_CONTROL, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, SET_COOKIE};
use hyper::http::uri::{Authority, PathAndQuery};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use serde::de::DeserializeOwned;

/// A response with a complete body.
pub type Reply = Response<Full<Bytes>>;

/// A response in place of the handler's. Boxed, so that `Result`s stay small.
pub type Refused = Box<Reply>;

/// The head of a request as core's `RequestView`.
#[derive(Clone, Copy, Debug)]
pub struct Head<'r> {
    method: &'r Method,
    uri: &'r Uri,
    headers: &'r HeaderMap,
}

impl<'r, B> From<&'r Request<B>> for Head<'r> {
    fn from(request: &'r Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
        }
    }
}

impl RequestView for Head<'_> {
    fn method(&self) -> &str {
        self.method.as_str()
    }

    fn path(&self) -> &str {
        self.uri.path()
    }

    fn target(&self) -> &str {
        self.uri.path_and_query().map_or("/", PathAndQuery::as_str)
    }

    fn authority(&self) -> Option<&str> {
        let hosts = self.headers.get_all(HOST).iter();
        let target = self.uri.authority().map(Authority::as_str);
        request_authority(target, hosts.map(HeaderValue::as_bytes))
    }

    fn visit_header<'v>(&'v self, name: &str, visit: &mut dyn FnMut(&'v [u8])) {
        for value in self.headers.get_all(name) {
            visit(value.as_bytes());
        }
    }
}

/// Calls `handler` for a request that passes the guard, and refuses any other.
pub async fn guarded<T, B, F>(
    guard: &Guard<T>,
    mut request: Request<B>,
    handler: impl FnOnce(Request<B>) -> F,
) -> Reply
where
    T: DeserializeOwned + Send + Sync + 'static,
    F: Future<Output = Reply>,
{
    let outer = request.extensions().get();
    let step = guard.check_within(outer, &Head::from(&request));
    match step.verdict().await {
        Verdict::Refuse(refusal) => refused(refusal),
        Verdict::Pass(pass) => {
            let (context, edits) = pass.into_parts();
            // Replaces any context that came with the request.
            request.extensions_mut().insert(context);
            let mut response = handler(request).await;
            edit(response.headers_mut(), edits);
            response
        }
    }
}

/// The identity of the caller.
///
/// # Errors
/// The response to send: 401 if the request is anonymous, 500 if no guard over `T` let it through.
pub fn claims<T, B>(request: &Request<B>) -> Result<Authenticated<T>, Refused>
where
    T: Send + Sync + 'static,
{
    let context = context(request)?;
    context.require(&Head::from(request)).map_err(boxed)
}

/// The identity of the caller, or `None` for an anonymous request, under an optional guard.
///
/// # Errors
/// The response to send, a 500, if no guard over `T` let the request through.
pub fn maybe_claims<T, B>(request: &Request<B>) -> Result<Option<Authenticated<T>>, Refused>
where
    T: Send + Sync + 'static,
{
    let context = context(request)?;
    context.authenticated(&Head::from(request)).map_err(boxed)
}

/// Enforces requirements in addition to the guard's.
///
/// # Errors
/// The response to send if the request does not meet `R`.
pub fn authorize<R: Requires, B>(request: &Request<B>) -> Result<(), Refused> {
    let context = context(request)?;
    context
        .require_type::<R>(&Head::from(request))
        .map_err(boxed)
}

fn context<B>(request: &Request<B>) -> Result<&AuthContext, Refused> {
    let context = request.extensions().get();
    context.ok_or_else(|| boxed(Refusal::misconfigured()))
}

fn boxed(refusal: Refusal) -> Refused {
    Box::new(refused(refusal))
}

/// Responds to a request for one of the session routes, and returns any other request.
///
/// # Errors
/// The request, if its path is not one of these routes.
pub async fn session_route<T, B>(
    routes: &SessionRoutes<T>,
    request: Request<B>,
) -> Result<Reply, Request<B>>
where
    T: DeserializeOwned + Send + Sync + 'static,
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    let Some(route) = routes.find(request.uri().path()) else {
        return Err(request);
    };
    let (request, body) = read(request, routes.max_body_bytes()).await;
    Ok(reply(match body {
        Some(body) => {
            let answer = routes.respond(route, &Head::from(&request), &body);
            answer.await
        }
        None => routes.too_large(),
    }))
}

/// Responds to a request for the path of an OAuth endpoint.
pub async fn endpoint<B>(endpoint: &dyn Endpoint, request: Request<B>) -> Reply
where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    let (request, body) = read(request, endpoint.max_body_bytes()).await;
    reply(match body {
        Some(body) => {
            let answer = endpoint.respond(&Head::from(&request), &body);
            answer.await
        }
        None => endpoint.too_large(),
    })
}

/// The head and the body, unless the body is too long or incomplete.
async fn read<B>(request: Request<B>, limit: usize) -> (Request<()>, Option<Bytes>)
where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, limit).collect().await;
    let body = body.map(|body| body.to_bytes()).ok();
    (Request::from_parts(parts, ()), body)
}

/// Responds to a request for the public keys, by convention at [`JwksEndpoint::PATH`].
pub fn jwks<B>(endpoint: &JwksEndpoint, request: &Request<B>) -> Reply {
    reply(endpoint.respond(&Head::from(request)))
}

/// Converts a response of core.
pub fn reply(answer: auth_core::adapter::Response) -> Reply {
    let mut headers = HeaderMap::new();
    for line in answer.headers() {
        write(&mut headers, line);
    }
    let status = StatusCode::from_u16(answer.status());
    let mut response = Response::new(Full::from(answer.into_body()));
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response
}

/// Converts a refusal. The error is in the extensions, for logs.
pub fn refused(refusal: Refusal) -> Reply {
    let (error, answer) = refusal.into_parts();
    let mut response = reply(answer);
    response.extensions_mut().insert(error);
    response
}

/// Applies core's edits to a response of the app.
fn edit(headers: &mut HeaderMap, edits: ResponseEdits) {
    let by_app = headers.get_all(SET_COOKIE).iter();
    let says_caching = headers.contains_key(CACHE_CONTROL);
    for line in &edits.finish(by_app.map(HeaderValue::as_bytes), says_caching) {
        write(headers, line);
    }
}

fn write(headers: &mut HeaderMap, line: &HeaderLine) {
    let name = HeaderName::from_static(line.name());
    let Ok(value) = HeaderValue::from_str(line.value()) else {
        return; // Values are visible ASCII.
    };
    if line.is_appended() {
        headers.append(name, value);
    } else {
        headers.insert(name, value);
    }
}

/// Completes a response as HTTP requires: with its length, and without a body for HEAD.
pub fn finish(method: &Method, response: Reply) -> Reply {
    let (mut parts, body) = response.into_parts();
    if parts.status != StatusCode::NO_CONTENT
        && let Some(length) = body.size_hint().exact()
    {
        parts.headers.insert(CONTENT_LENGTH, length.into());
    }
    let body = match *method {
        Method::HEAD => Full::default(),
        _ => body,
    };
    Response::from_parts(parts, body)
}
