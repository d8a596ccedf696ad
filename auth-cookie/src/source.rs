//! Reading a cookie by its exact name, as bytes.
//!
//! 1. Every `Cookie` field line is read: HTTP/2 clients may send one cookie a line
//!    (RFC 9113 §8.2.3), and RFC 6265bis §4.2.1 wants several lines tolerated.
//! 2. A line is split at `;`. Only space and tab around a pair are dropped. If a parser drops other
//!    white space, a cookie that the browser did not protect can pass for one with `__Host-`.
//! 3. The name ends at the first `=` and is compared byte for byte. A pair without `=` or with an
//!    empty name (`=__Host-at=x`) never matches.
//! 4. The value is taken literally: neither percent-decoded nor unquoted. A byte that is not allowed
//!    in cookie values (RFC 6265bis §4.1.1 `cookie-octet`), such as a quote, makes it malformed.
//! 5. An empty value is neither a token nor a duplicate: a planted one must not lock the user out,
//!    nor hide the real one.
//! 6. Two values under the name are ambiguous, even if they are equal: their order does not tell
//!    which one the server set (RFC 6265bis §4.2.2).
//!
//! One pass over the bytes without allocation: 300,000 cookies cost 300,000 comparisons.

use auth_core::ConfigError;
use auth_core::adapter::RequestView;
use auth_core::source::{Carrier, CredentialError, PresentedToken, TokenSource};

use crate::name;

/// A token source that reads one cookie.
///
/// [`CookiePolicy`](crate::CookiePolicy) reads its own cookies; use this for a cookie that is set
/// elsewhere.
///
/// ```
/// use auth_cookie::CookieSource;
/// use auth_core::adapter::RequestView;
/// use auth_core::source::TokenSource;
/// # struct Head(Vec<&'static [u8]>);
/// # impl RequestView for Head {
/// #     fn method(&self) -> &str { "GET" }
/// #     fn path(&self) -> &str { "/" }
/// #     fn target(&self) -> &str { "/" }
/// #     fn authority(&self) -> Option<&str> { None }
/// #     fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
/// #         if name == "cookie" { self.0.iter().for_each(|line| visit(line)) }
/// #     }
/// # }
///
/// let source = CookieSource::named("__Host-id")?;
/// let request = Head(vec![b"theme=dark; __Host-id=abc"]);
/// let token = source.find(&request).unwrap().unwrap();
/// assert_eq!(token.expose(), "abc");
///
/// let request = Head(vec![b"__Host-id=abc", b"__Host-id=def"]);
/// assert!(source.find(&request).is_err());
/// # Ok::<(), auth_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieSource {
    name: Box<str>,
}

impl CookieSource {
    /// Reads the cookie `name`, which includes its prefix.
    ///
    /// # Errors
    /// [`ConfigError`] if `name` is not a cookie name.
    ///
    /// # Security
    /// Any sibling subdomain can plant a cookie whose name does not begin with `__Host-`. The
    /// attacker gains no identity by that, but can lock the user out (rule 6), or log the user in
    /// to the attacker's account.
    pub fn named(name: &str) -> Result<Self, ConfigError> {
        name::check(name)?;
        Ok(Self { name: name.into() })
    }
}

impl TokenSource for CookieSource {
    fn find<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError> {
        find(&self.name, request)
    }
}

/// Finds the token in the cookie of exactly this name.
pub(crate) fn find<'r>(
    name: &str,
    request: &'r dyn RequestView,
) -> Result<Option<PresentedToken<'r>>, CredentialError> {
    let mut found = Found::Nothing;
    request.visit_header("cookie", &mut |line| {
        for value in values(name.as_bytes(), line) {
            found = match found {
                Found::Nothing => Found::One(value),
                Found::One(_) | Found::Several => Found::Several,
            };
        }
    });
    match found {
        Found::Nothing => Ok(None),
        Found::Several => Err(CredentialError::Ambiguous),
        Found::One(value) if !is_cookie_value(value) => Err(CredentialError::Malformed),
        Found::One(value) => {
            let token = std::str::from_utf8(value).map_err(|_| CredentialError::Malformed)?;
            Ok(PresentedToken::new(token, Carrier::Cookie))
        }
    }
}

#[derive(Clone, Copy)]
enum Found<'r> {
    Nothing,
    One(&'r [u8]),
    Several,
}

/// The non-empty values under `name` in one field line.
fn values<'r>(name: &[u8], line: &'r [u8]) -> impl Iterator<Item = &'r [u8]> {
    // `name` has no `=` in it, so what follows it decides whether the name ends there.
    pairs(line)
        .filter_map(move |pair| trim(pair).strip_prefix(name)?.strip_prefix(b"="))
        .filter(|value| !value.is_empty())
}

/// The pairs between semicolons.
fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let end = end_of_pair(line);
        rest = line.get(end + 1..);
        line.get(..end)
    })
}

/// The position of the first `;`, or the end. Most of a line is one long token, so chunks without a
/// `;` are skipped as a whole: a loop without an early exit becomes vector instructions.
fn end_of_pair(line: &[u8]) -> usize {
    let is_end = |byte: &u8| *byte == b';';
    let (pieces, _) = line.as_chunks::<32>();
    let without = pieces
        .iter()
        .take_while(|piece| !piece.iter().fold(false, |found, byte| found | is_end(byte)));
    let passed = without.count() * 32;
    let rest = line.get(passed..).unwrap_or_default();
    passed + rest.iter().position(is_end).unwrap_or(rest.len())
}

/// Trims optional white space (RFC 9110 §5.6.3) at both ends.
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Whether the bytes are `*cookie-octet` (RFC 6265bis §4.1.1) without surrounding quotes.
pub(crate) fn is_cookie_value(value: &[u8]) -> bool {
    let (pieces, rest) = value.as_chunks::<32>();
    let fits = |ok: bool, byte: &u8| ok & is_cookie_octet(*byte);
    pieces.iter().all(|piece| piece.iter().fold(true, fits)) && rest.iter().fold(true, fits)
}

/// Whether a byte is visible ASCII other than quote, comma, semicolon and backslash. All comparisons
/// are made, so that there is no branch.
const fn is_cookie_octet(byte: u8) -> bool {
    let visible = byte.wrapping_sub(0x21) <= 0x7E - 0x21;
    visible & (byte != b'"') & (byte != b',') & (byte != b';') & (byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b02_every_byte_is_told_apart_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            let octet = matches!(
                byte,
                0x21 | 0x23..=0x2B | 0x2D..=0x3A | 0x3C..=0x5B | 0x5D..=0x7E
            );
            for at in [0, 31, 32, 50, 64] {
                let mut value = [b'a'; 66];
                value[at] = byte;
                assert_eq!(is_cookie_value(&value), octet, "{byte:#x} at {at}");
            }
        }
    }

    #[test]
    fn pairs_are_those_of_a_plain_split_however_long() {
        for gap in [0, 1, 2, 30, 31, 32, 33, 63, 64, 65, 200] {
            for pattern in ["", ";", ";;", "x;", ";x", "a;b;", "a=1; b=2"] {
                let pad = "p".repeat(gap);
                for line in [
                    format!("{pad}{pattern}"),
                    format!("{pattern}{pad};{pattern}"),
                ] {
                    let line = line.as_bytes();
                    let plain: Vec<&[u8]> = line.split(|byte| *byte == b';').collect();
                    assert_eq!(pairs(line).collect::<Vec<_>>(), plain);
                }
            }
        }
    }
}
