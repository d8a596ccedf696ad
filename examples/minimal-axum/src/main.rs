//! Pages and an API for users who log in by a form. `examples/minimal-actix` is the same app on
//! actix-web.

use argon2::{Argon2, PasswordVerifier};
use auth_tower::{
    Access, Auth, AuthLayer, AuthRejection, AuthResponse, Claims, CookiePolicy, FormOrJson, Login,
    SqliteStore, auth_routes,
};
use axum::{Router, response::Html, routing::get};

#[derive(serde::Serialize, serde::Deserialize)]
struct User {
    tenant: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let auth = Auth::for_issuer("http://localhost:3000")
        .audience("http://localhost:3000/api")
        .store(SqliteStore::open("app.db").await?) // keys beside it: app.db.keys, mode 0600
        .with_cookies(CookiePolicy::server_rendered()) // left out: bearer tokens only
        .with_login_page("/login")
        .with_users_fn(|user| std::future::ready(Ok(access(&user.subject))))
        .start()
        .await?;
    let pages = AuthLayer::new(auth.pages()); // refreshes silently
    let app = Router::new()
        .route("/", get(Html(HOME)).route_layer(pages))
        .route("/me", get(me).route_layer(AuthLayer::new(&auth)))
        .route("/login", get(Html(LOGIN)).post(log_in))
        .merge(auth_routes(&auth)) // refresh, logout, sessions, JWKS
        .with_state(auth);
    let address = std::env::var("ADDRESS").unwrap_or("127.0.0.1:3000".to_owned());
    Ok(axum::serve(tokio::net::TcpListener::bind(address).await?, app).await?)
}

/// Looks up a user at login and at every refresh. A real app asks its database; `None` is a
/// disabled or deleted user.
fn access(name: &str) -> Option<Access<User>> {
    let tenant = "acme".to_owned();
    (name == "alice").then(|| Access::new(User { tenant }).with_roles(["admin"]))
}

async fn me(user: Claims<User>) -> String {
    format!("{} of {}\n", user.subject(), user.tenant)
}

#[derive(serde::Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

async fn log_in(
    login: Login<User>,
    FormOrJson(form): FormOrJson<Credentials>,
) -> Result<AuthResponse, AuthRejection> {
    let attempt = login.begin(&form.username).await?;
    // An unknown user takes as long, and is refused by `finish` like a disabled one.
    let check = move || Argon2::default().verify_password(form.password.as_bytes(), ALICE);
    let checked = tokio::task::spawn_blocking(check).await;
    if checked.map_err(AuthRejection::unavailable)?.is_err() {
        return Err(attempt.refuse().then_show("/login?wrong"));
    }
    match attempt.finish(|session| session.with_amr(["pwd"])).await {
        Ok(response) => Ok(response.then_show("/")),
        Err(refused) => Err(refused.then_show("/login?wrong")),
    }
}

/// Hash of Alice's password, `wonderland`.
const ALICE: &str = "$argon2id$v=19$m=19456,t=2,p=1$YJTHEPOIyUeG+WDL+0EnWg$MR6XL493NzEsgrzo5kI8Topnv4rkx4P3HAdeaoKdHo0";
const LOGIN: &str = "<form method=post><input name=username placeholder=alice><input name=password type=password><button>Log in</button></form>";
const HOME: &str = "<form method=post action=/auth/logout><button>Log out</button></form>";
