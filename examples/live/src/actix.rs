//! The server on actix-web.

use actix_web::web::{Payload, ReqData, ServiceConfig, resource, route};
use actix_web::{HttpRequest, HttpResponse};
use actix_ws::{CloseReason, Message, MessageStream, Session};
use auth_actix::{AuthMiddleware, Claims, session_routes};
use auth_core::{AccessEnd, AuthContext};

use crate::{Live, SUBPROTOCOL};

/// The routes `/socket` and `/events`. Both require a valid token.
pub fn app(live: &Live) -> impl FnOnce(&mut ServiceConfig) {
    let guard = AuthMiddleware::new(&live.auth);
    let routes = live.routes.clone();
    move |app| {
        let socket = resource("/socket").route(route().to(socket));
        let events = resource("/events").route(route().to(events));
        app.service(socket.wrap(guard.clone()))
            .service(events.wrap(guard))
            .configure(session_routes(routes));
    }
}

async fn socket(
    context: ReqData<AuthContext>,
    Claims(user): Claims<()>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, actix_web::Error> {
    let Some(end) = context.access_end() else {
        return Ok(HttpResponse::Unauthorized().finish());
    };
    let protocols = &[SUBPROTOCOL];
    let (response, session, messages) = actix_ws::handle_with_protocols(&request, body, protocols)?;
    actix_web::rt::spawn(async move { talk(session, messages, user.subject(), end).await });
    Ok(response)
}

async fn talk(mut session: Session, mut messages: MessageStream, name: &str, end: AccessEnd) {
    let reason = loop {
        tokio::select! {
            reason = end.reached() => break reason,
            message = messages.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    if session.text(format!("{name}: {text}")).await.is_err() {
                        return;
                    }
                }
                Some(Ok(Message::Ping(bytes))) => {
                    let _ = session.pong(&bytes).await;
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
        }
    };
    let close = CloseReason {
        code: reason.close_code().into(),
        description: Some(reason.as_str().into()),
    };
    let _ = session.close(Some(close)).await;
}

async fn events(context: ReqData<AuthContext>) -> HttpResponse {
    let Some(end) = context.access_end() else {
        return HttpResponse::Unauthorized().finish();
    };
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("cache-control", "no-store"))
        .streaming(crate::events(end))
}
