//! A real client against both servers: accepted connections, and their end.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::time::Duration;

use auth_core::session::{EndedBy, LoginRequest, Tokens};
use example_live::{Live, actix, axum};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::Response;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const LONG: Duration = Duration::from_secs(600);
/// A limit for "at once", far longer than on the slowest machine.
const SOON: Duration = Duration::from_secs(120);
/// Token lifetimes for the test of expiry, increasing until a connection opens in time.
const BRIEF: [Duration; 4] = [
    Duration::from_secs(3),
    Duration::from_secs(12),
    Duration::from_secs(48),
    Duration::from_secs(100),
];

/// Both servers over one set of sessions.
async fn servers(access: Duration) -> (Live, [SocketAddr; 2]) {
    let live = Live::new(access).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let on_axum = listener.local_addr().unwrap();
    let app = axum::app(&live);
    tokio::spawn(async move { ::axum::serve(listener, app).await.unwrap() });

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let on_actix = listener.local_addr().unwrap();
    let shared = live.clone();
    std::thread::spawn(move || {
        let app = move || actix_web::App::new().configure(actix::app(&shared));
        let server = actix_web::HttpServer::new(app).workers(1);
        let server = server.disable_signals().listen(listener).unwrap();
        actix_web::rt::System::new().block_on(server.run()).unwrap();
    });
    (live, [on_axum, on_actix])
}

async fn sign_in(live: &Live) -> Tokens {
    let login = LoginRequest::for_subject("alice");
    live.sessions.login(login).await.unwrap()
}

/// The socket and the response of the handshake, or the status of the refusal.
async fn open(
    server: SocketAddr,
    fields: &[(&'static str, &str)],
) -> Result<(Socket, Response<Option<Vec<u8>>>), u16> {
    let mut request = format!("ws://{server}/socket")
        .into_client_request()
        .unwrap();
    for (name, value) in fields {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    match connect_async(request).await {
        Ok(opened) => Ok(opened),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn echoes(socket: &mut Socket) {
    socket.send(Message::text("hello")).await.unwrap();
    let echo = timeout(SOON, socket.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(echo, Message::text("alice: hello"));
}

/// Waits for the close frame.
async fn closed(mut socket: Socket) -> (u16, String) {
    loop {
        match timeout(SOON, socket.next())
            .await
            .expect("it is closed soon")
        {
            Some(Ok(Message::Close(Some(frame)))) => {
                return (frame.code.into(), frame.reason.to_string());
            }
            Some(Ok(_)) => {}
            other => panic!("no close frame: {other:?}"),
        }
    }
}

#[tokio::test]
async fn only_our_own_pages_open_a_socket_by_cookie() {
    let (live, servers) = servers(LONG).await;
    let tokens = sign_in(&live).await;
    let cookie = format!("__Host-Http-at={}", tokens.access().expose());
    for server in servers {
        let own = format!("http://{server}");
        let cookie = ("cookie", cookie.as_str());
        let (mut socket, _) = open(server, &[cookie, ("origin", &own)]).await.unwrap();
        echoes(&mut socket).await;
        for fields in [
            &[cookie][..],
            &[cookie, ("origin", "http://evil.example")],
            &[cookie, ("origin", "null")],
            &[cookie, ("origin", "http://127.0.0.1:1")],
            &[cookie, ("origin", &own), ("origin", "http://evil.example")],
            &[cookie, ("sec-fetch-site", "cross-site")],
        ] {
            assert_eq!(
                open(server, fields).await.unwrap_err(),
                403,
                "{:?}",
                &fields[1..]
            );
        }
        assert_eq!(open(server, &[("origin", &own)]).await.unwrap_err(), 401);
    }
}

#[tokio::test]
async fn a_token_among_the_subprotocols_is_taken_and_not_sent_back() {
    let (live, servers) = servers(LONG).await;
    let tokens = sign_in(&live).await;
    let token = tokens.access().expose();
    let offered = format!("live, bearer.{token}");
    for server in servers {
        // From any origin: another site does not have the token.
        let fields = [
            ("sec-websocket-protocol", offered.as_str()),
            ("origin", "http://evil.example"),
        ];
        let (mut socket, answer) = open(server, &fields).await.unwrap();
        assert_eq!(answer.headers()["sec-websocket-protocol"], "live");
        assert!(!format!("{answer:?}").contains(token));
        echoes(&mut socket).await;

        let twice = format!("{offered}, bearer.{token}");
        let cookie = format!("__Host-Http-at={token}");
        let header = format!("Bearer {token}");
        let protocols = "sec-websocket-protocol";
        for (fields, status) in [
            (&[(protocols, twice.as_str())][..], 400),
            (&[(protocols, "live, bearer.")], 400),
            (&[(protocols, "live, bearer.x.y.z")], 401),
            (&[(protocols, "live")], 401),
            (&[(protocols, &offered), ("cookie", &cookie)], 400),
            (&[(protocols, &offered), ("authorization", &header)], 400),
        ] {
            assert_eq!(open(server, fields).await.unwrap_err(), status);
        }
    }
}

#[tokio::test]
async fn a_socket_is_closed_as_soon_as_its_session_ends() {
    let (live, servers) = servers(LONG).await;
    for server in servers {
        let (tokens, other) = (sign_in(&live).await, sign_in(&live).await);
        let header = |tokens: &Tokens| format!("Bearer {}", tokens.access().expose());
        let (header, others) = (header(&tokens), header(&other));
        let (mut socket, _) = open(server, &[("authorization", &header)]).await.unwrap();
        let (mut stays, _) = open(server, &[("authorization", &others)]).await.unwrap();
        echoes(&mut socket).await;
        live.sessions
            .end(tokens.session(), EndedBy::App)
            .await
            .unwrap();
        assert_eq!(closed(socket).await, (1008, "revoked".to_owned()));
        assert_eq!(
            open(server, &[("authorization", &header)])
                .await
                .unwrap_err(),
            401
        );
        // Another device of the same user continues, until all sessions are ended.
        echoes(&mut stays).await;
        live.sessions.end_all("alice", EndedBy::App).await.unwrap();
        assert_eq!(closed(stays).await, (1008, "revoked".to_owned()));
    }
}

#[tokio::test]
async fn a_socket_is_closed_when_its_token_expires() {
    for which in 0..2 {
        for access in BRIEF {
            let (live, servers) = servers(access).await;
            let tokens = sign_in(&live).await;
            let header = format!("Bearer {}", tokens.access().expose());
            let opened = open(servers[which], &[("authorization", &header)]).await;
            if let Ok((socket, _)) = opened {
                assert_eq!(closed(socket).await, (1008, "expired".to_owned()));
                break;
            }
            assert_ne!(Some(&access), BRIEF.last(), "it never opened");
        }
    }
}

/// The texts of the event stream, until `last` or the end of the stream.
struct Listener(TcpStream, String);

impl Listener {
    async fn at(server: SocketAddr, token: &str) -> Self {
        let mut stream = TcpStream::connect(server).await.unwrap();
        let request = format!(
            "GET /events HTTP/1.1\r\nhost: {server}\r\nauthorization: Bearer {token}\r\n\
             connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        Self(stream, String::new())
    }

    async fn hears(&mut self, last: Option<&str>) -> &str {
        let Self(stream, said) = self;
        let mut part = [0; 4096];
        while last.is_none_or(|last| !said.contains(last)) {
            let read = timeout(SOON, stream.read(&mut part)).await;
            let read = read.expect("the stream goes on or ends").unwrap();
            if read == 0 {
                break;
            }
            said.push_str(std::str::from_utf8(&part[..read]).unwrap());
        }
        said
    }
}

#[tokio::test]
async fn server_sent_events_end_with_the_session() {
    let (live, servers) = servers(LONG).await;
    for server in servers {
        let tokens = sign_in(&live).await;
        let token = tokens.access().expose();
        let mut listener = Listener::at(server, token).await;
        let said = listener.hears(Some("data: 1\n\n")).await;
        assert!(
            said.starts_with("HTTP/1.1 200") && said.contains("data: 1\n\n"),
            "{said}"
        );
        live.sessions
            .end(tokens.session(), EndedBy::App)
            .await
            .unwrap();
        let said = listener.hears(None).await;
        assert!(said.contains("event: end\ndata: revoked\n\n"), "{said}");
        let mut late = Listener::at(server, token).await;
        assert!(late.hears(None).await.starts_with("HTTP/1.1 401"));
    }
}

#[tokio::test]
async fn server_sent_events_end_with_the_token() {
    for which in 0..2 {
        for access in BRIEF {
            let (live, servers) = servers(access).await;
            let tokens = sign_in(&live).await;
            let mut listener = Listener::at(servers[which], tokens.access().expose()).await;
            let said = listener.hears(None).await;
            if said.starts_with("HTTP/1.1 200") {
                assert!(said.contains("event: end\ndata: expired\n\n"), "{said}");
                break;
            }
            assert_ne!(Some(&access), BRIEF.last(), "{said}");
        }
    }
}
