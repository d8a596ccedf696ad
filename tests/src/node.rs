//! How the nodes of the tests begin, which are processes of their own.
//!
//! 1. A node's settings are the first line of its standard input; when that ends, so does the node.
//! 2. It prints one line, its address.

use std::io::{BufRead, Read, Write};
use std::net::SocketAddr;

use serde::de::DeserializeOwned;

use crate::cluster::Failure;

/// What this node is told. Its warnings go to standard error from here on.
pub(crate) fn settings<S: DeserializeOwned>() -> Result<S, Failure> {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let settings = serde_json::from_str(&line)?;
    std::thread::spawn(|| {
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    Ok(settings)
}

/// Tells whoever started this node where it listens.
pub(crate) fn announce(address: SocketAddr) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{address}")?;
    out.flush()
}

/// Runs a node on axum.
pub(crate) fn block_on_axum(
    node: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(node)
}

/// Runs a node on actix-web.
pub(crate) fn block_on_actix(
    node: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    actix_web::rt::System::new().block_on(node)
}
