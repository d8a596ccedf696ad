//! CHECKLIST A, keys: one key, one algorithm, and never one that the token brings along.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::forge::{
    Algorithm, EC, EC_SPKI, ED, ED_SPKI, K1, RSA, RSA_PKCS1, RSA_SPKI, SECRET, Signer, absent, b64,
    claims, header_with, jws, oct_jwk, private_jwk, public_jwk, token_signed, token_with_header,
    unb64,
};
use crate::shims::{base, base_with, contenders, refused, with_keys};

fn three_public_keys() -> Value {
    with_keys(json!([
        public_jwk("rsa", "rsa", "RS256"),
        public_jwk("ec", "ec", "ES256"),
        public_jwk("ed", "ed", "EdDSA"),
    ]))
}

/// Every form in which a public key might end up as an HMAC secret.
fn as_secrets(name: &str, pems: &[&[u8]]) -> Vec<Vec<u8>> {
    let jwk = public_jwk(name, name, "x");
    let mut forms = vec![jwk.to_string().into_bytes()];
    for pem in pems {
        let text = std::str::from_utf8(pem).unwrap();
        forms.push(text.as_bytes().to_vec());
        forms.push(text.trim_end().as_bytes().to_vec());
        forms.push(text.replace('\n', "\r\n").into_bytes());
        let base64: String = text
            .lines()
            .filter(|line| !line.contains("-----"))
            .collect();
        forms.push(base64_simd::STANDARD.decode_to_vec(&base64).unwrap());
        forms.push(base64.into_bytes());
    }
    for member in ["n", "x", "y"] {
        if let Some(value) = jwk[member].as_str() {
            forms.push(value.as_bytes().to_vec());
            forms.push(unb64(value));
        }
    }
    forms
}

#[test]
fn a02_public_keys_are_no_hmac_secrets() {
    let shims = contenders(&three_public_keys());
    shims.accepts(
        &token_signed("RS256", "rsa", Signer::Pem(Algorithm::RS256, RSA)),
        "RS256",
    );
    for (kid, pems) in [
        ("rsa", [RSA_SPKI, RSA_PKCS1].as_slice()),
        ("ec", [EC_SPKI].as_slice()),
        ("ed", [ED_SPKI].as_slice()),
    ] {
        for secret in as_secrets(kid, pems) {
            for (alg, algorithm) in [
                ("HS256", Algorithm::HS256),
                ("HS384", Algorithm::HS384),
                ("HS512", Algorithm::HS512),
            ] {
                let signer = Signer::Mac(algorithm, &secret);
                shims.refuses(&token_signed(alg, kid, signer), alg);
                let header = header_with(json!({ "alg": alg, "kid": absent() })).to_string();
                shims.refuses(&jws(header, claims().to_string(), signer), alg);
            }
        }
    }
}

#[test]
fn a02_a_public_key_configured_as_secret_is_refused_at_start() {
    for pem in [RSA_SPKI, RSA_PKCS1, EC_SPKI, ED_SPKI, RSA, EC, ED] {
        let text = std::str::from_utf8(pem).unwrap();
        let base64: String = text
            .lines()
            .filter(|line| !line.contains("-----"))
            .collect();
        let der = base64_simd::STANDARD.decode_to_vec(&base64).unwrap();
        for secret in [pem, text.trim_end().as_bytes(), &der] {
            refused(&with_keys(json!([oct_jwk("k1", "HS256", secret)])));
        }
    }
    let jwk = public_jwk("rsa", "rsa", "RS256").to_string();
    refused(&with_keys(json!([oct_jwk("k1", "HS256", jwk.as_bytes())])));
}

#[test]
fn a04_a_jwk_must_name_its_algorithm() {
    let mut jwk = public_jwk("rsa", "rsa", "RS256");
    jwk.as_object_mut().unwrap().remove("alg");
    refused(&with_keys(json!([jwk])));
}

#[test]
fn a05_a_key_has_one_algorithm() {
    let shims = contenders(&three_public_keys());
    for (alg, algorithm) in [
        ("PS256", Algorithm::PS256),
        ("RS384", Algorithm::RS384),
        ("RS512", Algorithm::RS512),
        ("PS512", Algorithm::PS512),
    ] {
        let signer = Signer::Pem(algorithm, RSA);
        shims.refuses(&token_signed(alg, "rsa", signer), alg);
        // Validly signed by another algorithm of the family, and lied about.
        shims.refuses(&token_signed("RS256", "rsa", signer), alg);
        let header = header_with(json!({ "alg": alg, "kid": absent() })).to_string();
        shims.refuses(&jws(header, claims().to_string(), signer), alg);
    }
    shims.refuses(
        &token_signed("EdDSA", "ec", Signer::Pem(Algorithm::EdDSA, ED)),
        "other key",
    );
}

#[test]
fn a07_without_kid_there_must_be_one_key_of_the_algorithm() {
    let other: &[u8] = b"k2: another secret that is long enough for every hash, HS512 as well";
    let without_kid = |signer| {
        let header = header_with(json!({ "kid": absent() })).to_string();
        jws(header, claims().to_string(), signer)
    };
    let one = json!([
        oct_jwk("k1", "HS256", SECRET),
        oct_jwk("k2", "HS384", other),
        public_jwk("rsa", "rsa", "RS256"),
    ]);
    let one = contenders(&with_keys(one));
    one.accepts(&without_kid(K1), "the only HS256 key");
    one.refuses(
        &without_kid(Signer::Mac(Algorithm::HS256, other)),
        "HS384 key, HS256 token",
    );

    let (first, second) = (
        oct_jwk("k1", "HS256", SECRET),
        oct_jwk("k2", "HS256", other),
    );
    for keys in [json!([first, second]), json!([second, first])] {
        let two = contenders(&with_keys(keys));
        two.refuses(&without_kid(K1), "two HS256 keys");
        two.refuses(
            &without_kid(Signer::Mac(Algorithm::HS256, other)),
            "two HS256 keys",
        );
        two.accepts(&crate::forge::token(), "with kid");
    }
}

#[test]
fn a08_keys_in_the_token_are_never_used() {
    let shims = contenders(&base_with(json!({
        "keys": [base()["keys"][0], public_jwk("rsa", "rsa", "RS256")],
    })));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    let attacker = public_jwk("ec", "evil", "ES256");
    for extra in [
        json!({ "jwk": attacker }),
        json!({ "jku": url }),
        json!({ "x5u": url }),
        json!({ "x5c": ["MIIB"] }),
    ] {
        for kid in [json!("evil"), json!("rsa"), json!("k1"), absent()] {
            let mut changes = json!({ "alg": "ES256", "kid": kid });
            changes
                .as_object_mut()
                .unwrap()
                .extend(extra.as_object().unwrap().clone());
            let header = header_with(changes).to_string();
            let token = jws(
                &header,
                claims().to_string(),
                Signer::Pem(Algorithm::ES256, EC),
            );
            shims.refuses(&token, &header);
        }
        // Properly signed by our key, the member is no reason to refuse and none to fetch.
        shims.accepts(&token_with_header(extra.clone()), &extra.to_string());
    }
    assert!(
        listener.accept().is_err(),
        "somebody fetched a URL from a token"
    );
}

#[test]
fn a26_weak_keys_are_refused_at_start() {
    for (alg, length) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
        refused(&with_keys(json!([oct_jwk("k1", alg, b"")])));
        refused(&with_keys(json!([oct_jwk(
            "k1",
            alg,
            &vec![7; length - 1]
        )])));
        drop(contenders(&with_keys(json!([oct_jwk(
            "k1",
            alg,
            &vec![7; length]
        )]))));
    }
    refused(&with_keys(json!([private_jwk("rsa1024", "r", "RS256")])));
    refused(&with_keys(json!([public_jwk("rsa1024", "r", "RS256")])));
    let mut exponent = public_jwk("rsa", "r", "RS256");
    exponent["e"] = json!("AQ");
    refused(&with_keys(json!([exponent])));
    refused(&with_keys(json!([])));
}

/// The order of P-256's group.
const N: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

fn number(hex: &str) -> Vec<u8> {
    let padded = format!("{hex:0>64}");
    (0..64)
        .step_by(2)
        .map(|at| u8::from_str_radix(&padded[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn a30_degenerate_ecdsa_signatures_are_refused() {
    let shims = contenders(&three_public_keys());
    let good = token_signed("ES256", "ec", Signer::Pem(Algorithm::ES256, EC));
    shims.accepts(&good, "ES256");
    let (message, signature) = good.rsplit_once('.').unwrap();
    let signature = unb64(signature);
    let n = number(N);
    let minus_one = number(&N.replace("2551", "2550"));
    let numbers = [number("0"), number("1"), minus_one, n, vec![0xff; 32]];
    for r in &numbers {
        for s in &numbers {
            shims.refuses(
                &format!("{message}.{}", b64([r.as_slice(), s].concat())),
                "r and s",
            );
        }
    }
    let integer = |bytes: &[u8]| {
        let sign: &[u8] = if bytes[0] & 0x80 == 0 { b"" } else { b"\0" };
        let length = u8::try_from(bytes.len() + sign.len()).unwrap();
        [&[2, length], sign, bytes].concat()
    };
    let both = [integer(&signature[..32]), integer(&signature[32..])].concat();
    let der = [&[0x30, u8::try_from(both.len()).unwrap()], both.as_slice()].concat();
    for (bytes, why) in [
        (der, "DER"),
        (signature[..63].to_vec(), "short"),
        ([&signature[..], &[0]].concat(), "long"),
        (
            [&[0], &signature[..32], &[0], &signature[32..]].concat(),
            "padded numbers",
        ),
        (signature[..32].to_vec(), "r only"),
        (Vec::new(), "nothing"),
    ] {
        shims.refuses(&format!("{message}.{}", b64(bytes)), why);
    }
}

#[test]
fn a30_degenerate_eddsa_signatures_are_refused() {
    let shims = contenders(&three_public_keys());
    let good = token_signed("EdDSA", "ed", Signer::Pem(Algorithm::EdDSA, ED));
    shims.accepts(&good, "EdDSA");
    let (message, signature) = good.rsplit_once('.').unwrap();
    let signature = unb64(signature);
    // S + L verifies as well where S is not checked to be reduced (RFC 8032 §5.1.7).
    let order = number("1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed");
    let mut malleable = signature.clone();
    let mut carry = 0;
    for (byte, add) in malleable[32..].iter_mut().zip(order.iter().rev()) {
        let sum = u16::from(*byte) + u16::from(*add) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    shims.refuses(&format!("{message}.{}", b64(&malleable)), "S >= L");
    let identity = [[1].as_slice(), &[0; 31]].concat();
    for r in [identity, vec![0; 32], signature[..32].to_vec()] {
        for s in [vec![0; 32], vec![0xff; 32]] {
            shims.refuses(
                &format!("{message}.{}", b64([r.clone(), s].concat())),
                "small order",
            );
        }
    }
}

#[test]
fn a31_jwks_that_contradict_themselves_are_refused_at_start() {
    let rsa = |changes: Value| {
        let mut jwk = public_jwk("rsa", "rsa", "RS256");
        jwk.as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        jwk
    };
    let mut curve = public_jwk("ec", "ec", "ES256");
    curve["crv"] = json!("P-384");
    for jwk in [
        rsa(json!({ "use": "enc" })),
        rsa(json!({ "key_ops": ["encrypt"] })),
        rsa(json!({ "key_ops": [] })),
        rsa(json!({ "alg": "ES256" })),
        rsa(json!({ "alg": "HS256" })),
        rsa(json!({ "alg": "RSA-OAEP" })),
        rsa(json!({ "alg": "none" })),
        rsa(json!({ "alg": "" })),
        rsa(json!({ "kty": "EC" })),
        rsa(json!({ "kid": "" })),
        rsa(json!({ "kid": null })),
        public_jwk("ec", "ec", "ES384"),
        public_jwk("ec", "ec", "EdDSA"),
        public_jwk("ed", "ed", "ES256"),
        curve,
        json!({ "kty": "AKP", "kid": "pq", "alg": "ML-DSA-44" }),
        json!("no object"),
    ] {
        refused(&with_keys(json!([jwk])));
    }
}

#[test]
fn a33_a_kid_stands_for_one_key() {
    let other: &[u8] = b"k2: another secret that is long enough for every hash, HS512 as well";
    refused(&with_keys(json!([
        oct_jwk("k1", "HS256", SECRET),
        oct_jwk("k1", "HS256", other)
    ])));
    refused(&with_keys(json!([
        oct_jwk("k1", "HS256", SECRET),
        public_jwk("rsa", "k1", "RS256")
    ])));
}

#[test]
fn f11_the_jwks_route_shows_public_keys_only() {
    let keys = json!([
        oct_jwk("k1", "HS256", SECRET),
        private_jwk("rsa", "rsa", "RS256"),
        private_jwk("ec", "ec", "ES256"),
        private_jwk("ed", "ed", "EdDSA"),
    ]);
    let shims = contenders(&base_with(json!({ "keys": keys, "sign_with": "rsa" })));
    let reply = shims.ask(&crate::client::Request::get("/.well-known/jwks.json"));
    assert_eq!(reply.status, 200);
    let served = reply.json();
    let served = served["keys"].as_array().unwrap();
    let kids: Vec<_> = served
        .iter()
        .map(|key| key["kid"].as_str().unwrap())
        .collect();
    assert_eq!(kids, ["rsa", "ec", "ed"]);
    for key in served {
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(key.get(private).is_none(), "{private}");
        }
    }
}

#[test]
fn f11_the_jwks_route_says_how_long_and_spares_what_is_known() {
    use crate::client::Request;
    let path = "/.well-known/jwks.json";
    let keys = json!([private_jwk("ec", "ec", "ES256")]);
    let shims = contenders(&with_keys(keys));
    let full = shims.ask(&Request::get(path));
    assert_eq!(full.header("cache-control"), Some("public, max-age=600"));
    assert_eq!(
        full.header("content-type"),
        Some("application/jwk-set+json")
    );
    let tag = full.header("etag").unwrap();

    let known = shims.ask(&Request::get(path).with("if-none-match", format!("\"x\", W/{tag}")));
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(known.header("etag"), Some(tag));
    let other = shims.ask(&Request::get(path).with("if-none-match", "\"x\""));
    assert_eq!(other.status, 200);

    let head = shims.ask(&Request::new("HEAD", path));
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("etag"), Some(tag));
    let posted = shims.ask(&Request::new("POST", path));
    assert_eq!(posted.status, 405);
    assert_eq!(posted.header("allow"), Some("GET, HEAD"));
}
