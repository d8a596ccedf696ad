//! HTTP over loopback: the same app without authentication, with a token that is remembered, and
//! with one that is verified every time. The server has one thread, the clients another.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use auth_core::Authenticator;
use auth_tower::AuthLayer;
use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Random, median};
use crate::world::{User, World};

const CONNECTIONS: usize = 32;

struct Server {
    name: &'static str,
    address: SocketAddr,
    rates: Vec<f64>,
}

pub fn measure(rounds: usize, length: Duration, world: &World) -> Vec<(&'static str, f64)> {
    let auth = [None, Some(world.with_cache()), Some(world.without_cache())];
    let names = ["no auth", "hit", "HS256 miss"];
    let mut servers = Vec::new();
    for (name, auth) in names.into_iter().zip(&auth) {
        servers.push(Server {
            name,
            address: axum_server(auth.clone()),
            rates: Vec::new(),
        });
    }
    for (name, auth) in ["actix: no auth", "actix: hit", "actix: HS256 miss"]
        .into_iter()
        .zip(&auth)
    {
        servers.push(Server {
            name,
            address: actix_server(auth.clone()),
            rates: Vec::new(),
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let request = format!(
        "GET /me HTTP/1.1\r\nhost: api.example\r\nauthorization: Bearer {}\r\n\r\n",
        world.token
    );
    let mut random = Random::new(3);
    for round in 0..=rounds {
        let first = random.below(servers.len());
        for turn in 0..servers.len() {
            let index = (first + turn) % servers.len();
            let server = &mut servers[index];
            let rate = runtime.block_on(rate(server.address, request.as_bytes(), length));
            // The first round warms up.
            if round > 0 {
                server.rates.push(rate);
            }
        }
    }
    println!("\n### HTTP/1.1 over loopback, {CONNECTIONS} connections, one server thread\n");
    println!("| | requests per second | of no auth |");
    println!("|---|---:|---:|");
    let mut ratios = Vec::new();
    let mut bare = 1.0;
    for server in servers {
        let rate = median(server.rates);
        if server.name.ends_with("no auth") {
            bare = rate;
        }
        println!("| {} | {rate:.0} | {:.3} |", server.name, rate / bare);
        ratios.push((server.name, rate / bare));
    }
    ratios
}

fn axum_server(auth: Option<Arc<Authenticator<User>>>) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("tokio wants it");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        let app = Router::new().route("/me", get(|| async { "hello" }));
        let app = match auth {
            Some(auth) => app.route_layer(AuthLayer::new(&auth)),
            None => app,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, app).await.expect("it serves");
        });
    });
    address
}

fn actix_server(auth: Option<Arc<Authenticator<User>>>) -> SocketAddr {
    use actix_web::{App, HttpServer, web};
    use auth_actix::AuthMiddleware;

    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let hello = || async { "hello" };
            match auth {
                Some(auth) => {
                    let auth = AuthMiddleware::new(auth.guard());
                    let app = move || {
                        App::new().service(web::resource("/me").wrap(auth.clone()).get(hello))
                    };
                    let server = HttpServer::new(app).workers(1).listen(listener);
                    server.expect("it listens").run().await
                }
                None => {
                    let app = move || App::new().service(web::resource("/me").get(hello));
                    let server = HttpServer::new(app).workers(1).listen(listener);
                    server.expect("it listens").run().await
                }
            }
            .expect("it serves");
        });
    });
    address
}

async fn rate(server: SocketAddr, request: &[u8], length: Duration) -> f64 {
    let count = Arc::new(AtomicUsize::new(0));
    let end = Instant::now() + length;
    let begin = Instant::now();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(client(server, request.to_vec(), end, Arc::clone(&count))))
        .collect();
    for client in clients {
        client.await.expect("no panic");
    }
    count.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64()
}

async fn client(server: SocketAddr, request: Vec<u8>, end: Instant, count: Arc<AtomicUsize>) {
    let mut stream = TcpStream::connect(server).await.expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    let mut buffer = [0; 2048];
    while Instant::now() < end {
        stream.write_all(&request).await.expect("it reads");
        let mut len = 0;
        while !buffer[..len].ends_with(b"hello") {
            let read = stream.read(&mut buffer[len..]).await.expect("it answers");
            assert!(read > 0, "it hung up");
            len += read;
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200"), "refused");
        count.fetch_add(1, Ordering::Relaxed);
    }
}
