//! What `shim-axum`, `shim-actix` and `shim-hyper` have in common: everything but routing and serving.
//!
//! 1. A configuration is JSON; a key that is not known, or not known yet, is an error.
//! 2. A configuration that the library refuses ends the program with status 2 and the error on
//!    standard error, before anything listens.
//! 3. All servers read request heads of up to 128 KiB and 96 lines over HTTP/1.1 (what actix-web
//!    has built in) and answer 431 beyond; over HTTP/2 they read 16 MiB.

mod app;
mod config;
mod control;
mod feed;
pub mod hyper_server;
mod issuers;
mod oauth;
mod sessions;
mod setup;
mod wire;

pub use config::Config;
pub use sessions::SessionPart;
pub use setup::{Admin, PrivateClaims, Setup, Typed};
pub use wire::{CACHED, typed, whoami, whoami_maybe};

use std::future::Future;
use std::io::{Read, Write};
use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};

/// Longest request head over HTTP/1.1, in bytes.
pub const MAX_HEAD_BYTES: usize = 128 * 1024;
/// Most header lines of a request over HTTP/1.1.
pub const MAX_HEAD_LINES: usize = 96;
/// Longest header list over HTTP/2, in bytes.
pub const MAX_HEADER_LIST: u32 = 16 * 1024 * 1024;

/// Anything that ends a server.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The runtime that everything runs on.
///
/// # Errors
/// If the system has no threads left.
pub fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}

/// Reads the configuration that the arguments name, builds, and hands over to `serve`.
pub async fn run<S>(serve: impl FnOnce(Config, Setup) -> S) -> ExitCode
where
    S: Future<Output = Result<(), Failure>>,
{
    log_to_stderr();
    let (config, setup) = match build().await {
        Ok(built) => built,
        Err(error) => return end(2, &error),
    };
    match serve(config, setup).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => end(1, &error),
    }
}

async fn build() -> Result<(Config, Setup), Failure> {
    let config = read_config()?;
    let setup = Setup::new(&config).await?;
    Ok((config, setup))
}

/// Says on standard output where the server listens, for whoever started it.
pub fn announce(address: std::net::SocketAddr) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening http://{address}")?;
    out.flush()
}

fn end(status: u8, error: &Failure) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{error}");
    ExitCode::from(status)
}

fn read_config() -> Result<Config, Failure> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(path), None) = (arguments.next(), arguments.next()) else {
        return Err("usage: shim-… CONFIG (a JSON file, or - for standard input)".into());
    };
    let text = if path == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        text
    } else {
        std::fs::read_to_string(path)?
    };
    Ok(serde_json::from_str(&text)?)
}

/// With `SHIM_LOG` set, every event of the library goes to standard error, for the tests that look
/// for secrets there. Other crates' events stay out: h2 prints frames.
fn log_to_stderr() {
    use tracing_subscriber::filter::{LevelFilter, filter_fn};
    use tracing_subscriber::prelude::*;

    if std::env::var_os("SHIM_LOG").is_none() {
        return;
    }
    let ours = filter_fn(|event| event.target().starts_with("auth"));
    tracing_subscriber::registry()
        .with(LevelFilter::TRACE)
        .with(
            tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_filter(ours),
        )
        .init();
}
