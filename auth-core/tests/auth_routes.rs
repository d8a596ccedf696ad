//! The paths of an `Auth`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken expectation fails the test"
)]

mod auth_kit;

use std::sync::Arc;
use std::time::Duration;

use auth_core::adapter::{Endpoint, Response, Verdict};
use auth_core::session::LoginRequest;
use auth_core::{Access, Auth, AuthRoutes, SessionRoute, SiteData};

use crate::auth_kit::cookies::Cookies;
use crate::auth_kit::{Frail, Request, builder};

fn paths(routes: impl Into<AuthRoutes<()>>) -> Vec<String> {
    let endpoints = routes.into().into_iter();
    let mut paths: Vec<_> = endpoints
        .map(|it| format!("{} {}", it.methods(), it.path()))
        .collect();
    paths.sort();
    paths
}

async fn ask(routes: &AuthRoutes<()>, request: &Request) -> Option<Response> {
    let path = request.target.split('?').next().unwrap();
    let endpoint = routes.clone().into_iter().find(|it| it.matches(path))?;
    Some(endpoint.respond(request, b"").await)
}

#[tokio::test]
async fn every_route_can_be_moved_left_out_and_guarded() {
    let auth = Auth::testing().start().await.unwrap();
    assert_eq!(
        paths(&auth),
        [
            "DELETE /auth/sessions/{sid}",
            "GET /auth/sessions",
            "GET, HEAD /.well-known/jwks.json",
            "POST /auth/logout",
            "POST /auth/logout-all",
            "POST /auth/logout-others",
            "POST /auth/refresh",
        ]
    );
    let routes = auth
        .routes()
        .with_prefix("/account")
        .unwrap()
        .with_path(SessionRoute::Logout, "/bye")
        .unwrap()
        .with_path(SessionRoute::Session, "/devices")
        .unwrap()
        .with_jwks_path("/keys")
        .unwrap()
        .without(SessionRoute::LogoutAll)
        .without(SessionRoute::LogoutOthers);
    assert_eq!(
        paths(routes.clone()),
        [
            "DELETE /devices/{sid}",
            "GET /account/sessions",
            "GET, HEAD /keys",
            "POST /account/refresh",
            "POST /bye",
        ]
    );
    assert!(
        !paths(routes.without_jwks())
            .iter()
            .any(|it| it.contains("keys"))
    );
    for bad in ["bye", "//evil", "/a?b", "/{sid}"] {
        assert!(
            auth.routes().with_path(SessionRoute::Logout, bad).is_err(),
            "{bad}"
        );
        assert!(auth.routes().with_jwks_path(bad).is_err(), "{bad}");
    }
    assert!(auth.routes().with_logout_page("//evil").is_err());
}

#[tokio::test]
async fn the_routes_answer_for_their_auth() {
    let auth = Auth::testing().start().await.unwrap();
    let login = LoginRequest::for_subject("alice");
    let tokens = auth.sessions().login(login).await.unwrap();
    let bearer = format!("Bearer {}", tokens.access().expose());
    let list = Request::new("GET", "/auth/sessions").with("authorization", bearer.clone());
    let routes = auth.routes();
    assert_eq!(ask(&routes, &list).await.unwrap().status(), 200);
    assert_eq!(
        ask(&routes, &Request::new("POST", "/auth/sessions"))
            .await
            .unwrap()
            .status(),
        405
    );
    let jwks = ask(&routes, &Request::new("GET", "/.well-known/jwks.json"))
        .await
        .unwrap();
    assert!(String::from_utf8_lossy(jwks.body()).contains("\"kty\":\"EC\""));

    // Guarded further: a login of some time ago does not list sessions.
    let recent = auth.require_max_age(Duration::from_secs(60));
    let guarded = auth.routes().with_guard(recent).unwrap();
    assert_eq!(ask(&guarded, &list).await.unwrap().status(), 401);
    let other = Auth::testing().start().await.unwrap();
    assert!(auth.routes().with_guard(other.guard()).is_err());

    let sid = tokens.session().to_string();
    let path: &'static str = Box::leak(format!("/auth/sessions/{sid}").into_boxed_str());
    let end = Request::new("DELETE", path).with("authorization", bearer);
    assert_eq!(ask(&routes, &end).await.unwrap().status(), 204);
    assert_eq!(ask(&routes, &list).await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_logout_by_a_form_leads_to_a_page_and_one_by_a_script_does_not() {
    let start = |page: Option<&'static str>| async move {
        let auth = Auth::testing().with_cookies(Cookies);
        let auth = match page {
            Some(page) => auth.with_login_page(page),
            None => auth,
        };
        auth.start().await.unwrap()
    };
    let post = |mode| {
        Request::new("POST", "/auth/logout")
            .with("sec-fetch-site", "same-origin")
            .with("sec-fetch-mode", mode)
    };
    let location = |response: &Response| {
        let mut lines = response.headers().iter();
        lines
            .find(|it| it.name() == "location")
            .map(|it| it.value().to_owned())
    };
    for (page, shown) in [(None, "/"), (Some("/login"), "/login")] {
        let auth = start(page).await;
        let answer = ask(&auth.routes(), &post("navigate")).await.unwrap();
        assert_eq!(
            (answer.status(), location(&answer).as_deref()),
            (303, Some(shown))
        );
        let cleared = answer
            .headers()
            .iter()
            .filter(|it| it.name() == "set-cookie");
        assert_eq!(cleared.count(), 2);
        assert_eq!(
            ask(&auth.routes(), &post("cors")).await.unwrap().status(),
            204
        );
        let routes = auth.routes().with_logout_page("/bye?1").unwrap();
        let answer = ask(&routes, &post("navigate")).await.unwrap();
        assert_eq!(location(&answer).as_deref(), Some("/bye?1"));
    }
}

#[tokio::test]
async fn a_handler_of_the_app_logs_out_and_shows_a_page() {
    let auth = Auth::testing()
        .with_cookies(Cookies)
        .with_clear_site_data([SiteData::Storage])
        .start()
        .await
        .unwrap();
    let login = LoginRequest::for_subject("alice");
    let tokens = auth.sessions().login(login).await.unwrap();
    let cookie = format!("rt={}", tokens.refresh().unwrap().expose());
    let post = |site, mode| {
        Request::new("POST", "/bye")
            .with("cookie", cookie.clone())
            .with("sec-fetch-site", site)
            .with("sec-fetch-mode", mode)
    };
    let log_out = async |request| {
        auth.logout(&request)
            .await
            .then_show("/bye")
            .into_response()
    };
    let header = |response: &Response, name| {
        let mut lines = response.headers().iter();
        lines
            .find(|it| it.name() == name)
            .map(|it| it.value().to_owned())
    };
    // A page of another site logs nobody out, and is shown nothing.
    let refused = log_out(post("cross-site", "navigate")).await;
    assert_eq!(refused.status(), 403);
    assert_eq!(auth.sessions().list("alice", None).await.unwrap().len(), 1);

    let done = log_out(post("same-origin", "navigate")).await;
    assert_eq!(done.status(), 303);
    assert_eq!(header(&done, "location").as_deref(), Some("/bye"));
    assert_eq!(
        header(&done, "clear-site-data").as_deref(),
        Some("\"storage\"")
    );
    assert_eq!(auth.sessions().list("alice", None).await.unwrap().len(), 0);
    assert_eq!(log_out(post("same-origin", "cors")).await.status(), 204);
}

#[tokio::test]
async fn health_has_a_path_of_its_own() {
    let store = Frail::default();
    let auth = builder(store).start().await.unwrap();
    let ready = auth.health_endpoint("/ready").unwrap();
    assert_eq!(ready.path(), "/ready");
    let answer = ready.respond(&Request::new("GET", "/ready"), b"").await;
    assert_eq!(
        (answer.status(), answer.body()),
        (200, &br#"{"reasons":[],"status":"ready"}"#[..])
    );
    let answer = ready.respond(&Request::new("POST", "/ready"), b"").await;
    assert_eq!(answer.status(), 405);
    auth.stop().await;
    let answer = ready.respond(&Request::new("GET", "/ready"), b"").await;
    assert_eq!(answer.status(), 503);
    assert!(auth.health_endpoint("ready").is_err());
}

#[tokio::test(start_paused = true)]
async fn routes_alone_keep_the_tasks_running() {
    let store = Frail::default();
    let auth = builder(store.clone()).start().await.unwrap();
    let endpoints: Vec<Arc<dyn Endpoint>> = auth.routes().into_iter().collect();
    drop(auth);
    for endpoint in endpoints {
        let calls = || {
            store
                .faults
                .feed_calls
                .load(std::sync::atomic::Ordering::SeqCst)
        };
        let before = calls();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(calls() > before, "{}", endpoint.path());
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(Arc::strong_count(&store.faults), 1);
}

#[tokio::test]
async fn a_token_for_anybody_is_one_line() {
    let auth = Auth::testing().start().await.unwrap();
    let access = Access::new(()).with_roles(["admin"]);
    let token = auth.token_for("alice", access).await.unwrap();
    let request = Request::bearer(&token);
    let passes = async || {
        let verdict = auth.require_role("admin").check(&request).verdict().await;
        matches!(verdict, Verdict::Pass(_))
    };
    assert!(passes().await);
    assert_eq!(auth.health().check().await.reasons(), []);
    auth.advance(Duration::from_secs(11 * 60));
    assert!(!passes().await);
    // However far the clock is turned, nothing is stale.
    auth.advance(Duration::from_secs(400 * 86_400));
    let token = auth
        .token_for("alice", Access::new(()).with_roles(["admin"]))
        .await;
    let request = Request::bearer(&token.unwrap());
    let verdict = auth.guard().check(&request).verdict().await;
    assert!(matches!(verdict, Verdict::Pass(_)));
    let tokens = auth
        .sessions()
        .login(LoginRequest::for_subject("bob"))
        .await
        .unwrap();
    let client = auth_core::session::ClientInfo::new();
    let refreshed = auth
        .sessions()
        .refresh(tokens.refresh().unwrap().expose(), &client)
        .await;
    assert_eq!(refreshed.as_str(), "rotated");
}
