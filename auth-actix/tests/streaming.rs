//! Bodies are streamed without buffering.

mod common;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use actix_web::{App, HttpResponse, test, web};
use auth_actix::AuthMiddleware;
use common::{auth, bearer, get, token};
use futures_util::stream;

#[actix_web::test]
async fn b16_a_streamed_body_is_passed_on_chunk_by_chunk() {
    // One chunk, then silence: a layer that buffers the body would never respond.
    let handler = || async {
        let mut sent = false;
        let chunks = stream::poll_fn(move |_| match std::mem::replace(&mut sent, true) {
            false => Poll::Ready(Some(Ok::<_, actix_web::Error>(Bytes::from_static(
                b"data: 1\n\n",
            )))),
            true => Poll::Pending,
        });
        HttpResponse::Ok()
            .content_type("text/event-stream")
            .streaming(chunks)
    };
    let app = App::new()
        .wrap(AuthMiddleware::new(auth()))
        .route("/", web::get().to(handler));
    let app = test::init_service(app).await;
    let response = test::call_service(&app, bearer(get("/"), &token()).to_request()).await;
    assert_eq!(
        response.headers().get("content-type").unwrap(),
        "text/event-stream"
    );
    let mut body = pin!(response.into_body());
    assert_eq!(body.size(), BodySize::Stream);
    let first = poll_fn(|cx| body.as_mut().poll_next(cx)).await.unwrap();
    assert_eq!(first.ok().unwrap(), Bytes::from_static(b"data: 1\n\n"));
    let second = poll_fn(|cx| Poll::Ready(body.as_mut().poll_next(cx).is_pending())).await;
    assert!(second);
}
