//! Lenient parsing of optional claims in tokens of other issuers.
//!
//! 1. The claims that determine identity and validity (`iss`, `sub`, `aud`, `exp`, `nbf`, `iat`)
//!    are not parsed here: they are parsed as strictly as in this crate's own tokens.
//! 2. `null` counts as absent.
//! 3. Known variants are accepted: a string in place of a list, a list of scopes, `amr` methods as
//!    objects with a name, `auth_time` as a string of digits.
//! 4. A claim in any other form is absent as a whole: half a list would be a statement that the
//!    issuer did not make.

use serde::Deserialize;
use serde_json::Value;

use crate::base::clock::Timestamp;
use crate::base::scope::Scope;
use crate::token::claims::{NumericDate, Registered, RegisteredClaims};

/// Number of digits of a time before the year 9999.
const MAX_DIGITS: usize = 12;

impl RegisteredClaims {
    /// Parses the value of an optional claim. A claim in an unknown form is recorded as unread.
    pub(super) fn read_foreign(&mut self, claim: Registered, value: &Value) {
        if !value.is_null() && self.read_known(claim, value).is_none() {
            self.unread |= claim.bit();
        }
    }

    /// Parses a known form. Returns `None` for an unknown one.
    fn read_known(&mut self, claim: Registered, value: &Value) -> Option<()> {
        match claim {
            Registered::TokenId => self.token_id = Some(text(value)?),
            Registered::SessionId => self.session_id = Some(text(value)?),
            Registered::ClientId => self.client_id = Some(text(value)?),
            Registered::Acr => self.acr = Some(text(value)?),
            Registered::Scope => self.scope = scope(value)?,
            Registered::AuthTime => self.auth_time = Some(moment(value)?),
            Registered::Amr => self.amr = list(value, method)?,
            // An object would be a role with conditions, which are unknown here.
            Registered::Roles => self.roles = list(value, text)?,
            _ => return None,
        }
        Some(())
    }
}

fn text(value: &Value) -> Option<Box<str>> {
    value.as_str().map(Box::from)
}

/// An `amr` method, as a string or as the `method` of an object: Supabase adds the time of use.
fn method(value: &Value) -> Option<Box<str>> {
    let named = || value.get("method").or_else(|| value.get("name"));
    text(value).or_else(|| named().and_then(text))
}

/// A list, or a string in its place. An empty string is an empty list.
fn list(value: &Value, element: fn(&Value) -> Option<Box<str>>) -> Option<Vec<Box<str>>> {
    match value {
        Value::String(text) if text.is_empty() => Some(Vec::new()),
        Value::String(text) => Some(vec![text.as_str().into()]),
        Value::Array(elements) => elements.iter().map(element).collect(),
        _ => None,
    }
}

/// Scope tokens, space-separated (RFC 8693 §4.2) or as a list.
fn scope(value: &Value) -> Option<Scope> {
    match value {
        Value::String(text) => Some(Scope::from_claim(text)),
        Value::Array(tokens) => {
            let tokens: Option<Vec<&str>> = tokens.iter().map(Value::as_str).collect();
            tokens.map(|tokens| Scope::from_list(tokens.into_iter()))
        }
        _ => None,
    }
}

/// Seconds since 1970, as a number (RFC 7519 §2) or as a string of digits.
fn moment(value: &Value) -> Option<Timestamp> {
    let Value::String(text) = value else {
        return NumericDate::deserialize(value).ok().map(|date| date.0);
    };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let secs = (digits && text.len() <= MAX_DIGITS).then(|| text.parse().ok());
    secs.flatten().map(Timestamp::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Cause;
    use crate::token::claims::{Dialect, parse};

    fn foreign(more: &str) -> Result<RegisteredClaims, Cause> {
        let payload = format!(r#"{{"exp":1800000000,{more}}}"#);
        let dialect = Dialect::Foreign {
            subject_versions: false,
        };
        parse::<()>(payload.as_bytes(), dialect).map(|(registered, ())| registered)
    }

    fn unread(registered: &RegisteredClaims) -> Vec<&str> {
        registered.unread().map(Registered::name).collect()
    }

    fn amr(more: &str) -> Vec<String> {
        let registered = foreign(&format!(r#""amr":{more}"#)).unwrap();
        assert_eq!(unread(&registered), [""; 0], "{more}");
        registered.amr().map(str::to_owned).collect()
    }

    #[test]
    fn i01_known_spellings_are_read() {
        assert_eq!(amr(r#""pwd""#), ["pwd"]);
        assert_eq!(amr(r#"["pwd","otp"]"#), ["pwd", "otp"]);
        assert_eq!(
            amr(r#"[{"method":"password","timestamp":1796000000},{"name":"totp"},"x"]"#),
            ["password", "totp", "x"]
        );
        let read = foreign(r#""roles":"admin","scope":["a","b c","d"],"auth_time":"1700000000""#);
        let read = read.unwrap();
        assert_eq!(read.roles().collect::<Vec<_>>(), ["admin"]);
        assert_eq!(read.scope().as_str(), "a d");
        assert_eq!(read.auth_time(), Some(Timestamp::from_secs(1_700_000_000)));
        assert_eq!(unread(&read), [""; 0]);
        let plain = foreign(r#""scope":"a b","auth_time":1700000000.5,"roles":"""#).unwrap();
        assert_eq!(plain.scope().as_str(), "a b");
        assert_eq!(
            plain.auth_time(),
            Some(Timestamp::from_millis(1_700_000_000_500))
        );
        assert_eq!(plain.roles().count(), 0);
    }

    #[test]
    fn i01_an_optional_claim_in_another_form_is_absent_and_noted() {
        for (name, forms) in [
            ("jti", &["7", r#"["x"]"#, "{}", "true"][..]),
            ("sid", &["7", r#"["x"]"#]),
            ("client_id", &["7", r#"["x"]"#]),
            ("acr", &["1", r#"["1"]"#]),
            ("scope", &["7", r#"{"a":1}"#, r#"["a",1]"#]),
            (
                "auth_time",
                &[
                    r#""2026-11-30T01:02:03.456Z""#,
                    r#""""#,
                    r#""-1""#,
                    "-1",
                    "1e12",
                    r#""1700000000000""#,
                    "true",
                ],
            ),
            (
                "amr",
                &["7", r#"["pwd",7]"#, r#"[{"at":1}]"#, r#"[["pwd"]]"#],
            ),
            (
                "roles",
                &["7", r#"["a",7]"#, r#"[{"name":"admin"}]"#, r#"{"a":1}"#],
            ),
        ] {
            for form in forms {
                let read = foreign(&format!(r#""{name}":{form}"#)).unwrap();
                assert_eq!(unread(&read), [name], "{form}");
                let mut blank = read.clone();
                blank.unread = 0;
                assert!(blank == foreign(r#""x":1"#).unwrap(), "{name}: {form}");
            }
            let null = foreign(&format!(r#""{name}":null"#)).unwrap();
            assert_eq!(unread(&null), [""; 0], "{name}");
        }
    }

    #[test]
    fn i01_what_decides_stays_strict() {
        for bad in [
            r#""iss":["i"]"#,
            r#""sub":7"#,
            r#""sub":null"#,
            r#""aud":7"#,
            r#""aud":["a",7]"#,
            r#""nbf":"1700000000""#,
            r#""nbf":null"#,
            r#""iat":"1700000000""#,
            r#""iat":null"#,
        ] {
            assert_eq!(foreign(bad), Err(Cause::Claims), "{bad}");
        }
        let text = br#"{"exp":"1800000000"}"#;
        let read = parse::<()>(
            text,
            Dialect::Foreign {
                subject_versions: true,
            },
        );
        assert_eq!(read.err(), Some(Cause::Claims));
    }

    #[test]
    fn i01_our_own_claims_are_not_looked_for() {
        let payload = br#"{"exp":1800000000,"epo":"European Patent Office"}"#;
        let dialect = |subject_versions| Dialect::Foreign { subject_versions };
        let (registered, private) = parse::<Value>(payload, dialect(false)).unwrap();
        assert_eq!(registered.subject_version, 0);
        assert_eq!(private["epo"], "European Patent Office");
        // The dialect of other issuers is as strict about them as the crate's own.
        let read = parse::<Value>(payload, dialect(true));
        assert_eq!(read.err(), Some(Cause::Claims));
        let twice = foreign(r#""epo":1,"epo":2"#);
        assert_eq!(twice, Err(Cause::Malformed));
    }

    #[test]
    fn a21_a_second_optional_claim_is_refused_whatever_its_form() {
        assert_eq!(foreign(r#""amr":7,"amr":[]"#), Err(Cause::Malformed));
    }
}
