//! What needs no server: plugging in another cryptographic backend, sharing a process with an app
//! that uses jsonwebtoken itself.

use std::sync::Arc;

use async_trait::async_trait;
use auth_core::adapter::{RequestView, Step, Verdict};
use auth_core::signing::{SignError, SignToken, SignatureError, VerifySignature};
use auth_core::testing::ManualClock;
use auth_core::{
    AccessTokenRequest, Algorithm, Authenticator, Guard, Issuer, Key, KeyRing, Timestamp,
};
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::forge::{self, EC, EC_SPKI, RSA};
use crate::shims::{AUDIENCE, ISSUER, NOW};

/// A request with nothing but a bearer token.
struct Bearer<'t>(&'t str);

impl RequestView for Bearer<'_> {
    fn method(&self) -> &str {
        "GET"
    }
    fn path(&self) -> &str {
        "/"
    }
    fn target(&self) -> &str {
        self.path()
    }
    fn authority(&self) -> Option<&str> {
        None
    }
    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        if name == "authorization" {
            visit(self.0.as_bytes());
        }
    }
}

fn passes(guard: impl Into<Guard<()>>, token: &str) -> bool {
    match guard.into().check(&Bearer(&format!("Bearer {token}"))) {
        Step::Done(Verdict::Pass(_)) => true,
        Step::Done(Verdict::Refuse(refusal)) => {
            assert_eq!(refusal.response().status(), 401);
            false
        }
        Step::Wait(_) => panic!("nothing to wait for"),
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_secs(NOW)))
}

fn authenticator(keys: impl Into<auth_core::KeySource>) -> Arc<Authenticator<()>> {
    Authenticator::for_issuer(ISSUER)
        .audience(AUDIENCE)
        .keys(keys)
        .with_clock(clock())
        .build()
        .unwrap()
}

/// A message to sign, and where to send the signature.
type Ask = (Vec<u8>, oneshot::Sender<Vec<u8>>);

/// A key that lives elsewhere: this process asks for signatures and waits for them.
#[derive(Debug)]
struct KeyService {
    ask: mpsc::Sender<Ask>,
}

impl KeyService {
    /// The service's own process, as far as this test is concerned.
    fn start() -> Self {
        let (ask, mut asked) = mpsc::channel::<Ask>(1);
        tokio::spawn(async move {
            let key = EncodingKey::from_ec_pem(EC).unwrap();
            while let Some((message, answer)) = asked.recv().await {
                tokio::task::yield_now().await;
                let es256 = jsonwebtoken::Algorithm::ES256;
                let signature = jsonwebtoken::crypto::sign(&message, &key, es256).unwrap();
                let _ = answer.send(forge::unb64(&signature));
            }
        });
        Self { ask }
    }
}

#[async_trait]
impl SignToken for KeyService {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let (answer, answered) = oneshot::channel();
        self.ask
            .send((message.to_vec(), answer))
            .await
            .map_err(SignError::new)?;
        answered.await.map_err(SignError::new)
    }
}

/// Verification by another implementation.
#[derive(Debug)]
struct OtherBackend;

impl VerifySignature for OtherBackend {
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let key = DecodingKey::from_ec_pem(EC_SPKI).map_err(|_| SignatureError)?;
        let es256 = jsonwebtoken::Algorithm::ES256;
        match jsonwebtoken::crypto::verify(&forge::b64(signature), message, &key, es256) {
            Ok(true) => Ok(()),
            _ => Err(SignatureError),
        }
    }
}

#[tokio::test]
async fn a_key_service_signs_and_another_backend_verifies() {
    let key = Key::new("kms", Algorithm::Es256, Arc::new(OtherBackend))
        .unwrap()
        .with_signer(Arc::new(KeyService::start()))
        .with_public_jwk(&forge::public_jwk("ec", "kms", "ES256").to_string())
        .unwrap();
    assert!(key.can_sign());
    let issuer = Issuer::for_issuer(ISSUER)
        .audience(AUDIENCE)
        .keys(key.clone())
        .unwrap()
        .with_clock(clock());
    let token = issuer
        .mint(&AccessTokenRequest::for_subject("alice"))
        .await
        .unwrap();

    let by_other_backend = authenticator(key);
    assert!(passes(&by_other_backend, token.expose()));
    let public = forge::public_jwk("ec", "kms", "ES256").to_string();
    let by_ours = authenticator(Key::from_jwk(&public).unwrap());
    assert!(passes(&by_ours, token.expose()));

    let (message, _) = token.expose().rsplit_once('.').unwrap();
    let forged = format!("{message}.{}", forge::b64([1; 64]));
    assert!(!passes(&by_other_backend, &forged) && !passes(&by_ours, &forged));
    let jwks: Value = serde_json::from_str(&issuer.jwks()).unwrap();
    assert_eq!(jwks["keys"][0]["kid"], "kms", "its public key is published");
}

#[tokio::test]
async fn a_key_service_that_is_down_or_wrong_makes_no_token() {
    #[derive(Debug)]
    struct Wrong;
    #[async_trait]
    impl SignToken for Wrong {
        async fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignError> {
            Ok(vec![1; 64])
        }
    }
    let (ask, asked) = mpsc::channel(1);
    drop(asked);
    let down: Arc<dyn SignToken> = Arc::new(KeyService { ask });
    for signer in [down, Arc::new(Wrong)] {
        let key = Key::new("kms", Algorithm::Es256, Arc::new(OtherBackend)).unwrap();
        let issuer = Issuer::for_issuer(ISSUER)
            .audience(AUDIENCE)
            .keys(key.with_signer(signer))
            .unwrap()
            .with_clock(clock());
        let minted = issuer.mint(&AccessTokenRequest::for_subject("alice")).await;
        assert!(minted.is_err());
    }
}

/// The process-wide provider of jsonwebtoken belongs to the app: this suite is such an app, with
/// the feature `rust_crypto`. `tests/feature-unification` does the same with the other one.
#[tokio::test]
async fn an_app_with_its_own_jsonwebtoken_notices_nothing() {
    let claims = json!({ "sub": "app", "exp": 4_000_000_000_u64 });
    let header = Header::new(jsonwebtoken::Algorithm::RS256);
    let signing = EncodingKey::from_rsa_pem(RSA).unwrap();
    let verifying = DecodingKey::from_rsa_pem(forge::RSA_SPKI).unwrap();
    let validation = Validation::new(jsonwebtoken::Algorithm::RS256);
    let app_works = || {
        let token = jsonwebtoken::encode(&header, &claims, &signing).unwrap();
        let read = jsonwebtoken::decode::<Value>(&token, &verifying, &validation).unwrap();
        assert_eq!(read.claims, claims);
    };

    let key = Key::from_pem("rsa", Algorithm::Rs256, RSA).unwrap();
    let issuer = Issuer::for_issuer(ISSUER)
        .audience(AUDIENCE)
        .keys(KeyRing::new([key]).unwrap())
        .unwrap()
        .with_clock(clock());
    let ours = issuer
        .mint(&AccessTokenRequest::for_subject("alice"))
        .await
        .unwrap();
    let auth: Arc<Authenticator<()>> = issuer.authenticator().build().unwrap();
    assert!(passes(&auth, ours.expose()));
    app_works();
    assert!(passes(&auth, ours.expose()));
    app_works();
}

#[test]
fn b09_what_cannot_be_written_into_a_challenge_is_refused_when_building() {
    let with_realm = |realm: &str| {
        Authenticator::<()>::for_issuer(ISSUER)
            .audience(AUDIENCE)
            .keys(Key::hs256("k1", forge::SECRET).unwrap())
            .with_realm(realm)
            .build()
    };
    assert!(with_realm("my api, version 2").is_ok());
    for realm in [
        "a\"b",
        "a\\b",
        "a\r\nset-cookie: x=y",
        "a\nb",
        "\0",
        "é",
        "\u{7f}",
    ] {
        let error = with_realm(realm).unwrap_err();
        assert_eq!(error.setting(), "realm", "{realm:?}");
    }
    let guard = with_realm("api").unwrap().guard();
    for scope in ["a\"b", "a\\b", "a\r\nb", "é", "a\tb"] {
        assert!(guard.clone().require_scope(scope).is_err(), "{scope:?}");
    }
    for acr in ["", "a b", "a\"b", "a\\b", "a\r\nb", "é"] {
        assert!(guard.clone().require_acr([acr]).is_err(), "{acr:?}");
    }
}

#[test]
fn a28_absurd_durations_never_panic_when_a_request_comes() {
    use std::time::Duration;

    let builder = || {
        Authenticator::<()>::for_issuer(ISSUER)
            .audience(AUDIENCE)
            .keys(Key::hs256("k1", forge::SECRET).unwrap())
            .with_clock(clock())
    };
    assert!(builder().with_leeway(Duration::MAX).build().is_err());
    assert!(
        builder()
            .with_leeway(Duration::from_secs(301))
            .build()
            .is_err()
    );
    let auth = builder().with_max_lifetime(Duration::MAX).build().unwrap();
    assert!(passes(&auth, &forge::token()));
    let eternal = forge::token_around(
        forge::claims_with(json!({ "exp": 1 }))
            .to_string()
            .replace("\"exp\":1", "\"exp\":253402300799"),
    );
    assert!(passes(&auth, &eternal), "the end of the year 9999");
    let guard = auth.guard().require_max_age(Duration::MAX);
    assert!(format!("{guard:?}").contains("Guard"));
}

/// B21: what the app plugs in may panic. The framework turns that into a failed request; here
/// nothing may be left locked or half done for the next one.
#[test]
fn b21_a_callback_that_panics_spoils_no_later_request() {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicBool, Ordering};

    use auth_core::{AuthError, ErrorBody, Responder};

    #[derive(Clone, Debug, Default)]
    struct Moody(Arc<AtomicBool>);
    impl Moody {
        fn panic_if_asked(&self) {
            assert!(!self.0.swap(false, Ordering::Relaxed), "a bug of the app");
        }
    }
    impl Responder for Moody {
        fn body(&self, _: &AuthError, _: &dyn RequestView) -> Option<ErrorBody> {
            self.panic_if_asked();
            None
        }
    }
    impl VerifySignature for Moody {
        fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
            self.panic_if_asked();
            OtherBackend.verify(message, signature)
        }
    }
    impl auth_core::Clock for Moody {
        fn now(&self) -> Timestamp {
            self.panic_if_asked();
            Timestamp::from_secs(NOW)
        }
    }

    let (body, keys, clock) = (Moody::default(), Moody::default(), Moody::default());
    let auth = Authenticator::<()>::for_issuer(ISSUER)
        .audience(AUDIENCE)
        .keys(Key::new("ec", Algorithm::Es256, Arc::new(keys.clone())).unwrap())
        .with_clock(Arc::new(clock.clone()))
        .build()
        .unwrap();
    let guard = auth.guard().with_responder(body.clone());
    let signer = forge::Signer::Pem(jsonwebtoken::Algorithm::ES256, EC);
    let good = forge::token_signed("ES256", "ec", signer);
    // The keys first: once the token is in the cache they are not asked.
    for (moody, token) in [(&keys, good.as_str()), (&body, "x"), (&clock, &good)] {
        moody.0.store(true, Ordering::Relaxed);
        let during = catch_unwind(AssertUnwindSafe(|| passes(guard.clone(), token)));
        assert!(during.is_err(), "it did panic");
        assert!(passes(guard.clone(), &good), "and the next request passes");
        assert!(
            !passes(guard.clone(), "x"),
            "and the next bad one is refused"
        );
    }
}
