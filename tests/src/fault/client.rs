//! A browser, as far as it matters: HTTP/1.1 over one connection that is kept open, cookies that
//! are sent as told, and answers of which the cookies are read.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::app::{self, SUBJECT};

/// A connection that was not used for longer is not used again: the server may be closing it.
const IDLE: Duration = Duration::from_secs(2);

/// An answer of a node.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The refresh token in its cookie.
    pub refresh: Option<String>,
    /// The access token in its cookie.
    pub access: Option<String>,
    /// Whether it clears a cookie.
    pub clears: bool,
    /// Whether it says when to try again.
    pub retry_after: bool,
    /// The body.
    pub body: Vec<u8>,
}

/// What the body of a granted refresh by cookie says.
#[derive(Clone, Debug, Deserialize)]
pub struct Grant {
    /// Which row of the protocol's table it was.
    pub outcome: String,
    /// The session's generation.
    pub generation: u32,
}

impl Reply {
    /// What was granted, if it was.
    #[must_use]
    pub fn grant(&self) -> Option<Grant> {
        (self.status == 200)
            .then(|| serde_json::from_slice(&self.body).ok())
            .flatten()
    }

    pub(crate) fn set_cookie(&mut self, line: &str) {
        let pair = line.split(';').next().unwrap_or_default();
        let Some((name, value)) = pair.split_once('=') else {
            return;
        };
        let cookies = app::cookies();
        if value.is_empty() {
            self.clears = true;
        } else if name == cookies.refresh_cookie().name() {
            self.refresh = Some(value.to_owned());
        } else if name == cookies.access_cookie().name() {
            self.access = Some(value.to_owned());
        }
    }
}

/// A client of one node.
#[derive(Debug)]
pub struct Client {
    node: SocketAddr,
    patience: Duration,
    connection: Option<BufReader<TcpStream>>,
    used_at: Instant,
}

impl Client {
    /// A client that waits for an answer as long as this.
    #[must_use]
    pub fn new(node: SocketAddr, patience: Duration) -> Self {
        Self {
            node,
            patience,
            connection: None,
            used_at: Instant::now(),
        }
    }

    /// Connects, so that the next request need not.
    ///
    /// # Errors
    /// If nobody listens.
    pub async fn connect(&mut self) -> io::Result<()> {
        if self.connection.is_none() || self.used_at.elapsed() > IDLE {
            let stream = TcpStream::connect(self.node).await?;
            stream.set_nodelay(true)?;
            self.connection = Some(BufReader::new(stream));
        }
        self.used_at = Instant::now();
        Ok(())
    }

    /// Signs somebody in.
    ///
    /// # Errors
    /// If there was no answer.
    pub async fn login(&mut self, subject: &str) -> io::Result<Reply> {
        let head = format!("{SUBJECT}: {subject}\r\n");
        self.send("POST", "/login", &head, "").await
    }

    /// Refreshes with this token.
    ///
    /// # Errors
    /// If there was no answer.
    pub async fn refresh(&mut self, token: &str) -> io::Result<Reply> {
        self.with_refresh_cookie("/auth/refresh", token).await
    }

    /// Signs out with this refresh token.
    ///
    /// # Errors
    /// If there was no answer.
    pub async fn logout(&mut self, token: &str) -> io::Result<Reply> {
        self.with_refresh_cookie("/auth/logout", token).await
    }

    /// Asks for the guarded page with this access token.
    ///
    /// # Errors
    /// If there was no answer.
    pub async fn me(&mut self, access: &str) -> io::Result<Reply> {
        let head = format!("authorization: Bearer {access}\r\n");
        self.send("GET", "/me", &head, "").await
    }

    async fn with_refresh_cookie(&mut self, path: &str, token: &str) -> io::Result<Reply> {
        self.send("POST", path, &refresh_cookie(token), "").await
    }

    /// Sends a refresh and goes away without waiting for the answer.
    ///
    /// # Errors
    /// If it could not be sent.
    pub async fn refresh_and_leave(&mut self, token: &str) -> io::Result<()> {
        self.connect().await?;
        let request = request("POST", "/auth/refresh", &refresh_cookie(token), "");
        if let Some(mut connection) = self.connection.take() {
            connection.get_mut().write_all(request.as_bytes()).await?;
        }
        Ok(())
    }

    /// Sends a request and reads the answer. A connection that was of no use is closed.
    ///
    /// # Errors
    /// If there was no answer, not in time, or none that can be read.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        head: &str,
        body: &str,
    ) -> io::Result<Reply> {
        let request = request(method, path, head, body);
        let patience = self.patience;
        let exchange = async {
            self.connect().await?;
            let mut connection = self.connection.take().ok_or(io::ErrorKind::NotConnected)?;
            connection.get_mut().write_all(request.as_bytes()).await?;
            let reply = read(&mut connection).await?;
            self.connection = Some(connection);
            Ok(reply)
        };
        match tokio::time::timeout(patience, exchange).await {
            Ok(done) => done,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

fn refresh_cookie(token: &str) -> String {
    let cookies = app::cookies();
    format!("cookie: {}={token}\r\n", cookies.refresh_cookie().name())
}

fn request(method: &str, path: &str, head: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: app.example\r\nsec-fetch-site: same-origin\r\n\
         content-length: {}\r\n{head}\r\n{body}",
        body.len()
    )
}

async fn read(from: &mut BufReader<TcpStream>) -> io::Result<Reply> {
    let mut reply = Reply::default();
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if from.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let text = line.trim_end();
        if text.is_empty() {
            break;
        }
        if reply.status == 0 {
            let status = text.split(' ').nth(1).and_then(|it| it.parse().ok());
            reply.status = status.ok_or(io::ErrorKind::InvalidData)?;
            continue;
        }
        let (name, value) = text.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                length = value
                    .trim()
                    .parse()
                    .map_err(|_| io::ErrorKind::InvalidData)?;
            }
            "set-cookie" => reply.set_cookie(value.trim()),
            "retry-after" => reply.retry_after = true,
            _ => {}
        }
    }
    reply.body = vec![0; length];
    from.read_exact(&mut reply.body).await?;
    Ok(reply)
}
