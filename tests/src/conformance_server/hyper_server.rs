//! How `shim-axum` and `shim-hyper` serve. `axum::serve` has no way to set the limits that all
//! shims share.

use std::convert::Infallible;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, MAX_HEAD_BYTES, MAX_HEAD_LINES, MAX_HEADER_LIST, announce};

/// Serves until SIGTERM.
///
/// # Errors
/// If nothing can listen there.
pub async fn run<S, B>(listen: &str, service: S) -> Result<(), Failure>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: Body<Data: Send, Error: Into<Failure>> + Send + 'static,
{
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEAD_LINES);
    server.http2().max_header_list_size(MAX_HEADER_LIST);
    let listener = TcpListener::bind(listen).await?;
    announce(listener.local_addr()?)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let connections = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            _ = terminate.recv() => break,
        };
        let connection =
            server.serve_connection_with_upgrades(TokioIo::new(stream), service.clone());
        let connection = connections.watch(connection.into_owned());
        tokio::spawn(async move {
            let _ = connection.await;
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(Duration::from_secs(5), connections.shutdown()).await;
    Ok(())
}
