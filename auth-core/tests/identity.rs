//! The identity of an accepted request, and the responses to refused ones.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::sync::Arc;
use std::time::Duration;

use auth_core::adapter::{Refusal, RequestView, Requirements, Verdict};
use auth_core::health::HealthReason;
use auth_core::session::SessionId;
use auth_core::source::Carrier;
use auth_core::testing::ManualClock;
use auth_core::{
    AccessTokenRequest, AuthContext, Authenticated, Authenticator, Guard, Issuer, Key, Scope,
    Timestamp, TrustedIssuer, mapping,
};

const NOW: i64 = 1_800_000_000;
const SESSION: SessionId = SessionId::from_bytes([7; 16]);

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
    fn target(&self) -> &str {
        self.path()
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

fn verifier(issuer: &Issuer) -> Guard<()> {
    let auth = issuer
        .authenticator::<()>()
        .with_clock(Arc::new(ManualClock::at(Timestamp::from_secs(NOW))))
        .build()
        .unwrap();
    auth.guard().with_login_page("/login").unwrap()
}

async fn context(request: &AccessTokenRequest) -> AuthContext {
    let issuer = issuer();
    let token = issuer.mint(request).await.unwrap();
    let bearer = format!("Bearer {}", token.expose());
    let view = self::request(&[("authorization", &bearer)]);
    match verifier(&issuer).check(&view).verdict().await {
        Verdict::Pass(pass) => pass.into_parts().0,
        other => panic!("{other:?}"),
    }
}

async fn refused(view: &Request) -> Refusal {
    match verifier(&issuer()).check(view).verdict().await {
        Verdict::Refuse(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_handler_reads_every_claim_that_the_issuer_wrote() {
    let asked = AccessTokenRequest::for_subject("alice")
        .with_session_id(SESSION)
        .with_client_id("app")
        .with_scope(Scope::parse("read write").unwrap())
        .with_roles(["editor", "admin"])
        .with_auth_time(Timestamp::from_secs(NOW - 60))
        .with_acr("strong")
        .with_amr(["pwd", "otp"]);
    let who: Authenticated<()> = context(&asked).await.identity().unwrap();
    assert_eq!(who.issuer(), "https://issuer.example");
    assert_eq!(who.subject(), "alice");
    assert_eq!(who.session(), Some(SESSION));
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
    let asked = AccessTokenRequest::for_subject("alice").with_scope(Scope::parse("read").unwrap());
    let context = context(&asked).await;
    let needs = |scope| Requirements::new().with_scope(scope).unwrap();
    let view = request(&[]);
    assert!(context.authorize(&needs("read"), &view).is_ok());
    let refusal = context.authorize(&needs("write"), &view).unwrap_err();
    assert_eq!(refusal.response().status(), 403);
    let fresh = Requirements::new().with_max_age(Duration::from_secs(60));
    let refusal = context.authorize(&fresh, &view).unwrap_err();
    assert_eq!(refusal.response().status(), 401);
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

/// A navigation is redirected to the login page. Every other request gets a challenge.
#[tokio::test]
async fn only_a_navigation_without_a_good_token_is_sent_to_the_login_page() {
    let navigation = request(&[("sec-fetch-mode", "navigate")]);
    let refusal = refused(&navigation).await;
    assert_eq!(refusal.response().status(), 303);
    let location = refusal
        .response()
        .headers()
        .iter()
        .find(|line| line.name() == "location");
    assert_eq!(location.map(|line| line.value()), Some("/login"));

    let mut form = request(&[("sec-fetch-mode", "navigate")]);
    form.method = "POST";
    let mut unstated = request(&[]);
    unstated.method = "GET";
    for view in [form, unstated, request(&[("sec-fetch-mode", "cors")])] {
        assert_eq!(refused(&view).await.response().status(), 401);
    }

    // A fault that a login does not repair causes no redirect.
    let malformed = request(&[("sec-fetch-mode", "navigate"), ("authorization", "Bearer ")]);
    assert_eq!(refused(&malformed).await.response().status(), 400);
}

#[test]
fn the_login_page_is_a_path_of_this_site() {
    let built = |page: &str| verifier(&issuer()).with_login_page(page);
    for good in ["/", "/login", "/login?next=%2F", "/a//b"] {
        assert!(built(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "login",
        "//evil.example",
        "/\\evil.example",
        "https://evil.example/login",
        "/log in",
        "/login\r\nx: y",
        "/\t/evil.example",
        "/ä",
    ] {
        let error = built(bad).unwrap_err();
        assert_eq!(error.setting(), "login_page", "{bad:?}");
    }
}

/// Age and class of a login are required together, in either order.
#[tokio::test]
async fn a_step_up_may_ask_for_age_and_class() {
    let age = Duration::from_secs(60);
    let both = [
        Requirements::new()
            .with_max_age(age)
            .with_acr(["strong"])
            .unwrap(),
        Requirements::new()
            .with_acr(["strong"])
            .unwrap()
            .with_max_age(age),
    ];
    let login = |ago: i64, acr: &str| {
        AccessTokenRequest::for_subject("alice")
            .with_auth_time(Timestamp::from_secs(NOW - ago))
            .with_acr(acr)
    };
    let view = request(&[]);
    for needs in both {
        assert!(
            context(&login(60, "strong"))
                .await
                .authorize(&needs, &view)
                .is_ok()
        );
        for asked in [login(61, "strong"), login(0, "weak")] {
            let refusal = context(&asked).await.authorize(&needs, &view).unwrap_err();
            let headers = refusal.response().headers();
            let challenge = headers
                .iter()
                .find(|line| line.name() == "www-authenticate");
            let challenge = challenge.unwrap().value();
            assert!(challenge.contains("acr_values=\"strong\""), "{challenge}");
            assert!(challenge.contains("max_age=\"60\""), "{challenge}");
        }
    }
    // The shortest of several ages counts.
    let needs = Requirements::new()
        .with_max_age(age)
        .with_max_age(Duration::from_secs(600));
    let late = context(&login(61, "strong")).await;
    assert!(late.authorize(&needs, &view).is_err());
}

#[test]
fn a_scope_is_shown_as_it_is_written() {
    let scope = Scope::parse("read write").unwrap();
    assert_eq!(scope.to_string(), "read write");
    assert_eq!(Scope::empty().to_string(), "");
    assert!(Scope::empty().is_empty());
}

#[test]
fn what_ails_a_node_has_a_word() {
    for (reason, word) in [
        (HealthReason::FeedLate, "feed_late"),
        (HealthReason::FeedStale, "feed_stale"),
        (HealthReason::IssuerFetchFailed, "issuer_fetch_failed"),
        (HealthReason::IssuerKeysUnusable, "issuer_keys_unusable"),
        (HealthReason::OwnKeysStale, "own_keys_stale"),
        (HealthReason::StoreUnavailable, "store_unavailable"),
    ] {
        assert_eq!((reason.as_str(), reason.to_string().as_str()), (word, word));
    }
}

/// The body of a refusal has the information of its status, in words.
#[tokio::test]
async fn a_refusal_names_its_status() {
    let read = AccessTokenRequest::for_subject("alice").with_scope(Scope::parse("read").unwrap());
    let needs = Requirements::new().with_scope("write").unwrap();
    let view = request(&[]);
    let forbidden = context(&read).await.authorize(&needs, &view).unwrap_err();
    let malformed = request(&[("authorization", "Bearer ")]);
    for (refusal, title) in [
        (refused(&request(&[])).await, "Unauthorized"),
        (refused(&malformed).await, "Bad Request"),
        (forbidden, "Forbidden"),
    ] {
        let body: serde_json::Value = serde_json::from_slice(refusal.response().body()).unwrap();
        assert_eq!(body["title"], title);
        assert_eq!(body["status"], refusal.response().status());
    }
}

/// Scopes and roles, in RFC 9068's claims or mapped from others.
#[tokio::test]
async fn h19_an_issuer_may_be_kept_from_granting_roles_or_scopes() {
    let asked = AccessTokenRequest::for_subject("alice")
        .with_scope(Scope::parse("read").unwrap())
        .with_roles(["admin"])
        .with_claims(&serde_json::json!({ "scp": "write", "permissions": ["owner"] }))
        .unwrap();
    let token = issuer().mint(&asked).await.unwrap();
    let bearer = format!("Bearer {}", token.expose());
    let own = || {
        TrustedIssuer::for_issuer("https://issuer.example")
            .audience("https://api.example")
            .keys(Key::hs256("k1", &[7; 32]).unwrap())
            .without_roles()
            .without_scopes()
    };
    for issuer in [
        own(),
        own().with_mapping(mapping::scp),
        own().with_mapping(mapping::auth0_permissions),
    ] {
        let auth: Arc<Authenticator<()>> = Authenticator::trusting(issuer)
            .with_clock(Arc::new(ManualClock::at(Timestamp::from_secs(NOW))))
            .build()
            .unwrap();
        let view = request(&[("authorization", &bearer)]);
        let Verdict::Pass(pass) = auth.authenticate(&view).verdict().await else {
            panic!("the token is good");
        };
        let context = pass.into_parts().0;
        let who: Authenticated<()> = context.identity().unwrap();
        assert_eq!((who.roles().count(), who.scope().as_str()), (0, ""));
        let admin = Requirements::new().with_role("admin");
        assert_eq!(
            context
                .authorize(&admin, &view)
                .unwrap_err()
                .response()
                .status(),
            403
        );
    }
}
