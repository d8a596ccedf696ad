//! Keys from PEM and DER.

use proptest::prelude::*;

use crate::keys::tests::fixtures::{CERTIFICATE, forms, pem};
use crate::keys::*;

const ASYMMETRIC: [Algorithm; 4] = [
    Algorithm::Rs256,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::EdDsa,
];

async fn belong_together(private: &Key, public: &Key) {
    assert!(private.can_sign() && !public.can_sign());
    let signature = private.sign(b"message").await.unwrap();
    assert_eq!(private.verify(b"message", &signature), Ok(()));
    assert_eq!(public.verify(b"message", &signature), Ok(()));
    assert_eq!(private.public_jwk(), public.public_jwk());
}

fn problem(result: Result<Key, crate::base::config::ConfigError>) -> String {
    result.unwrap_err().to_string()
}

#[tokio::test]
async fn every_form_of_a_key_loads() {
    for algorithm in ASYMMETRIC {
        let forms = forms(algorithm);
        let private = Key::from_der("k", algorithm, &forms.pkcs8).unwrap();
        let public = Key::from_der("k", algorithm, &forms.spki).unwrap();
        belong_together(&private, &public).await;

        let private_pem = pem("PRIVATE KEY", &forms.pkcs8);
        let public_pem = pem("PUBLIC KEY", &forms.spki).replace('\n', "\r\n");
        let private = Key::from_pem("k", algorithm, private_pem.as_bytes()).unwrap();
        let public = Key::from_pem("k", algorithm, public_pem.as_bytes()).unwrap();
        belong_together(&private, &public).await;

        if let Some((label, der)) = &forms.private {
            belong_together(&Key::from_der("k", algorithm, der).unwrap(), &public).await;
            let text = format!("Made by hand.\n{}", pem(label, der));
            let private = Key::from_pem("k", algorithm, text.as_bytes()).unwrap();
            belong_together(&private, &public).await;
        }
        if let Some((label, der)) = &forms.public {
            let text = pem(label, der);
            let public = Key::from_pem("k", algorithm, text.as_bytes()).unwrap();
            belong_together(&private, &public).await;
            belong_together(&private, &Key::from_der("k", algorithm, der).unwrap()).await;
        }
    }
}

#[test]
fn openssl_ec_parameters_before_a_key_are_skipped() {
    let (label, der) = forms(Algorithm::Es256).private.unwrap();
    let text = format!(
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{}",
        pem(label, &der)
    );
    assert!(Key::from_pem("k", Algorithm::Es256, text.as_bytes()).is_ok());
}

#[test]
fn a31_a_key_of_another_kind_or_curve_is_refused() {
    for made_for in ASYMMETRIC {
        let forms = forms(made_for);
        for used_for in ASYMMETRIC.into_iter().filter(|other| *other != made_for) {
            let mut documents = vec![("PUBLIC KEY", &forms.spki), ("PRIVATE KEY", &forms.pkcs8)];
            documents.extend(forms.private.iter().map(|(label, der)| (*label, der)));
            documents.extend(forms.public.iter().map(|(label, der)| (*label, der)));
            for (label, der) in documents {
                let text = pem(label, der);
                let case = format!("{label} for {made_for} used for {used_for}");
                assert!(Key::from_der("k", used_for, der).is_err(), "{case}");
                assert!(
                    Key::from_pem("k", used_for, text.as_bytes()).is_err(),
                    "{case}"
                );
            }
        }
    }
}

#[test]
fn a31_keys_for_other_uses_are_refused() {
    // Public keys: RSASSA-PSS only (RFC 4055), X25519 (RFC 8410), secp256k1 (SEC 2).
    let others = [
        (
            Algorithm::Ps256,
            "MIIBIDALBgkqhkiG9w0BAQoDggEPADCCAQoCggEBAIEc17boStAaa6VLBv8C/qxS\
             zUh3WnwJkeOnF7qESYA+jZ//oKrAkGrDr2NG+nsfDkmFqSDUWlcjQkfNaC73Y2Kd\
             +ImacxrJh6WdYgAafRrJl4kWcEoCqCJ0m0OjlBr0xJlV77liy9169ghKAZ3R2LL9\
             ULHM9BurgyzsSRdhqSmOweNMNARJOZKMfETb+lThSXuRRDgxVDYNOuROGt9kqtSl\
             stEUtKg+Ki0YT8YcrFHvZc3qzDZQ2Kpz0bnT0BDv8I33WRy3W0qJC1DLM/PYsfl9\
             dLtD93Nt+HOlbZXkjbdEXBGCc2Q3yNO8OKiSd2CEibkJJq+zaKDtsDPV0TC8yz0C\
             AwEAAQ==",
        ),
        (
            Algorithm::EdDsa,
            "MCowBQYDK2VuAyEARx4E8EYsX5JRBqNI2+gcHA0EkD0n3Er8D1/k0XalFzI=",
        ),
        (
            Algorithm::Es256,
            "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEp3qJxXFSfjQu1ZogdkccqjVhA2RnFT5U\
             y6KOdECN/fxDdR95NEyh84qfNeFoxH+qEyiobdDjZJ+q5b1Z7CiJ3Q==",
        ),
    ];
    for (algorithm, body) in others {
        let der = base64_simd::STANDARD.decode_to_vec(body).unwrap();
        let problem = problem(Key::from_der("k", algorithm, &der));
        assert!(problem.contains("another kind"), "{algorithm} {problem}");
    }
}

#[test]
fn a_pem_label_must_tell_the_truth() {
    let forms = forms(Algorithm::Rs256);
    let (_, pkcs1_private) = forms.private.unwrap();
    let (_, pkcs1_public) = forms.public.unwrap();
    for (label, der) in [
        ("PUBLIC KEY", &forms.pkcs8),
        ("PRIVATE KEY", &forms.spki),
        ("PUBLIC KEY", &pkcs1_public),
        ("RSA PUBLIC KEY", &forms.spki),
        ("RSA PRIVATE KEY", &forms.pkcs8),
        ("PRIVATE KEY", &pkcs1_private),
        ("EC PRIVATE KEY", &pkcs1_private),
    ] {
        let text = pem(label, der);
        let problem = problem(Key::from_pem("k", Algorithm::Rs256, text.as_bytes()));
        assert!(problem.contains("label"), "{label}: {problem}");
    }
}

#[test]
fn what_is_not_a_plain_key_is_refused_with_advice() {
    let spki = forms(Algorithm::Es256).spki;
    let key = pem("PUBLIC KEY", &spki);
    let old_encrypted = key
        .replace("PUBLIC KEY", "EC PRIVATE KEY")
        .replace("KEY-----\nM", "KEY-----\nProc-Type: 4,ENCRYPTED\n\nM");
    for (text, advice) in [
        (CERTIFICATE.to_owned(), "x509 -pubkey"),
        (pem("ENCRYPTED PRIVATE KEY", &spki), "decrypt"),
        (old_encrypted, "decrypt"),
        (pem("OPENSSH PRIVATE KEY", &spki), "ssh-keygen"),
        (pem("PGP PUBLIC KEY BLOCK", &spki), "not keys for"),
        (format!("{key}{key}"), "more than one"),
        (key.replace("-----END", ""), "not a PEM block"),
        (key.replace("M", "?"), "not a PEM block"),
        (String::new(), "not a PEM block"),
        ("secret".to_owned(), "not a PEM block"),
    ] {
        let problem = problem(Key::from_pem("k", Algorithm::Es256, text.as_bytes()));
        assert!(problem.contains(advice), "{problem}");
    }
    assert!(Key::from_pem("k", Algorithm::Es256, &[0xff, 0xfe]).is_err());
    assert!(Key::from_der("k", Algorithm::Es256, key.as_bytes()).is_err());
    assert!(Key::from_der("k", Algorithm::Es256, b"").is_err());
}

#[test]
fn a02_documents_are_not_loaded_as_hmac_keys() {
    let forms = forms(Algorithm::Es256);
    for algorithm in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
        let text = pem("PUBLIC KEY", &forms.spki);
        for result in [
            Key::from_pem("k", algorithm, text.as_bytes()),
            Key::from_der("k", algorithm, &forms.pkcs8),
            Key::from_der("k", algorithm, &forms.spki),
        ] {
            assert!(problem(result).contains("hs256"));
        }
    }
}

#[test]
fn damaged_documents_are_refused() {
    for algorithm in ASYMMETRIC {
        let forms = forms(algorithm);
        for der in [&forms.pkcs8, &forms.spki] {
            assert!(Key::from_der("k", algorithm, &der[..der.len() - 1]).is_err());
            assert!(Key::from_der("k", algorithm, &[&der[..], &[0]].concat()).is_err());
        }
    }
    // A point off the curve, and a public half that is another key's.
    let mut off_curve = forms(Algorithm::Es256).spki;
    *off_curve.last_mut().unwrap() ^= 1;
    assert!(Key::from_der("k", Algorithm::Es256, &off_curve).is_err());
    let mut swapped = forms(Algorithm::Es256).pkcs8;
    let other = forms(Algorithm::Es256).pkcs8;
    let point = swapped.len() - 64;
    swapped[point..].copy_from_slice(&other[point..]);
    assert!(Key::from_der("k", Algorithm::Es256, &swapped).is_err());
}

proptest! {
    #[test]
    fn any_text_is_refused_without_panic(text: String, bytes: Vec<u8>) {
        prop_assert!(Key::from_jwk(&text).is_err());
        prop_assert!(Key::from_pem("k", Algorithm::Es256, &bytes).is_err());
        prop_assert!(Key::from_der("k", Algorithm::Rs256, &bytes).is_err());
    }

    #[test]
    fn a_damaged_public_key_is_refused_or_another_key(at in 0..91_usize, bit in 0..8_u32) {
        let forms = forms(Algorithm::Es256);
        let good = Key::from_der("k", Algorithm::Es256, &forms.spki).unwrap();
        let mut der = forms.spki;
        der[at] ^= 1 << bit;
        if let Ok(other) = Key::from_der("k", Algorithm::Es256, &der) {
            prop_assert_ne!(other.public_jwk(), good.public_jwk());
        }
    }
}
