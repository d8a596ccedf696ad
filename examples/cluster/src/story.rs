//! The demonstration: a login on one node, a request on another, a logout on the third; then all
//! nodes refuse the token.

use std::fmt::Write;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, StatusCode};
use example_cluster::server::Failure;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::nodes::Node;

const IMMEDIATELY: Duration = Duration::from_secs(5);

struct Teller<'a> {
    client: Client<HttpConnector, Body>,
    password: &'a str,
}

/// The tokens of a login.
struct Tokens {
    access: String,
    refresh: String,
}

/// Runs the demonstration with real requests, and prints the duration of each.
pub async fn tell(nodes: &[Node; 3], password: &str) -> Result<(), Failure> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let teller = Teller { client, password };
    let [a, b, c] = nodes;
    // The first request of a node opens its connections, which must not be measured.
    for node in nodes {
        teller.me(node, "none").await?;
    }

    let alice = teller.log_in(b, "alice").await?;
    teller.works_on(a, "alice", &alice).await?;
    teller.works_on(c, "alice", &alice).await?;
    let started = Instant::now();
    let body = json!({ "refresh_token": alice.refresh });
    let (status, _) = teller.post(c, "/auth/logout", None, &body).await?;
    teller.said(c, "alice signs out", status, started);
    teller.refused(nodes, &alice, "her access token").await?;

    println!();
    let laptop = teller.log_in(a, "alice").await?;
    let stolen = teller.log_in(b, "alice").await?;
    let admin = teller.log_in(c, "admin").await?;
    teller
        .works_on(a, "the thief of alice's phone", &stolen)
        .await?;
    let started = Instant::now();
    let (status, _) = teller
        .post(c, "/admin/end-all/alice", Some(&admin), &json!({}))
        .await?;
    teller.said(c, "admin ends all sessions of alice", status, started);
    teller.refused(nodes, &stolen, "the phone's token").await?;
    teller.refused(nodes, &laptop, "the laptop's token").await?;
    teller.works_on(b, "admin", &admin).await
}

impl Teller<'_> {
    async fn log_in(&self, node: &Node, user: &str) -> Result<Tokens, Failure> {
        let started = Instant::now();
        let body = json!({
            "username": user, "password": self.password, "transport": "body", "remember": true,
        });
        let (status, body) = self.post(node, "/login", None, &body).await?;
        self.said(node, &format!("{user} signs in"), status, started);
        let body: Value = serde_json::from_slice(&body)?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        match (text("access_token"), text("refresh_token")) {
            (Some(access), Some(refresh)) => Ok(Tokens { access, refresh }),
            _ => Err(format!("{user} cannot sign in: {status}").into()),
        }
    }

    async fn works_on(&self, node: &Node, who: &str, tokens: &Tokens) -> Result<(), Failure> {
        let started = Instant::now();
        let status = self.me(node, &tokens.access).await?;
        self.said(node, &format!("{who} is at work"), status, started);
        if status != 200 {
            return Err("a good token was refused".into());
        }
        Ok(())
    }

    /// Sends requests to all nodes until each has refused.
    async fn refused(&self, nodes: &[Node; 3], tokens: &Tokens, what: &str) -> Result<(), Failure> {
        let ended = Instant::now();
        let mut line = String::new();
        for node in nodes {
            while self.me(node, &tokens.access).await? != 401 {
                if ended.elapsed() > IMMEDIATELY {
                    return Err(format!("node {} still accepts {what}", node.name).into());
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            write!(line, " {} after {:.1?},", node.name, ended.elapsed())?;
        }
        println!("     {what} is refused by{}", line.trim_end_matches(','));
        Ok(())
    }

    fn said(&self, node: &Node, what: &str, status: StatusCode, started: Instant) {
        let Node {
            name, framework, ..
        } = node;
        let took = started.elapsed();
        println!("  {name} ({framework:5})  {what}: {status}, {took:.1?}");
    }

    async fn me(&self, node: &Node, token: &str) -> Result<StatusCode, Failure> {
        let request =
            Request::get(url(node, "/me")).header("authorization", format!("Bearer {token}"));
        Ok(self.send(request.body(Body::empty())?).await?.0)
    }

    async fn post(
        &self,
        node: &Node,
        path: &str,
        who: Option<&Tokens>,
        body: &Value,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(url(node, path))
            .header("content-type", "application/json");
        if let Some(tokens) = who {
            request = request.header("authorization", format!("Bearer {}", tokens.access));
        }
        self.send(request.body(Body::from(body.to_string()))?).await
    }

    async fn send(&self, request: Request<Body>) -> Result<(StatusCode, Bytes), Failure> {
        let response = self.client.request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }
}

fn url(node: &Node, path: &str) -> String {
    format!("http://{}{path}", node.address)
}
