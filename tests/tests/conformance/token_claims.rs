//! CHECKLIST A, what a token says: times, issuer, audience, subject, the payload's form.

use serde_json::{Value, json};

use crate::client::Request;
use crate::forge::{absent, claims, token, token_around, token_with};
use crate::shims::{AUDIENCE, Contenders, ISSUER, NOW, base, base_with, contenders, refused};

/// A good payload with this text in place of one claim's value.
fn raw(claim: &str, value: &str) -> String {
    let payload = crate::forge::claims_with(json!({ claim: "@@" })).to_string();
    assert!(payload.contains("\"@@\""));
    payload.replace("\"@@\"", value)
}

#[test]
fn a13_exp_is_required_and_a_number() {
    let shims = contenders(&base());
    shims.refuses(&token_with(json!({ "exp": absent() })), "missing");
    for exp in [
        "null",
        "\"\"",
        "true",
        "[]",
        "{}",
        "-1",
        "0",
        "1e300",
        "-1e300",
        "1e400",
        "1e-400",
        "9223372036854775807",
        "18446744073709551615",
        "184467440737095516160",
        "NaN",
        "Infinity",
        "+1800000600",
        "01800000600",
        "0x6b49d458",
        "[1800000600]",
        "\"1800000600\"",
    ] {
        shims.refuses(&token_around(raw("exp", exp)), exp);
    }
    for exp in [
        "1800000600.5",
        "1800000600.0",
        "18000006e2",
        "1.8000006e9",
        "1800000600.999999999",
    ] {
        shims.accepts(&token_around(raw("exp", exp)), exp);
    }
}

#[test]
fn a13_exp_is_exclusive() {
    let shims = contenders(&base());
    for (exp, good) in [
        ("1800000001", true),
        ("1800000000", false),
        ("1799999999", false),
    ] {
        let token = token_around(raw("exp", exp).replace("1800000000,", "1799999000,"));
        assert_eq!(shims.me(&token).status == 200, good, "{exp}");
    }
}

#[test]
fn a14_nbf_is_checked_whenever_present() {
    let shims = contenders(&base());
    shims.accepts(&token_with(json!({ "nbf": NOW })), "now");
    shims.accepts(&token_with(json!({ "nbf": NOW - 1 })), "past");
    shims.accepts(&token_with(json!({ "nbf": 0 })), "long ago");
    shims.refuses(&token_with(json!({ "nbf": NOW + 1 })), "future");
    shims.refuses(&token_with(json!({ "nbf": NOW + 300 })), "future");
    for nbf in ["null", "\"1799999999\"", "true", "[]", "1e400", "1e300"] {
        let payload = crate::forge::claims_with(json!({ "nbf": "@@" })).to_string();
        shims.refuses(&token_around(payload.replace("\"@@\"", nbf)), nbf);
    }
}

#[test]
fn a15_iat_lies_in_the_past_and_before_exp() {
    let shims = contenders(&base());
    shims.accepts(&token_with(json!({ "iat": NOW - 600 })), "past");
    shims.refuses(&token_with(json!({ "iat": NOW + 1 })), "future");
    shims.refuses(
        &token_with(json!({ "iat": NOW + 700, "exp": NOW + 600 })),
        "after exp",
    );
    for iat in ["null", "\"1800000000\"", "true", "[]", "1e300", "{}"] {
        shims.refuses(&token_around(raw("iat", iat)), iat);
    }
}

#[test]
fn a15_the_total_lifetime_is_capped() {
    let shims = contenders(&base());
    let lasting = |seconds: i64| token_with(json!({ "iat": NOW - 10, "exp": NOW - 10 + seconds }));
    shims.accepts(&lasting(86_400), "a day");
    shims.refuses(&lasting(86_401), "longer than a day");
    shims.refuses(&lasting(10_000_000_000), "for ever");
}

#[test]
fn a16_leeway_moves_the_ends() {
    let shims = contenders(&base_with(json!({ "leeway_s": 30 })));
    let expiring = |exp: i64| token_with(json!({ "iat": NOW - 600, "exp": exp }));
    shims.accepts(&expiring(NOW - 29), "one second left");
    shims.refuses(&expiring(NOW - 30), "dead at exp + leeway");
    shims.refuses(&expiring(NOW - 31), "dead");
    shims.accepts(&token_with(json!({ "nbf": NOW + 30 })), "nbf within");
    shims.refuses(&token_with(json!({ "nbf": NOW + 31 })), "nbf beyond");
    shims.accepts(&token_with(json!({ "iat": NOW + 30 })), "iat within");
    shims.refuses(&token_with(json!({ "iat": NOW + 31 })), "iat beyond");
}

#[test]
fn a16_leeway_is_30_s_by_default_and_5_min_at_most() {
    let default = contenders(&base_with(json!({ "leeway_s": null })));
    let expiring = |exp: i64| token_with(json!({ "iat": NOW - 900, "exp": exp }));
    default.accepts(&expiring(NOW - 29), "default");
    default.refuses(&expiring(NOW - 30), "default");
    let most = contenders(&base_with(json!({ "leeway_s": 300 })));
    most.accepts(&expiring(NOW - 299), "most");
    most.refuses(&expiring(NOW - 300), "most");
    for leeway in [301, u64::MAX / 1000, u64::MAX] {
        let error = refused(&base_with(json!({ "leeway_s": leeway })));
        assert!(error.contains("leeway"), "{error}");
    }
}

#[test]
fn a28_absurd_durations_are_refused_or_saturate() {
    refused(&base_with(json!({ "max_lifetime_s": 0 })));
    for (now, lifetime) in [
        (NOW, u64::MAX),
        (i64::MAX, u64::MAX),
        (i64::MIN, 86_400),
        (-1, 1),
    ] {
        let config = base_with(json!({ "now": now, "max_lifetime_s": lifetime, "leeway_s": 300 }));
        let shims = contenders(&config);
        assert!(matches!(shims.me(&token()).status, 200 | 401), "{now}");
        assert!(matches!(
            shims.me(&token_around(raw("exp", "9e18"))).status,
            200 | 401
        ));
    }
}

#[test]
fn a17_the_issuer_is_compared_exactly() {
    let shims = contenders(&base());
    for iss in [
        absent(),
        Value::Null,
        json!(""),
        json!("https://other.example"),
        json!("https://issuer.example/"),
        json!("https://ISSUER.example"),
        json!("HTTPS://issuer.example"),
        json!(" https://issuer.example"),
        json!("https://issuer.example\u{0}"),
        json!("https://issuer.example.evil"),
        json!("https://issuer.exampl"),
        json!([ISSUER]),
        json!({ "iss": ISSUER }),
        json!(1),
    ] {
        shims.refuses(&token_with(json!({ "iss": iss })), &iss.to_string());
    }
}

#[test]
fn a19_the_audience_must_name_us() {
    let shims = contenders(&base());
    for aud in [
        absent(),
        Value::Null,
        json!(""),
        json!([]),
        json!("https://other.example"),
        json!("https://api.example/"),
        json!("https://api.example.evil"),
        json!("https://api.exampl"),
        json!("https://API.example"),
        json!("*"),
        json!(["https://other.example", "https://api.example.evil"]),
        json!([AUDIENCE, 1]),
        json!([[AUDIENCE]]),
        json!({ "0": AUDIENCE }),
        json!(true),
        json!(1),
    ] {
        shims.refuses(&token_with(json!({ "aud": aud })), &aud.to_string());
    }
    for aud in [
        json!([AUDIENCE]),
        json!(["https://other.example", AUDIENCE]),
    ] {
        shims.accepts(&token_with(json!({ "aud": aud })), &aud.to_string());
    }
}

#[test]
fn a20_the_subject_is_required_text() {
    let shims = contenders(&base());
    for sub in [
        absent(),
        Value::Null,
        json!(7),
        json!(true),
        json!(["user-1"]),
        json!({}),
    ] {
        shims.refuses(&token_with(json!({ "sub": sub })), &sub.to_string());
    }
}

#[test]
fn a21_repeated_claims_are_refused() {
    let shims = contenders(&base());
    let good = claims().to_string();
    let good = good.trim_end_matches('}');
    for repeated in [
        r#""exp":1800000900"#,
        r#""exp":1800000600"#,
        r#""iss":"https://issuer.example""#,
        r#""aud":"https://api.example""#,
        r#""sub":"admin""#,
        r#""s\u0075b":"admin""#,
        r#""\u0073\u0075\u0062":"user-1""#,
        r#""e\u0078p":1800000900"#,
        r#""jti":"j1""#,
        r#""x":1,"x":1"#,
        r#""x":1,"\u0078":2"#,
        r#""tenant":{"a":1},"tenant":null"#,
    ] {
        shims.refuses(&token_around(format!("{good},{repeated}}}")), repeated);
    }
    // Inside a value that is the app's own, repetition is the app's business.
    let nested = format!(r#"{good},"x":{{"sub":"a","exp":1}}}}"#);
    shims.accepts(&token_around(nested), "registered names inside a value");
}

#[test]
fn a23_payloads_that_are_not_plain_json_are_refused() {
    let shims = contenders(&base());
    let good = claims().to_string();
    let open = good.trim_end_matches('}');
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let payloads: Vec<Vec<u8>> = vec![
        format!("\u{feff}{good}").into_bytes(),
        utf16,
        [open.as_bytes(), b",\"x\":\"\xff\"}"].concat(),
        [open.as_bytes(), b",\"x\":\"\xc0\x80\"}"].concat(),
        [open.as_bytes(), b",\"x\":\"\xed\xa0\x80\"}"].concat(),
        format!(r#"{open},"x":"\ud800"}}"#).into_bytes(),
        format!(r#"{open},"x":"\udc00\ud800"}}"#).into_bytes(),
        format!(r#"{open},"x":"\u12"}}"#).into_bytes(),
        format!("{open},\"x\":\"a\u{1}b\"}}").into_bytes(),
        format!(r#"{open},"x":1e400}}"#).into_bytes(),
        format!(r#"{open},"x":-1e400}}"#).into_bytes(),
        format!(r#"{open},"x":01}}"#).into_bytes(),
        format!(r#"{open},"x":.5}}"#).into_bytes(),
        format!(r#"{open},"x":NaN}}"#).into_bytes(),
        format!(r#"{open},"x":'a'}}"#).into_bytes(),
        format!(r#"{open},}}"#).into_bytes(),
        format!(r#"{open},"x":[1,]}}"#).into_bytes(),
        format!("{open},\"x\":1}} /* */").into_bytes(),
        format!("{good} x").into_bytes(),
        format!("{good}{good}").into_bytes(),
        format!("{good}\0").into_bytes(),
        format!("[{good}]").into_bytes(),
        open.as_bytes().to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"{}".to_vec(),
        b"".to_vec(),
        json!(good).to_string().into_bytes(),
        format!(r#"{open},"x":{}{}}}"#, "[".repeat(2500), "]".repeat(2500)).into_bytes(),
        format!(
            r#"{open},"x":{}1{}}}"#,
            r#"{"a":"#.repeat(700),
            "}".repeat(700)
        )
        .into_bytes(),
    ];
    for payload in payloads {
        shims.refuses(&token_around(&payload), &String::from_utf8_lossy(&payload));
    }
    let spaced = format!("\r\n\t {good} \r\n");
    shims.accepts(
        &token_around(spaced),
        "white space around it is JSON (RFC 8259 §2)",
    );
}

#[test]
fn a36_claims_of_another_shape_are_a_bad_token() {
    let shims = contenders(&base());
    let typed = |claims: Value| shims.ask(&Request::get("/typed").bearer(&token_with(claims)));
    let good = typed(json!({ "tenant": "acme", "level": 3 }));
    assert_eq!(
        (good.status, good.json()),
        (200, json!({ "tenant": "acme", "level": 3 }))
    );
    for claims in [
        json!({}),
        json!({ "tenant": "acme" }),
        json!({ "tenant": "acme", "level": 256 }),
        json!({ "tenant": "acme", "level": -1 }),
        json!({ "tenant": "acme", "level": "3" }),
        json!({ "tenant": 1, "level": 3 }),
        json!({ "tenant": null, "level": 3 }),
        json!({ "tenant": ["acme"], "level": 3 }),
    ] {
        assert_eq!(
            typed(claims.clone()),
            crate::shims::invalid_token(),
            "{claims}"
        );
    }
}

#[test]
fn a36_private_claims_reach_the_handler() {
    let shims = contenders(&base());
    let own =
        json!({ "tenant": "acme", "https://app.example/level": [1, { "a": null }], "é": "ü" });
    let mut all = own.clone();
    let registered =
        json!({ "sid": "s1", "scope": "a b", "roles": ["r"], "amr": ["pwd"], "acr": "1" });
    all.as_object_mut()
        .unwrap()
        .extend(registered.as_object().unwrap().clone());
    let reply = shims.me(&token_with(all));
    let expected = json!({
        "sub": "user-1", "sid": "s1", "iss": ISSUER, "scope": ["a", "b"], "carrier": "header",
        "claims": own,
    });
    assert_eq!((reply.status, reply.json()), (200, expected));
}

#[test]
fn a38_a_clock_that_jumps_never_panics() {
    let shims = Contenders::start(&base_with(json!({ "leeway_s": 30 })));
    let token = token();
    shims.accepts(&token, "now");
    shims.advance(-3600);
    shims.refuses(&token, "an hour back: issued in the future");
    shims.advance(3600);
    shims.accepts(&token, "now again");
    shims.advance(3600);
    shims.refuses(&token, "an hour on: expired");
    for by in [-NOW - 10_000, i64::MAX, i64::MAX, i64::MIN, i64::MIN] {
        shims.advance(by);
        shims.refuses(&token, "far away");
    }
}

#[test]
fn a40_each_claim_of_rfc_9068_is_required() {
    let shims = contenders(&base());
    shims.accepts(&token(), "complete");
    for claim in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
        shims.refuses(&token_with(json!({ claim: absent() })), claim);
        shims.refuses(&token_with(json!({ claim: null })), claim);
    }
    for claim in ["client_id", "jti", "scope", "sid", "acr"] {
        shims.refuses(&token_with(json!({ claim: 1 })), claim);
    }
    for (claim, value) in [
        ("amr", json!("pwd")),
        ("auth_time", json!("1")),
        ("roles", json!([1])),
    ] {
        shims.refuses(&token_with(json!({ claim: value })), claim);
    }
}
