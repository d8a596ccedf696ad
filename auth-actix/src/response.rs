//! Core's responses and edits as actix-web responses.
//!
//! 1. A refusal's [`AuthError`] goes into the response's extensions, for outer middleware.
//! 2. `Set-Cookie` lines are appended; other lines replace those of the same name.

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use actix_web::{HttpResponse, ResponseError};
use auth_core::AuthError;
use auth_core::adapter::{HeaderLine, Refusal, ResponseEdits};

/// The rejection of an extractor or a login. Its response is the same as the middleware's: status, challenge,
/// body, and the [`AuthError`] in the response's extensions. `Display` and `Debug` are fixed texts.
///
/// ```
/// use actix_web::{HttpResponse, ResponseError};
/// use auth_actix::{AuthRejection, Claims};
///
/// /// A page that redirects anonymous visitors.
/// async fn page(user: Result<Claims<()>, AuthRejection>) -> HttpResponse {
///     match user {
///         Ok(user) => HttpResponse::Ok().body(format!("hello {}", user.subject())),
///         Err(refused) if refused.status_code() == 401 => {
///             HttpResponse::SeeOther().insert_header(("location", "/welcome")).finish()
///         }
///         Err(refused) => refused.error_response(),
///     }
/// }
/// # let _ = actix_web::App::new().route("/", actix_web::web::get().to(page));
/// ```
#[derive(Clone)]
pub struct AuthRejection(Box<Refusal>);

impl AuthRejection {
    /// The rejection of a handler whose own infrastructure failed, such as the database with the
    /// passwords: 503 with `Retry-After`, logged at ERROR. The client does not receive `error`.
    #[must_use]
    pub fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Refusal::unavailable(error).into()
    }

    /// Redirects a browser navigation to a page of this site (303). Any other response, and one to a
    /// failure of the server (5xx), does not change.
    ///
    /// `path` must be a path of this site. Any other text redirects to `/`.
    #[must_use]
    pub fn then_show(self, path: &str) -> Self {
        self.0.then_show(path).into()
    }

    /// The error with its cause, for logs. The client does not receive it.
    #[must_use]
    pub fn error(&self) -> &AuthError {
        self.0.error()
    }
}

impl From<Refusal> for AuthRejection {
    fn from(refusal: Refusal) -> Self {
        Self(Box::new(refusal))
    }
}

impl fmt::Debug for AuthRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AuthRejection").field(self.error()).finish()
    }
}

impl fmt::Display for AuthRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.error(), f)
    }
}

impl std::error::Error for AuthRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.0.error())
    }
}

impl ResponseError for AuthRejection {
    fn status_code(&self) -> StatusCode {
        status(self.0.response())
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let (error, answer) = Refusal::clone(&self.0).into_parts();
        let mut response = into_actix(answer);
        response.extensions_mut().insert(error);
        response
    }
}

/// Converts a response of core to an actix-web response, unchanged.
#[must_use]
pub fn into_actix(answer: auth_core::adapter::Response) -> HttpResponse<BoxBody> {
    let mut response = HttpResponse::new(status(&answer));
    for line in answer.headers() {
        write(response.headers_mut(), line);
    }
    response.set_body(BoxBody::new(answer.into_body()))
}

/// Applies core's edits to a response of the app.
pub(crate) fn edit(headers: &mut HeaderMap, edits: ResponseEdits) {
    let by_app = headers.get_all(SET_COOKIE).map(HeaderValue::as_bytes);
    let lines = edits.finish(by_app, headers.contains_key(CACHE_CONTROL));
    for line in &lines {
        write(headers, line);
    }
}

fn status(answer: &auth_core::adapter::Response) -> StatusCode {
    StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn write(headers: &mut HeaderMap, line: &HeaderLine) {
    let name = HeaderName::from_bytes(line.name().as_bytes());
    let (Ok(name), Ok(mut value)) = (name, HeaderValue::from_str(line.value())) else {
        tracing::error!(
            target: "auth::setup",
            name = line.name(),
            "an invalid header line was omitted"
        );
        return;
    };
    if line.is_appended() {
        // The cookie is a credential, and the `Debug` of a response prints its headers.
        value.set_sensitive(true);
        headers.append(name, value);
    } else {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody;

    use super::*;

    #[test]
    fn an_answer_becomes_a_response_line_by_line() {
        let (_, answer) = Refusal::misconfigured().into_parts();
        let response = into_actix(answer.clone());
        assert_eq!(response.status().as_u16(), answer.status());
        assert_eq!(response.headers().len(), answer.headers().len());
        for line in answer.headers() {
            assert_eq!(response.headers().get(line.name()).unwrap(), line.value());
        }
        assert_eq!(
            response.into_body().try_into_bytes().unwrap(),
            answer.body()
        );
    }

    #[test]
    fn d21_a_rejection_shows_its_error_and_no_answer() {
        let rejection = AuthRejection::from(Refusal::misconfigured());
        assert_eq!(
            rejection.to_string(),
            "authentication is not set up for this route"
        );
        assert!(!format!("{rejection:?}").contains("content-type"));
    }
}
