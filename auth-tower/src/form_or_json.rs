//! [`FormOrJson`]: one handler for forms and scripts.

use std::error::Error;
use std::fmt;

use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use axum::{Form, Json};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::de::DeserializeOwned;

/// Extractor of a body that is a form or JSON, by its `Content-Type`.
///
/// ```
/// use auth_tower::FormOrJson;
///
/// #[derive(serde::Deserialize)]
/// struct Credentials {
///     username: String,
///     password: String,
/// }
///
/// async fn log_in(FormOrJson(credentials): FormOrJson<Credentials>) {
///     let _ = (credentials.username, credentials.password);
/// }
/// # let _: axum::Router = axum::Router::new().route("/login", axum::routing::post(log_in));
/// ```
///
/// # Errors
/// [`FormOrJsonRejection`]: 415 for any other type, 413 for a body over the app's limit, 400 or 422
/// for one that does not fit `T`. The response quotes nothing of the body.
#[derive(Clone, Copy, Debug)]
pub struct FormOrJson<T>(
    /// The deserialized body.
    pub T,
);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for FormOrJson<T> {
    type Rejection = FormOrJsonRejection;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, Self::Rejection> {
        if is_form(request.headers()) {
            // `Form` compares bytes, and the name of a media type has no case (RFC 9110 §8.3.1).
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            request.headers_mut().insert(CONTENT_TYPE, form);
            let form = Form::from_request(request, state).await;
            return match form {
                Ok(Form(value)) => Ok(Self(value)),
                Err(error) => Err(FormOrJsonRejection::new(error.status(), error)),
            };
        }
        // Refuses any other type.
        match Json::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(error) => Err(FormOrJsonRejection::new(error.status(), error)),
        }
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let media = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next());
    media.is_some_and(|media| {
        media
            .trim()
            .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}

/// The rejection of [`FormOrJson`]. Its response has a fixed text. The source of the error says what
/// does not fit.
pub struct FormOrJsonRejection {
    status: StatusCode,
    source: Box<dyn Error + Send + Sync>,
}

impl FormOrJsonRejection {
    fn new(status: StatusCode, source: impl Error + Send + Sync + 'static) -> Self {
        Self {
            status,
            source: Box::new(source),
        }
    }

    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for FormOrJsonRejection {
    fn into_response(self) -> Response {
        (self.status, self.to_string()).into_response()
    }
}

impl fmt::Display for FormOrJsonRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body is not the expected form or JSON")
    }
}

impl fmt::Debug for FormOrJsonRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormOrJsonRejection")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Error for FormOrJsonRejection {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}
