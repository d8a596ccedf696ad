//! [`Login`] outside the app that `auth_routes` configures, and a logout by a handler of the app.

#![allow(clippy::unwrap_used, reason = "a broken expectation fails the test")]

use actix_web::http::header::LOCATION;
use actix_web::{App, HttpRequest, test, web};
use auth_actix::{
    Auth, AuthRejection, AuthResponse, CookiePolicy, Login, RequestHead, auth_routes,
};

async fn log_in(login: Login) -> Result<AuthResponse, AuthRejection> {
    let attempt = login.begin("alice").await?;
    attempt.finish(|session| session).await
}

#[actix_web::test]
async fn a_login_without_the_auth_of_its_claims_type_is_500() {
    let auth = Auth::testing().start().await.unwrap();
    let other = Auth::testing()
        .with_users_fn(|_| std::future::ready(Ok(None::<auth_actix::Access<Vec<String>>>)))
        .start()
        .await
        .unwrap();
    let bare = App::new().route("/login", web::post().to(log_in));
    let others = App::new()
        .configure(auth_routes(&other))
        .route("/login", web::post().to(log_in));
    let ours = App::new()
        .configure(auth_routes(&auth))
        .route("/login", web::post().to(log_in));
    let request = || test::TestRequest::post().uri("/login").to_request();
    let bare = test::call_service(&test::init_service(bare).await, request()).await;
    assert_eq!(bare.status(), 500);
    let others = test::call_service(&test::init_service(others).await, request()).await;
    assert_eq!(others.status(), 500);
    let ours = test::call_service(&test::init_service(ours).await, request()).await;
    assert_eq!(ours.status(), 200);
}

#[actix_web::test]
async fn a_handler_of_the_app_logs_out_and_shows_a_page() {
    async fn log_out(auth: web::Data<Auth>, request: HttpRequest) -> AuthResponse {
        let response = auth.logout(&RequestHead::from(&request)).await;
        AuthResponse::from(response).then_show("/bye")
    }
    let auth = Auth::testing().with_cookies(CookiePolicy::server_rendered());
    let auth = web::Data::new(auth.start().await.unwrap());
    let app = App::new()
        .app_data(auth)
        .route("/out", web::post().to(log_out));
    let request = test::TestRequest::post()
        .uri("/out")
        .insert_header(("host", "app.example"))
        .insert_header(("sec-fetch-site", "same-origin"))
        .insert_header(("sec-fetch-mode", "navigate"));
    let service = test::init_service(app).await;
    let response = test::call_service(&service, request.to_request()).await;
    assert_eq!(response.status(), 303);
    assert_eq!(response.headers().get(LOCATION).unwrap(), "/bye");
}
