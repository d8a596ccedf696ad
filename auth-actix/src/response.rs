//! From core's answers and edits to actix responses.
//!
//! 1. A refusal's [`AuthError`] goes into the response's extensions, for outer middleware.
//! 2. `Set-Cookie` lines are appended, other lines replace their namesakes.
//! 3. One `Set-Cookie` per name and response (RFC 6265bis §4.1): where the handler wrote a cookie
//!    of ours itself, as a login or logout does, the handler's stands.

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use actix_web::{HttpResponse, ResponseError};
use auth_core::{Answer, AuthError, HeaderLine, Refusal};

/// A refused request, as an actix error whose response is core's answer.
///
/// `Display` and `Debug` hold fixed text only. The response carries the [`AuthError`] in its
/// extensions.
pub struct AuthRejection(Box<Refusal>);

impl AuthRejection {
    /// Why, for logs. It is not what the client is told.
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
        status(self.0.answer())
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let (error, answer) = Refusal::clone(&self.0).into_parts();
        let mut response = into_actix(answer);
        response.extensions_mut().insert(error);
        response
    }
}

/// Turns core's answer into a response; it adds and leaves out nothing.
#[must_use]
pub fn into_actix(answer: Answer) -> HttpResponse<BoxBody> {
    let mut response = HttpResponse::new(status(&answer));
    for line in answer.headers() {
        write(response.headers_mut(), line);
    }
    response.set_body(BoxBody::new(answer.into_body()))
}

/// Writes the edits of a passed request into the app's response.
pub(crate) fn apply(lines: &[HeaderLine], headers: &mut HeaderMap) {
    let sets = |line: &HeaderLine| {
        let name = cookie_name(line.value().as_bytes());
        headers
            .get_all(SET_COOKIE)
            .any(|own| cookie_name(own.as_bytes()) == name)
    };
    let lines: Vec<_> = lines
        .iter()
        .filter(|line| !(line.is_appended() && sets(line)))
        .collect();
    for line in lines {
        write(headers, line);
    }
}

/// RFC 6265bis §5.6: what is before the first `=` of the first part.
fn cookie_name(line: &[u8]) -> &[u8] {
    let end = line
        .iter()
        .position(|byte| matches!(byte, b'=' | b';'))
        .unwrap_or(line.len());
    line.get(..end).unwrap_or_default().trim_ascii()
}

fn status(answer: &Answer) -> StatusCode {
    StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn write(headers: &mut HeaderMap, line: &HeaderLine) {
    let name = HeaderName::from_bytes(line.name().as_bytes());
    let (Ok(name), Ok(mut value)) = (name, HeaderValue::from_str(line.value())) else {
        tracing::error!(
            target: "auth::setup",
            name = line.name(),
            "a header line that cannot be written was left out"
        );
        return;
    };
    if line.is_appended() {
        // A cookie of ours is a credential, and the `Debug` of a response prints its headers.
        value.set_sensitive(true);
        headers.append(name, value);
    } else {
        headers.insert(name, value);
    }
}
