//! CHECKLIST A, what a token looks like: algorithm, header members, segments, size.

use serde_json::{Value, json};

use crate::client::Request;
use crate::forge::{
    Algorithm, K1, RSA, SECRET, Signer, absent, b64, claims, header, header_with, jws, private_jwk,
    token, token_signed, token_with, token_with_header,
};
use crate::shims::{base, base_with, contenders, invalid_token};

fn many_keys() -> Value {
    base_with(json!({
        "keys": [
            base()["keys"][0],
            private_jwk("rsa", "rsa", "RS256"),
            private_jwk("ec", "ec", "ES256"),
            private_jwk("ed", "ed", "EdDSA"),
        ],
    }))
}

#[test]
fn a01_alg_none_and_unknown_algorithms_are_refused() {
    let shims = contenders(&many_keys());
    let algorithms = [
        json!("none"),
        json!("None"),
        json!("NONE"),
        json!("nOnE"),
        json!(""),
        json!(" none"),
        json!("HS257"),
        json!("hs256"),
        json!("ES256K"),
        json!("RSA-OAEP"),
        json!("dir"),
        Value::Null,
        json!(["HS256"]),
        json!(0),
        absent(),
    ];
    for alg in algorithms {
        for kid in [json!("k1"), json!("rsa"), absent()] {
            let header = header_with(json!({ "alg": alg, "kid": kid })).to_string();
            let signed = jws(&header, claims().to_string(), K1);
            let (unsigned, mac) = signed.rsplit_once('.').unwrap();
            for signature in ["", mac, "AA", "e30"] {
                let token = format!("{unsigned}.{signature}");
                shims.refuses(&token, &format!("{header} signed {signature:?}"));
            }
        }
    }
}

#[test]
fn a01_every_configured_algorithm_is_accepted() {
    let keys = [
        ("HS384", Signer::Mac(Algorithm::HS384, SECRET)),
        ("HS512", Signer::Mac(Algorithm::HS512, SECRET)),
        ("RS256", Signer::Pem(Algorithm::RS256, RSA)),
        ("RS384", Signer::Pem(Algorithm::RS384, RSA)),
        ("RS512", Signer::Pem(Algorithm::RS512, RSA)),
        ("PS256", Signer::Pem(Algorithm::PS256, RSA)),
        ("PS384", Signer::Pem(Algorithm::PS384, RSA)),
        ("PS512", Signer::Pem(Algorithm::PS512, RSA)),
        ("ES256", Signer::Pem(Algorithm::ES256, crate::forge::EC)),
        ("EdDSA", Signer::Pem(Algorithm::EdDSA, crate::forge::ED)),
    ];
    let jwk = |(alg, _): &(&str, Signer<'_>)| match &alg[..2] {
        "HS" => crate::forge::oct_jwk(alg, alg, SECRET),
        "ES" => private_jwk("ec", alg, alg),
        "Ed" => private_jwk("ed", alg, alg),
        _ => private_jwk("rsa", alg, alg),
    };
    let shims = contenders(&crate::shims::with_keys(keys.iter().map(jwk).collect()));
    for (alg, signer) in keys {
        shims.accepts(&token_signed(alg, alg, signer), alg);
        for (other, _) in keys.iter().filter(|(other, _)| *other != alg) {
            shims.refuses(
                &token_signed(alg, other, signer),
                &format!("{alg} for a key of {other}"),
            );
        }
    }
}

#[test]
fn a06_a_kid_only_selects_among_the_configured_keys() {
    let shims = contenders(&base());
    for kid in [
        json!("k2"),
        json!("K1"),
        json!("k1 "),
        json!("k1\u{0}"),
        json!("../../../../dev/null"),
        json!("k1' OR '1'='1"),
        json!("$(touch /tmp/kid)"),
        json!("https://issuer.example/jwks"),
        json!(5),
        json!(["k1"]),
        json!({ "k1": 1 }),
        json!(true),
        Value::Null,
    ] {
        shims.refuses(&token_with_header(json!({ "kid": kid })), &kid.to_string());
    }
}

#[test]
fn a06b_strange_kids_are_refused_and_not_reflected() {
    let shims = contenders(&base());
    for kid in [
        "x".repeat(5000),
        "a\r\nset-cookie: a=b".into(),
        "\0".into(),
        String::new(),
    ] {
        // `refuses` compares the whole answer with the one of every other bad token.
        shims.refuses(&token_with_header(json!({ "kid": kid })), "strange kid");
    }
}

#[test]
fn a09_any_crit_is_refused() {
    let shims = contenders(&base());
    for (crit, extra) in [
        (json!(["foo"]), ("foo", json!(1))),
        (json!(["b64"]), ("b64", json!(true))),
        (json!(["b64"]), ("b64", json!(false))),
        (json!(["exp"]), ("exp", json!(1))),
        (json!(["alg"]), ("x", json!(1))),
        (json!([]), ("x", json!(1))),
        (json!("foo"), ("foo", json!(1))),
        (Value::Null, ("x", json!(1))),
    ] {
        let (name, value) = extra;
        let changes = json!({ "crit": crit, name: value });
        shims.refuses(&token_with_header(changes.clone()), &changes.to_string());
    }
}

#[test]
fn a12_only_access_tokens_are_accepted() {
    let shims = contenders(&base());
    for typ in [
        absent(),
        Value::Null,
        json!(""),
        json!("JWT"),
        json!("jwt"),
        json!("refresh+jwt"),
        json!("logout+jwt"),
        json!("dpop+jwt"),
        json!("id_token"),
        json!("at"),
        json!("at+jwt "),
        json!(" at+jwt"),
        json!("xat+jwt"),
        json!("text/at+jwt"),
        json!("application/application/at+jwt"),
        json!(["at+jwt"]),
        json!(1),
    ] {
        shims.refuses(&token_with_header(json!({ "typ": typ })), &typ.to_string());
    }
}

#[test]
fn a12b_typ_is_a_media_type() {
    let shims = contenders(&base());
    for typ in [
        "at+jwt",
        "AT+JWT",
        "at+JWT",
        "application/at+jwt",
        "Application/AT+JWT",
    ] {
        shims.accepts(&token_with_header(json!({ "typ": typ })), typ);
    }
    for typ in [
        "at+jwt; x=y",
        "at+jwt;",
        "application/at+jwt; charset=utf-8",
        "/at+jwt",
    ] {
        shims.refuses(&token_with_header(json!({ "typ": typ })), typ);
    }
}

#[test]
fn a21_repeated_header_members_are_refused() {
    let shims = contenders(&base());
    for header in [
        r#"{"alg":"none","alg":"HS256","typ":"at+jwt","kid":"k1"}"#,
        r#"{"alg":"HS256","alg":"HS256","typ":"at+jwt","kid":"k1"}"#,
        r#"{"alg":"HS256","\u0061lg":"none","typ":"at+jwt","kid":"k1"}"#,
        r#"{"alg":"HS256","typ":"at+jwt","kid":"k1","kid":"k1"}"#,
        r#"{"alg":"HS256","typ":"at+jwt","kid":"k2","\u006bid":"k1"}"#,
        r#"{"alg":"HS256","typ":"JWT","typ":"at+jwt","kid":"k1"}"#,
        r#"{"alg":"HS256","typ":"at+jwt","kid":"k1","x":1,"x":2}"#,
    ] {
        shims.refuses(&jws(header, claims().to_string(), K1), header);
    }
}

#[test]
fn a23_headers_that_are_not_plain_json_are_refused() {
    let shims = contenders(&base());
    let good = header().to_string();
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let headers: Vec<Vec<u8>> = vec![
        format!("\u{feff}{good}").into_bytes(),
        utf16,
        [good.trim_end_matches('}').as_bytes(), b",\"x\":\"\xff\"}"].concat(),
        br#"{"alg":"HS256","typ":"at+jwt","kid":"k1","x":"\ud800"}"#.to_vec(),
        br#"{"alg":"HS256","typ":"at+jwt","kid":"k1","x":1e400}"#.to_vec(),
        format!("{good} x").into_bytes(),
        format!("{good}{good}").into_bytes(),
        format!("[{good}]").into_bytes(),
        b"null".to_vec(),
        b"{}".to_vec(),
        b"".to_vec(),
        format!(
            r#"{{"alg":"HS256","typ":"at+jwt","kid":"k1","x":{}{}}}"#,
            "[".repeat(2000),
            "]".repeat(2000)
        )
        .into_bytes(),
    ];
    for header in headers {
        let token = jws(&header, claims().to_string(), K1);
        shims.refuses(&token, &String::from_utf8_lossy(&header));
    }
}

#[test]
fn a23_base64_has_one_form() {
    let shims = contenders(&base());
    // A payload that ends in a partial group, and a signature that does (32 bytes).
    let good = token();
    let [header, payload, signature]: [&str; 3] =
        good.split('.').collect::<Vec<_>>().try_into().unwrap();
    shims.accepts(&good, "the token before it is bent");

    let message = format!("{header}.{payload}");
    let last = signature.chars().last().unwrap();
    let next = char::from(last as u8 + 1);
    assert!(next.is_ascii_alphanumeric(), "pick another secret");
    let trailing_bits = format!("{}{next}", signature.strip_suffix(last).unwrap());
    for bent in [
        format!("{message}.{trailing_bits}"),
        format!("{message}.{signature}="),
        format!("{message}.{signature}A"),
        format!("{message}.{}", signature.strip_suffix(last).unwrap()),
    ] {
        shims.refuses(&bent, &bent);
    }
    for inner in [
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}=.{signature}"),
    ] {
        // `=` inside is no token68 (RFC 9110 §11.2); in a cookie it is a bad token.
        assert_eq!(shims.me(&inner).status, 400);
        assert_eq!(
            shims.ask(&Request::get("/me").cookie(&inner)),
            invalid_token()
        );
    }
    // The alphabet of ordinary base64, signed over those very characters.
    let standard = base64_simd::STANDARD_NO_PAD.encode_to_string(r#"{"x":"???>>>"}"#);
    assert!(standard.contains(['+', '/']));
    let signed = jws("{}", "{}", K1);
    let (_, signature) = signed.rsplit_once('.').unwrap();
    shims.refuses(
        &format!("{header}.{standard}.{signature}"),
        "standard alphabet",
    );
}

#[test]
fn a24_only_three_segments_make_a_token() {
    let shims = contenders(&base());
    let good = token();
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (head, payload) = message.split_once('.').unwrap();
    for token in [
        head.to_owned(),
        message.to_owned(),
        format!("{message}."),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{good}.{signature}.{signature}"),
        format!("{head}..{signature}"),
        format!(".{payload}.{signature}"),
        "..".to_owned(),
        "...".to_owned(),
        "....".to_owned(),
    ] {
        shims.refuses(&token, &token);
    }
}

#[test]
fn a24_encrypted_tokens_are_refused() {
    let shims = contenders(&base());
    let inner = jws(r#"{"alg":"none"}"#, claims().to_string(), Signer::Nobody);
    for header in [
        r#"{"alg":"dir","enc":"A128GCM","typ":"at+jwt","kid":"k1","cty":"JWT"}"#,
        r#"{"alg":"RSA-OAEP","enc":"A256GCM","typ":"at+jwt","kid":"k1"}"#,
        r#"{"alg":"PBES2-HS256+A128KW","enc":"A128CBC-HS256","p2c":2147483647,"p2s":"AA","kid":"k1"}"#,
        r#"{"alg":"HS256","enc":"A128GCM","typ":"at+jwt","kid":"k1"}"#,
        r#"{"alg":"HS256","zip":"DEF","typ":"at+jwt","kid":"k1"}"#,
    ] {
        let five = format!(
            "{}..AAAAAAAAAAAAAAAA.{}.AAAAAAAAAAAAAAAAAAAAAA",
            b64(header),
            b64(&inner)
        );
        shims.refuses(&five, header);
        shims.refuses(&jws(header, claims().to_string(), K1), header);
        shims.refuses(&jws(header, &inner, K1), header);
    }
}

#[test]
fn a24_json_serialisations_are_refused() {
    let shims = contenders(&base());
    let good = token();
    let [header, payload, signature]: [&str; 3] =
        good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let flat = json!({ "protected": header, "payload": payload, "signature": signature });
    let general = json!({ "payload": payload, "signatures": [
        { "protected": header, "signature": signature } ] });
    for serialised in [flat.to_string(), general.to_string()] {
        // Braces and quotes are no token68, so the credential itself is malformed.
        let reply = shims.me(&serialised);
        assert_eq!(reply.status, 400);
        assert_eq!(reply.error_code(), Some(Some("invalid_request".into())));
        shims.refuses(&b64(&serialised), "JSON in base64");
        // In a cookie quotes are no cookie octets.
        let reply = shims.ask(&Request::get("/me").cookie(&serialised));
        assert!(matches!(reply.status, 400 | 401), "{reply:?}");
    }
    // CVE-2022-39227: compact and JSON at once.
    let polyglot = format!("{{\"{header}.{payload}.{signature}\":1}}");
    assert_eq!(shims.me(&polyglot).status, 400);
}

#[test]
fn a25_the_longest_token_is_8_kib() {
    let shims = contenders(&base());
    let sized = |length: usize| {
        let mut padding = 0;
        loop {
            let token = token_with(json!({ "x": "x".repeat(padding) }));
            if token.len() >= length {
                break token;
            }
            padding += ((length - token.len()) * 3 / 4).max(1);
        }
    };
    let longest = sized(8 * 1024 - 1);
    assert!(
        (8 * 1024 - 1..=8 * 1024).contains(&longest.len()),
        "{}",
        longest.len()
    );
    shims.accepts(&longest, "as long as a token may be");
    shims.refuses(&sized(8 * 1024 + 1), "too long");
    shims.refuses(&sized(60 * 1024), "far too long");
    shims.refuses(&".".repeat(100 * 1024), "dots");
    shims.refuses(&"A".repeat(100 * 1024), "no dots");
    let reply = shims.ask_h2(&Request::get("/me").bearer(&".".repeat(1024 * 1024)));
    assert_eq!(reply, invalid_token(), "1 MiB of dots");
}

#[test]
fn a34_all_bad_tokens_get_the_same_answer() {
    let shims = contenders(&base());
    let wrong_secret = Signer::Mac(Algorithm::HS256, b"another secret that is long enough too");
    let expired = claims()["exp"].as_i64().unwrap() - 10_000;
    // A bad signature over expired claims, too: the claims must not be looked at first.
    for token in [
        token_signed("HS256", "k1", wrong_secret),
        jws(
            header().to_string(),
            json!({ "exp": expired, "secret": "marked" }).to_string(),
            wrong_secret,
        ),
        token_with(json!({ "exp": expired })),
        token_with(json!({ "iss": "https://evil.example" })),
        token_with(json!({ "aud": "https://evil.example" })),
        token_with_header(json!({ "kid": "other" })),
        token_with_header(json!({ "typ": "JWT" })),
        "x".to_owned(),
    ] {
        shims.refuses(&token, &token);
        let by_cookie = shims.ask(&Request::get("/me").cookie(&token));
        assert_eq!(by_cookie, invalid_token(), "{token}");
        assert_eq!(
            shims.ask_h2(&Request::get("/me").bearer(&token)),
            invalid_token()
        );
    }
}
