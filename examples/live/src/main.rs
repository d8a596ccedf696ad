//! `cargo run -p example-live` serves on axum, `cargo run -p example-live actix` on actix-web. It
//! prints commands to try. The stream ends at logout, or after a minute when the token expires.

use std::error::Error;
use std::time::Duration;

use auth_core::session::LoginRequest;
use example_live::{Live, actix, axum};

const ADDRESS: &str = "127.0.0.1:3000";

fn main() -> Result<(), Box<dyn Error>> {
    let live = Live::new(Duration::from_secs(60))?;
    let runtime = tokio::runtime::Runtime::new()?;
    let tokens = runtime.block_on(live.sessions.login(LoginRequest::for_subject("alice")))?;
    let refresh = tokens.refresh().ok_or("a login has a refresh token")?;
    println!(
        "curl -N http://{ADDRESS}/events -H 'Authorization: Bearer {}' &\n\
         curl http://{ADDRESS}/auth/logout -d '{{\"refresh_token\":\"{}\"}}'",
        tokens.access().expose(),
        refresh.expose()
    );
    if std::env::args().nth(1).as_deref() == Some("actix") {
        let app = move || actix_web::App::new().configure(actix::app(&live));
        let server = actix_web::HttpServer::new(app).bind(ADDRESS)?;
        actix_web::rt::System::new().block_on(server.run())?;
        return Ok(());
    }
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(ADDRESS).await?;
        ::axum::serve(listener, axum::app(&live)).await?;
        Ok(())
    })
}
