//! The server on axum.

use auth_core::{AccessEnd, AuthContext};
use auth_tower::{AuthLayer, Claims, session_routes};
use axum::body::Body;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Extension, Router};

use crate::{Live, SUBPROTOCOL};

/// The routes `/socket` and `/events`. Both require a valid token.
pub fn app(live: &Live) -> Router {
    Router::new()
        .route("/socket", any(socket))
        .route("/events", any(events))
        .route_layer(AuthLayer::new(&live.auth))
        .merge(session_routes(live.routes.clone()))
}

async fn socket(
    Extension(context): Extension<AuthContext>,
    Claims(user): Claims<()>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Some(end) = context.access_end() else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    upgrade
        .protocols([SUBPROTOCOL])
        .on_upgrade(move |socket| async move { talk(socket, user.subject(), end).await })
}

async fn talk(mut socket: WebSocket, name: &str, end: AccessEnd) {
    let reason = loop {
        tokio::select! {
            reason = end.reached() => break reason,
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    let echo = Message::text(format!("{name}: {text}"));
                    if socket.send(echo).await.is_err() {
                        return;
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
        }
    };
    let close = CloseFrame {
        code: reason.close_code(),
        reason: reason.as_str().into(),
    };
    let _ = socket.send(Message::Close(Some(close))).await;
}

async fn events(Extension(context): Extension<AuthContext>) -> Response {
    let Some(end) = context.access_end() else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, Body::from_stream(crate::events(end))).into_response()
}
