//! No write happens before its response can be delivered.

use auth_core::revocation::{Revocations, StalePolicy};
use auth_core::{Cause, SessionRoute};

use crate::browser::{App, Browser, ELEVEN_MINUTES, Options, Seen, manual_clock};

const TWO_MINUTES: u64 = 121;

/// A node that has not followed its feed yet.
fn app_with_a_stale_list() -> App {
    let clock = manual_clock();
    let after = std::time::Duration::from_secs(30);
    let policy = StalePolicy::FailClosed { after };
    let options = Options {
        revocations: Some(Revocations::new(policy, clock.clone())),
        ..Options::default()
    };
    App::with(options, clock)
}

#[tokio::test]
async fn h01_with_a_stale_list_sessions_refresh_and_guards_wait() {
    let app = app_with_a_stale_list();
    let mut browser = Browser::signed_in(&app).await;
    for _ in 0..10 {
        app.advance(TWO_MINUTES);
        assert_eq!(app.refresh(&mut browser).await.status(), 200);
        assert_eq!(app.ask(&browser.own("GET", "/")).await.status(), 503);
    }
    assert!(
        !app.told
            .take()
            .iter()
            .any(|told| told.starts_with("re") && told != "refreshed rotated")
    );
}

#[tokio::test]
async fn h01_with_a_stale_list_a_page_consumes_nothing() {
    let app = app_with_a_stale_list();
    let mut browser = Browser::signed_in(&app).await;
    app.advance(ELEVEN_MINUTES);
    let before = app.store.writes();
    for _ in 0..10 {
        app.advance(TWO_MINUTES);
        let page = app.ask(&browser.own("GET", "/")).await;
        assert!(matches!(&page, Seen::Ours(Cause::FeedStale, answer) if answer.status() == 503));
        assert_eq!(page.cookies(), [""; 0]);
    }
    assert_eq!(app.store.writes(), before);
    assert_eq!(app.refresh(&mut browser).await.status(), 200);
}

#[tokio::test]
async fn h02_claims_that_outgrow_the_cookie_leave_the_session_as_it_is() {
    let clock = manual_clock();
    let roomy = || Options {
        max_cookie_bytes: Some(6000),
        ..Options::default()
    };
    // The limit of one cookie is the policy's, the limit of both is that of the response head.
    for (app, too_many, fits) in [
        (App::new(), 2900, 2300),
        (App::with(roomy(), clock), 4500, 2900),
    ] {
        app.user.carries(fits);
        let mut browser = Browser::signed_in(&app).await;
        app.user.carries(too_many);
        let before = app.store.writes();
        for _ in 0..10 {
            app.advance(ELEVEN_MINUTES);
            for answer in [
                app.refresh(&mut browser.clone()).await,
                app.ask(&browser.own("GET", "/")).await.response(),
                app.ask(&browser.own("POST", "/")).await.response(),
                app.sign_in(&mut Browser::default()).await,
            ] {
                assert_eq!(answer.status(), 500);
                assert!(!answer.headers().iter().any(|line| line.is_appended()));
                let body = String::from_utf8_lossy(answer.body());
                assert!(body.contains("authentication is not set up"), "{body}");
            }
            let page = app.ask(&browser.own("GET", "/")).await;
            assert!(matches!(page, Seen::Ours(Cause::Oversized, _)));
        }
        assert_eq!(app.store.writes(), before);
        app.user.carries(fits);
        assert_eq!(browser.load(&app, "/").await, [303, 200]);
        assert_eq!(app.refresh(&mut browser).await.status(), 200);
        assert_eq!(
            app.told.take(),
            ["login", "refreshed rotated", "refreshed fresh"]
        );
    }
}

/// The other sessions end only if the remaining one can get its new token.
#[tokio::test]
async fn h02_the_others_stay_while_the_answer_does_not_fit() {
    let app = App::new();
    let (mut here, mut there) = (
        Browser::signed_in(&app).await,
        Browser::signed_in(&app).await,
    );
    app.user.carries(4000);
    let request = here.own("POST", "/auth/logout-others");
    let ask = || {
        app.routes
            .respond(SessionRoute::LogoutOthers, &request, b"")
    };
    assert_eq!(ask().await.status(), 500);
    app.user.carries(10);
    assert_eq!(app.refresh(&mut there).await.status(), 200);
    let ended = ask().await;
    assert_eq!(ended.status(), 200);
    here.keep(ended.headers());
    assert!(app.ask(&here.own("GET", "/")).await.is_page_of("ada"));
    assert_eq!(app.refresh(&mut there).await.status(), 400);
}

/// The body of a response has room for claims that exceed a cookie.
#[tokio::test]
async fn h02_an_answer_without_cookies_has_no_such_limit() {
    use auth_core::Transport;
    use auth_core::session::LoginRequest;
    let app = App::new();
    app.user.carries(3500);
    let request = Browser::default().own("POST", "/login");
    let login = LoginRequest::for_subject("ada");
    let login = app.routes.login(&request, login, Transport::Body).await;
    assert_eq!(login.status(), 200);
    let body: serde_json::Value = serde_json::from_slice(login.body()).unwrap();
    let body = serde_json::json!({ "refresh_token": body["refresh_token"] });
    let request = Browser::default().own("POST", "/auth/refresh");
    let refreshed =
        app.routes
            .respond(SessionRoute::Refresh, &request, body.to_string().as_bytes());
    assert_eq!(refreshed.await.status(), 200);
}
