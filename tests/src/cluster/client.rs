//! An HTTP client of one connection, which is made when it is needed and again when it broke.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(15);

/// No answer came; whether the request was seen is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnswer;

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no answer")
    }
}

impl std::error::Error for NoAnswer {}

/// What a node answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: Bytes,
}

/// A connection.
#[derive(Debug, Default)]
pub struct Client {
    open: Option<(SocketAddr, SendRequest<Full<Bytes>>)>,
}

impl Client {
    /// One that is not connected yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks with an access token.
    ///
    /// # Errors
    /// [`NoAnswer`]
    pub async fn get(
        &mut self,
        node: SocketAddr,
        path: &str,
        token: &str,
    ) -> Result<Reply, NoAnswer> {
        self.ask(node, Method::GET, path, Some(token), None).await
    }

    /// Posts JSON or nothing.
    ///
    /// # Errors
    /// [`NoAnswer`]
    pub async fn post(
        &mut self,
        node: SocketAddr,
        path: &str,
        token: Option<&str>,
        body: Option<String>,
    ) -> Result<Reply, NoAnswer> {
        self.ask(node, Method::POST, path, token, body).await
    }

    async fn ask(
        &mut self,
        node: SocketAddr,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<String>,
    ) -> Result<Reply, NoAnswer> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", node.to_string());
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = Full::new(Bytes::from(body.unwrap_or_default()));
        let request = request.body(body).map_err(|_| NoAnswer)?;
        let asked = tokio::time::timeout(PATIENCE, self.exchange(node, request)).await;
        let answer = asked.ok().flatten().ok_or(NoAnswer);
        if answer.is_err() {
            self.open = None;
        }
        answer
    }

    async fn exchange(&mut self, node: SocketAddr, request: Request<Full<Bytes>>) -> Option<Reply> {
        let sender = self.connected(node).await?;
        let response = sender.send_request(request).await.ok()?;
        let status = response.status();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        Some(Reply { status, body })
    }

    async fn connected(&mut self, node: SocketAddr) -> Option<&mut SendRequest<Full<Bytes>>> {
        let usable = match &mut self.open {
            Some((to, sender)) => *to == node && sender.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            let stream = TcpStream::connect(node).await.ok()?;
            let _ = stream.set_nodelay(true);
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
            tokio::spawn(connection);
            self.open = Some((node, sender));
        }
        self.open.as_mut().map(|(_, sender)| sender)
    }
}
