//! A token in a WebSocket's handshake, for pages that hold it in script: a browser's `WebSocket` can
//! set no header but the list of subprotocols.
//!
//! 1. Only the handshake is looked at; on other requests the field means nothing.
//! 2. One entry of the list is `bearer.` and the token. A second one, on whichever line, is an
//!    error, and so is an entry without a token.
//! 3. The exactly-one rule holds across sources: a cookie or a header besides refuses the request.
//! 4. The server must choose another entry, and the page must therefore offer one. The frameworks
//!    choose among the names that they are given, so the token is not sent back.
//!
//! A token in a cookie needs none of this. Like any header this one may end up in somebody's log:
//! leave it off where cookies do.

use crate::http::request::{RequestView, opens_websocket};
use crate::http::source::{Carrier, CredentialError, PresentedToken, TokenSource, is_tchar};

const PREFIX: &str = "bearer.";

/// Looks for the token among the subprotocols that a WebSocket's handshake offers
/// (RFC 6455 §11.3.4). The page opens it with `new WebSocket(url, ["chat", "bearer." + token])`.
///
/// Opt in with [`with_sources`](crate::AuthenticatorBuilder::with_sources):
///
/// ```
/// use std::sync::Arc;
/// use auth_core::{Authenticator, BearerHeader, Key, TokenSource, WebSocketProtocol};
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

/// No browser sends the token by itself, so it counts as one from the header.
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
