//! The whole demonstration: the example app issues tokens, and this API on both frameworks accepts
//! them and no others. All are child processes at free ports.

use std::path::PathBuf;
use std::process::Stdio;

use reqwest::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Failure;

const PASSWORD: &str = "correct horse";

/// A listening child process, stopped when dropped.
struct Server {
    url: String,
    _process: Child,
}

impl Server {
    async fn start(mut command: Command) -> Result<Self, Failure> {
        let mut process = command
            .env("PORT", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take().ok_or("no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let first = lines.next_line().await?.unwrap_or_default();
        let url = first
            .strip_prefix("listening ")
            .ok_or("the program does not start")?;
        // Keeps reading, because a full pipe would block the process.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self {
            url: url.to_owned(),
            _process: process,
        })
    }
}

/// Runs the demonstration, and returns an error at the first unexpected result.
pub async fn play() -> Result<(), Failure> {
    let keys = tempfile::tempdir()?;
    let mut issuer = Command::new(issuer_program().await?);
    issuer
        .env("HOST", "127.0.0.1")
        .env("DATA_DIR", keys.path())
        .env_remove("DATABASE_URL")
        .env("DEMO_PASSWORD", PASSWORD);
    let issuer = Server::start(issuer).await?;
    let http = reqwest::Client::new();
    let alice = log_in(&http, &issuer, "alice").await?;
    let admin = log_in(&http, &issuer, "admin").await?;
    for framework in ["axum", "actix"] {
        let mut api = Command::new(std::env::current_exe()?);
        api.arg(framework)
            .env_remove("ISSUER")
            .env_remove("AUDIENCE")
            .env("JWKS_URL", format!("{}/.well-known/jwks.json", issuer.url));
        let api = Server::start(api).await?;
        let asks = async |path: &str, token: Option<&str>, expected: u16| {
            let mut request = http.get(format!("{}{path}", api.url));
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let status = request.send().await?.status();
            println!("{framework:5}  {path:8} {status}");
            if status == expected {
                Ok::<(), Failure>(())
            } else {
                Err(format!("{framework}: {path} should have been {expected}").into())
            }
        };
        asks("/whoami", Some(&alice), 200).await?;
        asks("/whoami", None, 401).await?;
        asks("/whoami", Some(&altered(&alice)), 401).await?;
        asks("/admin", Some(&alice), 403).await?;
        asks("/admin", Some(&admin), 200).await?;
        asks("/health", None, 200).await?;
    }
    println!("tokens of the example app are accepted, and no others");
    Ok(())
}

async fn log_in(http: &reqwest::Client, issuer: &Server, user: &str) -> Result<String, Failure> {
    let body = format!(r#"{{"username":"{user}","password":"{PASSWORD}","transport":"body"}}"#);
    let request = http
        .post(format!("{}/login", issuer.url))
        .header("content-type", "application/json")
        .body(body);
    let response = request.send().await?;
    if response.status() != StatusCode::OK {
        return Err(format!("{user} cannot sign in: {}", response.status()).into());
    }
    let body: Value = serde_json::from_slice(&response.bytes().await?)?;
    let token = body.get("access_token").and_then(Value::as_str);
    Ok(token.ok_or("the login response has no token")?.to_owned())
}

/// The token with another signature.
fn altered(token: &str) -> String {
    let (claims, signature) = token.rsplit_once('.').unwrap_or_default();
    let signature: String = signature.chars().rev().collect();
    format!("{claims}.{signature}")
}

/// The program of the example app, beside this one. Built now if cargo started this program.
async fn issuer_program() -> Result<PathBuf, Failure> {
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "-p", "example-axum"]);
        if !build.status().await?.success() {
            return Err("the example app cannot be built".into());
        }
    }
    let program = std::env::current_exe()?.with_file_name("example-axum");
    if program.exists() {
        return Ok(program);
    }
    Err("build the example app first: cargo build -p example-axum".into())
}
