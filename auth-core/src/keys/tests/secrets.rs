//! HMAC secrets, and the redaction of all secrets.

use serde_json::json;

use crate::keys::tests::fixtures::{CERTIFICATE, base64url, forms, pem, vector};
use crate::keys::*;

type FromSecret = fn(String, &[u8]) -> Result<Key, crate::base::config::ConfigError>;

fn constructors() -> [(FromSecret, usize); 3] {
    [(Key::hs256, 32), (Key::hs384, 48), (Key::hs512, 64)]
}

fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

/// Whether the secret is refused as a key of another kind, not merely as too short.
fn is_refused_as_key(secret: &[u8]) -> bool {
    let padded = [secret, &[b'\n'; 64]].concat();
    [secret, &padded[..]].iter().all(|secret| {
        constructors().iter().all(|(construct, _)| {
            matches!(construct("k".into(), secret), Err(error) if error.to_string().contains("not a secret"))
        })
    })
}

#[test]
fn a26_secrets_shorter_than_the_hash_are_refused() {
    for (construct, length) in constructors() {
        assert!(construct("k".into(), &random(length)).is_ok());
        assert!(construct("k".into(), &random(length * 4)).is_ok());
        assert!(construct("k".into(), &random(length - 1)).is_err());
        assert!(construct("k".into(), b"secret").is_err());
    }
}

#[test]
fn a26_an_empty_secret_has_an_error_of_its_own() {
    for (construct, _) in constructors() {
        let error = construct("k".into(), b"").unwrap_err();
        assert!(
            error.to_string().contains("environment variable"),
            "{error}"
        );
    }
    for k in ["", "AAAA"] {
        let json = json!({"kty": "oct", "kid": "k", "alg": "HS256", "k": k}).to_string();
        assert!(Key::from_jwk(&json).is_err());
    }
}

#[test]
fn a02_no_form_of_another_key_is_a_secret() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
        let forms = forms(algorithm);
        let mut documents = vec![("PUBLIC KEY", forms.spki), ("PRIVATE KEY", forms.pkcs8)];
        documents.extend(forms.private);
        documents.extend(forms.public);
        for (label, der) in documents {
            let text = pem(label, &der);
            let body = base64_simd::STANDARD.encode_to_string(&der);
            for text in [
                text.clone(),
                text.trim_end().to_owned(),
                text.replace('\n', "\r\n"),
                format!("\u{feff}{text}"),
                format!("A comment before it\n{text}"),
                body,
            ] {
                assert!(is_refused_as_key(text.as_bytes()), "{algorithm} {text}");
            }
            if der.len() >= 64 {
                assert!(Key::hs256("k", &der).is_err(), "{algorithm} {label} DER");
            }
        }
    }
    assert!(is_refused_as_key(CERTIFICATE.as_bytes()));
    let body: String = CERTIFICATE
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    assert!(is_refused_as_key(body.as_bytes()));
    let certificate = base64_simd::STANDARD.decode_to_vec(body).unwrap();
    assert!(Key::hs256("k", &certificate).is_err());
}

#[test]
fn a02_der_that_is_long_enough_is_refused_as_a_key() {
    for algorithm in [Algorithm::Rs256, Algorithm::Es256] {
        let error = Key::hs256("k", &forms(algorithm).spki).unwrap_err();
        assert!(error.to_string().contains("not a secret"), "{error}");
    }
}

#[test]
fn a02_jwk_and_ssh_text_is_not_a_secret() {
    let public = vector("rfc7515-A.3")["jwk"].to_string();
    for text in [
        public.clone(),
        format!(" \n{public}\n"),
        format!(r#"{{"keys":[{public}]}}"#),
        format!("[{public}]"),
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB0ZtTHlzKp1qXyA2n3v0LkQ me@example".to_owned(),
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7Wc3S0Kk5Yv7h me@example".to_owned(),
        "AAAAB3NzaC1yc2EAAAADAQABAAABAQC7Wc3S0Kk5Yv7h".to_owned(),
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAI me@example".to_owned(),
        "---- BEGIN SSH2 PUBLIC KEY ----\nAAAAB3NzaC1yc2EAAAADAQABAAABAQC7Wc3S".to_owned(),
    ] {
        assert!(is_refused_as_key(text.as_bytes()), "{text}");
    }
}

#[test]
fn a02_a_symmetric_jwk_must_not_wrap_a_public_key() {
    let spki = forms(Algorithm::Es256).spki;
    for wrapped in [pem("PUBLIC KEY", &spki).into_bytes(), spki] {
        let json = json!({"kty": "oct", "kid": "k", "alg": "HS256", "k": base64url(&wrapped)});
        assert!(Key::from_jwk(&json.to_string()).is_err());
    }
}

#[test]
fn errors_do_not_repeat_the_secret() {
    let secret = b"-----BEGIN marked-secret-text";
    let error = Key::hs256("k", secret).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("marked"));
    let json = r#"{"kty":"oct","kid":"k","alg":"HS256","k":"marked-secret","k":"marked-secret"}"#;
    let error = Key::from_jwk(json).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("marked"));
}

#[test]
fn d21_debug_shows_nothing_of_a_key_but_its_name() {
    for algorithm in [
        Algorithm::Hs256,
        Algorithm::Rs256,
        Algorithm::Es256,
        Algorithm::EdDsa,
    ] {
        let (key, private_jwk) = Key::generate("name", algorithm).unwrap();
        let jwk: serde_json::Value = serde_json::from_str(private_jwk.expose()).unwrap();
        let ring = KeyRing::new([key.clone()]).unwrap();
        let source = KeySource::from(ring.clone());
        let printed = format!("{key:?} {key:#?} {private_jwk:?} {ring:?} {source:?}");
        for name in ["k", "d", "p", "q", "dp", "dq", "qi", "n", "x", "y"] {
            if let Some(number) = jwk[name].as_str() {
                assert!(!printed.contains(number), "{algorithm} {name}");
            }
        }
        assert!(printed.contains("name"));
        assert!(printed.len() < 1000, "{printed}");
    }
}
