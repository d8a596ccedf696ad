//! The app on both frameworks.

use actix_web::{Either, HttpResponse, web};
use auth_actix::AuthMiddleware;
use auth_cookie::CookiePolicy;
use auth_core::{Access, Auth, Authenticated};
use auth_tower::{AuthLayer, FormOrJson};
use axum::Router;
use axum::routing::{any, post};
use serde::{Deserialize, Serialize};

const TEXT: &str = "text/plain; charset=utf-8";

#[derive(Serialize, Deserialize)]
pub(super) struct User {
    tenant: String,
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

impl Credentials {
    fn are_right(&self) -> bool {
        self.password == "wonderland"
    }
}

/// `alice` has the role `admin`, `bob` has none, and all others are unknown.
fn access(name: &str) -> Option<Access<User>> {
    let roles = match name {
        "alice" => Some("admin"),
        "bob" => None,
        _ => return None,
    };
    let tenant = "acme".to_owned();
    Some(Access::new(User { tenant }).with_roles(roles))
}

pub(super) async fn auth() -> Auth<User> {
    Auth::testing()
        .with_cookies(CookiePolicy::server_rendered())
        .with_login_page("/login")
        .with_users_fn(|user| std::future::ready(Ok(access(&user.subject))))
        .start()
        .await
        .unwrap()
}

fn shown(user: Option<&Authenticated<User>>) -> String {
    user.map_or_else(
        || "anonymous".to_owned(),
        |user| format!("{} of {}", user.subject(), user.tenant),
    )
}

pub(super) mod on_axum {
    use auth_tower::{AuthRejection, AuthResponse, Claims, Login, MaybeClaims};

    use super::*;

    async fn log_in(
        login: Login<User>,
        FormOrJson(form): FormOrJson<Credentials>,
    ) -> Result<AuthResponse, AuthRejection> {
        let attempt = login.begin(&form.username).await?;
        if !form.are_right() {
            return Err(attempt.refuse().then_show("/login?wrong"));
        }
        match attempt.finish(|session| session.with_amr(["pwd"])).await {
            Ok(response) => Ok(response.then_show("/")),
            Err(refused) => Err(refused.then_show("/login?wrong")),
        }
    }

    async fn down() -> AuthRejection {
        AuthRejection::unavailable("the database is away").then_show("/")
    }

    async fn mine(user: Claims<User>) -> String {
        shown(Some(&user.0))
    }

    async fn home(MaybeClaims(user): MaybeClaims<User>) -> String {
        shown(user.as_ref())
    }

    pub(crate) fn app(auth: &Auth<User>) -> Router {
        let admins = AuthLayer::new(auth.require_role("admin"));
        Router::new()
            .route("/site/home", any(home))
            .route("/site/mine", any(mine).layer(AuthLayer::new(auth)))
            .route("/site/admin", any(mine).layer(admins))
            .layer(AuthLayer::new(auth.pages().with_anonymous()))
            .route("/me", any(mine).layer(AuthLayer::new(auth)))
            .route("/login", post(log_in))
            .route("/down", any(down))
            .merge(auth_tower::auth_routes(auth))
            .merge(auth_tower::health_route(auth, "/ready").unwrap())
            .with_state(auth.clone())
    }
}

pub(super) mod on_actix {
    use auth_actix::{AuthRejection, AuthResponse, Claims, Login, MaybeClaims};

    use super::*;

    async fn log_in(
        login: Login<User>,
        form: Either<web::Form<Credentials>, web::Json<Credentials>>,
    ) -> Result<AuthResponse, AuthRejection> {
        let form = form.into_inner();
        let attempt = login.begin(&form.username).await?;
        if !form.are_right() {
            return Err(attempt.refuse().then_show("/login?wrong"));
        }
        match attempt.finish(|session| session.with_amr(["pwd"])).await {
            Ok(response) => Ok(response.then_show("/")),
            Err(refused) => Err(refused.then_show("/login?wrong")),
        }
    }

    async fn down() -> Result<HttpResponse, AuthRejection> {
        Err(AuthRejection::unavailable("the database is away").then_show("/"))
    }

    fn text(body: String) -> HttpResponse {
        HttpResponse::Ok().content_type(TEXT).body(body)
    }

    async fn mine(user: Claims<User>) -> HttpResponse {
        text(shown(Some(&user.0)))
    }

    async fn home(MaybeClaims(user): MaybeClaims<User>) -> HttpResponse {
        text(shown(user.as_ref()))
    }

    pub(crate) fn app(auth: &Auth<User>) -> impl FnOnce(&mut web::ServiceConfig) {
        let api = AuthMiddleware::new(auth);
        let admins = AuthMiddleware::new(auth.require_role("admin"));
        let site = web::scope("/site")
            .wrap(AuthMiddleware::new(auth.pages().with_anonymous()))
            .route("/home", web::to(home))
            .service(web::resource("/mine").wrap(api.clone()).to(mine))
            .service(web::resource("/admin").wrap(admins).to(mine));
        let routes = auth_actix::auth_routes(auth);
        let health = auth_actix::health_route(auth, "/ready").unwrap();
        move |config| {
            config
                .service(site)
                .service(web::resource("/me").wrap(api).to(mine))
                .route("/login", web::post().to(log_in))
                .route("/down", web::to(down))
                .configure(routes)
                .configure(health);
        }
    }
}
