//! The bodies, statuses and cookies of the session routes.

use serde_json::{Value, json};

use crate::base::config::ConfigError;
use crate::guard::verdict::BoxFuture;
use crate::http::response::{Response, problem_body};
use crate::session::{Device, Tokens};

/// The response with tokens: by RFC 6749 §5.1 in a body; with cookies the body holds only the
/// result.
pub(crate) fn granted(tokens: Tokens) -> Response {
    if tokens.lines.is_empty() {
        return json_response(200, &token_body(&tokens)).uncached();
    }
    json_response(200, &cookie_body(&tokens)).with_cookies(tokens.lines)
}

fn token_body(tokens: &Tokens) -> Value {
    let mut body = json!({
        "access_token": tokens.access().expose(),
        "token_type": "Bearer",
        "expires_in": tokens.access().expires_in().as_secs(),
    });
    if let (Some(refresh), Some(members)) = (tokens.refresh(), body.as_object_mut()) {
        members.insert("refresh_token".into(), refresh.expose().into());
    }
    body
}

/// The body of a response with cookies: a page cannot read its tokens, so the body says when to
/// refresh next, and the kind of grant.
fn cookie_body(tokens: &Tokens) -> Value {
    json!({
        "expires_in": tokens.access().expires_in().as_secs(),
        "outcome": tokens.kind().as_str(),
        "generation": tokens.generation().get(),
    })
}

pub(crate) fn devices(devices: &[Device]) -> Response {
    let list: Vec<Value> = devices
        .iter()
        .map(|device| {
            json!({
                "sid": device.session().to_string(),
                "current": device.is_current(),
                "device": device.label(),
                "created_at": device.created_at().as_secs(),
                "last_used_at": device.last_used_at().as_secs(),
                "expires_at": device.expires_at().as_secs(),
            })
        })
        .collect();
    json_response(200, &json!({ "sessions": list }))
}

pub(crate) fn done() -> Response {
    Response::new(204).no_store()
}

/// The redirect to a page that a browser loads by GET.
pub(crate) fn see_other(page: &str) -> Response {
    Response::new(303).with_header("location", page).no_store()
}

/// The response to an invalid login request of the app. It repeats only texts of the app.
pub(crate) fn invalid_login(error: &ConfigError) -> Response {
    tracing::warn!(target: "auth::setup", "a login was refused: {error}");
    problem(400, "Bad Request", "the login is not valid")
}

pub(crate) fn not_found() -> Response {
    problem(404, "Not Found", "there is no such session")
}

pub(crate) fn failed() -> Response {
    problem(
        500,
        "Internal Server Error",
        "authentication is not set up for this route",
    )
}

pub(crate) fn method_not_allowed(allowed: &'static str) -> Response {
    problem(
        405,
        "Method Not Allowed",
        "this route does not support the method",
    )
    .with_header("allow", allowed)
}

/// The response to a body over the limit.
pub(crate) fn too_large() -> Response {
    problem(413, "Content Too Large", "the body is too long")
}

/// The response to a revocation (RFC 7009 §2.2). Clients ignore the body.
pub(crate) fn revoked() -> Response {
    Response::new(200).no_store()
}

pub(crate) fn ready(response: Response) -> BoxFuture<Response> {
    Box::pin(std::future::ready(response))
}

fn problem(status: u16, title: &str, detail: &str) -> Response {
    let body = problem_body(status, title, detail);
    Response::new(status).no_store().with_body(body)
}

pub(crate) fn json_response(status: u16, body: &Value) -> Response {
    Response::new(status)
        .no_store()
        .with_content("application/json", body.to_string())
}
