//! The API on actix-web.

use std::net::TcpListener;

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Json};
use actix_web::{App, HttpResponse, HttpServer};
use auth_actix::{AuthMiddleware, Claims};
use auth_core::remote::RemoteKeys;
use serde_json::{Value, json};

use crate::{Caller, Failure, Trust};

pub async fn serve(trust: Trust, listener: TcpListener) -> Result<(), Failure> {
    let (keys, auth) = trust.start()?;
    let callers = AuthMiddleware::new(&auth);
    let admins = AuthMiddleware::new(auth.guard().require_scope("admin")?);
    let kept = Data::new(keys.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(kept.clone())
            .service(web::resource("/whoami").wrap(callers.clone()).get(whoami))
            .service(web::resource("/admin").wrap(admins.clone()).get(admin))
            .route("/health", web::get().to(health))
    })
    .workers(2)
    .shutdown_timeout(5)
    .listen(listener)?;
    // It ends gracefully on Ctrl-C and SIGTERM.
    server.run().await?;
    keys.shutdown();
    Ok(())
}

async fn whoami(Claims(user): Claims<Caller>) -> Json<Value> {
    Json(crate::identity(&user))
}

async fn admin(Claims(user): Claims<Caller>) -> Json<Value> {
    Json(json!({ "secret": format!("for {} only", user.subject()) }))
}

async fn health(keys: Data<RemoteKeys>) -> HttpResponse {
    let (status, report) = crate::health(&keys);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).json(report)
}
