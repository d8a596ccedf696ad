//! What a handler sees of a request that has passed, and what a person sees of one that has not.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use auth_core::testing::ManualClock;
use auth_core::{
    AccessTokenRequest, AuthContext, Authenticated, Authenticator, Carrier, Issuer, Key, Refusal,
    RequestView, Requirements, Scope, Timestamp, Verdict,
};

const NOW: i64 = 1_800_000_000;

struct Request {
    method: &'static str,
    headers: Vec<(&'static str, String)>,
}

impl RequestView for Request {
    fn method(&self) -> &str {
        self.method
    }
    fn path(&self) -> &str {
        "/"
    }
    fn authority(&self) -> Option<&str> {
        None
    }
    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        for (_, value) in self.headers.iter().filter(|(own, _)| *own == name) {
            visit(value.as_bytes());
        }
    }
}

fn request(headers: &[(&'static str, &str)]) -> Request {
    Request {
        method: "GET",
        headers: headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect(),
    }
}

fn issuer() -> Issuer {
    Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(Key::hs256("k1", &[7; 32]).unwrap())
        .unwrap()
        .with_jitter(0)
        .unwrap()
        .with_clock(Arc::new(ManualClock::at(Timestamp::from_secs(NOW))))
}

fn verifier(issuer: &Issuer) -> Arc<Authenticator<()>> {
    issuer
        .authenticator::<()>()
        .with_clock(Arc::new(ManualClock::at(Timestamp::from_secs(NOW))))
        .with_login_page("/login")
        .build()
        .unwrap()
}

async fn context(request: &AccessTokenRequest) -> AuthContext {
    let issuer = issuer();
    let token = issuer.mint(request).await.unwrap();
    let bearer = format!("Bearer {}", token.expose());
    let view = self::request(&[("authorization", &bearer)]);
    match verifier(&issuer).authenticate(&view).verdict().await {
        Verdict::Pass(pass) => pass.into_parts().0,
        other => panic!("{other:?}"),
    }
}

async fn refused(view: &Request) -> Refusal {
    match verifier(&issuer()).authenticate(view).verdict().await {
        Verdict::Refuse(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_handler_reads_every_claim_that_the_issuer_wrote() {
    let asked = AccessTokenRequest::for_subject("alice")
        .session_id("s1")
        .client_id("app")
        .scope(Scope::parse("read write").unwrap())
        .roles(["editor", "admin"])
        .auth_time(Timestamp::from_secs(NOW - 60))
        .acr("strong")
        .amr(["pwd", "otp"]);
    let who: Authenticated<()> = context(&asked).await.identity().unwrap();
    assert_eq!(who.issuer(), "https://issuer.example");
    assert_eq!(who.subject(), "alice");
    assert_eq!(who.session_id(), Some("s1"));
    assert_eq!(who.client_id(), Some("app"));
    assert_eq!(who.scope().as_str(), "read write");
    assert_eq!(who.roles().collect::<Vec<_>>(), ["editor", "admin"]);
    assert_eq!(who.issued_at(), Some(Timestamp::from_secs(NOW)));
    assert!(who.expires_at() > Timestamp::from_secs(NOW));
    assert_eq!(who.auth_time(), Some(Timestamp::from_secs(NOW - 60)));
    assert_eq!(who.acr(), Some("strong"));
    assert_eq!(who.amr().collect::<Vec<_>>(), ["pwd", "otp"]);
    assert_eq!(who.carrier(), Carrier::Header);
    let other: Authenticated<()> = context(&asked).await.identity().unwrap();
    assert!(who.token_id().is_some_and(|id| id.len() >= 16));
    assert_ne!(who.token_id(), other.token_id());
}

#[tokio::test]
async fn what_was_not_asked_for_is_absent() {
    let asked = AccessTokenRequest::for_subject("alice");
    let who: Authenticated<()> = context(&asked).await.identity().unwrap();
    assert_eq!(who.session_id(), None);
    assert_eq!(who.client_id(), Some("first-party"));
    assert_eq!(who.auth_time(), None);
    assert_eq!(who.acr(), None);
    assert_eq!(who.roles().count() + who.amr().count(), 0);
    assert!(who.scope().is_empty());
}

#[tokio::test]
async fn a_handler_may_ask_for_more_than_its_guard() {
    let asked = AccessTokenRequest::for_subject("alice").scope(Scope::parse("read").unwrap());
    let context = context(&asked).await;
    let needs = |scope| Requirements::new().with_scope(scope).unwrap();
    let view = request(&[]);
    assert!(context.authorize(&needs("read"), &view).is_ok());
    let refusal = context.authorize(&needs("write"), &view).unwrap_err();
    assert_eq!(refusal.answer().status(), 403);
    let fresh = Requirements::new().with_max_age(Duration::from_secs(60));
    let refusal = context.authorize(&fresh, &view).unwrap_err();
    assert_eq!(refusal.answer().status(), 401);
}

#[test]
fn a_scope_contains_another_if_it_has_every_token_of_it() {
    let scope = |text| Scope::parse(text).unwrap();
    let own = scope("read write");
    for (other, contained) in [
        ("read", true),
        ("write read", true),
        ("read admin", false),
        ("admin", false),
        ("rea", false),
    ] {
        assert_eq!(own.contains_all(&scope(other)), contained, "{other}");
    }
    assert!(own.contains_all(&Scope::empty()));
    assert!(!Scope::empty().contains_all(&own));
}

/// A person who navigates is sent to the page where they sign in; everything else gets a challenge.
#[tokio::test]
async fn only_a_navigation_without_a_good_token_is_sent_to_the_login_page() {
    let navigation = request(&[("sec-fetch-mode", "navigate")]);
    let refusal = refused(&navigation).await;
    assert_eq!(refusal.answer().status(), 303);
    let location = refusal
        .answer()
        .headers()
        .iter()
        .find(|line| line.name() == "location");
    assert_eq!(location.map(|line| line.value()), Some("/login"));

    let mut form = request(&[("sec-fetch-mode", "navigate")]);
    form.method = "POST";
    let mut unstated = request(&[]);
    unstated.method = "GET";
    for view in [form, unstated, request(&[("sec-fetch-mode", "cors")])] {
        assert_eq!(refused(&view).await.answer().status(), 401);
    }

    // What signing in does not cure is no reason to send anybody there.
    let malformed = request(&[("sec-fetch-mode", "navigate"), ("authorization", "Bearer ")]);
    assert_eq!(refused(&malformed).await.answer().status(), 400);
}
