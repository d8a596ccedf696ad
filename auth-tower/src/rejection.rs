//! The rejection of the extractors.

use std::fmt;

use auth_core::AuthError;
use auth_core::adapter::Refusal;
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;

use crate::response::refuse;

/// The rejection of an extractor or a login. Its response is the same as the layer's: status, challenge, body,
/// and the [`AuthError`] in the response's extensions.
///
/// ```
/// use auth_tower::{AuthRejection, Claims};
/// use axum::response::{IntoResponse, Redirect, Response};
///
/// /// A page that redirects anonymous visitors.
/// async fn page(user: Result<Claims<()>, AuthRejection>) -> Response {
///     match user {
///         Ok(user) => format!("hello {}", user.subject()).into_response(),
///         Err(refused) if refused.status() == 401 => Redirect::to("/welcome").into_response(),
///         Err(refused) => refused.into_response(),
///     }
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(page));
/// ```
#[derive(Clone, Debug)]
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

    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.response().status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
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

impl IntoResponse for AuthRejection {
    fn into_response(self) -> Response {
        refuse(*self.0)
    }
}

impl fmt::Display for AuthRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.error(), f)
    }
}

impl std::error::Error for AuthRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.error())
    }
}
