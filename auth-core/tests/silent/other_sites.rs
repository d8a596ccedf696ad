//! Requests that another site may have caused are never refreshed: they get an interstitial page.

use crate::browser::{App, Browser, ELEVEN_MINUTES, Options, Seen, field, manual_clock};

const NOTE: &str = "__Host-Http-interstitial";

async fn late(app: &App) -> Browser {
    let browser = Browser::signed_in(app).await;
    app.advance(ELEVEN_MINUTES);
    browser
}

fn html(answer: &auth_core::adapter::Response) -> &str {
    std::str::from_utf8(answer.body()).unwrap()
}

/// The targets of the page: by itself, and by a click.
fn leads_to(answer: &auth_core::adapter::Response) -> (Option<&str>, &str) {
    let between = |start: &str| {
        let (_, rest) = html(answer).split_once(start)?;
        rest.split_once('"').map(|(part, _)| part)
    };
    (between("content=\"0;url="), between("<a href=\"").unwrap())
}

#[tokio::test]
async fn rule_16_a_link_of_another_site_gets_the_interstitial_page() {
    for (reference, login_page) in [(false, false), (true, false), (false, true)] {
        let options = Options {
            reference,
            login_page,
            ..Options::default()
        };
        let app = App::with(options, manual_clock());
        let browser = late(&app).await;
        let writes = app.store.writes();
        for (site, optional) in [
            ("cross-site", false),
            ("same-site", false),
            ("cross-site", true),
        ] {
            let guard = app.guard.clone();
            let guard = if optional {
                guard.with_anonymous()
            } else {
                guard
            };
            let link = browser.link("/orders/7?a=1&b=2", site);
            let answer = App::ask_guard(&guard, &link).await.response();
            assert_eq!(answer.status(), 200);
            let mut names: Vec<_> = answer.headers().iter().map(|line| line.name()).collect();
            names.sort_unstable();
            assert_eq!(
                names,
                [
                    "cache-control",
                    "content-security-policy",
                    "content-type",
                    "cross-origin-opener-policy",
                    "referrer-policy",
                    "set-cookie",
                ]
            );
            assert_eq!(field(&answer, "cache-control"), "no-store");
            assert_eq!(
                field(&answer, "content-security-policy"),
                "default-src 'none'"
            );
            assert_eq!(field(&answer, "content-type"), "text/html; charset=utf-8");
            assert_eq!(field(&answer, "cross-origin-opener-policy"), "same-origin");
            assert_eq!(field(&answer, "referrer-policy"), "no-referrer");
            let note = field(&answer, "set-cookie");
            let (pair, attributes) = note.split_once("; ").unwrap();
            assert!(pair.starts_with(NOTE));
            assert_eq!(
                attributes,
                "HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=10"
            );
            let there = "?a=1&amp;b=2";
            assert_eq!(leads_to(&answer), (Some(there), there));
        }
        assert_eq!(app.store.writes(), writes);
    }
}

#[tokio::test]
async fn rule_16_the_same_url_again_gets_the_link_alone() {
    let app = App::new();
    let mut browser = late(&app).await;
    let first = app
        .ask(&browser.link("/orders?a", "cross-site"))
        .await
        .response();
    browser.keep(first.headers());
    let again = app
        .ask(&browser.link("/orders?a", "cross-site"))
        .await
        .response();
    assert_eq!(leads_to(&again), (None, "?a"));
    assert!(!again.headers().iter().any(|line| line.is_appended()));
    let other = app
        .ask(&browser.link("/orders?b", "cross-site"))
        .await
        .response();
    assert_eq!(leads_to(&other), (Some("?b"), "?b"));
    // The browser removes the cookie after this time.
    assert!(field(&first, "set-cookie").ends_with("Max-Age=10"));
}

#[tokio::test]
async fn rule_16_the_note_is_found_among_other_cookies_in_one_line() {
    let app = App::new();
    let mut browser = late(&app).await;
    let first = app.ask(&browser.link("/", "cross-site")).await.response();
    browser.keep(first.headers());
    let note = format!("a=1; {NOTE}={};b=2", browser.cookie(NOTE).unwrap());
    let link = browser.link("/", "cross-site").without("cookie");
    let rt = format!("rt={}", browser.cookie("rt").unwrap());
    let link = link.with("cookie", &rt).with("cookie", &note);
    assert_eq!(leads_to(&app.ask(&link).await.response()).0, None);
}

#[tokio::test]
async fn rule_16_only_top_level_navigations_that_would_be_refreshed_get_the_page() {
    let app = App::new();
    let browser = late(&app).await;
    let link = browser.link("/", "cross-site");
    let mode = |mode: &str| {
        link.clone()
            .without("sec-fetch-mode")
            .with("sec-fetch-mode", mode)
    };
    let dest = |dest: &str| {
        link.clone()
            .without("sec-fetch-dest")
            .with("sec-fetch-dest", dest)
    };
    let mut form = link.clone();
    form.method = "POST";
    for request in [
        mode("no-cors"),
        mode("cors"),
        mode("websocket"),
        dest("iframe"),
        dest("image"),
        dest("empty"),
        link.clone().with("sec-fetch-mode", "navigate"),
        link.clone().with("sec-fetch-dest", "document"),
        link.clone().with("sec-fetch-site", "cross-site"),
        link.clone().with("upgrade", "websocket"),
        link.clone().without("sec-fetch-mode"),
        form,
    ] {
        let seen = app.ask(&request).await;
        assert_eq!(seen.status(), 401, "{request:?}");
        assert_eq!(seen.cookies(), [""; 0]);
    }
    // A visitor without a session, and one with a valid access token.
    let stranger = Browser::default().link("/", "cross-site");
    assert_eq!(app.ask(&stranger).await.status(), 401);
    let here = Browser::signed_in(&app).await;
    let page = app.ask(&here.link("/", "cross-site")).await;
    assert!(page.is_page_of("ada"));
}

#[tokio::test]
async fn rule_16_a_guard_may_leave_the_page_out_and_then_sees_a_visitor() {
    let app = App::new();
    let browser = late(&app).await;
    let guard = app.guard.clone().without_interstitial();
    let link = browser.link("/popup", "cross-site");
    assert_eq!(App::ask_guard(&guard, &link).await.status(), 401);
    let visitor = App::ask_guard(&guard.clone().with_anonymous(), &link).await;
    assert!(matches!(&visitor, Seen::Page(None, _)));
    assert_eq!(visitor.cookies(), [""; 0]);
    // Requests of its own pages are refreshed as usual.
    let own = browser.own("GET", "/popup");
    assert_eq!(App::ask_guard(&guard, &own).await.status(), 303);
}

/// A page of another site opens the app in its own tab or in a popup, and cancels the load as early
/// as possible.
#[tokio::test]
async fn h03_pages_that_another_site_stops_rotate_nothing() {
    let app = App::new();
    let mut browser = late(&app).await;
    let writes = app.store.writes();
    for visit in 0..50 {
        app.advance(10);
        let site = if visit % 2 == 0 {
            "cross-site"
        } else {
            "same-site"
        };
        let seen = app.ask(&browser.link("/slow", site)).await;
        assert_eq!(seen.status(), 200);
        // No part of the response arrives.
        drop(seen);
    }
    assert_eq!(app.store.writes(), writes);
    assert_eq!(browser.load(&app, "/").await, [303, 200]);
}

#[tokio::test]
async fn h05_who_only_ever_follows_links_stays_signed_in() {
    let app = App::new();
    let mut browser = Browser::signed_in(&app).await;
    for day in 0..60 {
        app.advance(86_400);
        let target = format!("/mail/{day}?from=letter");
        let page = app
            .ask(&browser.link(&target, "cross-site"))
            .await
            .response();
        let (Some(there), _) = leads_to(&page) else {
            panic!("the page leads nowhere");
        };
        assert_eq!(there, "?from=letter");
        browser.keep(page.headers());
        assert_eq!(browser.load(&app, &target).await, [303, 200], "day {day}");
    }
    let told = app.told.take();
    assert!(
        told.iter()
            .all(|told| told == "login" || told == "refreshed rotated"),
        "{told:?}"
    );
}

#[tokio::test]
async fn h05_behind_a_proxy_that_drops_the_field_one_is_signed_out_and_never_goes_round() {
    let options = Options {
        login_page: true,
        ..Options::default()
    };
    let app = App::with(options, manual_clock());
    let browser = late(&app).await;
    let link = browser.link("/", "cross-site").without("sec-fetch-site");
    for _ in 0..3 {
        let answer = app.ask(&link).await.response();
        assert_eq!(
            (answer.status(), field(&answer, "location")),
            (303, "/login")
        );
        assert!(!answer.headers().iter().any(|line| line.is_appended()));
    }
}

#[tokio::test]
async fn h21_the_page_and_the_redirects_name_no_other_host_and_no_markup() {
    let app = App::new();
    let browser = late(&app).await;
    for (target, reference, escaped) in [
        ("//evil.test", "./evil.test", "./evil.test"),
        ("//evil.test/a/..", "./..", "./.."),
        ("//evil.test/?//evil.test", "?//evil.test", "?//evil.test"),
        ("/\\\\evil.test", "./%5C%5Cevil.test", "./%5C%5Cevil.test"),
        (
            "/a/b/\"><script>",
            "./%22%3E%3Cscript%3E",
            "./%22%3E%3Cscript%3E",
        ),
        (
            "/x?'onload='a&b<i>",
            "?'onload='a&b%3Ci%3E",
            "?&#39;onload=&#39;a&amp;b%3Ci%3E",
        ),
        ("/nested/deep/page", "./page", "./page"),
        ("/", "./", "./"),
    ] {
        let page = app
            .ask(&browser.link(target, "cross-site"))
            .await
            .response();
        assert_eq!(leads_to(&page), (Some(escaped), escaped), "{target}");
        assert_eq!(html(&page).matches('<').count(), 11, "{}", html(&page));
        let fresh = late(&app).await;
        let redirect = app.ask(&fresh.own("GET", target)).await.response();
        assert_eq!(field(&redirect, "location"), reference, "{target}");
    }
}
