//! More than one server: three nodes of the example apps, two on axum and one on actix-web, with a
//! shared real store and a small balancer.
//!
//! ```text
//! cargo run -p example-cluster             the demonstration, then the balancer until Ctrl-C
//! cargo run -p example-cluster -- --once   the demonstration only
//! ```
//! The store is that of `DATABASE_URL` (`postgres://…` or `redis://…`), or a temporary server,
//! started from an installed PostgreSQL or Redis.

mod balancer;
mod nodes;
mod story;

use std::path::Path;

use example_cluster::server::{Failure, Kind, Server};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use self::nodes::{Node, Setting};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let once = std::env::args().any(|argument| argument == "--once");
    // Held until the end, because the server stops when it is dropped.
    let (database_url, server) = store().await?;
    // The key-encryption key must live as long as the store.
    let scratch = TempDir::new()?;
    let setting = Setting {
        data_dir: match &server {
            Some(_) => scratch.path(),
            None => Path::new("example-data"),
        },
        database_url: &database_url,
        password: &random_word()?,
    };
    nodes::build().await?;
    let nodes = [
        Node::start("A", "axum", setting).await?,
        Node::start("B", "axum", setting).await?,
        Node::start("C", "actix", setting).await?,
    ];

    println!();
    story::tell(&nodes, setting.password).await?;
    if once {
        return Ok(());
    }

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    println!("\nOpen http://localhost:{port} and sign in as");
    println!("  alice  {0}\n  admin  {0}", setting.password);
    println!("Each request goes to the next node; the response header X-Node names it.");
    println!("Press Ctrl-C to stop.");
    let served = axum::serve(listener, balancer::over(&nodes)).into_future();
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        served = served => served?,
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// The URL of a real store, and the server if this program started it.
async fn store() -> Result<(String, Option<Server>), Failure> {
    if let Ok(url) = std::env::var("DATABASE_URL") {
        println!("store: DATABASE_URL");
        return Ok((url, None));
    }
    let installed = [Kind::Postgres, Kind::Redis]
        .into_iter()
        .find(|kind| kind.is_installed());
    let Some(kind) = installed else {
        return Err(
            "the nodes need a shared store: set DATABASE_URL to a postgres:// or redis:// URL, \
             or install PostgreSQL or Redis (Debian: apt-get install postgresql or redis-server; \
             macOS: brew install postgresql or redis)"
                .into(),
        );
    };
    let server = Server::start(kind).await?;
    println!("store: a temporary {}", kind.name());
    Ok((server.url_at(server.port()), Some(server)))
}

fn random_word() -> Result<String, Failure> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}
