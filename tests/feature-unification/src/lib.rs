//! An app with its own use of jsonwebtoken: whichever backend feature it turns on, it does not
//! notice that our crates use the same crate, and they do not notice it.

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::sync::Arc;

    use auth_core::testing::ManualClock;
    use auth_core::{AccessTokenRequest, Authenticator, Issuer, Key, Timestamp};
    use auth_core::adapter::{RequestView, Step, Verdict};
    use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
    use serde_json::{Value, json};

    const RSA: &[u8] = include_bytes!("../../tests/conformance/keys/rsa.pem");
    const RSA_PUBLIC: &[u8] = include_bytes!("../../tests/conformance/keys/rsa_spki.pem");

    struct Bearer(String);

    impl RequestView for Bearer {
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

    /// Signs and verifies through our crates.
    async fn ours() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
        let issuer = Issuer::for_issuer("https://issuer.example")
            .audience("https://api.example")
            .keys(Key::from_pem("rsa", auth_core::Algorithm::Rs256, RSA).unwrap())
            .unwrap()
            .with_clock(clock);
        let token = issuer.mint(&AccessTokenRequest::for_subject("alice")).await.unwrap();
        let auth: Arc<Authenticator<()>> = issuer.authenticator().build().unwrap();
        let request = Bearer(format!("Bearer {}", token.expose()));
        assert!(matches!(auth.authenticate(&request), Step::Done(Verdict::Pass(_))));
    }

    /// Signs and verifies as an app would that knows nothing of us.
    fn the_apps_own() {
        let claims = json!({ "sub": "app", "exp": 4_000_000_000_u64 });
        let key = EncodingKey::from_rsa_pem(RSA).unwrap();
        let token = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap();
        let key = DecodingKey::from_rsa_pem(RSA_PUBLIC).unwrap();
        let read =
            jsonwebtoken::decode::<Value>(&token, &key, &Validation::new(Algorithm::RS256));
        assert_eq!(read.unwrap().claims, claims);
    }

    #[tokio::test]
    async fn neither_notices_the_other() {
        ours().await;
        let backends = [cfg!(feature = "rust_crypto"), cfg!(feature = "aws_lc_rs")];
        match backends.iter().filter(|enabled| **enabled).count() {
            // jsonwebtoken chooses its backend by feature; were one turned on by us, an app's own
            // choice of the other would make every call of it panic.
            0 => assert!(catch_unwind(the_apps_own).is_err(), "we turned a backend on"),
            1 => the_apps_own(),
            _ => {
                // With both the app has to choose, and we must not have chosen before it.
                #[cfg(feature = "aws_lc_rs")]
                jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default().unwrap();
                the_apps_own();
            }
        }
        ours().await;
    }
}
