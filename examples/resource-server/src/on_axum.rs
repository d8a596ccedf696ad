//! The API on axum.

use std::net::TcpListener;

use auth_core::remote::RemoteKeys;
use auth_tower::{AuthLayer, Claims};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::{Caller, Failure, Trust};

pub async fn serve(trust: Trust, listener: TcpListener) -> Result<(), Failure> {
    let (keys, auth) = trust.start()?;
    let admins = AuthLayer::new(auth.guard().require_scope("admin")?);
    let app = Router::new()
        .route("/whoami", get(whoami).route_layer(AuthLayer::new(&auth)))
        .route("/admin", get(admin).route_layer(admins))
        .route("/health", get(health))
        .with_state(keys.clone());
    let mut terminate = signal(SignalKind::terminate())?;
    axum::serve(tokio::net::TcpListener::from_std(listener)?, app)
        .with_graceful_shutdown(async move {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        })
        .await?;
    keys.shutdown();
    Ok(())
}

async fn whoami(Claims(user): Claims<Caller>) -> Json<Value> {
    Json(crate::identity(&user))
}

async fn admin(Claims(user): Claims<Caller>) -> Json<Value> {
    Json(json!({ "secret": format!("for {} only", user.subject()) }))
}

async fn health(State(keys): State<RemoteKeys>) -> (StatusCode, Json<Value>) {
    let (status, report) = crate::health(&keys);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(report))
}
