//! Reading: one cookie by its exact name, as bytes.
//!
//! 1. Every `Cookie` field line is read: HTTP/2 clients may send one cookie a line
//!    (RFC 9113 §8.2.3), and RFC 6265bis §4.2.1 wants several lines tolerated.
//! 2. A line is split at `;`. Space and tab around a pair are dropped, nothing else: what other
//!    parsers take for white space is how a cookie that a browser gave no `__Host-` protection
//!    becomes one that it did.
//! 3. The name ends at the first `=` and must be ours byte for byte. A pair without `=`, and a
//!    pair whose name is empty (`=__Host-at=x`), is nobody's.
//! 4. The value is taken literally: neither percent-decoded nor unquoted. A byte that no cookie
//!    value may have (RFC 6265bis §4.1.1 `cookie-octet`) makes it malformed, quotes included.
//! 5. An empty value is no token, and no duplicate either: it has nothing to say about who asks, so
//!    planting one must not lock the user out, nor hide the real one.
//! 6. Two values under our name are ambiguous, even if they are equal: order tells nothing about
//!    which one the server set (RFC 6265bis §4.2.2).
//!
//! One pass over the bytes, nothing is allocated: 300,000 cookies cost 300,000 comparisons.

use auth_core::{Carrier, ConfigError, CredentialError, PresentedToken, RequestView, TokenSource};

use crate::name;

/// A token in the cookie of one name.
///
/// [`CookiePolicy`](crate::CookiePolicy) brings its own; this one is for a cookie that somebody
/// else sets.
///
/// ```
/// use auth_cookie::CookieSource;
/// use auth_core::{RequestView, TokenSource};
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
    /// The cookie called `name`, prefix included.
    ///
    /// # Errors
    /// [`ConfigError`] if `name` is no cookie name.
    ///
    /// # Security
    /// A name that does not begin with `__Host-` can be planted by any sibling subdomain. That
    /// gives nobody another's identity, but it can lock the user out (rule 6), or sign them in as
    /// the attacker.
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

/// The token in the cookie of exactly this name.
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

/// The values that are not empty under `name` in one field line.
fn values<'r>(name: &[u8], line: &'r [u8]) -> impl Iterator<Item = &'r [u8]> {
    // `name` has no `=` in it, so what follows it decides whether the name ends there.
    pairs(line)
        .filter_map(move |pair| trim(pair).strip_prefix(name)?.strip_prefix(b"="))
        .filter(|value| !value.is_empty())
}

/// What `;` separates.
fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let end = end_of_pair(line);
        rest = line.get(end + 1..);
        line.get(..end)
    })
}

/// Where the first `;` is, or the end. Most of a line is one long token, so pieces without any are
/// passed over whole: looked at to their end they become vector instructions.
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

/// Without optional white space (RFC 9110 §5.6.3) at either end.
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// RFC 6265bis §4.1.1: `*cookie-octet`, without the quotes that may surround it.
pub(crate) fn is_cookie_value(value: &[u8]) -> bool {
    let (pieces, rest) = value.as_chunks::<32>();
    let fits = |ok: bool, byte: &u8| ok & is_cookie_octet(*byte);
    pieces.iter().all(|piece| piece.iter().fold(true, fits)) && rest.iter().fold(true, fits)
}

/// Visible ASCII without quote, comma, semicolon and backslash. Every comparison is made, so that
/// there is no branch.
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
