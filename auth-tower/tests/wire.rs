//! The layer under a real server, with real clients: HTTP/2 and upgrades.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use auth_tower::{AuthLayer, Claims};
use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use common::{ACCESS_COOKIE, User, alice, auth, auth_with_cookies, bearer};
use http::header::{CONNECTION, COOKIE, HOST, ORIGIN, UPGRADE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

/// Serves `app` on one end of a pipe, and returns the other end.
fn serve(app: Router) -> TokioIo<DuplexStream> {
    let (server, client) = duplex(64 * 1024);
    tokio::spawn(async move {
        hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
            .serve_connection_with_upgrades(TokioIo::new(server), TowerToHyperService::new(app))
            .await
    });
    TokioIo::new(client)
}

async fn http2(app: Router, request: Request<Body>) -> Response<Incoming> {
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), serve(app))
            .await
            .unwrap();
    tokio::spawn(connection);
    client.send_request(request).await.unwrap()
}

#[tokio::test]
async fn b20_http_2_with_one_cookie_per_field_and_ours_last_of_50() {
    let app = Router::new()
        .route("/me", get(|_: Claims<User>| async {}))
        .layer(AuthLayer::new(auth_with_cookies()));
    let mut request = Request::get("https://app.example/me");
    for n in 0..49 {
        request = request.header(COOKIE, format!("c{n}=v"));
    }
    let stranger = Request::get("https://app.example/me");
    let request = request.header(COOKIE, format!("{ACCESS_COOKIE}={}", alice().mint()));
    let response = http2(app.clone(), request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::OK);
    let response = http2(app, stranger.body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn c14_http_2_compares_the_origin_with_the_authority() {
    let app = Router::new()
        .route("/me", any(|_: Claims<User>| async {}))
        .layer(AuthLayer::new(auth_with_cookies()));
    let cookie = format!("{ACCESS_COOKIE}={}", alice().mint());
    for (origin, host, status) in [
        ("https://app.example", None, StatusCode::OK),
        ("https://evil.example", None, StatusCode::FORBIDDEN),
        (
            "https://evil.example",
            Some("evil.example"),
            StatusCode::FORBIDDEN,
        ),
    ] {
        let mut request = Request::post("https://app.example/me")
            .header(COOKIE, &cookie)
            .header(ORIGIN, origin)
            .body(Body::empty())
            .unwrap();
        if let Some(host) = host {
            request
                .headers_mut()
                .insert(HOST, HeaderValue::from_static(host));
        }
        assert_eq!(
            http2(app.clone(), request).await.status(),
            status,
            "{origin} {host:?}"
        );
    }
}

/// Switches protocols and echoes what it reads.
async fn echo(_: Claims<User>, mut request: Request<Body>) -> Response<Body> {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgrade.await.unwrap());
        let mut word = [0; 5];
        stream.read_exact(&mut word).await.unwrap();
        stream.write_all(&word).await.unwrap();
    });
    let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    let response = response
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "echo");
    response.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn b16_an_upgrade_passes_with_a_token_and_not_without() {
    let app = Router::new()
        .route("/echo", get(echo))
        .layer(AuthLayer::new(auth()));
    let ask = || {
        common::request(Method::GET, "/echo")
            .header(HOST, "app.example")
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, "echo")
    };
    let (mut client, connection) = hyper::client::conn::http1::handshake(serve(app))
        .await
        .unwrap();
    tokio::spawn(connection.with_upgrades());

    let stranger = ask().body(Body::empty()).unwrap();
    let refused = client.send_request(stranger).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);

    let user = bearer(ask(), &alice().mint()).body(Body::empty()).unwrap();
    let response = client.send_request(user).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let mut stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    stream.write_all(b"hello").await.unwrap();
    let mut word = [0; 5];
    stream.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"hello");
}
