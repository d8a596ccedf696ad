//! An [`Auth`](auth_core::Auth) on each framework: one table of logins, logouts and guards, sent to the same app on
//! axum and on actix-web in this process. Status, headers and body must be equal.
//!
//! | path | guard | handler |
//! |---|---|---|
//! | `/login` | | `Login`, with a body of a form or JSON |
//! | `/down` | | `AuthRejection::unavailable` |
//! | `/me` | API | `Claims` |
//! | `/site/home` | pages, optional | `MaybeClaims` |
//! | `/site/mine` | pages, optional; API | `Claims` |
//! | `/site/admin` | pages, optional; role `admin` | `Claims` |
//! | those of `auth_routes` and `health_route` | | |

mod apps;
mod kit;

use std::time::Duration;

use self::kit::{Apps, Asked, Credential};

const ACCESS: &str = "__Host-Http-at";
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const REFRESH: &str = "__Host-Http-rt";
const CLEARED: [&str; 2] = ["-__Host-Http-at", "-__Host-Http-rt"];
const RIGHT: &str = "username=alice&password=wonderland";
const RIGHT_JSON: &str = r#"{"username":"alice","password":"wonderland"}"#;
const WRONG: [&str; 2] = [
    "username=alice&password=wrong",
    "username=nobody&password=wonderland",
];
const WRONG_JSON: [&str; 2] = [
    r#"{"username":"alice","password":"wrong"}"#,
    r#"{"username":"nobody","password":"wonderland"}"#,
];

fn by_form(body: &'static str) -> Asked {
    let login = Asked::new("POST", "/login").navigating();
    login.with("origin", "https://app.example").body(FORM, body)
}

fn by_script(body: &'static str) -> Asked {
    Asked::new("POST", "/login").scripted().body(JSON, body)
}

fn by_phone(body: &'static str) -> Asked {
    let login = Asked::new("POST", "/login").with("user-agent", "okhttp/4.12.0");
    login.body(JSON, body)
}

async fn log_in(apps: &mut Apps) {
    let reply = apps.ask(by_form(RIGHT)).await;
    reply.redirects("/");
    assert_eq!(reply.cookies(), [ACCESS, REFRESH]);
}

#[actix_web::test]
async fn c21_a_login_hands_out_cookies_to_browsers_and_a_body_to_others() {
    let mut apps = Apps::new().await;
    let form = apps.ask(by_form(RIGHT)).await;
    form.redirects("/");
    assert_eq!(form.cookies(), [ACCESS, REFRESH]);
    assert_eq!(
        apps.get("/me", Credential::Cookies).await,
        (200, "alice of acme".to_owned())
    );

    let script = apps.ask(by_script(RIGHT_JSON)).await;
    assert_eq!((script.status, script.field("location")), (200, None));
    assert_eq!(script.cookies(), [ACCESS, REFRESH]);
    assert_eq!(script.json().get("access_token"), None);

    let phone = apps.ask(by_phone(RIGHT_JSON)).await;
    assert_eq!((phone.status, phone.field("location")), (200, None));
    assert!(phone.cookies().is_empty());
    assert_eq!(phone.json()["token_type"], "Bearer");
    assert_eq!(
        apps.get("/me", Credential::Bearer).await,
        (200, "alice of acme".to_owned())
    );
}

#[actix_web::test]
async fn c15_a_login_from_another_site_is_refused_for_a_right_password_too() {
    let mut apps = Apps::new().await;
    for login in [
        Asked::new("POST", "/login")
            .with("sec-fetch-site", "cross-site")
            .body(FORM, RIGHT),
        Asked::new("POST", "/login")
            .with("origin", "https://evil.example")
            .body(FORM, RIGHT),
        Asked::new("POST", "/login")
            .with("origin", "https://evil.example")
            .body(JSON, RIGHT_JSON),
        // A form without a sign of its site.
        Asked::new("POST", "/login").body(FORM, RIGHT),
    ] {
        let reply = apps.ask(login).await;
        assert_eq!((reply.status, reply.field("location")), (403, None));
        assert!(reply.cookies().is_empty());
    }
}

#[actix_web::test]
async fn an_unknown_user_and_a_wrong_password_get_the_same_response() {
    let mut apps = Apps::new().await;
    for (login, bodies) in [
        (by_form as fn(&'static str) -> Asked, WRONG),
        (by_script, WRONG_JSON),
        (by_phone, WRONG_JSON),
    ] {
        let [wrong, unknown] = bodies;
        let wrong = apps.ask(login(wrong)).await;
        let unknown = apps.ask(login(unknown)).await;
        assert_eq!(wrong.comparable(), unknown.comparable());
        assert!(wrong.cookies().is_empty());
    }
    apps.ask(by_form(WRONG[0])).await.redirects("/login?wrong");
    let script = apps.ask(by_script(WRONG_JSON[0])).await;
    assert_eq!((script.status, script.field("location")), (403, None));
}

#[actix_web::test]
async fn a_logout_by_form_shows_the_login_page_and_others_get_no_content() {
    let mut apps = Apps::new().await;
    log_in(&mut apps).await;
    let logout = Asked::new("POST", "/auth/logout").credential(Credential::Cookies);
    let form = logout.clone().navigating().body(FORM, "");
    let form = apps.ask(form).await;
    form.redirects("/login");
    assert_eq!(form.cookies(), CLEARED);
    assert_eq!(apps.get("/me", Credential::Cookies).await.0, 401);

    log_in(&mut apps).await;
    let script = apps.ask(logout.scripted()).await;
    assert_eq!((script.status, script.field("location")), (204, None));
    assert_eq!(script.cookies(), CLEARED);
    assert_eq!(apps.get("/me", Credential::Cookies).await.0, 401);
}

#[actix_web::test]
async fn the_routes_of_an_auth_are_mounted() {
    let mut apps = Apps::new().await;
    apps.ask(by_phone(RIGHT_JSON)).await;
    let jwks = apps.get("/.well-known/jwks.json", Credential::None).await;
    assert_eq!(jwks.0, 200);
    assert_eq!(apps.get("/ready", Credential::None).await.0, 200);
    assert_eq!(apps.get("/auth/sessions", Credential::Bearer).await.0, 200);
    assert_eq!(apps.get("/auth/sessions", Credential::None).await.0, 401);
    assert_eq!(apps.get("/auth/refresh", Credential::None).await.0, 405);
    let refresh = Asked::new("POST", "/auth/refresh").body(JSON, r#"{"refresh_token":"REFRESH"}"#);
    assert_eq!(apps.ask(refresh.clone()).await.status, 200);
    let others = Asked::new("POST", "/auth/logout-others").credential(Credential::Bearer);
    assert_eq!(apps.ask(others).await.status, 200);
    let unknown = Asked::new("DELETE", "/auth/sessions/AAAAAAAAAAAAAAAAAAAAAA");
    let unknown = unknown.credential(Credential::Bearer);
    assert_eq!(apps.ask(unknown).await.status, 404);
    let all = Asked::new("POST", "/auth/logout-all").credential(Credential::Bearer);
    assert_eq!(apps.ask(all).await.status, 204);
    assert_eq!(apps.ask(refresh).await.status, 400);
}

#[actix_web::test]
async fn guards_within_the_guard_of_pages_take_over_its_identity() {
    let mut apps = Apps::new().await;
    let anonymous = (200, "anonymous".to_owned());
    assert_eq!(apps.get("/site/home", Credential::None).await, anonymous);
    assert_eq!(apps.get("/site/mine", Credential::None).await.0, 401);

    let alice = (200, "alice of acme".to_owned());
    log_in(&mut apps).await;
    for path in ["/site/home", "/site/mine", "/site/admin", "/me"] {
        assert_eq!(apps.get(path, Credential::Cookies).await, alice, "{path}");
    }
    apps.ask(by_form("username=bob&password=wonderland"))
        .await
        .redirects("/");
    assert_eq!(apps.get("/site/mine", Credential::Cookies).await.0, 200);
    assert_eq!(apps.get("/site/admin", Credential::Cookies).await.0, 403);

    // The access cookie has expired: the page's guard refreshes, also for the guard within.
    apps.advance(Duration::from_secs(700));
    let page = Asked::new("GET", "/site/mine").navigating();
    let renewed = apps.ask(page.credential(Credential::Cookies)).await;
    renewed.redirects("./mine");
    assert_eq!(renewed.cookies(), [ACCESS, REFRESH]);
    let bob = (200, "bob of acme".to_owned());
    assert_eq!(apps.get("/site/mine", Credential::Cookies).await, bob);
}

#[actix_web::test]
async fn trouble_of_the_app_is_503_and_leads_nowhere() {
    let mut apps = Apps::new().await;
    let down = apps.ask(Asked::new("POST", "/down").navigating()).await;
    assert_eq!((down.status, down.field("location")), (503, None));
    assert!(down.field("retry-after").is_some());
    assert!(!down.body.contains("database"), "{}", down.body);
}
