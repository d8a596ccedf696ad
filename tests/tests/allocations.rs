//! What a request costs in memory. A program of its own: the counting allocator is for the whole
//! process.

use std::sync::Arc;

use allocation_counter::{AllocationInfo, measure};
use auth_cookie::CookiePolicy;
use auth_core::adapter::{CookieTransport, RequestView, Step, Verdict};
use auth_core::source::{BearerHeader, TokenSource};
use auth_core::testing::ManualClock;
use auth_core::{AccessTokenRequest, Clock, Guard, Issuer, Key, Timestamp};

/// A request head of a few lines.
struct Head(Vec<(&'static str, Vec<u8>)>);

impl Head {
    fn bearer(token: &str) -> Self {
        Self(vec![(
            "authorization",
            format!("Bearer {token}").into_bytes(),
        )])
    }
}

impl RequestView for Head {
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
        Some("api.example")
    }
    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        for (_, value) in self.0.iter().filter(|(own, _)| *own == name) {
            visit(value);
        }
    }
}

struct App {
    guard: Guard<()>,
    token: String,
}

async fn app(key: Key) -> App {
    app_remembering(key, 0).await
}

/// An app whose cache has room for so many tokens.
async fn app_remembering(key: Key, tokens: usize) -> App {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
    let issuer = Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(key)
        .unwrap()
        .with_clock(Arc::clone(&clock));
    let auth = issuer
        .authenticator()
        .with_clock(clock)
        .with_cookies(Arc::new(CookiePolicy::same_origin_spa()))
        .with_cache_size(tokens)
        .build()
        .unwrap();
    let token = issuer
        .mint(&AccessTokenRequest::for_subject("alice"))
        .await
        .unwrap();
    App {
        guard: Guard::from(auth),
        token: token.expose().to_owned(),
    }
}

/// What deciding about this request allocates, once everything is warm.
fn cost(app: &App, head: &Head, passes: bool) -> AllocationInfo {
    let decide = || {
        let step = app.guard.check(head);
        assert_eq!(matches!(step, Step::Done(Verdict::Pass(_))), passes);
    };
    decide();
    measure(decide)
}

#[test]
fn finding_the_token_allocates_nothing() {
    let cookies = CookiePolicy::same_origin_spa();
    let many = (0..50)
        .map(|index| ("cookie", format!("c{index}=v; d=\"x\"").into_bytes()))
        .chain([("cookie", b"a=b; __Host-Http-at=e30.e30.e30; c=d".to_vec())])
        .chain([("authorization", b"Bearer e30.e30.e30".to_vec())]);
    let head = Head(many.collect());
    let info = measure(|| {
        let header = BearerHeader.find(&head).unwrap().unwrap();
        let cookie = cookies.find_access(&head).unwrap().unwrap();
        assert_eq!(header.expose(), cookie.expose());
    });
    assert_eq!(info.count_total, 0);
}

#[tokio::test]
async fn a_good_request_allocates_a_fixed_small_number_of_times() {
    let (ec, _private) = Key::generate("ec", auth_core::Algorithm::Es256).unwrap();
    for key in [Key::hs256("k1", &[7; 32]).unwrap(), ec] {
        let algorithm = key.algorithm();
        let app = app(key).await;
        let info = cost(&app, &Head::bearer(&app.token), true);
        println!(
            "{algorithm:?}: {} allocations, {} bytes",
            info.count_total, info.bytes_total
        );
        // Issuer, subject, audience, token id, client, and the shared proof.
        assert!(info.count_total <= 6, "{algorithm:?}: {}", info.count_total);
        assert!(
            info.bytes_total <= 512,
            "{algorithm:?}: {}",
            info.bytes_total
        );
    }
}

#[tokio::test]
async fn a_token_that_is_remembered_allocates_nothing() {
    let app = app_remembering(Key::hs256("k1", &[7; 32]).unwrap(), 10).await;
    let cookie = Head(vec![(
        "cookie",
        format!("a=b; __Host-Http-at={}", app.token).into_bytes(),
    )]);
    for head in [Head::bearer(&app.token), cookie] {
        assert_eq!(cost(&app, &head, true).count_total, 0);
    }
}

#[tokio::test]
async fn a25_what_an_oversized_token_costs_does_not_depend_on_its_size() {
    let app = app(Key::hs256("k1", &[7; 32]).unwrap()).await;
    let small = cost(&app, &Head::bearer("e30"), false);
    for huge in [
        ".".repeat(1 << 20),
        "A".repeat(1 << 20),
        format!("{}.e30.e30", "A".repeat(1 << 20)),
        format!("{}.", "e30.".repeat(1 << 18)),
    ] {
        let info = cost(&app, &Head::bearer(&huge), false);
        assert_eq!(info.count_total, small.count_total);
        assert_eq!(info.bytes_total, small.bytes_total);
    }
}

#[tokio::test]
async fn a25_work_is_bounded_by_the_cap_for_cookies_too() {
    let app = app(Key::hs256("k1", &[7; 32]).unwrap()).await;
    let cookie = |value: &str| {
        Head(vec![(
            "cookie",
            format!("__Host-Http-at={value}").into_bytes(),
        )])
    };
    let small = cost(&app, &cookie("e30"), false);
    let huge = cost(&app, &cookie(&".".repeat(1 << 20)), false);
    assert_eq!(huge.bytes_total, small.bytes_total);
    // 300,000 strangers' cookies before ours cost time, not memory.
    let crowded = Head(vec![(
        "cookie",
        format!("{}__Host-Http-at={}", "a=;".repeat(300_000), app.token).into_bytes(),
    )]);
    let alone = cost(&app, &cookie(&app.token), true);
    assert_eq!(cost(&app, &crowded, true).bytes_total, alone.bytes_total);
}
