//! [`FormOrJson`]: both bodies, and nothing of a bad one in the response.

#![allow(clippy::unwrap_used, reason = "a broken expectation fails the test")]

use auth_tower::FormOrJson;
use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

#[derive(serde::Deserialize)]
struct Credentials {
    username: String,
    attempts: u8,
}

async fn ask(media: &str, body: &'static str) -> (StatusCode, String) {
    let handler = async |FormOrJson(read): FormOrJson<Credentials>| {
        format!("{} {}", read.username, read.attempts)
    };
    let app = Router::new()
        .route("/", post(handler))
        .layer(DefaultBodyLimit::max(100));
    let request = Request::post("/").header("content-type", media);
    let response = app.oneshot(request.body(Body::from(body)).unwrap()).await;
    let (head, body) = response.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_form_and_json_are_read_alike() {
    let read = (StatusCode::OK, "a&b 3".to_owned());
    for media in [FORM, "Application/X-WWW-Form-Urlencoded; charset=utf-8"] {
        assert_eq!(ask(media, "username=a%26b&attempts=3").await, read);
    }
    for media in [JSON, "application/json; charset=utf-8"] {
        let body = r#"{"username":"a&b","attempts":3}"#;
        assert_eq!(ask(media, body).await, read);
    }
}

#[tokio::test]
async fn d21_a_rejection_quotes_nothing_of_the_body() {
    let long = r#"{"username":"S3CRET.........................................................................","attempts":1}"#;
    for (media, body, status) in [
        ("text/plain", r#"{"username":"S3CRET","attempts":1}"#, 415),
        (JSON, r#"{"username":"S3CRET","attempts":"S3CRET"}"#, 422),
        (JSON, r#"{"S3CRET"#, 400),
        (JSON, long, 413),
        (FORM, "username=S3CRET&attempts=S3CRET", 422),
    ] {
        let (refused, text) = ask(media, body).await;
        assert_eq!(refused, status, "{media} {body}");
        assert_eq!(text, "the body is not the expected form or JSON");
    }
}
