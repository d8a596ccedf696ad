//! Common helpers: counting keys, requests, and authenticators.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use auth_core::adapter::{RequestView, Step, Verdict};
use auth_core::signing::{SignatureError, VerifySignature};
use auth_core::source::{Carrier, CredentialError, PresentedToken, TokenSource};
use auth_core::testing::{ManualClock, TokenForge};
use auth_core::{
    Algorithm, AuthContext, Authenticator, AuthenticatorBuilder, Guard, Key, KeySource, Timestamp,
};
use aws_lc_rs::hmac;
use serde::Deserialize;

pub(crate) const START: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Verifies HMAC, and counts the calls.
#[derive(Clone, Debug)]
pub(crate) struct Counting {
    secret: [u8; 32],
    count: Arc<AtomicUsize>,
}

impl Counting {
    pub(crate) fn new(secret: u8) -> Self {
        Self {
            secret: [secret; 32],
            count: Arc::default(),
        }
    }

    pub(crate) fn key(&self, kid: &str) -> Key {
        Key::new(kid, Algorithm::Hs256, Arc::new(self.clone())).unwrap()
    }

    pub(crate) fn forge(&self, kid: &str, now: Timestamp) -> TokenForge {
        TokenForge::new(&self.key(kid), now).mac(&self.secret)
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

impl VerifySignature for Counting {
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        self.count.fetch_add(1, Ordering::SeqCst);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secret);
        hmac::verify(&key, message, signature).map_err(|_| SignatureError)
    }
}

/// A request with one token, in the header or in a cookie.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) method: &'static str,
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl Head {
    pub(crate) fn bearer(token: &str) -> Self {
        Self {
            method: "GET",
            fields: vec![("authorization", format!("Bearer {token}"))],
        }
    }

    pub(crate) fn cookie(token: &str) -> Self {
        Self {
            method: "GET",
            fields: vec![("cookie", token.to_owned())],
        }
    }

    pub(crate) fn posted(mut self, site: &str) -> Self {
        self.method = "POST";
        self.fields.push(("sec-fetch-site", site.to_owned()));
        self
    }
}

impl RequestView for Head {
    fn method(&self) -> &str {
        self.method
    }
    fn path(&self) -> &str {
        "/"
    }
    fn target(&self) -> &str {
        self.path()
    }
    fn authority(&self) -> Option<&str> {
        Some("api.example")
    }
    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        for (_, value) in self.fields.iter().filter(|(own, _)| *own == name) {
            visit(value.as_bytes());
        }
    }
}

/// A cookie header that consists of the token only.
#[derive(Debug)]
pub(crate) struct WholeCookie;

impl TokenSource for WholeCookie {
    fn find<'r>(
        &self,
        request: &'r dyn RequestView,
    ) -> Result<Option<PresentedToken<'r>>, CredentialError> {
        let mut found = None;
        request.visit_header("cookie", &mut |value| {
            found = std::str::from_utf8(value)
                .ok()
                .and_then(|token| PresentedToken::new(token, Carrier::Cookie));
        });
        Ok(found)
    }
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Private {
    #[serde(default)]
    pub(crate) tenant: String,
}

/// The visible result of a guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Accepted: the subject, the carrier, and the app's own claims.
    Yes(String, Carrier, Private),
    Anonymous,
    /// Refused: status and cause.
    No(u16, String),
}

pub(crate) fn ask(guard: &Guard<Private>, head: &Head) -> Said {
    match guard.check(head) {
        Step::Done(Verdict::Pass(pass)) => said(&pass.into_parts().0, head),
        Step::Done(Verdict::Refuse(refusal)) => {
            let cause = format!("{:?}", refusal.error().cause());
            Said::No(refusal.response().status(), cause)
        }
        Step::Wait(_) => panic!("nothing to wait for"),
    }
}

fn said(context: &AuthContext, head: &Head) -> Said {
    match context.authenticated::<Private>(head).unwrap() {
        Some(who) => {
            let name = format!("{} {:?}", who.subject(), who.token_id());
            Said::Yes(name, who.carrier(), who.claims().clone())
        }
        None => Said::Anonymous,
    }
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(START))
}

pub(crate) fn builder(
    keys: impl Into<KeySource>,
    clock: &Arc<ManualClock>,
) -> AuthenticatorBuilder<Private> {
    Authenticator::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(keys)
        .with_clock(Arc::clone(clock) as _)
}
