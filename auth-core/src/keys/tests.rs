//! The keys module as its callers see it.

use super::*;

async fn signs_and_verifies(key: &Key) {
    let signature = key.sign(b"message").await.unwrap();
    assert_eq!(key.verify(b"message", &signature), Ok(()));
    assert_eq!(key.verify(b"massage", &signature), Err(SignatureError));
    assert_eq!(key.verify(b"message", b""), Err(SignatureError));
}

#[tokio::test]
async fn generated_keys_load_sign_and_verify() {
    for algorithm in [
        Algorithm::Hs256,
        Algorithm::Hs384,
        Algorithm::Hs512,
        Algorithm::Ps256,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ] {
        let (key, private_jwk) = Key::generate("k", algorithm).unwrap();
        signs_and_verifies(&key).await;
        let loaded = Key::from_jwk(private_jwk.expose()).unwrap();
        assert_eq!(loaded.public_jwk(), key.public_jwk());
        let signature = loaded.sign(b"message").await.unwrap();
        assert_eq!(key.verify(b"message", &signature), Ok(()));
        assert_eq!(key.public_jwk().is_none(), algorithm.is_symmetric());
        if let Some(public) = key.public_jwk() {
            let public = Key::from_jwk(public).unwrap();
            assert!(!public.can_sign());
            assert_eq!(public.verify(b"message", &signature), Ok(()));
        }
    }
}
