//! JSON Web Keys, configured and remote.

use serde_json::{Value, json};

use crate::keys::jwks_entry::JwkSkip;
use crate::keys::tests::fixtures::{base64url, from_base64url, jwk, vector};
use crate::keys::*;

fn ec() -> Value {
    vector("rfc7515-A.3")["jwk"].clone()
}

fn rsa() -> Value {
    vector("rfc7515-A.2")["jwk"].clone()
}

fn with(base: &Value, members: Value) -> String {
    jwk(base, &members)
}

/// A private key for each kind of algorithm.
fn private(algorithm: Algorithm) -> Value {
    match algorithm {
        Algorithm::Rs256 => serde_json::from_str(&with(
            &vector("rfc7520-3.4")["jwk"],
            json!({"kid": "k", "alg": "RS256"}),
        ))
        .unwrap(),
        _ => {
            let (_, private_jwk) = Key::generate("k", algorithm).unwrap();
            serde_json::from_str(private_jwk.expose()).unwrap()
        }
    }
}

#[test]
fn a_jwk_needs_kid_and_alg() {
    assert!(Key::from_jwk(&with(&ec(), json!({"kid": "k", "alg": "ES256"}))).is_ok());
    assert!(Key::from_jwk(&with(&ec(), json!({"alg": "ES256"}))).is_err());
    let error = Key::from_jwk(&with(&ec(), json!({"kid": "k"}))).unwrap_err();
    assert!(error.to_string().contains("from_jwk_as"), "{error}");
}

#[test]
fn a04_without_alg_the_configuration_decides() {
    let json = with(&rsa(), json!({"kid": "k"}));
    for algorithm in [Algorithm::Rs256, Algorithm::Ps512] {
        let key = Key::from_jwk_as(&json, algorithm).unwrap();
        assert_eq!(key.algorithm(), algorithm);
    }
    assert!(Key::from_jwk_as(&json, Algorithm::Es256).is_err());
    assert!(Key::from_jwk_as(&json, Algorithm::Hs256).is_err());
    let json = with(&rsa(), json!({"kid": "k", "alg": "RS256"}));
    assert!(Key::from_jwk_as(&json, Algorithm::Rs256).is_ok());
    assert!(Key::from_jwk_as(&json, Algorithm::Ps256).is_err());
}

#[test]
fn a31_members_that_contradict_the_use_are_refused() {
    let good = json!({"kid": "k", "alg": "ES256", "use": "sig", "key_ops": ["verify"]});
    assert!(Key::from_jwk(&with(&ec(), good.clone())).is_ok());
    for change in [
        json!({"use": "enc"}),
        json!({"use": "SIG"}),
        json!({"use": ""}),
        json!({"use": null}),
        json!({"use": ["sig"]}),
        json!({"key_ops": []}),
        json!({"key_ops": ["sign"]}),
        json!({"key_ops": ["encrypt"]}),
        json!({"key_ops": ["verify", "verify"]}),
        json!({"key_ops": "verify"}),
        json!({"key_ops": [1]}),
        json!({"alg": "ES384"}),
        json!({"alg": "ES521"}),
        json!({"alg": "es256"}),
        json!({"alg": "none"}),
        json!({"alg": "RS256"}),
        json!({"alg": "HS256"}),
        json!({"alg": null}),
        json!({"crv": "P-384"}),
        json!({"crv": "secp256k1"}),
        json!({"crv": "p-256"}),
        json!({"kty": "RSA"}),
        json!({"kty": "OKP"}),
        json!({"kty": "oct"}),
        json!({"kty": "ec"}),
        json!({"kty": null}),
        json!({"kid": 7}),
        json!({"x": null}),
        json!({"k": "AAAA"}),
        json!({"d": "AAAA"}),
    ] {
        let json = with(
            &serde_json::from_str(&with(&ec(), good.clone())).unwrap(),
            change,
        );
        assert!(Key::from_jwk(&json).is_err(), "{json}");
    }
}

#[test]
fn what_is_not_one_json_object_is_refused() {
    let good = with(&ec(), json!({"kid": "k", "alg": "ES256"}));
    assert!(Key::from_jwk(&format!(" {good}\n")).is_ok());
    let repeated = good.replacen('{', r#"{"alg":"ES256","#, 1);
    let unknown = good.replacen('{', r#"{"x5u":"https://keys.example","ext":true,"#, 1);
    assert!(Key::from_jwk(&unknown).is_ok());
    for json in [
        repeated,
        // These members are ignored, and must still be JSON.
        good.replacen('{', r#"{"x5u":"\ud800","#, 1),
        good.replacen('{', r#"{"ext":1e400,"#, 1),
        format!("[{good}]"),
        format!(r#"{{"keys":[{good}]}}"#),
        format!("{good}{good}"),
        in_order().to_string(),
        "null".to_owned(),
        String::new(),
        "-----BEGIN PUBLIC KEY-----".to_owned(),
    ] {
        assert!(Key::from_jwk(&json).is_err(), "{json}");
    }
}

/// The members of a good key as an array, in the order in which we know them.
fn in_order() -> Value {
    let (x, y) = (&ec()["x"], &ec()["y"]);
    json!(["EC", "k", "ES256", "P-256", "sig", ["verify"], "", "", x, y])
}

#[test]
fn numbers_have_one_form() {
    let x = ec()["x"].as_str().unwrap().to_owned();
    let bytes = from_base64url(&x);
    for x in [
        format!("{x}="),
        format!("{x} "),
        x.replace('-', "+").replace('_', "/") + "+",
        // The last character has two unused bits.
        format!("{}V", &x[..x.len() - 1]),
        base64url(&bytes[1..]),
        base64url(&[&[0], &bytes[..]].concat()),
        String::new(),
    ] {
        let json = with(&ec(), json!({"kid": "k", "alg": "ES256", "x": x}));
        assert!(Key::from_jwk(&json).is_err(), "{x}");
    }
    // Private numbers too have one valid text.
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa] {
        let good = private(algorithm);
        let d = from_base64url(good["d"].as_str().unwrap());
        for d in [[&[0], &d[..]].concat(), [&d[..], &[0]].concat()] {
            let json = with(&good, json!({"d": base64url(&d)}));
            assert!(Key::from_jwk(&json).is_err(), "{algorithm}");
        }
    }
}

#[test]
fn coordinates_of_another_length_are_another_curve() {
    for length in [31, 33, 48, 66] {
        let x = base64url(&vec![1; length]);
        let json = with(&ec(), json!({"kid": "k", "alg": "ES256", "x": x, "y": x}));
        let error = Key::from_jwk(&json).unwrap_err();
        assert!(
            error.to_string().contains("another kind or curve"),
            "{length} {error}"
        );
    }
}

#[test]
fn points_off_the_curve_are_refused() {
    let mut y = from_base64url(ec()["y"].as_str().unwrap());
    y[31] ^= 1;
    for (x, y) in [
        (None, y),
        (Some(vec![0; 32]), vec![0; 32]),
        (Some(vec![0xff; 32]), vec![0xff; 32]),
    ] {
        let mut members = json!({"kid": "k", "alg": "ES256", "y": base64url(&y)});
        if let Some(x) = x {
            members["x"] = base64url(&x).into();
        }
        assert!(Key::from_jwk(&with(&ec(), members)).is_err());
    }
}

/// An odd number with this many bits.
fn modulus(bits: usize) -> String {
    let mut number = vec![0xa5; bits.div_ceil(8)];
    number[0] = if bits % 8 == 1 { 1 } else { 0x80 };
    base64url(&number)
}

#[test]
fn rsa_keys_have_2048_to_8192_bits_and_a_real_exponent() {
    let load = |n: String, e: &[u8]| {
        let members = json!({"kid": "k", "alg": "RS256", "n": n, "e": base64url(e)});
        Key::from_jwk(&with(&rsa(), members))
    };
    for bits in [2048, 3072, 4096, 8192] {
        assert!(load(modulus(bits), &[1, 0, 1]).is_ok(), "{bits}");
    }
    assert!(load(modulus(2048), &[3]).is_ok());
    for (bits, advice) in [
        (512, "2048"),
        (1024, "2048"),
        (2040, "2048"),
        (8193, "8192"),
        (16384, "8192"),
    ] {
        let error = load(modulus(bits), &[1, 0, 1]).unwrap_err();
        assert!(error.to_string().contains(advice), "{bits}: {error}");
    }
    let exponents: [&[u8]; 8] = [
        &[],
        &[0],
        &[1],
        &[2],
        &[4],
        &[1, 0, 0],
        &[2, 0, 0, 0, 1],
        &[1, 0, 0, 0, 0, 0, 0, 0, 1],
    ];
    for e in exponents {
        let error = load(modulus(2048), e).unwrap_err();
        assert!(error.to_string().contains("65537"), "{e:?}: {error}");
    }
    // An even modulus, padded to the minimum length.
    let mut even = vec![0x80; 256];
    even[255] = 2;
    let error = load(base64url(&even), &[1, 0, 1]).unwrap_err();
    assert!(error.to_string().contains("65537"), "{error}");
    let mut padded = vec![0; 256];
    padded[128..].fill(0xa5);
    assert!(load(base64url(&padded), &[1, 0, 1]).is_err());
}

#[test]
fn rsa_keys_of_the_flawed_generator_are_refused() {
    // From Wycheproof, "rejectsKeyWithRocaVulnerability".
    let n = "AanFpofbj7KjD4Lf-N2hVMKR7yewSyXhhbirIMTGpfYEhZ_lnt5UoK98DnKIgArXGTu3MaW_HhFw16HGaTDU\
             HqPrId7fe4r11CqRw09yBFuW79V8sYIwHdzCaWflUI6auImYbVfoN9_nD5n8N8SY9DwXw7mwZM9wREPXoDPg\
             OoIWl6q_MPsp7n0zs3Z5ZaiQWOOzl1S9OhwAfSiiOwz6efnXEaxuTEtPd7BjSx7NaFka8Dx9U7YqXy2RFj1O\
             9PjyaDGuRh7YXsX3iMUSP_wSyHQg_c_qHRtKUsNSGCT7OZg0hzm2KphtjnayKJvC64vAbROBR4Ubg6Bxg9IQ\
             VZ-QYyE";
    let json = with(&rsa(), json!({"kid": "k", "alg": "RS256", "n": n}));
    let error = Key::from_jwk(&json).unwrap_err();
    assert!(error.to_string().contains("CVE-2017-15361"), "{error}");
}

#[test]
fn zeros_before_an_rsa_number_do_not_change_it() {
    let n = from_base64url(rsa()["n"].as_str().unwrap());
    let plain = with(&rsa(), json!({"kid": "k", "alg": "RS256"}));
    let padded = base64url(&[&[0], &n[..]].concat());
    let padded = with(&rsa(), json!({"kid": "k", "alg": "RS256", "n": padded}));
    assert_eq!(
        Key::from_jwk(&padded).unwrap().public_jwk(),
        Key::from_jwk(&plain).unwrap().public_jwk()
    );
}

#[test]
fn the_private_members_must_belong_to_the_public_ones() {
    for algorithm in [
        Algorithm::Rs256,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ] {
        let good = private(algorithm);
        assert!(Key::from_jwk(&good.to_string()).unwrap().can_sign());
        let other = match algorithm {
            Algorithm::Rs256 => rsa(),
            _ => private(algorithm),
        };
        for name in ["n", "x", "y", "d", "p", "q", "dp", "dq", "qi"] {
            if good[name].is_null() {
                continue;
            }
            let mut missing = good.clone();
            missing.as_object_mut().unwrap().remove(name);
            assert!(
                Key::from_jwk(&missing.to_string()).is_err()
                    || name == "d" && algorithm != Algorithm::Rs256,
                "{algorithm} without {name}"
            );
            if other[name].is_string() {
                let swapped = with(&good, json!({name: other[name]}));
                assert!(Key::from_jwk(&swapped).is_err(), "{algorithm} other {name}");
            }
            let mut bytes = from_base64url(good[name].as_str().unwrap());
            bytes[5] ^= 4;
            let damaged = with(&good, json!({name: base64url(&bytes)}));
            assert!(
                Key::from_jwk(&damaged).is_err(),
                "{algorithm} damaged {name}"
            );
        }
        for extra in [
            json!({"oth": []}),
            json!({"k": "AAAA"}),
            json!({"d": ""}),
            json!({"d": null}),
        ] {
            assert!(Key::from_jwk(&with(&good, extra)).is_err());
        }
        for operations in [json!(["verify"]), json!(["encrypt"]), json!([])] {
            let json = with(&good, json!({"key_ops": operations}));
            assert!(Key::from_jwk(&json).is_err());
        }
        assert!(Key::from_jwk(&with(&good, json!({"key_ops": ["sign"]}))).is_ok());
    }
}

#[test]
fn key_ops_of_a_secret_say_what_it_may_do() {
    let secret = private(Algorithm::Hs256);
    let load = |operations: Value| Key::from_jwk(&with(&secret, json!({"key_ops": operations})));
    assert!(load(json!(["sign", "verify"])).unwrap().can_sign());
    assert!(!load(json!(["verify"])).unwrap().can_sign());
    assert!(load(json!(["sign"])).is_err());
    assert!(Key::from_jwk(&with(&secret, json!({"alg": "HS512"}))).is_err());
    assert!(Key::from_jwk(&with(&secret, json!({"alg": "A256KW"}))).is_err());
    for foreign in [
        json!({"crv": "P-256"}),
        json!({"n": "AQAB"}),
        json!({"x": "AQAB"}),
        json!({"d": "AQAB"}),
    ] {
        assert!(Key::from_jwk(&with(&secret, foreign)).is_err());
    }
}

#[test]
fn only_a_public_key_of_the_same_name_is_published_for_a_plugged_in_key() {
    let (key, private_jwk) = Key::generate("k", Algorithm::Es256).unwrap();
    let public: Value = serde_json::from_str(key.public_jwk().unwrap()).unwrap();
    let plugged = || {
        let inner: std::sync::Arc<dyn VerifySignature> = std::sync::Arc::new(Nothing);
        Key::new("k", Algorithm::Es256, inner).unwrap()
    };
    let published = plugged().with_public_jwk(&public.to_string()).unwrap();
    assert_eq!(published.public_jwk(), key.public_jwk());
    assert!(plugged().public_jwk().is_none());
    assert!(plugged().with_public_jwk(private_jwk.expose()).is_err());
    for change in [
        json!({"kid": "other"}),
        json!({"alg": "ES384"}),
        json!({"use": "enc"}),
        json!({"crv": "P-384"}),
        json!({"x": public["y"]}),
    ] {
        assert!(plugged().with_public_jwk(&with(&public, change)).is_err());
    }
    let secret = Key::hs256("k", &[7; 32]).unwrap();
    assert!(secret.with_public_jwk(&public.to_string()).is_err());
}

#[derive(Debug)]
struct Nothing;

impl VerifySignature for Nothing {
    fn verify(&self, _message: &[u8], _signature: &[u8]) -> Result<(), SignatureError> {
        Err(SignatureError)
    }
}

const RS256_AND_ES256: [Algorithm; 2] = [Algorithm::Rs256, Algorithm::Es256];

fn remote(entry: &Value) -> Result<Key, JwkSkip> {
    remote_jwk(entry, &RS256_AND_ES256)
}

fn entry(base: &Value, members: Value) -> Value {
    serde_json::from_str(&with(base, members)).unwrap()
}

#[test]
fn a04_remote_keys_without_alg_get_the_one_allowed_algorithm_that_fits() {
    let entry = entry(&rsa(), json!({"kid": "k"}));
    assert_eq!(remote(&entry).unwrap().algorithm(), Algorithm::Rs256);
    let ps256 = remote_jwk(&entry, &[Algorithm::Es256, Algorithm::Ps256]).unwrap();
    assert_eq!(ps256.algorithm(), Algorithm::Ps256);
    // An algorithm that is named twice counts once.
    assert!(remote_jwk(&entry, &[Algorithm::Rs256, Algorithm::Rs256]).is_ok());
    for allowed in [
        &[][..],
        &[Algorithm::Es256],
        &[Algorithm::Hs256],
        &[Algorithm::Rs256, Algorithm::Ps256],
    ] {
        assert!(remote_jwk(&entry, allowed).is_err(), "{allowed:?}");
    }
}

#[test]
fn a31_remote_keys_that_must_not_verify_are_skipped() {
    let good = entry(&rsa(), json!({"kid": "k", "alg": "RS256", "use": "sig"}));
    assert!(remote(&good).is_ok());
    for change in [
        json!({"alg": "RS512"}),
        json!({"alg": "RSA-OAEP"}),
        json!({"alg": "ES256"}),
        json!({"use": "enc"}),
        json!({"key_ops": ["encrypt"]}),
        json!({"key_ops": ["sign"]}),
        json!({"kty": "AKP"}),
        json!({"kid": ""}),
        json!({"kid": "a\nb"}),
        json!({"kid": 1}),
        json!({"e": "AQ"}),
        json!({"n": modulus(1024)}),
        json!({"n": 5}),
    ] {
        assert!(remote(&entry(&good, change.clone())).is_err(), "{change}");
    }
    for entry in [json!(null), json!([]), json!("RSA"), json!({}), in_order()] {
        assert!(remote(&entry).is_err(), "{entry}");
    }
}

#[test]
fn a32_remote_secrets_and_private_keys_are_skipped() {
    let everything = [
        Algorithm::Hs256,
        Algorithm::Rs256,
        Algorithm::Es256,
        Algorithm::EdDsa,
    ];
    for algorithm in everything {
        let problem = remote_jwk(&private(algorithm), &everything).unwrap_err();
        assert!(
            problem.as_str().contains("are not used"),
            "{algorithm} {problem}"
        );
    }
    let hidden = entry(&ec(), json!({"kid": "k", "k": "AAAA"}));
    assert!(remote(&hidden).is_err());
}

#[test]
fn remote_keys_without_kid_are_named_by_their_thumbprint() {
    let case = vector("rfc7638-3.1");
    let key = remote(&case["jwk"]).unwrap();
    assert_eq!(key.id(), case["thumbprint_sha256"].as_str().unwrap());
    assert!(!key.can_sign());
}
