//! The response to a request.

use std::fmt::Write;
use std::time::Duration;

use super::{Document, FakeAnswer, ProviderState, State, bomb};

/// Number of spaces in an expanded response.
const INFLATED_BYTES: usize = 5 * 1024 * 1024;
const PAGE: &str = "<!doctype html><title>Sign in</title><h1>Sign in</h1>";
const SPACES: &[u8] = &[b' '; 16 * 1024];

/// A response in its wire format.
pub(super) struct Reply {
    /// Head and body, or their beginning.
    pub(super) bytes: Vec<u8>,
    /// The rest of the response.
    pub(super) more: More,
}

/// The rest of a response after its first bytes.
pub(super) enum More {
    Nothing,
    /// These bytes, repeated endlessly.
    Forever(Vec<u8>),
    /// No more bytes. The first bytes are sent one by one with this pause.
    Slowly(Duration),
}

/// The relevant parts of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) if_none_match: Option<String>,
}

impl Request {
    pub(super) fn parse(head: &str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let path = lines.next()?.split(' ').nth(1)?.to_owned();
        let if_none_match = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("if-none-match")
                .then(|| value.trim().to_owned())
        });
        Some(Self {
            path,
            if_none_match,
        })
    }
}

impl ProviderState {
    pub(super) fn document(&self, request: &str) -> Option<Document> {
        let path = &*self.path;
        if request == format!("{path}/jwks") {
            Some(Document::Jwks)
        } else if request == format!("{path}/.well-known/openid-configuration") {
            Some(Document::OpenIdConfiguration)
        } else if request == format!("/.well-known/oauth-authorization-server{path}") {
            Some(Document::AuthorizationServer)
        } else if request == format!("/.well-known/openid-configuration{path}") {
            Some(Document::OpenIdConfigurationBefore)
        } else {
            None
        }
    }

    /// The reply to a request for `document`. `None` ends the connection.
    pub(super) fn reply(
        &self,
        state: &State,
        document: Document,
        request: &Request,
    ) -> Option<Reply> {
        let answer = state
            .answers
            .get(&document)
            .unwrap_or(&FakeAnswer::Document);
        let text = match document {
            Document::Jwks => state.jwks(),
            _ => metadata(state),
        };
        Some(match answer {
            FakeAnswer::Document => self.document_reply(state, document, request, &text),
            FakeAnswer::CutShort => {
                let head = ok("application/json", Some(text.len()), "");
                let (begin, _) = text.as_bytes().split_at(text.len() / 2);
                whole(head, begin)
            }
            FakeAnswer::Compressed => {
                let body = bomb::gzip(&text, INFLATED_BYTES);
                let field = "content-encoding: gzip\r\n";
                whole(ok("application/json", Some(body.len()), field), &body)
            }
            FakeAnswer::Drip(pause) => Reply {
                more: More::Slowly(*pause),
                ..whole(
                    ok("application/json", Some(text.len()), ""),
                    text.as_bytes(),
                )
            },
            FakeAnswer::Endless => Reply {
                more: More::Forever(chunk(SPACES)),
                ..whole(ok("application/json", None, ""), &[])
            },
            FakeAnswer::EndlessHead => Reply {
                bytes: b"HTTP/1.1 200 OK\r\n".to_vec(),
                more: More::Forever(format!("x-more: {}\r\n", "x".repeat(16_000)).into_bytes()),
            },
            FakeAnswer::Hang | FakeAnswer::HangUp => return None,
            FakeAnswer::Html => whole(ok("text/html", Some(PAGE.len()), ""), PAGE.as_bytes()),
            FakeAnswer::Keys(count) => json(&many_keys(state, *count)),
            FakeAnswer::Padded(length) => json(&padded(text, *length)),
            FakeAnswer::PaddedUnannounced(length) => {
                let mut body = chunk(padded(text, *length).as_bytes());
                body.extend_from_slice(b"0\r\n\r\n");
                whole(ok("application/json", None, ""), &body)
            }
            FakeAnswer::Redirect(to) => redirect(to),
            FakeAnswer::RedirectLoop => redirect(&request.path),
            FakeAnswer::Status(status) => status_only(*status),
            FakeAnswer::Text(text) => json(text),
        })
    }

    fn document_reply(
        &self,
        state: &State,
        document: Document,
        request: &Request,
        text: &str,
    ) -> Reply {
        let mut fields = String::new();
        if document == Document::Jwks {
            if let Some(value) = &state.cache_control {
                let _ = write!(fields, "cache-control: {value}\r\n");
            }
            let etag = state.etag();
            if let Some(etag) = &etag {
                let _ = write!(fields, "etag: {etag}\r\n");
            }
            if etag.is_some() && etag == request.if_none_match {
                let head =
                    format!("HTTP/1.1 304 Not Modified\r\n{fields}connection: close\r\n\r\n");
                return whole(head, &[]);
            }
        }
        whole(
            ok("application/json", Some(text.len()), &fields),
            text.as_bytes(),
        )
    }
}

/// The response for an unknown path.
pub(super) fn not_found() -> Reply {
    status_only(404)
}

fn metadata(state: &State) -> String {
    let (issuer, jwks_uri) = (&state.named_issuer, &state.named_jwks);
    format!(
        r#"{{"issuer":"{issuer}","authorization_endpoint":"{issuer}/authorize","token_endpoint":"{issuer}/token","jwks_uri":"{jwks_uri}","response_types_supported":["code"],"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["RS256","ES256"]}}"#
    )
}

fn many_keys(state: &State, count: usize) -> String {
    let mut entries = state.entries.clone();
    entries.resize(count, r#"{"kty":"EC"}"#.to_owned());
    format!(r#"{{"keys":[{}]}}"#, entries.join(","))
}

fn padded(mut text: String, length: usize) -> String {
    let missing = length.saturating_sub(text.len());
    text.push_str(&" ".repeat(missing));
    text
}

/// The head of a 200, chunked if the length of the body is unknown.
fn ok(content_type: &str, length: Option<usize>, fields: &str) -> String {
    let length = match length {
        Some(length) => format!("content-length: {length}"),
        None => "transfer-encoding: chunked".to_owned(),
    };
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n{length}\r\n{fields}connection: close\r\n\r\n"
    )
}

fn json(text: &str) -> Reply {
    whole(
        ok("application/json", Some(text.len()), ""),
        text.as_bytes(),
    )
}

fn redirect(to: &str) -> Reply {
    let head = format!(
        "HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    whole(head, &[])
}

fn status_only(status: u16) -> Reply {
    let head =
        format!("HTTP/1.1 {status} Status\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    whole(head, &[])
}

fn whole(head: String, body: &[u8]) -> Reply {
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    Reply {
        bytes,
        more: More::Nothing,
    }
}

/// One chunk of a chunked body (RFC 9112 §7.1).
fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_its_path_and_its_validator() {
        let request = |head: &str| Request::parse(head).unwrap();
        let plain = request("GET /jwks HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!((plain.path.as_str(), plain.if_none_match), ("/jwks", None));
        let known = request("GET /jwks HTTP/1.1\r\nIf-None-Match: \"a\"\r\n\r\n");
        assert_eq!(known.if_none_match.as_deref(), Some("\"a\""));
        assert_eq!(Request::parse("GET"), None);
    }
}
