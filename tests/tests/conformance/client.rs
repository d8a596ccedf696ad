//! HTTP clients that can send what well-behaved ones cannot.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A request, down to the bytes of its header values.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// Adds a header line; earlier ones of the same name stay.
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.with("authorization", format!("Bearer {token}"))
    }

    /// The access cookie of the presets for one site.
    pub fn cookie(self, token: &str) -> Self {
        self.with("cookie", format!("__Host-Http-at={token}"))
    }

    pub fn json(self, body: &serde_json::Value) -> Self {
        let mut request = self.with("content-type", "application/json");
        request.body = body.to_string().into_bytes();
        request
    }

    fn has(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(own, _)| own.eq_ignore_ascii_case(name))
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let mut line = |name: &str, value: &[u8]| {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        };
        if !self.has("host") {
            line("host", HOST.as_bytes());
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        if !self.body.is_empty() {
            line("content-length", self.body.len().to_string().as_bytes());
        }
        line("connection", b"close");
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// What requests name as their host unless they say otherwise: the same for every server.
pub const HOST: &str = "api.example";

/// A response, as far as the servers must agree on it.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    /// In lower case, sorted; without the date and what concerns the connection.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    fn new(status: u16, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        const HOP_BY_HOP: [&str; 4] = ["connection", "date", "keep-alive", "transfer-encoding"];
        let mut headers: Vec<_> = headers
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .filter(|(name, _)| !HOP_BY_HOP.contains(&name.as_str()))
            .collect();
        headers.sort();
        Self {
            status,
            headers,
            body,
        }
    }

    /// The one value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(own, _)| own == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} occurs twice in {self:?}");
        value
    }

    pub fn headers(&self, name: &str) -> Vec<&str> {
        let values = self.headers.iter().filter(|(own, _)| own == name);
        values.map(|(_, value)| value.as_str()).collect()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON in {self:?}"))
    }

    /// The parameters of the challenge, read strictly: `Bearer`, then `name="value"` separated by
    /// commas, each name once.
    pub fn challenge(&self) -> Option<BTreeMap<String, String>> {
        let text = self.header("www-authenticate")?;
        let parameters = text.strip_prefix("Bearer ").expect("the scheme is Bearer");
        let mut found = BTreeMap::new();
        for parameter in parameters.split(", ") {
            let (name, value) = parameter.split_once('=').expect("name=value");
            let value = value
                .strip_prefix('"')
                .and_then(|value| value.strip_suffix('"'));
            let value = value.expect("values are quoted");
            assert!(
                value
                    .bytes()
                    .all(|byte| matches!(byte, 0x20..=0x7E) && byte != b'"')
            );
            assert!(!value.contains('\\'), "nothing needs escaping");
            let before = found.insert(name.to_owned(), value.to_owned());
            assert!(before.is_none(), "{name} occurs twice in {text}");
        }
        assert!(found.contains_key("realm"), "{text}");
        Some(found)
    }

    /// The challenge's error code; the outer `None` means that there is no challenge.
    pub fn error_code(&self) -> Option<Option<String>> {
        Some(self.challenge()?.remove("error"))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        writeln!(f)?;
        f.write_str(&String::from_utf8_lossy(&self.body))
    }
}

/// What `work` gives, and how long it takes.
#[allow(clippy::disallowed_methods, reason = "this is about real time")]
pub fn timed<R>(work: impl FnOnce() -> R) -> (R, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

/// Sends over a connection of its own; `None` if the server hangs up without an answer.
pub fn send(server: SocketAddr, request: &Request) -> Option<Reply> {
    let mut stream = TcpStream::connect(server).expect("the server listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // A server may answer and hang up before it has read everything.
    let _ = stream.write_all(&request.to_bytes());
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    parse(&bytes, request.method == "HEAD")
}

fn parse(bytes: &[u8], is_head: bool) -> Option<Reply> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head: String = bytes[..end].iter().map(|byte| char::from(*byte)).collect();
    let body = &bytes[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(':').expect("name: value"))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let header = |wanted: &str| {
        headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value)
    };
    assert_eq!(
        header("transfer-encoding"),
        None,
        "no route of the shims streams"
    );
    if is_head {
        assert_eq!(body, b"", "a HEAD response has no body");
    } else if let Some(length) = header("content-length") {
        assert_eq!(length.parse(), Ok(body.len()), "the whole body arrived");
    }
    Some(Reply::new(status, headers, body.to_vec()))
}

/// Sends over HTTP/2 with prior knowledge, each header line as a field of its own.
pub fn send_h2(server: SocketAddr, request: &Request) -> Reply {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(send_h2_async(server, request))
}

async fn send_h2_async(server: SocketAddr, request: &Request) -> Reply {
    use http_body_util::{BodyExt, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let host = request.headers.iter().find(|(name, _)| name == "host");
    let host = host.map_or(HOST, |(_, value)| std::str::from_utf8(value).unwrap());
    let uri = format!("http://{host}{}", request.target);
    let mut builder = hyper::Request::builder()
        .method(request.method.as_str())
        .uri(uri);
    for (name, value) in request.headers.iter().filter(|(name, _)| name != "host") {
        builder = builder.header(name, value.as_slice());
    }
    let body = Full::new(hyper::body::Bytes::from(request.body.clone()));
    let request = builder.body(body).unwrap();

    let stream = tokio::net::TcpStream::connect(server).await.unwrap();
    let (mut client, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .max_header_list_size(1 << 24)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let response = client
        .send_request(request)
        .await
        .expect("an answer over HTTP/2");
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    drop(client);
    let _ = connection.await;
    let headers = head.headers.iter().map(|(name, value)| {
        let value = value
            .as_bytes()
            .iter()
            .map(|byte| char::from(*byte))
            .collect();
        (name.as_str().to_owned(), value)
    });
    Reply::new(head.status.as_u16(), headers.collect(), body)
}
