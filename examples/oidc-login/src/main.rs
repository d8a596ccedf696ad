//! "Sign in with …": a login at an OpenID Connect provider starts a session of this app.
//!
//! ```text
//! cargo run -p example-oidc-login             the app and a provider, until Ctrl-C
//! cargo run -p example-oidc-login -- --once   the whole flow and its attacks; sets the exit status
//! ```
//!
//! 1. `oidc.rs` communicates with the provider: authorization code with PKCE (RFC 7636), `state`,
//!    `nonce`, and the issuer in the response (RFC 9207), with the `openidconnect` crate.
//! 2. `pending.rs` keeps the state of a login in a cookie while the user is at the provider.
//! 3. `app.rs` has the routes. The provider's tokens are not kept: the user gets a session of this
//!    app, with its own cookies, lifetimes and logout.
//! 4. `provider/` takes the place of a real provider, with real HTTP and real signatures. A real
//!    app does not have this part.

mod accounts;
mod app;
mod oidc;
mod once;
mod page;
mod pending;
mod provider;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use self::app::App;
use self::provider::Provider;

/// An error for the terminal.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .init();
    let once = std::env::args().any(|argument| argument == "--once");
    let running = Running::start(if once { 0 } else { port()? }).await?;
    if once {
        return once::play(&running).await;
    }
    println!("listening {}\n", running.app);
    println!("Open {} in a browser and sign in.", running.app);
    println!("The provider is {}.", running.provider.issuer());
    println!("Press Ctrl-C to stop.");
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn port() -> Result<u16, Failure> {
    match std::env::var("PORT") {
        Ok(port) => Ok(port.parse()?),
        Err(_) => Ok(3003),
    }
}

/// The app and the provider, until the runtime ends.
pub struct Running {
    /// The app's address on `localhost`, where browsers keep cookies without HTTPS.
    app: String,
    /// The provider, on another host, hence another site for browsers.
    provider: Provider,
}

impl Running {
    async fn start(port: u16) -> Result<Self, Failure> {
        let at_app = TcpListener::bind(("127.0.0.1", port)).await?;
        let at_provider = TcpListener::bind("127.0.0.1:0").await?;
        let app = format!("http://localhost:{}", at_app.local_addr()?.port());
        let issuer = format!("http://{}", at_provider.local_addr()?);

        let client = provider::Client::new("example-app", format!("{app}/callback"))?;
        let provider = Provider::new(issuer, client.clone())?;
        tokio::spawn(axum::serve(at_provider, provider::router(&provider)).into_future());

        let routes = App::new(oidc::Settings {
            issuer: provider.issuer().to_owned(),
            client_id: client.id,
            client_secret: client.secret,
            redirect_uri: client.redirect_uri,
        })?;
        tokio::spawn(axum::serve(at_app, routes.router()).into_future());
        Ok(Self { app, provider })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_flow_ends_in_a_session_and_what_is_forged_does_not() {
        let running = Running::start(0).await.unwrap();
        once::play(&running).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn h08_a_page_that_asks_for_a_recent_login_has_the_provider_ask_for_one() {
        let running = Running::start(0).await.unwrap();
        once::steps_up(&running).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn h15_an_answer_without_the_issuer_that_was_promised_is_refused() {
        let running = Running::start(0).await.unwrap();
        let refused = once::refuses_what_the_provider_does_not_stand_for(&running);
        refused.await.unwrap();
    }
}
