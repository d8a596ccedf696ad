//! Pages and an API for users who log in by a form. `examples/minimal-axum` is the same app on axum.

use actix_web::web::{Form, Html, Json, block, get, post, resource};
use actix_web::{App, Either, HttpServer};
use argon2::{Argon2, PasswordVerifier};
use auth_actix::{
    Access, Auth, AuthMiddleware, AuthRejection, AuthResponse, Claims, CookiePolicy, Login,
    SqliteStore, auth_routes,
};

#[derive(serde::Serialize, serde::Deserialize)]
struct User {
    tenant: String,
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let auth = Auth::for_issuer("http://localhost:3000")
        .audience("http://localhost:3000/api")
        .store(SqliteStore::open("app.db").await?) // keys beside it: app.db.keys, mode 0600
        .with_cookies(CookiePolicy::server_rendered()) // left out: bearer tokens only
        .with_login_page("/login")
        .with_users_fn(|user| std::future::ready(Ok(access(&user.subject))))
        .start()
        .await?;
    let pages = AuthMiddleware::new(auth.pages()); // refreshes silently
    let api = AuthMiddleware::new(&auth);
    let app = move || {
        App::new()
            .service(resource("/").wrap(pages.clone()).get(home))
            .service(resource("/me").wrap(api.clone()).get(me))
            .route("/login", get().to(async || Html::new(LOGIN)))
            .route("/login", post().to(log_in))
            .configure(auth_routes(&auth)) // refresh, logout, sessions, JWKS
    };
    let address = std::env::var("ADDRESS").unwrap_or("127.0.0.1:3000".to_owned());
    Ok(HttpServer::new(app).bind(address)?.run().await?)
}

/// Looks up a user at login and at every refresh. A real app asks its database; `None` is a
/// disabled or deleted user.
fn access(name: &str) -> Option<Access<User>> {
    let tenant = "acme".to_owned();
    (name == "alice").then(|| Access::new(User { tenant }).with_roles(["admin"]))
}

async fn home() -> Html {
    Html::new(HOME)
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
    form: Either<Form<Credentials>, Json<Credentials>>,
) -> Result<AuthResponse, AuthRejection> {
    let form = form.into_inner();
    let attempt = login.begin(&form.username).await?;
    // An unknown user takes as long, and is refused by `finish` like a disabled one.
    let check = move || Argon2::default().verify_password(form.password.as_bytes(), ALICE);
    let checked = block(check).await;
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
