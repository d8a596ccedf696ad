//! One server process of the race and fault programs; see `auth_tests::fault`.
//!
//! Set up by JSON in `AUTH_NODE`. The first line that it prints is its port.

use std::io::Write;
use std::process::ExitCode;

use auth_tests::fault::RefreshOutcome;
use auth_tests::fault::app::{App, Setup};

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("node: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> RefreshOutcome<()> {
    let setup: Setup = serde_json::from_str(&std::env::var("AUTH_NODE")?)?;
    let app = App::open(&setup).await?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", setup.port)).await?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", listener.local_addr()?.port())?;
    out.flush()?;
    Ok(axum::serve(listener, app.router()).await?)
}
