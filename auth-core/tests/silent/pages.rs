//! The app's own requests: those that are refreshed, their responses, and those that pass.

use auth_core::session::SessionPolicy;
use auth_core::{Cause, Timestamp};

use crate::browser::{
    App, Browser, ELEVEN_MINUTES, Options, Seen, T0, build_with, field, manual_clock,
};

/// A browser with an expired access cookie.
async fn late(app: &App) -> Browser {
    let browser = Browser::signed_in(app).await;
    app.advance(ELEVEN_MINUTES);
    browser
}

#[tokio::test]
async fn rule_16_what_is_written_is_answered_before_the_app_hears_of_it() {
    for reference in [false, true] {
        let options = Options {
            reference,
            ..Options::default()
        };
        let app = App::with(options, manual_clock());
        for (method, status) in [
            ("GET", 303),
            ("HEAD", 303),
            ("POST", 307),
            ("PUT", 307),
            ("DELETE", 307),
        ] {
            let browser = late(&app).await;
            let seen = app.ask(&browser.own(method, "/orders/7?page=2")).await;
            let answer = seen.response();
            assert_eq!(answer.status(), status, "{method}");
            assert_eq!(field(&answer, "location"), "?page=2");
            assert_eq!(field(&answer, "cache-control"), "no-store");
            assert!(answer.body().is_empty());
            let mut next = browser.clone();
            next.keep(answer.headers());
            assert_ne!(next.cookie("rt"), browser.cookie("rt"));
            let page = app.ask(&next.own(method, "/orders/7?page=2")).await;
            assert!(page.is_page_of("ada"), "{method}");
            assert_eq!(page.cookies(), [""; 0]);
        }
    }
}

#[tokio::test]
async fn rule_16_a_cookie_that_is_gone_is_as_good_as_one_that_has_expired() {
    let app = App::new();
    let browser = Browser::signed_in(&app).await.without("at");
    assert_eq!(app.ask(&browser.own("GET", "/")).await.status(), 303);
}

#[tokio::test]
async fn rule_16_late_recovery_and_a_restored_store_are_redirects_too() {
    let app = App::new();
    let lost = late(&app).await;
    assert_eq!(app.ask(&lost.own("GET", "/")).await.status(), 303);
    app.advance(ELEVEN_MINUTES);
    assert_eq!(app.ask(&lost.own("GET", "/")).await.status(), 303);
    let told = app.told.take();
    assert!(told.contains(&"refreshed recovered".to_owned()), "{told:?}");
}

/// Two concurrent requests, a second tab, or a browser without cookie storage: one write.
#[tokio::test]
async fn rule_16_what_need_not_be_written_is_let_through_with_the_access_cookie_alone() {
    for reference in [false, true] {
        let options = Options {
            reference,
            ..Options::default()
        };
        let app = App::with(options, manual_clock());
        // The row does not keep opaque tokens before the previous one, so these requests have none.
        let old = late(&app).await.without("at");
        let mut new = old.clone();
        new.keep(app.ask(&old.own("GET", "/")).await.response().headers());
        let new = new.without("at");
        let writes = app.store.writes();
        for (wait, request, expected) in [
            (0, &old.own("GET", "/"), "replayed"),
            (10, &old.own("POST", "/"), "replayed"),
            (1, &old.own("GET", "/"), "held"),
            (109, &old.own("GET", "/"), "held"),
            (0, &new.own("GET", "/"), "fresh"),
        ] {
            app.told.take();
            app.advance(wait);
            let page = app.ask(request).await;
            assert!(page.is_page_of("ada"), "{expected}");
            assert_eq!(page.cookies(), ["at"], "{expected}");
            assert_eq!(app.told.take(), [format!("refreshed {expected}")]);
        }
        assert_eq!(app.store.writes(), writes);
    }
}

#[tokio::test]
async fn h05_a_client_that_keeps_no_cookies_does_not_go_round() {
    let app = App::new();
    let browser = late(&app).await;
    for _ in 0..100 {
        let mut forgetful = browser.clone();
        let statuses: Vec<_> = [
            app.ask(&forgetful.own("GET", "/")).await.status(),
            app.ask(&forgetful.own("GET", "/")).await.status(),
        ]
        .into();
        assert_eq!(statuses[1], 200, "{statuses:?}");
        forgetful.set("rt", "x");
        app.advance(1);
    }
}

#[tokio::test]
async fn rule_16_a_late_page_gets_no_cookie_and_the_apps_own_stands() {
    let app = App::new();
    let old = late(&app).await;
    let _ = app.ask(&old.own("GET", "/")).await;
    let request = old.own("GET", "/");
    for (wait, own, expected) in [
        (30, &b""[..], 1),
        (31, b"", 0),
        (0, b"at=mine; Path=/", 0),
        (0, b"rt=mine; Path=/", 1),
    ] {
        let Seen::Page(Some(_), edits) = app.ask(&request).await else {
            panic!("not let through");
        };
        app.advance(wait);
        let lines = edits.finish([own], false);
        let cookies = lines.iter().filter(|line| line.is_appended()).count();
        assert_eq!(cookies, expected, "{wait} {own:?}");
        let stored = lines.iter().any(|line| line.value() == "no-store");
        assert_eq!(stored, wait <= 30);
        // H16: the response is still private to one user.
        let private = lines.iter().any(|line| line.value() == "private");
        assert_eq!(private, wait > 30);
        app.clock.set(Timestamp::from_secs(T0 + 660));
    }
}

/// A page that exceeds an outer timeout, or that its visitor cancels, has consumed nothing: the
/// written tokens were sent before it began.
#[tokio::test]
async fn h04_pages_that_are_never_answered_sign_nobody_out() {
    let app = App::new();
    let mut browser = Browser::signed_in(&app).await;
    for _ in 0..20 {
        app.advance(ELEVEN_MINUTES);
        let redirect = app.ask(&browser.own("GET", "/slow")).await.response();
        assert_eq!(redirect.status(), 303);
        browser.keep(redirect.headers());
        // The page's response is dropped with all its cookies.
        let page = app.ask(&browser.own("GET", "/slow")).await;
        assert!(page.is_page_of("ada"));
        drop(page);
    }
    let told = app.told.take();
    let rotated = told.iter().filter(|told| *told == "refreshed rotated");
    assert_eq!((rotated.count(), told.len()), (20, 21), "{told:?}");
}

/// The same after a refresh in another tab, so that the page itself sets the cookie.
#[tokio::test]
async fn h04_a_page_of_a_second_tab_that_is_never_answered_loses_an_access_cookie_at_most() {
    let app = App::new();
    let mut browser = Browser::signed_in(&app).await;
    for _ in 0..20 {
        app.advance(ELEVEN_MINUTES);
        let second_tab = browser.own("GET", "/slow");
        assert_eq!(browser.load(&app, "/").await, [303, 200]);
        let page = app.ask(&second_tab).await;
        assert!(page.is_page_of("ada"));
        drop(page);
    }
    assert!(
        !app.told
            .take()
            .iter()
            .any(|told| told.contains("recovered"))
    );
}

/// A form that took longer than the lifetime of an access token is sent again with its body.
#[tokio::test]
async fn h04_a_form_is_sent_again_and_only_by_this_site() {
    let app = App::new();
    let browser = late(&app).await;
    let form = browser.own("POST", "/orders");
    for (site, status) in [
        (&["none"][..], 403),
        (&["cross-site"], 403),
        (&["same-site"], 403),
        (&[], 403),
        (&["same-origin", "same-origin"], 403),
        (&["same-origin"], 307),
    ] {
        let request = form.clone().without("sec-fetch-site");
        let request = site.iter().fold(request, |request, site| {
            request.with("sec-fetch-site", site)
        });
        let answer = app.ask(&request).await;
        // Without a refresh, the request is one with an expired token.
        let expected = if status == 307 { 307 } else { 401 };
        assert_eq!(answer.status(), expected, "{site:?}");
    }
    let form = form.with("origin", "HTTPS://no.origin");
    assert_eq!(app.ask(&form).await.status(), 401, "the CSRF rule");
}

#[tokio::test]
async fn rule_16_only_what_says_once_that_it_is_ours_is_refreshed() {
    let app = App::new();
    let browser = late(&app).await;
    let plain = browser.own("GET", "/").without("sec-fetch-site");
    let site = |sites: &[&str]| {
        let request = plain.clone();
        sites.iter().fold(request, |request, site| {
            request.with("sec-fetch-site", site)
        })
    };
    let writes = app.store.writes();
    for request in [
        plain.clone(),
        site(&["same-origin", "same-origin"]),
        site(&["same-origin", "cross-site"]),
        site(&["same-origin, none"]),
        site(&["Same-Origin"]),
        site(&["same-site"]),
        site(&["cross-site"]),
        site(&["same-origin"]).with("upgrade", "websocket"),
        site(&["same-origin"]).with("upgrade", "h2c"),
        site(&["none"]).with("upgrade", "websocket"),
    ] {
        let seen = app.ask(&request).await;
        assert!(
            matches!(seen, Seen::Ours(Cause::Expired | Cause::Origin, _)),
            "{request:?}"
        );
        assert_eq!(seen.cookies(), [""; 0]);
    }
    let mut tunnel = site(&["same-origin"]);
    tunnel.method = "CONNECT";
    assert_ne!(app.ask(&tunnel).await.status(), 307);
    assert_eq!(app.store.writes(), writes);
    for ours in ["none", "same-origin"] {
        let browser = late(&app).await;
        let request = browser.own("GET", "/").without("sec-fetch-site");
        let request = request.with("sec-fetch-site", ours);
        assert_eq!(app.ask(&request).await.status(), 303, "{ours}");
    }
}

#[tokio::test]
async fn rule_16_a_session_that_is_over_loses_its_cookies_and_a_forged_one_keeps_them() {
    let app = App::new();
    let mut browser = late(&app).await;
    let rt = browser.cookie("rt").unwrap().to_owned();
    browser.set("rt", "rt1_forged");
    let forged = app.ask(&browser.own("GET", "/")).await;
    assert_eq!((forged.status(), forged.cookies()), (401, vec![]));
    browser.set("rt", &rt);
    app.advance(15 * 86_400);
    let over = app.ask(&browser.own("GET", "/")).await;
    assert_eq!(over.status(), 401);
    assert_eq!(over.cookies(), ["at", "rt"]);
    let optional = app.guard.clone().with_anonymous();
    let over = App::ask_guard(&optional, &browser.own("GET", "/")).await;
    assert!(matches!(&over, Seen::Page(None, _)));
    assert_eq!(over.cookies(), ["at", "rt"]);
}

#[test]
fn h23_strict_mode_with_silent_refresh_does_not_build() {
    build_with(SessionPolicy::default()).unwrap();
    let error = build_with(SessionPolicy::default().with_strict_mode()).unwrap_err();
    assert_eq!(error.setting(), "silent_refresh");
    assert!(error.to_string().contains("strict"), "{error}");
}
