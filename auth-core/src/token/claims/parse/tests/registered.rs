//! The required types of the registered claims, and the ones that must be present.

use crate::base::clock::Timestamp;
use crate::token::claims::parse::tests::*;

#[test]
fn every_registered_claim_is_read() {
    let all = r#"{"iss":"i","sub":"s","aud":["a","b"],"exp":1800000600,"nbf":1799999999.5,
        "iat":1800000000,"jti":"j","sid":"x","scope":"read  write","client_id":"c",
        "auth_time":1700000000,"acr":"2","amr":["pwd","otp"],"epo":7,"und":true,"roles":["r"],"name":"alice"}"#;
    let (registered, user) = parse::<User>(all.as_bytes()).unwrap();
    assert_eq!(user, alice());
    assert_eq!(registered.issuer(), Some("i"));
    assert_eq!(registered.subject(), Some("s"));
    assert_eq!(registered.audience().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(registered.expires_at(), Timestamp::from_secs(1_800_000_600));
    assert_eq!(
        registered.not_before(),
        Some(Timestamp::from_millis(1_799_999_999_500))
    );
    assert_eq!(
        registered.issued_at(),
        Some(Timestamp::from_secs(1_800_000_000))
    );
    assert_eq!(registered.token_id(), Some("j"));
    assert_eq!(registered.session_id(), Some("x"));
    assert_eq!(registered.scope().as_str(), "read write");
    assert_eq!(registered.client_id(), Some("c"));
    assert_eq!(
        registered.auth_time(),
        Some(Timestamp::from_secs(1_700_000_000))
    );
    assert_eq!(registered.acr(), Some("2"));
    assert_eq!(registered.amr().collect::<Vec<_>>(), ["pwd", "otp"]);
    assert_eq!(registered.subject_version, 7);
    assert!(registered.undated);
    assert_eq!(registered.roles().collect::<Vec<_>>(), ["r"]);
}

#[test]
fn a40_an_absent_claim_is_told_from_a_present_one() {
    let none = registered("").unwrap();
    assert_eq!((none.issuer(), none.subject()), (None, None));
    assert_eq!((none.issued_at(), none.token_id()), (None, None));
    assert_eq!((none.client_id(), none.session_id()), (None, None));
    assert!(none.audience.is_none());
    let empty = registered(r#""iss":"","sub":"","aud":[],"jti":"","client_id":"""#).unwrap();
    assert_eq!((empty.issuer(), empty.subject()), (Some(""), Some("")));
    assert_eq!((empty.token_id(), empty.client_id()), (Some(""), Some("")));
    assert!(empty.audience.is_some());
    assert_eq!(empty.audience().count(), 0);
}

#[test]
fn a13_exp_is_required_and_a_number() {
    for none in [r#"{}"#, r#"{"iat":1}"#] {
        let read = parse::<()>(none.as_bytes());
        assert_eq!(read.unwrap_err(), Cause::MissingExpiry, "{none}");
    }
    for bad in [
        r#"{"exp":null}"#,
        r#"{"exp":"1800000000"}"#,
        r#"{"exp":-1}"#,
        r#"{"exp":-0.5}"#,
        r#"{"exp":1e300}"#,
        r#"{"exp":253402300800}"#,
        r#"{"exp":18446744073709551615}"#,
        r#"{"exp":184467440737095516150}"#,
        r#"{"exp":true}"#,
        r#"{"exp":[1800000000]}"#,
        r#"{"exp":{"$serde_json::private::Number":"1800000000"}}"#,
    ] {
        assert_eq!(
            parse::<()>(bad.as_bytes()).unwrap_err(),
            Cause::Claims,
            "{bad}"
        );
    }
    for (good, millis) in [
        ("1800000000.5", 1_800_000_000_500),
        ("18e8", 1_800_000_000_000),
        ("253402300799", 253_402_300_799_000),
        ("0", 0),
    ] {
        let good = format!(r#"{{"exp":{good}}}"#);
        let (registered, ()) = parse(good.as_bytes()).unwrap();
        assert_eq!(registered.expires_at().as_millis(), millis, "{good}");
    }
}

#[test]
fn a14_nbf_and_a15_iat_of_the_wrong_type_are_no_absent_claims() {
    for name in ["nbf", "iat", "auth_time"] {
        for bad in ["null", r#""1""#, "-1", "[]", "{}", "false", "1e12"] {
            let more = format!(r#""{name}":{bad}"#);
            assert_eq!(registered(&more), Err(Cause::Claims), "{more}");
        }
    }
}

#[test]
fn a17_a19_a20_text_claims_of_the_wrong_type_are_refused() {
    for name in ["iss", "sub", "jti", "sid", "client_id", "acr", "scope"] {
        for bad in ["null", "7", r#"["x"]"#, r#"{"x":"y"}"#, "true"] {
            let more = format!(r#""{name}":{bad}"#);
            assert_eq!(registered(&more), Err(Cause::Claims), "{more}");
        }
    }
    for bad in [
        "null",
        "7",
        r#"["x",7]"#,
        r#"{"x":"y"}"#,
        "[null]",
        r#"[["x"]]"#,
    ] {
        for name in ["aud", "amr", "roles"] {
            let more = format!(r#""{name}":{bad}"#);
            assert_eq!(registered(&more), Err(Cause::Claims), "{more}");
        }
    }
    for bad in ["null", "-1", "1.5", r#""1""#] {
        let more = format!(r#""epo":{bad}"#);
        assert_eq!(registered(&more), Err(Cause::Claims), "{more}");
    }
}
