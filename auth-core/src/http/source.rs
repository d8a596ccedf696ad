//! Token sources: the places of a request that may carry a token.
//!
//! (Client-side OAuth libraries often call the place where a client *acquires* tokens a "token
//! source". Here it is the place where a server *finds* one.)
//!
//! 1. Sources are read in the configured order.
//! 2. Absent and malformed differ. A source that finds nothing returns `Ok(None)`; one that finds
//!    something unreadable returns an error, and the request is refused with 400.
//! 3. Exactly one credential is allowed: a second one, in the same or in another source, is an
//!    error. It revokes nothing and changes no cookie.
//! 4. `Authorization` is read as RFC 9110 §11.4 says: the scheme without regard to case, one or
//!    more spaces (no tab), one token68. A different scheme counts as absent.
//! 5. Query strings and bodies are never read (RFC 6750 §2.3 and RFC 9700 §4.3.2: URLs leak).

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::base::error::{AuthError, AuthErrorKind, Cause};
use crate::base::opaque::opaque_debug;
use crate::http::request::{RequestView, SingleField, single_field};

/// The part of a request that carried the token. The CSRF rule applies to cookies only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Carrier {
    /// The `Authorization` header. Browsers never send it by themselves.
    Header,
    /// A cookie. Browsers attach it even to requests that other sites cause.
    Cookie,
}

/// A token found in a request, not yet verified.
///
/// There is no `Display`, and `Debug` does not show the token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PresentedToken<'r> {
    token: &'r str,
    carrier: Carrier,
}

impl<'r> PresentedToken<'r> {
    /// Creates a token that arrived by `carrier`. Returns `None` for an empty token.
    #[must_use]
    pub fn new(token: &'r str, carrier: Carrier) -> Option<Self> {
        if token.is_empty() {
            None
        } else {
            Some(Self { token, carrier })
        }
    }

    /// The text of the token. Never empty.
    ///
    /// # Security
    /// The text is a credential: do not log it.
    #[must_use]
    pub fn expose(&self) -> &'r str {
        self.token
    }

    /// The part of the request that carried the token.
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        self.carrier
    }
}

impl fmt::Debug for PresentedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedToken")
            .field("carrier", &self.carrier)
            .finish_non_exhaustive()
    }
}

/// A copy of a token for work that outlives the request. Zeroized on drop; `Debug` does not show
/// it.
pub(crate) struct SecretToken(Zeroizing<String>);

impl SecretToken {
    pub(crate) fn of(token: PresentedToken<'_>) -> Self {
        Self(Zeroizing::new(token.expose().to_owned()))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

opaque_debug!(SecretToken);

/// The error for a credential that is present but cannot be read. The response is 400
/// `invalid_request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The credential is malformed for its place.
    #[error("the credential is malformed")]
    Malformed,
    /// More than one credential was sent.
    #[error("more than one credential was sent")]
    Ambiguous,
}

/// A place of a request in which a token may be presented.
///
/// The trait is synchronous and object-safe. Implementations borrow from the request instead of
/// allocating.
///
/// ```
/// use auth_core::adapter::RequestView;
/// use auth_core::source::{Carrier, CredentialError, PresentedToken, TokenSource};
///
/// /// A gateway's own header.
/// #[derive(Debug)]
/// struct GatewayHeader;
///
/// impl TokenSource for GatewayHeader {
///     fn find<'r>(
///         &self,
///         request: &'r dyn RequestView,
///     ) -> Result<Option<PresentedToken<'r>>, CredentialError> {
///         let mut found = Ok(None);
///         request.visit_header("x-gateway-token", &mut |value| {
///             found = match (&found, std::str::from_utf8(value)) {
///                 (Ok(None), Ok(token)) => Ok(PresentedToken::new(token, Carrier::Header)),
///                 (Ok(None), Err(_)) => Err(CredentialError::Malformed),
///                 _ => Err(CredentialError::Ambiguous),
///             };
///         });
///         found
///     }
/// }
/// ```
pub trait TokenSource: Send + Sync + fmt::Debug {
    /// Finds the token in this place, if there is one.
    ///
    /// # Errors
    /// [`CredentialError`] if the place holds anything but a single, readable credential. A source
    /// must not return `Ok(None)` for a malformed credential of its own: absent and malformed
    /// differ.
    fn find<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError>;
}

impl<S: TokenSource + ?Sized> TokenSource for Arc<S> {
    fn find<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError> {
        (**self).find(request)
    }
}

/// The bearer token of the `Authorization` header (RFC 6750 §2.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct BearerHeader;

impl TokenSource for BearerHeader {
    fn find<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError> {
        match single_field(request, "authorization") {
            SingleField::Absent => Ok(None),
            SingleField::Repeated => Err(CredentialError::Ambiguous),
            SingleField::One(value) => parse_bearer(value),
        }
    }
}

fn parse_bearer(value: &[u8]) -> Result<Option<PresentedToken<'_>>, CredentialError> {
    const SCHEME: &[u8] = b"bearer";
    let Some((scheme, rest)) = value.split_at_checked(SCHEME.len()) else {
        return Ok(None);
    };
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Ok(None);
    }
    match rest.first() {
        // The scheme continues: it is another one that merely starts with "Bearer".
        Some(byte) if is_tchar(*byte) || *byte == b':' => return Ok(None),
        Some(b' ') => {}
        _ => return Err(CredentialError::Malformed),
    }
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    let token = rest.get(spaces..).unwrap_or_default();
    if !is_token68(token) {
        return Err(CredentialError::Malformed);
    }
    let token = std::str::from_utf8(token).map_err(|_| CredentialError::Malformed)?;
    Ok(PresentedToken::new(token, Carrier::Header))
}

/// RFC 9110 §5.6.2 `tchar`.
pub(crate) fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 9110 §11.2: `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`.
fn is_token68(token: &[u8]) -> bool {
    let padding = token.iter().rev().take_while(|byte| **byte == b'=').count();
    let body = token
        .get(..token.len().saturating_sub(padding))
        .unwrap_or_default();
    // Chunks of a fixed size without an early exit compile to vector instructions.
    let (pieces, rest) = body.as_chunks::<32>();
    let fits = |ok: bool, byte: &u8| ok & is_token68_byte(*byte);
    !body.is_empty()
        && pieces.iter().all(|piece| piece.iter().fold(true, fits))
        && rest.iter().fold(true, fits)
}

/// Whether `byte` is a letter, a digit or one of `-._~+/`. Every comparison is made, so that there
/// is no branch.
const fn is_token68_byte(byte: u8) -> bool {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    // `-`, `.`, `/` and the digits are contiguous.
    let digit = byte.wrapping_sub(b'-') <= b'9' - b'-';
    letter | digit | (byte == b'_') | (byte == b'~') | (byte == b'+')
}

/// The configured token sources, in order, under the exactly-one rule.
#[derive(Clone, Debug)]
pub(crate) struct TokenSources(Vec<Arc<dyn TokenSource>>);

impl TokenSources {
    pub(crate) fn new(sources: Vec<Arc<dyn TokenSource>>) -> Self {
        Self(sources)
    }

    /// Reads every source, even after a hit: a second credential elsewhere refuses the request.
    pub(crate) fn find<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError> {
        let mut found = None;
        for source in &self.0 {
            match (source.find(request)?, found) {
                (None, _) => {}
                (Some(token), None) => found = Some(token),
                (Some(_), Some(_)) => return Err(CredentialError::Ambiguous),
            }
        }
        Ok(found)
    }
}

impl From<CredentialError> for AuthError {
    fn from(error: CredentialError) -> Self {
        let cause = match error {
            CredentialError::Malformed => Cause::Malformed,
            CredentialError::Ambiguous => Cause::Ambiguous,
        };
        Self::new(AuthErrorKind::MalformedCredential, cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(value: &str) -> Result<Option<&str>, CredentialError> {
        parse_bearer(value.as_bytes()).map(|found| found.map(|token| token.expose()))
    }

    #[test]
    fn b01_scheme_in_any_case_and_any_number_of_spaces() {
        for value in [
            "Bearer a.b.c",
            "bearer a.b.c",
            "BEARER   a.b.c",
            "bEaReR  a.b.c",
        ] {
            assert_eq!(token(value), Ok(Some("a.b.c")), "{value}");
        }
    }

    #[test]
    fn b02_tab_quote_and_missing_token_are_malformed() {
        for value in [
            "Bearer\ta",
            "Bearer \"a\"",
            "Bearer",
            "Bearer ",
            "Bearer   ",
            "Bearer =",
        ] {
            assert_eq!(token(value), Err(CredentialError::Malformed), "{value}");
        }
    }

    #[test]
    fn b03_lists_and_parameters_are_malformed() {
        for value in [
            "Bearer a b",
            "Bearer a,b",
            "Bearer token=a",
            "Bearer a%20",
            "Bearer a=b",
        ] {
            assert_eq!(token(value), Err(CredentialError::Malformed), "{value}");
        }
    }

    #[test]
    fn b03_every_byte_is_told_apart_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            let fits = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            assert_eq!(is_token68_byte(byte), fits, "{byte:#x}");
            for at in [0, 31, 32, 50, 64] {
                let mut token = [b'a'; 66];
                token[at] = byte;
                assert_eq!(is_token68(&token), fits, "{byte:#x} at {at}");
            }
        }
        assert!(!is_token68(b"") && !is_token68(b"=") && is_token68(b"a=="));
    }

    #[test]
    fn another_scheme_is_absent() {
        for value in [
            "",
            "Basic dTpw",
            "JWT a.b.c",
            "Bearera.b.c",
            "Bearer:a",
            "Bear",
        ] {
            assert_eq!(token(value), Ok(None), "{value}");
        }
    }
}
