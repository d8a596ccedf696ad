//! Log lines about unreadable claims and keys: once, by name, without values.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_core::{Algorithm, Authenticator, TrustedIssuer};
use auth_jwks::testing::FakeProvider;
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::world::{AUDIENCE, REFRESH, T0, clock, keys_of, status, trusting, until};

/// The warnings: target and fields of each.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() != "message" {
            self.0.push_str(&format!(" {}={value:?}", field.name()));
        }
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().starts_with("auth::")
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(event.metadata().target().to_owned());
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn i01_the_log_names_an_unread_claim_once_for_each_issuer() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let (one, two) = (
        FakeProvider::start().unwrap(),
        FakeProvider::start().unwrap(),
    );
    let clock = clock();
    let trusted = |provider: &FakeProvider| {
        TrustedIssuer::for_issuer(provider.issuer())
            .audience(AUDIENCE)
            .keys(keys_of(provider, &clock))
    };
    let auth = Authenticator::trusting(trusted(&one))
        .with_issuer(trusted(&two))
        .with_clock(clock.clone())
        .build()
        .unwrap();
    let strange = |provider: &FakeProvider, number: i32| {
        let forge = provider.token(T0).claim("acr", number);
        forge.claim("roles", json!({ "marked": "value" })).mint()
    };
    for number in 0..3 {
        assert_eq!(status(&auth, &strange(&one, number)).await, 200);
    }
    let claim = |provider: &FakeProvider, name: &str| {
        let issuer = provider.issuer();
        format!("auth::token issuer={issuer:?} claim={name:?}")
    };
    assert_eq!(warnings.take(), [claim(&one, "acr"), claim(&one, "roles")]);
    assert_eq!(status(&auth, &strange(&two, 0)).await, 200);
    assert_eq!(warnings.take(), [claim(&two, "acr"), claim(&two, "roles")]);
    // Another unreadable claim is logged.
    let other = one.token(T0).claim("acr", 9).claim("amr", 7).mint();
    assert_eq!(status(&auth, &other).await, 200);
    assert_eq!(warnings.take(), [claim(&one, "amr")]);
}

#[tokio::test]
async fn i04_the_log_names_a_skipped_key_once_by_index_and_member() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let provider = FakeProvider::start().unwrap();
    provider
        .publish(r#"{"kty":"RSA","kid":"marked","alg":"RSA-OAEP","use":"enc","n":"x","e":"AQAB"}"#);
    provider.publish(r#"{"kty":"EC","kid":"marked","alg":"ES256","crv":"P-256","x":"!","y":"!"}"#);
    let clock = clock();
    let keys = keys_of(&provider, &clock);
    keys.load().await.unwrap();
    let told = warnings.take();
    let skipped = |index: usize, member: &str| {
        let issuer = provider.issuer();
        format!("auth::keys issuer={issuer:?} index={index} member={member:?} reason=")
    };
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with(&skipped(1, "alg")), "{told:?}");
    assert!(told[1].starts_with(&skipped(2, "x")), "{told:?}");
    assert!(!told.concat().contains("marked"), "{told:?}");
    // The same key is not logged again; another one is.
    provider.set_etags(false);
    let auth = trusting(&keys, &clock);
    provider.publish("7");
    clock.advance(Duration::from_secs(REFRESH));
    assert_eq!(status(&auth, &provider.token(T0).mint()).await, 200);
    until(|| keys.status().successes == 2).await;
    let told = warnings.take();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("index=3 reason="), "{told:?}");
    assert_eq!(provider.signing_key().algorithm(), Algorithm::Es256);
}
