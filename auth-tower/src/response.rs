//! Core's answers and edits as [`http`] responses.

use auth_core::{Answer, HeaderLine, Refusal, ResponseEdits};
use http::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use http::{Response, StatusCode};

/// Turns core's answer into a response; it adds and leaves out nothing.
pub fn into_http<B: From<Vec<u8>>>(answer: Answer) -> Response<B> {
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

/// As [`into_http`], with the error in the response's extensions for outer middleware.
pub(crate) fn refuse<B: From<Vec<u8>>>(refusal: Refusal) -> Response<B> {
    let (error, answer) = refusal.into_parts();
    let mut response = into_http(answer);
    response.extensions_mut().insert(error);
    response
}

/// Writes what core wants on a response that the app made.
///
/// A cookie that the app has set or deleted itself stays as the app wants it: a login or logout
/// knows better than a refresh that began before it. Two lines of one name would leave the choice
/// to the browser (RFC 6265bis §4.1.1 forbids them).
pub(crate) fn edit(headers: &mut HeaderMap, edits: ResponseEdits) {
    let own: Vec<HeaderLine> = edits
        .finish()
        .into_iter()
        .filter(|line| !(line.is_appended() && sets_cookie(headers, line.value())))
        .collect();
    for line in &own {
        write(headers, line);
    }
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
        value.set_sensitive(true);
        headers.append(name, value);
    } else {
        headers.insert(name, value);
    }
}

fn sets_cookie(headers: &HeaderMap, line: &str) -> bool {
    let name = cookie_name(line.as_bytes());
    headers
        .get_all(SET_COOKIE)
        .iter()
        .any(|value| cookie_name(value.as_bytes()) == name)
}

fn cookie_name(line: &[u8]) -> &[u8] {
    let end = line
        .iter()
        .position(|byte| matches!(byte, b'=' | b';'))
        .unwrap_or(line.len());
    line.get(..end).unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b17_a_cookie_is_told_by_its_exact_name() {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static("other=1; Path=/"));
        headers.append(
            SET_COOKIE,
            HeaderValue::from_static("__Host-at=; Max-Age=0"),
        );
        assert!(sets_cookie(&headers, "__Host-at=new; Path=/"));
        assert!(!sets_cookie(&headers, "__Host-a=new"));
        assert!(!sets_cookie(&headers, "__Host-att=new"));
        assert!(!sets_cookie(&headers, "__host-at=new"));
        assert!(!sets_cookie(&headers, "Path=new"));
    }

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
