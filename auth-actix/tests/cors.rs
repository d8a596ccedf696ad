//! Together with actix-cors, in both orders.

mod common;

use actix_cors::Cors;
use actix_web::http::{Method, header};
use actix_web::test::{self, TestRequest};
use actix_web::{App, HttpResponse, web};
use auth_actix::{AuthMiddleware, Claims};
use common::{User, auth, bearer, get, token};

const APP: &str = "https://app.example";

fn cors() -> Cors {
    Cors::default()
        .allowed_origin(APP)
        .allowed_methods(["GET", "PUT"])
        .allowed_header(header::AUTHORIZATION)
        .supports_credentials()
}

fn preflight() -> TestRequest {
    get("/")
        .method(Method::OPTIONS)
        .insert_header((header::ORIGIN, APP))
        .insert_header((header::ACCESS_CONTROL_REQUEST_METHOD, "PUT"))
        .insert_header((header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization"))
}

async fn index() -> HttpResponse {
    HttpResponse::Ok().body("secret")
}

#[actix_web::test]
async fn b11_with_cors_outside_preflights_pass_and_refusals_can_be_read() {
    let app = App::new()
        .route("/", web::get().to(index))
        .wrap(AuthMiddleware::new(auth()))
        .wrap(cors());
    let app = test::init_service(app).await;

    let response = test::call_service(&app, preflight().to_request()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        response
            .headers()
            .get("access-control-allow-origin")
            .unwrap(),
        APP
    );

    for (request, status) in [
        (get("/"), 401),
        (bearer(get("/"), "a b"), 400),
        (bearer(get("/"), &token()), 200),
    ] {
        let request = request.insert_header((header::ORIGIN, APP)).to_request();
        let response = test::call_service(&app, request).await;
        assert_eq!(response.status(), status);
        let headers = response.headers();
        assert_eq!(
            headers.get("access-control-allow-origin").unwrap(),
            APP,
            "{status}"
        );
        assert_eq!(
            headers.get("access-control-allow-credentials").unwrap(),
            "true",
            "{status}"
        );
    }
}

#[actix_web::test]
async fn b11_with_cors_inside_preflights_pass_only_where_the_guard_lets_them() {
    for (guard, expected) in [
        (auth().guard(), 401),
        (auth().guard().with_preflight(), 200),
    ] {
        let app = App::new()
            .route("/", web::get().to(index))
            .wrap(cors())
            .wrap(AuthMiddleware::new(guard));
        let app = test::init_service(app).await;
        let response = test::call_service(&app, preflight().to_request()).await;
        assert_eq!(response.status(), expected);
        assert_eq!(
            test::call_service(&app, get("/").to_request())
                .await
                .status(),
            401
        );
    }
}

#[actix_web::test]
async fn b11b_options_that_is_no_preflight_is_guarded() {
    let app = App::new()
        .default_service(web::to(index))
        .wrap(AuthMiddleware::new(auth().guard().with_preflight()));
    let app = test::init_service(app).await;
    let without = |name: header::HeaderName| {
        [header::ORIGIN, header::ACCESS_CONTROL_REQUEST_METHOD]
            .into_iter()
            .filter(|own| *own != name)
            .fold(get("/").method(Method::OPTIONS), |request, own| {
                request.insert_header((own, "GET"))
            })
    };
    for request in [
        get("/").method(Method::OPTIONS),
        without(header::ORIGIN),
        without(header::ACCESS_CONTROL_REQUEST_METHOD),
        preflight().method(Method::GET),
        preflight().append_header((header::ORIGIN, APP)),
    ] {
        assert_eq!(
            test::call_service(&app, request.to_request())
                .await
                .status(),
            401
        );
    }
    assert_eq!(
        test::call_service(&app, preflight().to_request())
            .await
            .status(),
        200
    );
}

#[actix_web::test]
async fn b11b_a_preflight_that_passes_is_anonymous_even_with_a_token() {
    let app = App::new()
        .default_service(web::to(|_: Claims<User>| async { "secret" }))
        .wrap(AuthMiddleware::new(auth().guard().with_preflight()));
    let app = test::init_service(app).await;
    let request = bearer(preflight(), &token()).to_request();
    assert_eq!(test::call_service(&app, request).await.status(), 401);
}
