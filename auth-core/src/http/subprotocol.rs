//! The token source for WebSocket handshakes from pages that hold a token in script: the browser's
//! `WebSocket` API can set no header but `Sec-WebSocket-Protocol`.
//!
//! 1. Only a WebSocket handshake is read; the field has no meaning on other requests.
//! 2. The token is the entry `bearer.TOKEN` of the list. A second such entry, on the same or on
//!    another line, is an error, and so is an entry without a token.
//! 3. The exactly-one rule holds across sources: an additional cookie or header refuses the request.
//! 4. The server must choose another entry, so the page must offer at least one more. Frameworks
//!    choose among the names that the app gives them, so the token is not sent back.
//!
//! A token in a cookie needs none of this. Proxies may log this header like any other: leave this
//! source off where cookies work.

use crate::http::request::{RequestView, opens_websocket};
use crate::http::source::{Carrier, CredentialError, PresentedToken, TokenSource, is_tchar};

const PREFIX: &str = "bearer.";

/// The `bearer.TOKEN` entry of the subprotocol list in a WebSocket handshake (RFC 6455 §11.3.4).
/// The page opens the connection with `new WebSocket(url, ["chat", "bearer." + token])`.
///
/// Opt in with [`with_sources`](crate::AuthenticatorBuilder::with_sources):
///
/// ```
/// use std::sync::Arc;
/// use auth_core::source::{BearerHeader, TokenSource, WebSocketProtocol};
/// use auth_core::{Authenticator, Key};
///
/// # fn main() -> Result<(), auth_core::ConfigError> {
/// let sources: [Arc<dyn TokenSource>; 2] = [Arc::new(BearerHeader), Arc::new(WebSocketProtocol)];
/// let auth = Authenticator::<()>::for_issuer("https://issuer.example")
///     .audience("https://api.example")
///     .keys(Key::hs256("k1", &[7; 32])?)
///     .with_sources(sources)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct WebSocketProtocol;

impl TokenSource for WebSocketProtocol {
    fn find<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError> {
        if !opens_websocket(request) {
            return Ok(None);
        }
        let mut found = Ok(None);
        request.visit_header("sec-websocket-protocol", &mut |line| {
            for entry in line.split(|byte| *byte == b',') {
                if let Some(token) = entry.trim_ascii().strip_prefix(PREFIX.as_bytes()) {
                    found = match (&found, read(token)) {
                        (Ok(None), Some(token)) => Ok(Some(token)),
                        (Ok(None), None) => Err(CredentialError::Malformed),
                        _ => Err(CredentialError::Ambiguous),
                    };
                }
            }
        });
        found
    }
}

/// Creates a token with the carrier `Header`, since no browser sends it by itself.
fn read(token: &[u8]) -> Option<PresentedToken<'_>> {
    let plain = token.iter().all(|byte| is_tchar(*byte));
    let token = std::str::from_utf8(token).ok().filter(|_| plain)?;
    PresentedToken::new(token, Carrier::Header)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Handshake(&'static str, Vec<(&'static str, String)>);

    impl RequestView for Handshake {
        fn method(&self) -> &str {
            self.0
        }
        fn path(&self) -> &str {
            "/"
        }
        fn target(&self) -> &str {
            self.path()
        }
        fn authority(&self) -> Option<&str> {
            None
        }
        fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
            for (_, value) in self.1.iter().filter(|(own, _)| *own == name) {
                visit(value.as_bytes());
            }
        }
    }

    fn found(
        method: &'static str,
        upgrade: &str,
        lines: &[&str],
    ) -> Result<Option<String>, CredentialError> {
        let lines = lines
            .iter()
            .map(|line| ("sec-websocket-protocol", (*line).to_owned()));
        let fields = [("upgrade", upgrade.to_owned())].into_iter().chain(lines);
        let handshake = Handshake(method, fields.collect());
        let found = WebSocketProtocol.find(&handshake)?;
        Ok(found.map(|token| token.expose().to_owned()))
    }

    #[test]
    fn one_entry_is_the_token() {
        for lines in [
            &["chat, bearer.a.b-c_d"][..],
            &["bearer.a.b-c_d ,chat"],
            &["chat", "bearer.a.b-c_d"],
        ] {
            assert_eq!(
                found("GET", "websocket", lines),
                Ok(Some("a.b-c_d".to_owned())),
                "{lines:?}"
            );
        }
        for lines in [
            &[][..],
            &["chat"],
            &["Bearer.a"],
            &["xbearer.a"],
            &["bearer"],
        ] {
            assert_eq!(found("GET", "websocket", lines), Ok(None), "{lines:?}");
        }
    }

    #[test]
    fn two_entries_or_none_in_one_are_refused() {
        for lines in [&["bearer.a, bearer.a"][..], &["bearer.a", "bearer.b"]] {
            assert_eq!(
                found("GET", "websocket", lines),
                Err(CredentialError::Ambiguous),
                "{lines:?}"
            );
        }
        for line in ["bearer.", "bearer.a b", "bearer.a=", "bearer.\u{e9}"] {
            assert_eq!(
                found("GET", "websocket", &[line]),
                Err(CredentialError::Malformed),
                "{line}"
            );
        }
    }

    #[test]
    fn only_a_handshake_is_looked_at() {
        assert_eq!(found("GET", "", &["bearer.a"]), Ok(None));
        assert_eq!(found("POST", "websocket", &["bearer.a"]), Ok(None));
        assert_eq!(
            found("CONNECT", "", &["bearer.a"]),
            Ok(Some("a".to_owned()))
        );
    }
}
