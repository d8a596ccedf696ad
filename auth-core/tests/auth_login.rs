//! Logins by [`Auth::login`]: where they may come from, how they hand out tokens, what they tell.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken expectation fails the test"
)]

mod auth_kit;

use std::sync::Arc;
use std::time::Duration;

use auth_core::adapter::{Refusal, Response, Verdict};
use auth_core::session::{EndedBy, LoginRequest, UsersUnavailable};
use auth_core::testing::MemoryStore;
use auth_core::{Access, Auth, AuthBuilder, AuthResponse, Cause, CsrfPolicy};
use serde_json::Value;

use crate::auth_kit::cookies::Cookies;
use crate::auth_kit::{Request, builder};

const FORM: &str = "application/x-www-form-urlencoded";

async fn with_cookies() -> Auth {
    let auth = Auth::testing().with_cookies(Cookies);
    auth.start().await.unwrap()
}

async fn bearer_only() -> Auth {
    Auth::testing().start().await.unwrap()
}

fn post() -> Request {
    Request::new("POST", "/login")
}

/// A form of this site, as a browser sends it.
fn form() -> Request {
    post()
        .with("content-type", FORM)
        .with("sec-fetch-site", "same-origin")
        .with("sec-fetch-mode", "navigate")
        .with("origin", "https://app.example")
}

/// A script of this site.
fn script() -> Request {
    post()
        .with("content-type", "application/json")
        .with("sec-fetch-site", "same-origin")
        .with("sec-fetch-mode", "cors")
        .with("origin", "https://app.example")
}

/// A phone: no sign of a browser.
fn phone() -> Request {
    post()
        .with("content-type", "application/json")
        .with("user-agent", "okhttp/4.12.0")
        // A load balancer may have set it for a phone too.
        .with("cookie", "AWSALB=abc")
}

async fn log_in(auth: &Auth, request: &Request) -> Result<AuthResponse, Refusal> {
    let attempt = auth.login(request).begin("alice").await?;
    attempt.finish(|session| session.with_amr(["pwd"])).await
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    let mut lines = response.headers().iter();
    lines
        .find(|line| line.name() == name)
        .map(|line| line.value())
}

fn cookies(response: &Response) -> Vec<String> {
    let lines = response.headers().iter();
    let lines = lines.filter(|line| line.name() == "set-cookie");
    let pairs = lines.map(|line| line.value().split(';').next().unwrap().to_owned());
    pairs.collect()
}

fn body(response: &Response) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

#[tokio::test]
async fn c21_signs_of_a_browser_decide_between_cookies_and_a_body() {
    let (cookie, bearer) = (with_cookies().await, bearer_only().await);
    let ours = log_in(&cookie, &form()).await.unwrap().into_response();
    let ours = cookies(&ours).join("; ");
    for (name, request, by_cookie) in [
        ("a form", form(), true),
        ("a script", script(), true),
        (
            "fetch metadata alone",
            post().with("sec-fetch-site", "same-origin"),
            true,
        ),
        (
            "an origin alone",
            post().with("origin", "https://app.example"),
            true,
        ),
        ("a phone", phone(), false),
        // What a client wishes decides nothing.
        ("a wish", phone().with("accept", "text/html"), false),
    ] {
        let response = log_in(&cookie, &request).await.unwrap().into_response();
        assert_eq!(response.status(), 200, "{name}");
        assert_eq!(
            cookies(&response).len(),
            if by_cookie { 2 } else { 0 },
            "{name}"
        );
        let body = body(&response);
        assert_eq!(body.get("access_token").is_none(), by_cookie, "{name}");
        assert_eq!(body.get("refresh_token").is_none(), by_cookie, "{name}");
        assert_eq!(
            header(&response, "cache-control"),
            Some("no-store"),
            "{name}"
        );

        // Without cookies there is nothing to decide.
        let response = log_in(&bearer, &request).await.unwrap().into_response();
        assert!(cookies(&response).is_empty(), "{name}");
    }
    // One of our cookies: a browser, but not proven to be on this site.
    let request = phone().with("cookie", ours.clone());
    assert_eq!(
        log_in(&cookie, &request)
            .await
            .unwrap_err()
            .response()
            .status(),
        403
    );
    let request = request.with("origin", "https://app.example");
    let response = log_in(&cookie, &request).await.unwrap().into_response();
    assert_eq!(cookies(&response).len(), 2);
}

#[tokio::test]
async fn c15_another_site_is_refused_before_anything_is_asked() {
    let store = auth_kit::Frail::default();
    let auth = builder(store.clone())
        .with_cookies(Cookies)
        .without_revocations()
        .start()
        .await
        .unwrap();
    let before = store.faults.version_calls();
    for request in [
        post()
            .with("sec-fetch-site", "cross-site")
            .with("content-type", FORM),
        post().with("sec-fetch-site", "same-site"),
        post().with("origin", "https://evil.example"),
        post().with("origin", "null"),
        // A body needs no proof, but no contradiction either.
        phone().with("origin", "https://evil.example"),
        phone().with("sec-fetch-site", "cross-site"),
    ] {
        for attempt in [
            auth.login(&request).begin("alice").await,
            auth.login(&request).begin_nobody().await,
            auth.login(&request).in_body().begin("alice").await,
        ] {
            let refusal = attempt.unwrap_err();
            assert_eq!(refusal.response().status(), 403, "{request:?}");
            assert_eq!(refusal.error().cause(), Cause::Origin);
        }
    }
    // A form without proof, as a page of plain http or an old browser may send it.
    let form = post().with("content-type", FORM);
    assert!(auth.login(&form).begin("alice").await.is_err());
    assert_eq!(store.faults.version_calls(), before);
}

#[tokio::test]
async fn a_shell_that_is_half_a_browser_gets_a_body_if_its_origin_is_trusted() {
    let shell = || post().with("origin", "capacitor://localhost");
    let csrf = CsrfPolicy::new()
        .with_trusted_origin("capacitor://localhost")
        .unwrap();
    let auth = Auth::testing()
        .with_cookies(Cookies)
        .with_csrf(csrf)
        .start()
        .await
        .unwrap();
    let attempt = auth.login(&shell()).in_body().begin("alice").await.unwrap();
    let response = attempt.finish(|it| it).await.unwrap().into_response();
    assert!(cookies(&response).is_empty());
    assert!(body(&response)["refresh_token"].is_string());
    let other = post().with("origin", "capacitor://evil");
    assert!(auth.login(&other).in_body().begin("alice").await.is_err());
}

#[tokio::test]
async fn then_show_leads_only_a_browser_that_navigates() {
    let auth = with_cookies().await;
    let shown = async |request: Request| {
        let attempt = auth.login(&request).begin("alice").await.unwrap();
        let refused = attempt.refuse().then_show("/login?wrong");
        let answer = attempt.finish(|it| it).await.unwrap().then_show("/home");
        (refused.response().clone(), answer.into_response())
    };
    // A browser that sends no Fetch Metadata shows the response to a form as well.
    let old = post()
        .with("content-type", FORM)
        .with("origin", "https://app.example");
    for request in [form(), old] {
        let (refused, answer) = shown(request).await;
        assert_eq!((refused.status(), answer.status()), (303, 303));
        assert_eq!(header(&refused, "location"), Some("/login?wrong"));
        assert_eq!(header(&answer, "location"), Some("/home"));
        assert!(cookies(&refused).is_empty());
        assert_eq!(cookies(&answer).len(), 2);
        assert!(answer.body().is_empty());
    }
    for request in [script(), phone()] {
        let (refused, answer) = shown(request).await;
        assert_eq!((refused.status(), answer.status()), (403, 200));
    }
}

#[tokio::test]
async fn then_show_never_leads_to_another_site() {
    let auth = with_cookies().await;
    for elsewhere in [
        "//evil.example",
        "https://evil.example",
        "/\\evil",
        "evil",
        "",
        "/a b",
        "/\r\nx: y",
    ] {
        let attempt = auth.login(&form()).begin("alice").await.unwrap();
        let refused = attempt.refuse().then_show(elsewhere);
        assert_eq!(
            header(refused.response(), "location"),
            Some("/"),
            "{elsewhere}"
        );
        let answer = attempt.finish(|it| it).await.unwrap().then_show(elsewhere);
        assert_eq!(
            header(&answer.into_response(), "location"),
            Some("/"),
            "{elsewhere}"
        );
    }
}

fn with_disabled(auth: AuthBuilder<()>) -> AuthBuilder<()> {
    auth.with_users_fn(|user| async move {
        match &*user.subject {
            "disabled" => Ok(None),
            "trouble" => Err(UsersUnavailable::new("down")),
            _ => Ok(Some(Access::new(()))),
        }
    })
}

#[tokio::test]
async fn an_unknown_user_a_disabled_one_and_a_wrong_password_get_one_answer() {
    let store = auth_kit::Frail::default();
    let auth = with_disabled(builder(store.clone()));
    let auth = auth.without_revocations().start().await.unwrap();
    let login = || auth.login(&phone());
    let calls = || store.faults.version_calls();

    let before = calls();
    let wrong = login().begin("alice").await.unwrap().refuse();
    let asked = calls() - before;
    let before = calls();
    let nobody = login().begin_nobody().await.unwrap();
    assert_eq!(calls() - before, asked);
    let unknown = nobody.refuse();
    // A text that is no subject counts as nobody.
    let long = "x".repeat(256);
    for text in ["", " ", "a\0b", &long] {
        let before = calls();
        let attempt = login().begin(text).await.unwrap();
        assert_eq!(calls() - before, asked, "{text:?}");
        assert_eq!(attempt.refuse().response(), wrong.response());
    }
    let finished = nobody.finish(|it| it).await.unwrap_err();
    let disabled = login().begin("disabled").await.unwrap();
    let disabled = disabled.finish(|it| it).await.unwrap_err();
    assert_eq!(disabled.error().cause(), Cause::Disabled);
    for other in [unknown, finished, disabled] {
        assert_eq!(other.response(), wrong.response());
    }
    assert_eq!(wrong.response().status(), 403);

    let trouble = login().begin("trouble").await.unwrap();
    let trouble = trouble.finish(|it| it).await.unwrap_err();
    assert_eq!(trouble.response().status(), 503);
}

#[tokio::test]
async fn d22_all_sessions_ended_meanwhile_is_409() {
    let auth = with_cookies().await;
    let attempt = auth.login(&form()).begin("alice").await.unwrap();
    auth.sessions()
        .end_all("alice", EndedBy::App)
        .await
        .unwrap();
    let refusal = attempt.finish(|it| it).await.unwrap_err();
    assert_eq!(refusal.response().status(), 409);
    assert_eq!(refusal.error().cause(), Cause::Superseded);
    let _ = log_in(&auth, &form()).await.unwrap();
}

#[tokio::test]
async fn c17_the_session_of_before_ends_and_the_new_one_is_named_after_the_device() {
    let auth = with_cookies().await;
    let first = log_in(&auth, &form()).await.unwrap();
    let old = first.session();
    let carried = cookies(&first.into_response()).join("; ");
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let request = form().with("cookie", carried).with("user-agent", agent);
    let second = log_in(&auth, &request).await.unwrap();
    assert_ne!(second.session(), old);
    let new = second.session().unwrap();
    let devices = auth.sessions().list("alice", None).await.unwrap();
    let devices: Vec<_> = devices
        .iter()
        .map(|it| (it.session(), it.label()))
        .collect();
    assert_eq!(devices, [(new, Some("Firefox on Linux"))]);

    // The app's own label stands.
    let attempt = auth.login(&phone()).begin("bob").await.unwrap();
    let _ = attempt
        .finish(|session| session.with_label("Bob's phone"))
        .await
        .unwrap();
    let devices = auth.sessions().list("bob", None).await.unwrap();
    assert_eq!(devices[0].label(), Some("Bob's phone"));
}

/// The time of authentication in the token of a response.
async fn auth_time(auth: &Auth, response: &Response) -> Option<i64> {
    let token = body(response)["access_token"].as_str().unwrap().to_owned();
    let request = Request::bearer(&token);
    let Verdict::Pass(pass) = auth.guard().check(&request).verdict().await else {
        panic!("refused");
    };
    let user = pass.into_parts().0.require::<()>(&request).unwrap();
    user.registered()
        .auth_time()
        .map(auth_core::Timestamp::as_secs)
}

#[tokio::test]
async fn the_time_of_authentication_is_that_of_begin_or_the_providers() {
    let auth = bearer_only().await;
    let start = 1_800_000_000;
    let attempt = auth.login(&phone()).begin("alice").await.unwrap();
    auth.advance(Duration::from_secs(20));
    let response = attempt.finish(|it| it).await.unwrap().into_response();
    assert_eq!(auth_time(&auth, &response).await, Some(start));

    let redirected = || auth.login(&phone()).in_body().after_redirect("alice");
    let response = redirected().finish(|it| it).await.unwrap().into_response();
    assert_eq!(auth_time(&auth, &response).await, None);
    let by_provider = auth_core::Timestamp::from_secs(start - 60);
    let response = redirected()
        .finish(|it| it.with_auth_time(by_provider))
        .await;
    let response = response.unwrap().into_response();
    assert_eq!(auth_time(&auth, &response).await, Some(start - 60));
}

#[tokio::test]
async fn after_a_redirect_the_browser_gets_cookies_and_a_page() {
    let auth = with_cookies().await;
    // It comes from the provider's site.
    let request = Request::new("GET", "/callback?code=x")
        .with("sec-fetch-site", "cross-site")
        .with("sec-fetch-mode", "navigate");
    let attempt = auth.login(&request).after_redirect("alice");
    let answer = attempt.finish(|it| it).await.unwrap().then_show("/");
    let response = answer.into_response();
    assert_eq!((response.status(), cookies(&response).len()), (303, 2));

    let auth = bearer_only().await;
    let attempt = auth.login(&request).after_redirect("alice");
    assert_eq!(
        attempt
            .finish(|it| it)
            .await
            .unwrap_err()
            .response()
            .status(),
        500
    );
}

#[tokio::test]
async fn the_app_changes_details_and_not_the_subject() {
    let auth = bearer_only().await;
    let attempt = auth.login(&phone()).begin("alice").await.unwrap();
    let _ = attempt
        .finish(|_| LoginRequest::for_subject("root"))
        .await
        .unwrap();
    let attempt = auth.login(&phone()).in_body().after_redirect("alice");
    let _ = attempt
        .finish(|_| LoginRequest::for_subject("root"))
        .await
        .unwrap();
    assert_eq!(auth.sessions().list("alice", None).await.unwrap().len(), 2);
    assert!(auth.sessions().list("root", None).await.unwrap().is_empty());
}

#[tokio::test]
async fn faults_of_the_app_are_500() {
    let auth = bearer_only().await;
    let finish = async |change: fn(LoginRequest) -> LoginRequest| {
        let attempt = auth.login(&phone()).begin("alice").await.unwrap();
        attempt
            .finish(change)
            .await
            .unwrap_err()
            .response()
            .status()
    };
    let large = |it: LoginRequest| it.with_data(&"x".repeat(20_000));
    assert_eq!(finish(large).await, 500);
    assert_eq!(finish(|it| it.with_idle(Duration::ZERO)).await, 500);
    // Its refresh key could be gone before it.
    assert_eq!(
        finish(|it| it.with_idle(Duration::from_secs(200 * 86_400))).await,
        500
    );
}

#[tokio::test]
async fn a_rate_limit_counts_subject_and_client() {
    let auth = builder(Arc::new(MemoryStore::new()))
        .with_client_ip_field("x-real-ip")
        .start()
        .await
        .unwrap();
    let key = async |ip: &str, subject: &str| {
        let request = phone().with("x-real-ip", ip);
        let attempt = auth.login(&request).begin(subject).await.unwrap();
        attempt.rate_limit_key()
    };
    assert_eq!(
        key("10.0.0.1", "alice").await,
        key("10.0.0.1", "alice").await
    );
    assert_ne!(
        key("10.0.0.1", "alice").await,
        key("10.0.0.2", "alice").await
    );
    assert_ne!(key("10.0.0.1", "alice").await, key("10.0.0.1", "bob").await);
    let said = auth
        .login(&phone())
        .with_client_ip("10.0.0.1")
        .begin("alice")
        .await;
    assert_eq!(
        said.unwrap().rate_limit_key(),
        key("10.0.0.1", "alice").await
    );
}
