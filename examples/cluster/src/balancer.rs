//! A round-robin balancer without sticky sessions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, HeaderValue};
use axum::http::uri::{Authority, Scheme};
use axum::http::{StatusCode, Uri, Version};
use axum::response::{IntoResponse, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::nodes::Node;

struct Balancer {
    nodes: Vec<(&'static str, SocketAddr)>,
    turn: AtomicUsize,
    client: Client<HttpConnector, Body>,
}

/// Creates a balancer over these nodes.
pub fn over(nodes: &[Node]) -> Router {
    let balancer = Balancer {
        nodes: nodes.iter().map(|node| (node.name, node.address)).collect(),
        turn: AtomicUsize::new(0),
        client: Client::builder(TokioExecutor::new()).build_http(),
    };
    Router::new()
        .fallback(forward)
        .with_state(Arc::new(balancer))
}

async fn forward(State(balancer): State<Arc<Balancer>>, mut request: Request) -> Response {
    let turn = balancer.turn.fetch_add(1, Ordering::Relaxed);
    let Some((name, address)) = balancer
        .nodes
        .get(turn.checked_rem(balancer.nodes.len()).unwrap_or(0))
    else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let Ok(uri) = at(request.uri(), *address) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    // The Host field stays as the browser sent it: the nodes compare it with Origin.
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_11;
    request.headers_mut().remove(CONNECTION);
    match balancer.client.request(request).await {
        Ok(mut response) => {
            response.headers_mut().remove(CONNECTION);
            response
                .headers_mut()
                .insert("x-node", HeaderValue::from_static(name));
            response.into_response()
        }
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

fn at(uri: &Uri, address: SocketAddr) -> Result<Uri, axum::http::Error> {
    let mut parts = uri.clone().into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(Authority::try_from(address.to_string())?);
    Ok(Uri::from_parts(parts)?)
}
