//! Core's responses and edits as [`http`] responses.

use auth_core::adapter::{HeaderLine, Refusal, ResponseEdits};
use http::header::{CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use http::{Response, StatusCode};

/// Converts a response of core to an [`http`] response, unchanged.
#[must_use]
pub fn into_http<B: From<Vec<u8>>>(answer: auth_core::adapter::Response) -> Response<B> {
    let mut headers = HeaderMap::with_capacity(answer.headers().len());
    for line in answer.headers() {
        write(&mut headers, line);
    }
    let status = StatusCode::from_u16(answer.status());
    let mut response = Response::new(B::from(answer.into_body()));
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response
}

/// Converts a refusal like [`into_http`], with the error in the response's extensions for outer
/// middleware.
pub(crate) fn refuse<B: From<Vec<u8>>>(refusal: Refusal) -> Response<B> {
    let (error, answer) = refusal.into_parts();
    let mut response = into_http(answer);
    response.extensions_mut().insert(error);
    response
}

/// Applies core's edits to a response of the app.
pub(crate) fn edit(headers: &mut HeaderMap, edits: ResponseEdits) {
    let by_app = headers
        .get_all(SET_COOKIE)
        .iter()
        .map(HeaderValue::as_bytes);
    for line in &edits.finish(by_app, headers.contains_key(CACHE_CONTROL)) {
        write(headers, line);
    }
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
        value.set_sensitive(true);
        headers.append(name, value);
    } else {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b17_edits_that_say_nothing_change_nothing() {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static("app=1"));
        let before = headers.clone();
        edit(&mut headers, ResponseEdits::default());
        assert_eq!(headers, before);
    }

    #[test]
    fn an_answer_becomes_a_response_line_by_line() {
        let (_, answer) = Refusal::misconfigured().into_parts();
        let response: Response<Vec<u8>> = into_http(answer.clone());
        assert_eq!(response.status().as_u16(), answer.status());
        assert_eq!(response.headers().len(), answer.headers().len());
        for line in answer.headers() {
            assert_eq!(response.headers()[line.name()], line.value());
        }
        assert_eq!(response.body(), answer.body());
    }
}
