//! Refusals and their responses, as one table.
//!
//! | kind | status | challenge | gRPC status |
//! |---|---|---|---|
//! | `MissingCredential` | 401 | `Bearer realm="…"`, no error code (RFC 6750 §3.1) | 16 |
//! | `MalformedCredential` | 400 | `error="invalid_request"` | 16 |
//! | `InvalidToken` | 401 | `error="invalid_token"`, the same for every cause | 16 |
//! | `InsufficientScope` | 403 | `error="insufficient_scope", scope="…"` | 7 |
//! | `InsufficientAuthentication` | 401 | `error="insufficient_user_authentication"` (RFC 9470) | 16 |
//! | `CrossSite` | 403 | none | 7 |
//! | `Forbidden` | 403 | none: no other token of the same login would do | 7 |
//! | `LoginRefused` | 403 | none: the same for every cause | 7 |
//! | `LoginSuperseded` | 409 | none | 10 |
//! | `Unavailable` | 503 + `Retry-After` | none: a 401 would make clients log out | 14 |
//! | `Misconfigured` | 500 | none | 13 |
//!
//! The last column applies to gRPC calls, if the app has [enabled
//! it](crate::AuthenticatorBuilder::with_grpc_statuses): UNAUTHENTICATED, PERMISSION_DENIED,
//! ABORTED, UNAVAILABLE or INTERNAL, in a trailers-only response as gRPC defines it: HTTP 200, `grpc-status`
//! and `grpc-message` in the header section, with the challenge as metadata.
//!
//! The refresh route and the OAuth endpoints respond with a JSON body and an error code instead
//! (RFC 6749 §5.2):
//!
//! | error | status | challenge |
//! |---|---|---|
//! | `InvalidRequest` | 400 `invalid_request` | none |
//! | `InvalidGrant` | 400 `invalid_grant` | none |
//! | `InvalidClient` | 401 `invalid_client` | `Basic realm="…"` if the client used that header |
//! | `UnsupportedTokenType` | 400 `unsupported_token_type` (RFC 7009 §2.2.1) | none |
//!
//! 1. The body is RFC 9457 problem JSON. A [`Responder`] may replace the body, never the status or
//!    the challenge.
//! 2. Every challenge names the resource's metadata, if there are any (RFC 9728 §5.1). Every refusal
//!    has `Cache-Control: no-store`.
//! 3. In required mode, a top-level navigation that would get a 401 may be redirected to a login page.

use std::fmt;
use std::sync::Arc;

use crate::base::config::ConfigError;
use crate::base::error::{AuthError, AuthErrorKind, Cause};
use crate::http::browser::navigates;
use crate::http::edits::ResponseEdits;
use crate::http::header::HeaderLine;
use crate::http::request::{RequestView, SingleField, single_field};
use crate::http::response::{ErrorBody, Response, problem_body};
use crate::observe::metrics;

/// Seconds after which a client may retry when the infrastructure is unavailable.
pub(crate) const RETRY_AFTER_SECS: &str = "1";
const GRPC: &str = "application/grpc";

/// A renderer of refusal bodies, instead of problem JSON.
///
/// ```
/// use auth_core::adapter::RequestView;
/// use auth_core::{AuthError, ErrorBody, Responder};
///
/// #[derive(Debug)]
/// struct Plain;
/// impl Responder for Plain {
///     fn body(&self, error: &AuthError, _: &dyn RequestView) -> Option<ErrorBody> {
///         Some(ErrorBody::new("text/plain; charset=utf-8", error.to_string()))
///     }
/// }
/// ```
pub trait Responder: Send + Sync + fmt::Debug {
    /// The body for a refusal. `None` keeps the problem JSON.
    ///
    /// # Security
    /// A body that depends on the cause tells an attacker which check a forged token failed.
    fn body(&self, error: &AuthError, request: &dyn RequestView) -> Option<ErrorBody>;
}

impl<R: Responder + ?Sized> Responder for Arc<R> {
    fn body(&self, error: &AuthError, request: &dyn RequestView) -> Option<ErrorBody> {
        (**self).body(error, request)
    }
}

/// A refused request: the error, and the response.
#[derive(Clone, Debug)]
pub struct Refusal {
    error: AuthError,
    response: Response,
    /// Whether a browser tab displays the response.
    navigates: bool,
}

impl Refusal {
    /// The error. Put it into the response's extensions; do not send it.
    #[must_use]
    pub fn error(&self) -> &AuthError {
        &self.error
    }

    /// The response to send.
    #[must_use]
    pub fn response(&self) -> &Response {
        &self.response
    }

    /// Splits the refusal into error and response.
    #[must_use]
    pub fn into_parts(self) -> (AuthError, Response) {
        (self.error, self.response)
    }

    /// Redirects a browser navigation to a page of this site (303). Any other response, and one to a
    /// failure of the server (5xx), does not change.
    ///
    /// `path` must be a path of this site. Any other text redirects to `/`.
    #[must_use]
    pub fn then_show(mut self, path: &str) -> Self {
        if self.navigates && self.response.status() < 500 {
            self.response = self.response.then_show(path);
        }
        self
    }

    /// Creates a refusal with another response than that of `error`: one that repairs the cause.
    pub(crate) fn mended(error: AuthError, response: Response) -> Self {
        Self {
            error,
            response,
            navigates: false,
        }
    }

    /// Adds lines to the response: those that clear the cookies after a failed refresh.
    pub(crate) fn with_lines(mut self, lines: Vec<HeaderLine>) -> Self {
        self.response = self.response.with_cookies(lines);
        self
    }

    /// Adds the edits of a response: a renewed session stays renewed although the route refuses the
    /// request.
    pub(crate) fn with_edits(mut self, edits: ResponseEdits) -> Self {
        self.response = self.response.with_edits(edits);
        self
    }

    /// Creates the refusal for an unavailable part of the app, such as its database: 503. `source`
    /// is for operators.
    #[must_use]
    pub fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let error = AuthError::unavailable(Cause::AppUnavailable).with_source(source);
        let response = respond(&error, None, problem(&error));
        Self {
            error,
            response,
            navigates: false,
        }
    }

    /// Creates the refusal of an extractor without a layer. The settings of the app are unknown
    /// there, so the body is the default one.
    #[must_use]
    pub fn misconfigured() -> Self {
        let error = AuthError::misconfigured();
        let response = respond(&error, None, problem(&error));
        Self {
            error,
            response,
            navigates: false,
        }
    }
}

/// The refusal settings of a guard. Realm, metadata and gRPC statuses are those of its
/// authenticator.
#[derive(Clone, Debug, Default)]
pub(crate) struct RefusalRenderer {
    pub(crate) realm: Realm,
    pub(crate) responder: Option<Arc<dyn Responder>>,
    pub(crate) login_page: Option<Box<str>>,
    /// URL of the resource's metadata, known to need no escaping.
    pub(crate) resource_metadata: Option<Box<str>>,
    /// Whether gRPC calls get gRPC statuses.
    pub(crate) grpc: bool,
}

impl RefusalRenderer {
    /// Whether there is neither a login page nor a responder.
    pub(super) fn is_plain(&self) -> bool {
        self.responder.is_none() && self.login_page.is_none()
    }

    pub(crate) fn refuse(&self, error: AuthError, request: &dyn RequestView) -> Refusal {
        metrics::refused(error.cause());
        tracing::debug!(
            target: "auth::refused",
            kind = ?error.kind(),
            cause = error.cause().as_str(),
        );
        let response = self.respond(&error, request);
        Refusal {
            error,
            response,
            navigates: navigates(request),
        }
    }

    fn respond(&self, error: &AuthError, request: &dyn RequestView) -> Response {
        if self.grpc && is_grpc(request) {
            return grpc_response(error, self);
        }
        if let Some(response) = self.login_redirect(error, request) {
            return response;
        }
        let body = self
            .responder
            .as_ref()
            .and_then(|responder| responder.body(error, request))
            .unwrap_or_else(|| problem(error));
        respond(error, Some(self), body)
    }

    /// Applies rule 3. A navigation displays the response: a challenge would be a blank page.
    fn login_redirect(&self, error: &AuthError, request: &dyn RequestView) -> Option<Response> {
        let page = self.login_page.as_deref()?;
        let navigates = request.method() == "GET"
            && single_field(request, "sec-fetch-mode") == SingleField::One(b"navigate");
        let (status, _) = wire(error.kind());
        (navigates && status == 401)
            .then(|| Response::new(303).with_header("location", page).no_store())
    }
}

/// The protection space in challenges (RFC 9110 §11.5), checked to need no quoting.
#[derive(Clone, Debug)]
pub(crate) struct Realm(Box<str>);

impl Realm {
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        let plain = |byte: u8| matches!(byte, 0x20..=0x7E) && byte != b'"' && byte != b'\\';
        if text.bytes().all(plain) {
            Ok(Self(text.into()))
        } else {
            Err(ConfigError::new(
                "realm",
                "only printable ASCII without quote and backslash",
            ))
        }
    }
}

impl Default for Realm {
    fn default() -> Self {
        Self("api".into())
    }
}

/// The table: status and error code. Without a code there is no `error` attribute.
fn wire(kind: AuthErrorKind) -> (u16, Challenge) {
    match kind {
        AuthErrorKind::MissingCredential => (401, Challenge::Bare),
        AuthErrorKind::MalformedCredential => (400, Challenge::Error("invalid_request")),
        AuthErrorKind::InvalidToken => (401, Challenge::Error("invalid_token")),
        AuthErrorKind::InsufficientScope => (403, Challenge::Error("insufficient_scope")),
        AuthErrorKind::InsufficientAuthentication => {
            (401, Challenge::Error("insufficient_user_authentication"))
        }
        AuthErrorKind::CrossSite | AuthErrorKind::Forbidden | AuthErrorKind::LoginRefused => {
            (403, Challenge::None)
        }
        AuthErrorKind::LoginSuperseded => (409, Challenge::None),
        AuthErrorKind::Unavailable => (503, Challenge::None),
        AuthErrorKind::Misconfigured => (500, Challenge::None),
    }
}

enum Challenge {
    None,
    Bare,
    Error(&'static str),
}

fn respond(error: &AuthError, app: Option<&RefusalRenderer>, body: ErrorBody) -> Response {
    head(error, app).with_body(body)
}

fn head(error: &AuthError, app: Option<&RefusalRenderer>) -> Response {
    let (status, challenge) = wire(error.kind());
    let mut response = Response::new(status).no_store();
    let code = match challenge {
        Challenge::None => None,
        Challenge::Bare => Some(None),
        Challenge::Error(code) => Some(Some(code)),
    };
    if let (Some(code), Some(app)) = (code, app) {
        response = response.with_header("www-authenticate", challenge_text(app, code, error));
    }
    if error.kind() == AuthErrorKind::Unavailable {
        response = response.with_header("retry-after", RETRY_AFTER_SECS);
    }
    response
}

/// The gRPC column of the table.
fn grpc_status(kind: AuthErrorKind) -> &'static str {
    const PERMISSION_DENIED: &str = "7";
    const ABORTED: &str = "10";
    const INTERNAL: &str = "13";
    const UNAVAILABLE: &str = "14";
    const UNAUTHENTICATED: &str = "16";
    match kind {
        AuthErrorKind::MissingCredential
        | AuthErrorKind::MalformedCredential
        | AuthErrorKind::InvalidToken
        | AuthErrorKind::InsufficientAuthentication => UNAUTHENTICATED,
        AuthErrorKind::CrossSite
        | AuthErrorKind::Forbidden
        | AuthErrorKind::InsufficientScope
        | AuthErrorKind::LoginRefused => PERMISSION_DENIED,
        AuthErrorKind::LoginSuperseded => ABORTED,
        AuthErrorKind::Unavailable => UNAVAILABLE,
        AuthErrorKind::Misconfigured => INTERNAL,
    }
}

/// Whether the request is a gRPC call (gRPC over HTTP/2, "Requests"): POST, and the content type
/// `application/grpc`, alone or with `+` and a format. gRPC-Web clients understand HTTP statuses.
fn is_grpc(request: &dyn RequestView) -> bool {
    let SingleField::One(media) = single_field(request, "content-type") else {
        return false;
    };
    let rest = media.strip_prefix(GRPC.as_bytes());
    request.method() == "POST"
        && rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// A "Trailers-Only" response. The message is a fixed text that needs no escaping.
fn grpc_response(error: &AuthError, app: &RefusalRenderer) -> Response {
    head(error, Some(app))
        .with_status(200)
        .with_header("content-type", GRPC)
        .with_header("grpc-status", grpc_status(error.kind()))
        .with_header("grpc-message", error.to_string())
}

/// The challenge. Parameters are comma-separated (RFC 9110 §11.6.1); no value needs escaping.
fn challenge_text(app: &RefusalRenderer, code: Option<&str>, error: &AuthError) -> String {
    let mut text = format!("Bearer realm=\"{}\"", app.realm.0);
    let mut add = |name: &str, value: &str| {
        text.push_str(", ");
        text.push_str(name);
        text.push_str("=\"");
        text.push_str(value);
        text.push('"');
    };
    if let Some(code) = code {
        add("error", code);
    }
    if let Some(needs) = error.needs() {
        if !needs.scope.is_empty() {
            add("scope", needs.scope.as_str());
        }
        if !needs.acr.is_empty() {
            add("acr_values", &needs.acr.join(" "));
        }
        if let Some(max_age) = needs.max_age {
            add("max_age", &max_age.as_secs().to_string());
        }
    }
    if let Some(url) = &app.resource_metadata {
        add("resource_metadata", url);
    }
    text
}

fn problem(error: &AuthError) -> ErrorBody {
    let (status, _) = wire(error.kind());
    let title = match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        409 => "Conflict",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    };
    problem_body(status, title, &error.to_string())
}
