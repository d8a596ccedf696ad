//! The unverified `iss` of a token.
//!
//! It only selects among configured issuers: all verification steps follow, and compare `iss`
//! again. Parsing ends at the first `iss`; a second one is found later.

use std::fmt;

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::base::error::Cause;
use crate::token::claims::names::Name;
use crate::token::verify::decode;

/// Reads the `iss` of a token from its encoded payload. The caller has bounded the size.
pub(crate) fn issuer(payload: &str) -> Result<String, Cause> {
    let json = decode(payload)?;
    let mut found = None;
    let mut parser = serde_json::Deserializer::from_slice(&json);
    // The hit ends the parsing with an error.
    let read = parser.deserialize_map(Peek(&mut found));
    match (found, read) {
        (Some(issuer), _) => Ok(issuer),
        (None, Ok(())) => Err(Cause::Issuer),
        (None, Err(error)) if error.is_data() => Err(Cause::Issuer),
        (None, Err(_)) => Err(Cause::Malformed),
    }
}

struct Peek<'f>(&'f mut Option<String>);

impl<'de> Visitor<'de> for Peek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            if name == "iss" {
                *self.0 = Some(map.next_value()?);
                return Err(A::Error::custom("found"));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peek(json: &str) -> Result<String, Cause> {
        issuer(&base64_simd::URL_SAFE_NO_PAD.encode_to_string(json))
    }

    #[test]
    fn the_first_issuer_is_found_wherever_it_stands() {
        assert_eq!(peek(r#"{"iss":"a"}"#).as_deref(), Ok("a"));
        assert_eq!(
            peek(r#"{"x":{"iss":"b"},"iss":"a","iss":"c"}"#).as_deref(),
            Ok("a")
        );
        assert_eq!(peek(r#"{"i\u0073s":"a"}"#).as_deref(), Ok("a"));
    }

    #[test]
    fn what_names_no_issuer_is_refused() {
        for json in [
            "{}",
            r#"{"iss":null}"#,
            r#"{"iss":["a"]}"#,
            r#"{"x":{"iss":"a"}}"#,
            "[]",
        ] {
            assert_eq!(peek(json), Err(Cause::Issuer), "{json}");
        }
        for json in ["", "{", r#"{"x":1"#, "\u{feff}{}"] {
            assert_eq!(peek(json), Err(Cause::Malformed), "{json}");
        }
        assert_eq!(issuer("!"), Err(Cause::Malformed));
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
        assert_eq!(peek(&deep), Err(Cause::Issuer));
    }
}
