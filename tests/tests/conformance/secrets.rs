//! D21: no secret reaches a log, a body or a `Debug` text.

use serde_json::json;

use crate::client::{Request, send};
use crate::forge::{Algorithm, Signer, claims_with, header_with, jws, oct_jwk};
use crate::shims::{BINARIES, NOW, Shim, base_with};

/// Appears in the secret, in every claim, in every kid; only `sub` and private claims may be
/// answered, and to their owner alone.
const MARK: &str = "MARKED7secret9";

fn marked_secret() -> Vec<u8> {
    format!("{MARK}-{MARK}-{MARK}-{MARK}").into_bytes()
}

#[test]
fn d21_logs_and_refusals_hold_no_secret() {
    let secret = marked_secret();
    let config = base_with(json!({ "keys": [oct_jwk("k1", "HS256", &secret)] }));
    let signer = Signer::Mac(Algorithm::HS256, &secret);
    let sign = |header: serde_json::Value, claims: serde_json::Value| {
        jws(
            header_with(header).to_string(),
            claims_with(claims).to_string(),
            signer,
        )
    };
    let subject = json!({ "sub": MARK, "sid": MARK, "jti": MARK, "own": MARK });
    let good = sign(json!({}), subject.clone());
    let bad = [
        sign(json!({ "kid": MARK }), subject.clone()),
        sign(json!({ "typ": MARK }), subject.clone()),
        sign(json!({ "alg": MARK }), subject.clone()),
        sign(json!({ MARK: MARK, "crit": [MARK] }), subject),
        sign(json!({}), json!({ "iss": MARK })),
        sign(json!({}), json!({ "aud": MARK })),
        sign(json!({}), json!({ "exp": MARK })),
        sign(json!({}), json!({ "exp": NOW - 1, "sub": MARK })),
        format!("{good}{MARK}"),
        MARK.to_owned(),
    ];
    for binary in BINARIES {
        let shim = Shim::start(binary, &config, &[("SHIM_LOG", "1")]);
        let ask = |request: Request| send(shim.address, &request).unwrap();
        let reply = ask(Request::get("/me").bearer(&good));
        assert_eq!(reply.json()["sub"], MARK);
        let foreign = Request::new("POST", "/me")
            .cookie(&good)
            .with("origin", format!("https://{MARK}"));
        let mut refusals = vec![
            ask(Request::get("/admin").bearer(&good)),
            ask(Request::get("/strict").bearer(&good)),
            ask(Request::get("/typed").bearer(&good)),
            ask(Request::get("/me").bearer(&good).cookie(&good)),
            ask(foreign),
            ask(Request::get(&format!("/me?access_token={good}"))),
        ];
        for token in &bad {
            refusals.push(ask(Request::get("/me").bearer(token)));
            refusals.push(ask(Request::get("/maybe").cookie(token)));
        }
        for reply in refusals {
            assert!(!format!("{reply:?}").contains(MARK), "{reply:?}");
        }
        let (_, log) = shim.terminate();
        assert!(log.contains("auth::refused"), "the log was captured: {log}");
        let parts = good
            .split('.')
            .chain(bad.iter().flat_map(|token| token.split('.')));
        for part in parts.filter(|part| part.len() > 8) {
            assert!(
                !log.contains(part),
                "a part of a token is in the log of {binary}:\n{log}"
            );
        }
        assert!(
            !log.contains(MARK),
            "a marked text is in the log of {binary}:\n{log}"
        );
    }
}

#[test]
fn d21_debug_texts_hold_no_secret() {
    use std::sync::Arc;

    use auth_core::source::{Carrier, PresentedToken};
    use auth_core::{Authenticator, Key, KeyRing, KeySource};

    let secret = marked_secret();
    let key = Key::hs256("k1", &secret).unwrap();
    let (pem, jwk) = (
        crate::forge::RSA,
        crate::forge::private_jwk("ec", "ec", "ES256"),
    );
    let rsa = Key::from_pem("rsa", auth_core::Algorithm::Rs256, pem).unwrap();
    let ec = Key::from_jwk(&jwk.to_string()).unwrap();
    let ring = KeyRing::new([key.clone(), rsa.clone(), ec.clone()]).unwrap();
    let source = KeySource::from(ring);
    let auth: Arc<Authenticator<()>> = Authenticator::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(source.clone())
        .build()
        .unwrap();
    let presented = PresentedToken::new(MARK, Carrier::Cookie).unwrap();
    let (generated, private) = Key::generate("g", auth_core::Algorithm::EdDsa).unwrap();
    let generated_d: serde_json::Value = serde_json::from_str(private.expose()).unwrap();
    let texts = [
        format!("{key:?} {rsa:?} {ec:?} {generated:?}"),
        format!("{source:?} {:?}", source.load()),
        format!("{auth:?} {:?}", auth.guard()),
        format!("{presented:?} {private:?}"),
    ];
    let rsa_d = crate::forge::private_jwk("rsa", "rsa", "RS256")["d"].clone();
    for text in texts {
        for secret in [&jwk["d"], &rsa_d, &generated_d["d"]] {
            assert!(!text.contains(secret.as_str().unwrap()), "{text}");
        }
        assert!(!text.contains(MARK), "{text}");
        let bytes = format!("{:?}", secret.as_slice());
        assert!(!text.contains(bytes.trim_matches(['[', ']'])), "{text}");
    }
}
