//! Connections that outlive their request, and end with their session: a WebSocket that echoes, and
//! a stream of server-sent events, on axum and on actix-web.
//!
//! The guard checks the handshake like any request. A cookie is accepted only from the app's own
//! pages; a page that holds its token in script sends it as a subprotocol. After the handshake,
//! [`AccessEnd`] completes when the token expires or the session ends.

pub mod actix;
pub mod axum;

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use auth_cookie::CookiePolicy;
use auth_core::revocation::{Revocations, StalePolicy};
use auth_core::session::{RefreshKey, Sessions};
use auth_core::source::{BearerHeader, TokenSource, WebSocketProtocol};
use auth_core::testing::MemoryStore;
use auth_core::{AccessEnd, Algorithm, Authenticator, Issuer, Key, SessionRoutes, SystemClock};
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;

/// The subprotocol that a client must offer if it offers any: its token is never chosen.
pub const SUBPROTOCOL: &str = "live";

/// State shared by both servers. Keys and sessions end with the process.
#[derive(Clone, Debug)]
pub struct Live {
    /// The authenticator of the connections.
    pub auth: Arc<Authenticator<()>>,
    /// The sessions, for login and logout.
    pub sessions: Sessions,
    /// The session routes under `/auth/…`.
    pub routes: SessionRoutes<()>,
}

impl Live {
    /// Creates keys, sessions and routes, with this lifetime of access tokens.
    ///
    /// # Errors
    /// If the lifetime is out of range.
    pub fn new(access: Duration) -> Result<Self, Box<dyn Error>> {
        let (key, _) = Key::generate("k1", Algorithm::Es256)?;
        let issuer = Issuer::for_issuer("https://issuer.example")
            .audience("https://api.example")
            .keys(key)?
            .with_jitter(0)?
            .with_lifetime(access)?;
        let revocations = Revocations::new(StalePolicy::FailOpen, Arc::new(SystemClock));
        let store = Arc::new(MemoryStore::new());
        let sessions = Sessions::builder(issuer.clone(), store, RefreshKey::ephemeral()?)
            .with_revocations(revocations.clone())
            .build()?;
        let sources: [Arc<dyn TokenSource>; 2] =
            [Arc::new(BearerHeader), Arc::new(WebSocketProtocol)];
        let auth = issuer
            .authenticator()
            .with_sources(sources)
            .with_cookies(CookiePolicy::same_origin_spa())
            .with_revocations(revocations)
            .with_leeway(Duration::ZERO)
            .build()?;
        Ok(Self {
            routes: SessionRoutes::new(sessions.clone(), auth.clone())?,
            auth,
            sessions,
        })
    }
}

/// Server-sent events: one every second, and at the end the reason for the end.
pub fn events(end: AccessEnd) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    unfold(Some((1_u64, end)), |state| async move {
        let (beat, end) = state?;
        let (text, next) = tokio::select! {
            reason = end.reached() => (format!("event: end\ndata: {}\n\n", reason.as_str()), None),
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                (format!("data: {beat}\n\n"), Some((beat + 1, end)))
            }
        };
        Some((Ok(Bytes::from(text)), next))
    })
}
