//! A thief with pages instead of `/auth/refresh` leaves the same trace.

use std::pin::pin;
use std::task::{Context, Waker};

use crate::browser::{App, Browser, ELEVEN_MINUTES, Request, Seen};

const SETTLED: u64 = 121;

/// Stolen cookies, and the browser that continues to use them.
async fn robbed(app: &App) -> (Browser, Browser) {
    let owner = Browser::signed_in(app).await;
    app.advance(ELEVEN_MINUTES);
    app.told.take();
    (owner.clone(), owner)
}

/// Sends a request and disconnects after `polls` polls.
async fn hang_up(app: &App, request: &Request, polls: usize) {
    let mut asked = pin!(app.ask(request));
    for _ in 0..polls {
        let mut context = Context::from_waker(Waker::noop());
        if asked.as_mut().poll(&mut context).is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn h22_no_page_is_read_without_a_trace() {
    let app = App::new();
    let (mut thief, mut owner) = robbed(&app).await;
    // The request that uses up the token reads no page yet.
    let first = app.ask(&thief.own("GET", "/secrets")).await;
    assert_eq!(first.status(), 303);
    assert_eq!(app.told.take(), ["refreshed rotated"]);
    thief.keep(first.response().headers());
    assert!(
        app.ask(&thief.own("GET", "/secrets"))
            .await
            .is_page_of("ada")
    );

    // The owner returns with the token that the thief has used up.
    app.advance(ELEVEN_MINUTES);
    assert_eq!(owner.load(&app, "/").await, [303, 200]);
    assert_eq!(app.told.take(), ["refreshed recovered", "recovered"]);
    // The thief's token is an orphan now, and ends the session.
    app.advance(ELEVEN_MINUTES);
    let caught = app.ask(&thief.own("GET", "/secrets")).await;
    assert_eq!(caught.status(), 401);
    assert_eq!(caught.cookies(), ["at", "rt"]);
    assert_eq!(app.told.take(), ["revoked reuse", "reuse orphan"]);
}

/// A thief's disconnect at any point has used up the token or read nothing.
#[tokio::test]
async fn h22_hanging_up_hides_nothing() {
    for polls in 0..8 {
        let app = App::new();
        let (mut thief, mut owner) = robbed(&app).await;
        for _ in 0..3 {
            hang_up(&app, &thief.own("GET", "/slow"), polls).await;
            app.advance(SETTLED);
        }
        thief.load(&app, "/slow").await;
        app.advance(SETTLED);
        let owners = owner.load(&app, "/").await;
        let told = app.told.take();
        let seen = told
            .iter()
            .any(|told| told == "recovered" || told.starts_with("reuse"));
        assert!(seen, "{polls}: {owners:?} {told:?}");
    }
}

/// Browsers set `Sec-Fetch-Site` themselves. A client that forges it gains nothing.
#[tokio::test]
async fn h22_forging_the_field_is_using_the_token() {
    let app = App::new();
    let (thief, mut owner) = robbed(&app).await;
    let writes = app.store.writes();
    // The response to a visitor from another site contains no page.
    let link = app.ask(&thief.link("/secrets", "cross-site")).await;
    assert!(matches!(&link, Seen::Ours(..)));
    assert_eq!(app.store.writes(), writes);
    for site in ["same-origin", "none"] {
        let request = thief.own("GET", "/secrets").without("sec-fetch-site");
        let seen = app.ask(&request.with("sec-fetch-site", site)).await;
        // A second use within the reuse interval is a retry, which any client may make.
        assert_eq!(seen.status(), if site == "none" { 200 } else { 303 });
    }
    assert_eq!(app.store.writes(), writes + 1);
    app.advance(ELEVEN_MINUTES);
    assert_eq!(owner.load(&app, "/").await, [303, 200]);
    assert!(app.told.take().contains(&"recovered".to_owned()));
}

/// Old tokens end the session on a page as on the route.
#[tokio::test]
async fn h22_a_token_from_long_ago_ends_the_session() {
    let app = App::new();
    let (thief, mut owner) = robbed(&app).await;
    for _ in 0..2 {
        assert_eq!(owner.load(&app, "/").await, [303, 200]);
        app.advance(ELEVEN_MINUTES);
    }
    app.told.take();
    assert_eq!(app.ask(&thief.own("POST", "/transfer")).await.status(), 401);
    assert_eq!(app.told.take(), ["revoked reuse", "reuse stale"]);
    assert_eq!(app.refresh(&mut owner).await.status(), 400);
}
