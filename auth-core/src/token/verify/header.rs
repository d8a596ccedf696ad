//! Parsing of a JOSE header that is not, byte for byte, one of this crate's own.
//!
//! 1. Repeated names are refused, including unknown ones (RFC 7515 §4).
//! 2. `crit` is refused with any list: no extension is supported (RFC 7515 §4.1.11). So is `b64`,
//!    which has no meaning without it (RFC 7797 §6), and every parameter of a JWE.
//! 3. Skipped values must be valid JSON too, including surrogates and exponents.
//! 4. `jku`, `jwk`, `x5u`, `x5c` are skipped unread: a token never chooses the key to trust.
//! 5. `x5t` and `x5t#S256` select among the configured keys, as `kid` does. Values that are not
//!    strings select none.

use serde_json::Value;

use crate::base::error::Cause;
use crate::base::strict_json::{Object, is_strict};
use crate::keys::Thumbprints;

/// The header parameters that the verifier uses.
#[derive(PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(crate) struct Header {
    pub(crate) alg: String,
    pub(crate) kid: Option<String>,
    pub(crate) typ: Option<String>,
    pub(crate) certificate: Thumbprints,
}

impl Header {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, Cause> {
        let json = std::str::from_utf8(json).map_err(|_| Cause::Malformed)?;
        let parsed = serde_json::from_str(json).ok();
        let Object(mut members) = parsed.filter(|_| is_strict(json)).ok_or(Cause::Malformed)?;
        let mut text = |name: &str| match members.remove(name) {
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Cause::Malformed),
            None => Ok(None),
        };
        let header = Self {
            alg: text("alg")?.ok_or(Cause::Malformed)?,
            kid: text("kid")?,
            typ: text("typ")?,
            certificate: Thumbprints {
                sha1: text("x5t").ok().flatten().map(String::into_boxed_str),
                sha256: text("x5t#S256").ok().flatten().map(String::into_boxed_str),
            },
        };
        let has = |names: [&str; 2]| names.iter().any(|name| members.contains_key(*name));
        if has(["enc", "zip"]) {
            Err(Cause::Malformed)
        } else if has(["crit", "b64"]) {
            Err(Cause::Critical)
        } else {
            Ok(header)
        }
    }
}

/// Whether `typ` is the media type `application/{subtype}`, which may be written without
/// `application/` (RFC 7515 §4.1.9). Media types are case-insensitive.
pub(crate) fn is_media_type(typ: &str, subtype: &str) -> bool {
    let (prefix, own) = typ.rsplit_once('/').unwrap_or(("application", typ));
    prefix.eq_ignore_ascii_case("application") && own.eq_ignore_ascii_case(subtype)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typ(typ: &str) -> bool {
        let json = format!(r#"{{"alg":"HS256","typ":"{typ}"}}"#);
        let header = Header::parse(json.as_bytes()).unwrap();
        is_media_type(&header.typ.unwrap(), "at+jwt")
    }

    #[test]
    fn a12b_typ_is_a_media_type() {
        for good in [
            "at+jwt",
            "AT+JWT",
            "at+JWT",
            "application/at+jwt",
            "Application/AT+jwt",
        ] {
            assert!(typ(good), "{good}");
        }
        for bad in [
            "",
            "JWT",
            "at+jwt; x=y",
            "text/at+jwt",
            "x/application/at+jwt",
            "/at+jwt",
        ] {
            assert!(!typ(bad), "{bad}");
        }
    }

    #[test]
    fn a21_repeated_names_are_refused() {
        for json in [
            r#"{"alg":"HS256","alg":"HS256"}"#,
            r#"{"alg":"HS256","kid":"a","k\u0069d":"a"}"#,
            r#"{"alg":"HS256","x":1,"x":1}"#,
            r#"{"alg":"HS256","x5t":"a","x5t":"a"}"#,
        ] {
            assert_eq!(
                Header::parse(json.as_bytes()),
                Err(Cause::Malformed),
                "{json}"
            );
        }
    }

    #[test]
    fn i05_thumbprints_are_texts_or_nothing() {
        let read = |more: &str| {
            let json = format!(r#"{{"alg":"RS256",{more}}}"#);
            Header::parse(json.as_bytes()).unwrap().certificate
        };
        let both = read(r#""x5t":"a","x5t#S256":"b""#);
        assert_eq!(both.sha1.as_deref(), Some("a"));
        assert_eq!(both.sha256.as_deref(), Some("b"));
        assert!(read(r#""x5t":7,"x5t#S256":["b"]"#) == Thumbprints::default());
    }

    #[test]
    fn a09_any_crit_is_refused() {
        for json in [
            r#"{"alg":"HS256","crit":["x"]}"#,
            r#"{"alg":"HS256","b64":false}"#,
        ] {
            assert_eq!(
                Header::parse(json.as_bytes()),
                Err(Cause::Critical),
                "{json}"
            );
        }
    }

    #[test]
    fn a06_kid_must_be_a_string() {
        for json in [
            r#"{"alg":"HS256","kid":5}"#,
            r#"{"alg":null}"#,
            r#"{"kid":"a"}"#,
            "[]",
            "",
        ] {
            assert_eq!(
                Header::parse(json.as_bytes()),
                Err(Cause::Malformed),
                "{json}"
            );
        }
    }
}
