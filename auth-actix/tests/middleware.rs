//! The middleware in apps, scopes and resources: requests that reach handlers, and refusals.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::http::{Method, StatusCode, header};
use actix_web::test::{self, TestRequest};
use actix_web::{App, HttpMessage, HttpRequest, HttpResponse, middleware, web};
use auth_actix::{AuthMiddleware, AuthRejection, MaybeClaims};
use auth_core::{AuthContext, AuthError, AuthErrorKind, Cause, Guard};
use common::{User, auth, auth_reading, bearer, get, token, token_with};
use serde_json::json;

type Calls = web::Data<AtomicUsize>;

async fn secret(calls: Calls) -> &'static str {
    calls.fetch_add(1, Ordering::Relaxed);
    "secret"
}

macro_rules! status {
    ($app:expr, $request:expr) => {
        test::call_service(&$app, $request.to_request())
            .await
            .status()
            .as_u16()
    };
}

#[actix_web::test]
async fn b08_a_refusal_has_status_challenge_problem_body_and_the_error_for_outer_middleware() {
    let app = App::new()
        .wrap(AuthMiddleware::new(auth()))
        .route("/", web::get().to(secret));
    let app = test::init_service(app.app_data(Calls::default())).await;
    let request = bearer(get("/"), &token_with(json!({"exp": 1}))).to_request();
    let response = test::call_service(&app, request).await;

    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let headers: Vec<_> = response.headers().iter().collect();
    assert_eq!(headers.len(), 3, "{headers:?}");
    let header = |name| response.headers().get(name).unwrap().to_str().unwrap();
    assert_eq!(
        header("www-authenticate"),
        r#"Bearer realm="api", error="invalid_token""#
    );
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("content-type"), "application/problem+json");
    {
        let extensions = response.response().extensions();
        let error = extensions.get::<AuthError>().unwrap();
        assert_eq!(
            (error.kind(), error.cause()),
            (AuthErrorKind::InvalidToken, Cause::Expired)
        );
    }
    let rejection = response
        .response()
        .error()
        .unwrap()
        .as_error::<AuthRejection>()
        .unwrap();
    assert_eq!(rejection.error().cause(), Cause::Expired);
    let body: serde_json::Value = test::read_body_json(response).await;
    assert_eq!(
        body,
        json!({
            "type": "about:blank", "title": "Unauthorized", "status": 401,
            "detail": "the token is not valid",
        })
    );
}

#[actix_web::test]
async fn b12_no_handler_of_a_guarded_app_is_reached_without_a_token() {
    let calls = Calls::default();
    let app = App::new()
        .app_data(calls.clone())
        .route("/", web::get().to(secret))
        .service(
            web::scope("/nested")
                .service(web::scope("/deep").route("/me", web::post().to(secret)))
                .default_service(web::to(secret)),
        )
        .service(web::resource("/only-put").route(web::put().to(secret)))
        .default_service(web::to(secret))
        .wrap(AuthMiddleware::new(auth()));
    let app = test::init_service(app).await;
    let paths = [
        "/",
        "/nested/deep/me",
        "/nested/x",
        "/nested/deep/x",
        "/only-put",
        "/x",
        "//",
        "/%2e/",
    ];
    let custom = Method::from_bytes(b"PURGE").unwrap();
    for path in paths {
        for method in [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
            Method::TRACE,
            custom.clone(),
        ] {
            assert_eq!(
                status!(app, get(path).method(method.clone())),
                401,
                "{method} {path}"
            );
        }
    }
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    let request = bearer(get("/nested/deep/me"), &token()).method(Method::POST);
    assert_eq!(status!(app, request), 200);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[actix_web::test]
async fn b12_a_guarded_scope_hides_which_paths_exist_and_leaves_the_rest_alone() {
    let app = App::new()
        .app_data(Calls::default())
        .service(
            web::scope("/api")
                .wrap(AuthMiddleware::new(auth()))
                .route("/me", web::get().to(secret)),
        )
        .route("/open", web::get().to(secret));
    let app = test::init_service(app).await;
    for path in ["/api/me", "/api/x", "/api/", "/api"] {
        assert_eq!(status!(app, get(path)), 401, "{path}");
    }
    assert_eq!(status!(app, get("/api/me").method(Method::POST)), 401);
    assert_eq!(status!(app, bearer(get("/api/me"), &token())), 200);
    assert_eq!(status!(app, bearer(get("/api/x"), &token())), 404);
    assert_eq!(status!(app, get("/open")), 200);
    assert_eq!(status!(app, get("/apix")), 404);
}

#[actix_web::test]
async fn b12_a_guarded_resource_guards_every_method() {
    let app = App::new().app_data(Calls::default()).service(
        web::resource("/me")
            .wrap(AuthMiddleware::new(auth()))
            .route(web::get().to(secret)),
    );
    let app = test::init_service(app).await;
    assert_eq!(status!(app, get("/me")), 401);
    assert_eq!(status!(app, get("/me").method(Method::POST)), 401);
    assert_eq!(status!(app, bearer(get("/me"), &token())), 200);
    assert_eq!(
        status!(app, bearer(get("/me"), &token()).method(Method::POST)),
        405
    );
    assert_eq!(status!(app, get("/x")), 404);
}

#[actix_web::test]
async fn nested_guards_both_decide() {
    let auth = auth();
    let admins = Guard::from(&auth).require_scope("admin").unwrap();
    let app = App::new()
        .app_data(Calls::default())
        .wrap(AuthMiddleware::new(&auth))
        .service(
            web::scope("/admin")
                .wrap(AuthMiddleware::new(admins))
                .route("/x", web::get().to(secret)),
        )
        .route("/x", web::get().to(secret));
    let app = test::init_service(app).await;
    let admin = token_with(json!({"scope": "read admin"}));
    assert_eq!(status!(app, bearer(get("/x"), &token())), 200);
    assert_eq!(status!(app, bearer(get("/admin/x"), &token())), 403);
    assert_eq!(status!(app, bearer(get("/admin/x"), &admin)), 200);
    assert_eq!(status!(app, get("/admin/x")), 401);
}

async fn who(MaybeClaims(user): MaybeClaims<User>) -> String {
    user.map_or_else(|| "nobody".to_owned(), |user| user.subject().to_owned())
}

#[actix_web::test]
async fn b14_what_a_client_says_about_itself_has_no_effect() {
    let app = App::new()
        .wrap(AuthMiddleware::new(auth().guard().with_anonymous()))
        .route("/", web::get().to(who));
    let app = test::init_service(app).await;
    let request = [
        "x-user",
        "x-forwarded-user",
        "x-auth-request-user",
        "remote-user",
        "sub",
    ]
    .into_iter()
    .fold(get("/?access_token=a.b.c"), |request, name| {
        request.insert_header((name, "admin"))
    });
    assert_eq!(
        test::call_and_read_body(&app, request.to_request()).await,
        "nobody"
    );
}

#[actix_web::test]
async fn b14_an_outer_guard_s_identity_does_not_pass_for_an_inner_one_s() {
    let inner = AuthMiddleware::new(auth().guard().with_anonymous());
    let outer = AuthMiddleware::new(auth_reading("x-outer-token"));
    let app = App::new()
        .service(
            web::scope("/inner")
                .wrap(inner)
                .route("", web::get().to(who)),
        )
        .route("/outer", web::get().to(who))
        .wrap(outer);
    let app = test::init_service(app).await;
    let ask = |path| {
        get(path)
            .insert_header(("x-outer-token", token()))
            .to_request()
    };
    assert_eq!(test::call_and_read_body(&app, ask("/outer")).await, "alice");
    assert_eq!(
        test::call_and_read_body(&app, ask("/inner")).await,
        "nobody"
    );
}

#[actix_web::test]
async fn b14b_optional_refuses_a_bad_token_in_the_header() {
    let app = App::new()
        .wrap(AuthMiddleware::new(auth().guard().with_anonymous()))
        .route("/", web::get().to(who));
    let app = test::init_service(app).await;
    assert_eq!(
        test::call_and_read_body(&app, get("/").to_request()).await,
        "nobody"
    );
    let good = bearer(get("/"), &token()).to_request();
    assert_eq!(test::call_and_read_body(&app, good).await, "alice");
    for (bad, expected) in [
        (bearer(get("/"), &token_with(json!({"exp": 1}))), 401),
        (bearer(get("/"), "a.b.c"), 401),
        (bearer(get("/"), "a b"), 400),
        (bearer(bearer(get("/"), &token()), &token()), 400),
    ] {
        assert_eq!(status!(app, bad), expected);
    }
}

#[actix_web::test]
async fn b16_request_extensions_and_body_reach_the_handler() {
    #[derive(Clone)]
    struct Trace(u8);
    let handler = |request: HttpRequest, body: String| async move {
        let trace = request.extensions().get::<Trace>().unwrap().0;
        HttpResponse::Ok().body(format!("{trace} {body}"))
    };
    let app = App::new()
        .route("/", web::post().to(handler))
        .wrap(AuthMiddleware::new(auth()))
        .wrap_fn(|request, service| {
            request.extensions_mut().insert(Trace(7));
            actix_web::dev::Service::call(service, request)
        });
    let app = test::init_service(app).await;
    let request = bearer(TestRequest::post().uri("/"), &token()).set_payload("hello");
    assert_eq!(
        test::call_and_read_body(&app, request.to_request()).await,
        "7 hello"
    );
}

#[actix_web::test]
async fn b17_the_handler_s_cookies_and_headers_survive() {
    let handler = || async {
        HttpResponse::Ok()
            .append_header(("set-cookie", "a=1"))
            .append_header(("set-cookie", "b=2"))
            .append_header(("cache-control", "max-age=60"))
            .finish()
    };
    let app = App::new()
        .wrap(AuthMiddleware::new(auth()))
        .route("/", web::get().to(handler));
    let app = test::init_service(app).await;
    let response = test::call_service(&app, bearer(get("/"), &token()).to_request()).await;
    let cookies: Vec<_> = response.headers().get_all(header::SET_COOKIE).collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert_eq!(
        response.headers().get("cache-control").unwrap(),
        "max-age=60"
    );
}

#[actix_web::test]
async fn errors_of_inner_middleware_stay_errors_of_their_type() {
    let app = App::new()
        .app_data(Calls::default())
        .route("/", web::get().to(secret))
        .wrap(middleware::from_fn(
            async |_, _: middleware::Next<actix_web::body::BoxBody>| {
                Err::<actix_web::dev::ServiceResponse, _>(actix_web::error::ErrorImATeapot(
                    "broken",
                ))
            },
        ))
        .wrap(AuthMiddleware::new(auth()));
    let app = test::init_service(app).await;
    let result = test::try_call_service(&app, bearer(get("/"), &token()).to_request()).await;
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), "broken");
    assert_eq!(error.error_response().status(), 418);
    assert_eq!(status!(app, get("/")), 401);
}

#[actix_web::test]
async fn outer_middleware_sees_who_made_the_request_when_the_answer_comes_back() {
    let app = App::new()
        .app_data(Calls::default())
        .route("/", web::get().to(secret))
        .wrap(AuthMiddleware::new(auth()))
        .wrap(middleware::from_fn(
            async |request, next: middleware::Next<_>| {
                let mut response = next.call(request).await?;
                let known = response.request().extensions().contains::<AuthContext>();
                let value = header::HeaderValue::from_static(if known { "yes" } else { "no" });
                response
                    .headers_mut()
                    .insert(header::HeaderName::from_static("x-known"), value);
                Ok::<_, actix_web::Error>(response)
            },
        ));
    let app = test::init_service(app).await;
    for (request, expected) in [(bearer(get("/"), &token()), "yes"), (get("/"), "no")] {
        let response = test::call_service(&app, request.to_request()).await;
        assert_eq!(response.headers().get("x-known").unwrap(), expected);
    }
}
