//! Authentication for [tower](https://docs.rs/tower) services and
//! [axum](https://docs.rs/axum) apps: [`AuthLayer`], extractors and routes over [`auth_core`].
//!
//! An app starts an [`Auth`]. `&auth` and its guards make an [`AuthLayer`], `auth_routes` mounts
//! refresh, logout and the list of sessions, and the extractor `Login` logs users in. The README of
//! the project has a whole program.
//!
//! # The rules
//!
//! 1. [`AuthLayer`] checks every request, of any method, with its [`Guard`]. A refused request never
//!    reaches the inner service. The response has core's status, challenge and body, and is
//!    `Ok(response)`, so that outer layers (CORS, tracing) treat it like any other.
//! 2. The response to a refused request carries the [`AuthError`](auth_core::AuthError) in its
//!    extensions, for outer layers to log or count. It never goes over the wire.
//! 3. A request that passes carries an [`AuthContext`] in its extensions,
//!    in place of any other. Only a guard can make one. All other extensions are kept.
//! 4. Bodies of requests and responses are not touched: streams, server-sent events and upgrades
//!    (WebSocket) work.
//! 5. The layer appends its cookies to the finished response, in addition to the app's. If the app
//!    sets or deletes a cookie of the same name, only the app's line is sent.
//! 6. The layer is ready when the inner service is, and it calls the service that was polled ready.
//! 7. The authority of a request is its URI's (HTTP/2) or the single `Host` field; if both
//!    are present and differ, the request has no authority. `X-Forwarded-*` is never read.
//! 8. An extractor on a route without the layer returns 500 and logs the reason; the request is
//!    never treated as anonymous.
//!
//! # Example
//!
//! ```
//! use auth_core::{AccessTokenRequest, Issuer, Key};
//! use auth_tower::{AuthLayer, Claims};
//! use axum::{Router, body::Body, routing::get};
//! use http::{Request, StatusCode, header};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let issuer = Issuer::for_issuer("https://issuer.example")
//!     .audience("https://api.example")
//!     .keys(Key::hs256("k1", &[7; 32])?)?;
//! let auth = issuer.authenticator::<()>().build()?;
//!
//! let app = Router::new()
//!     .route("/me", get(|user: Claims<()>| async move { user.subject().to_owned() }))
//!     .layer(AuthLayer::new(&auth));
//!
//! // A good token passes.
//! let token = issuer.mint(&AccessTokenRequest::for_subject("alice")).await?;
//! let request = Request::get("/me")
//!     .header(header::AUTHORIZATION, format!("Bearer {}", token.expose()))
//!     .body(Body::empty())?;
//! let response = app.clone().oneshot(request).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//!
//! // A request without a token gets 401.
//! let response = app.oneshot(Request::get("/me").body(Body::empty())?).await?;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer realm=\"api\"");
//! # Ok(())
//! # }
//! ```
//!
//! # Order of layers
//!
//! With [`tower::ServiceBuilder`](https://docs.rs/tower/latest/tower/struct.ServiceBuilder.html)
//! the first layer is the outermost one; with `Router::layer` the last. From the outside in:
//!
//! 1. `SetSensitiveRequestHeadersLayer` for `authorization` and `cookie`, before any layer that
//!    prints headers. The `set-cookie` lines of this crate are marked already;
//!    `SetSensitiveResponseHeadersLayer` marks those of the app.
//! 2. `TraceLayer`, which sees refusals as responses.
//! 3. `CorsLayer`, which responds to preflights before they reach the guard (they carry no
//!    credential, Fetch §4.8), and lets the page's script read a 401. If CORS is inside the guard,
//!    the guard must [allow preflights](Guard::with_preflight). For cookies across origins, CORS
//!    must list the origin of each front end (never `*`), and allow credentials and the preset's
//!    custom header. The guard's [`CsrfPolicy`] must list the same origins.
//!    `tests/cross_site.rs` is such an app.
//! 4. **`AuthLayer`**.
//! 5. Body limits, compression, timeouts of the app's own work, the app.
//!
//! In axum, `Router::layer` guards the routes added before it, not those added later. It guards the
//! fallback too: an unknown path gets 401 without a token and 404 with one, so paths cannot be
//! probed. `route_layer` guards routes only: an unknown path always gets 404; a known path with a
//! wrong method gets 401 without a token and 405 with one.
//!
//! With two layers around a route, both must pass; handlers see the context of the inner one. If both
//! have the same authenticator, the inner layer takes over the identity that the outer one has proved,
//! and checks only its own requirements: see [`Guard::check_within`].
//!
//! # Beside `tower_http::csrf`
//!
//! The guard has its own CSRF rule and needs no other layer. `CsrfLayer` can be outside the guard, for
//! routes without one. If a route has both, both must pass, so give them the same origins. Both read
//! `Sec-Fetch-Site` and `Origin`. The differences are:
//!
//! | | `tower_http::csrf::CsrfLayer` | the guard |
//! |---|---|---|
//! | applies to | every request, including those with a bearer token | requests authenticated by cookie; login, refresh, logout |
//! | neither field present | accepted | refused by default |
//! | `Origin: http://…` that equals `Host` | accepted | accepted on loopback only: elsewhere the network may have forged the page |
//! | WebSocket handshake | accepted as a `GET` | origin required |
//! | repeated field | the first line counts | refused |
//! | trusted origins | compared byte by byte | letter case and default port are ignored |
//! | custom header | not available | can be required |
//! | refusal | 403 without a body | 403 with problem JSON and `no-store` |
//!
//! The column of the guard holds for `auth-actix` too: the rule is in `auth-core`.
//!
//! # Deployment
//!
//! - Responses to authenticated requests differ by user. The layer marks its own responses
//!   `no-store`, and the app's responses to requests with a cookie `private` if they have no
//!   `Cache-Control`. Shared caches do not store responses to requests with `Authorization` unless
//!   the app allows it (RFC 9111 §3.5). They may store an optional route's responses to anonymous
//!   requests, so add `Vary: Authorization, Cookie` to such a route behind a shared cache.
//! - A proxy must forward the browser's `Host`: the CSRF rule compares `Origin` with it if a browser
//!   sends no `Sec-Fetch-Site`. Otherwise list the public origin in
//!   [`CsrfPolicy`].
//! - In a `nest`ed router the layer sees the path without the prefix. No rule depends on the path.
//!
//! # gRPC
//!
//! A tonic server's routes are an axum router, so the layer guards them:
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use auth_core::Authenticator;
//! # use auth_tower::AuthLayer;
//! # use tonic::{service::Routes, transport::{Error, Server}};
//! # async fn serve(routes: Routes, auth: Arc<Authenticator<()>>) -> Result<(), Error> {
//! let guarded = routes.into_axum_router().layer(AuthLayer::new(&auth));
//! Server::builder().add_routes(guarded.into()).serve(([127, 0, 0, 1], 50051).into()).await
//! # }
//! ```
//!
//! Build the authenticator with
//! [`with_grpc_statuses`](auth_core::AuthenticatorBuilder::with_grpc_statuses), so that clients get
//! UNAUTHENTICATED, PERMISSION_DENIED or UNAVAILABLE, with the challenge as metadata. A method gets
//! the [`identity`](auth_core::AuthContext::identity) from
//! `request.extensions().get::<AuthContext>()`. `tests/grpc.rs` is such a service and its client.
//!
//! # Long-lived connections
//!
//! The guard checks the request that opens a WebSocket or an event stream. To close the connection
//! when the token expires or the session ends, extract `Extension<AuthContext>` and wait for its
//! [`access_end`](auth_core::AuthContext::access_end) in addition to the messages.
//! [`AccessEnd`](auth_core::AccessEnd) completes at that moment. `examples/live` does this on both
//! frameworks.
//!
//! # Without axum
//!
//! With `default-features = false`, the layer works for every service whose response body can be made
//! from bytes (`ResBody: From<Vec<u8>>`: `http_body_util::Full<Bytes>`, `axum::body::Body`).
//! Handlers read the context themselves:
//!
//! ```
//! use auth_core::adapter::Refusal;
//! use auth_core::AuthContext;
//! use auth_tower::{RequestHead, into_http};
//! use http::{Request, Response};
//!
//! fn me<B>(request: &Request<B>) -> Response<Vec<u8>> {
//!     let context = request.extensions().get::<AuthContext>();
//!     let user = match context {
//!         Some(context) => context.require::<()>(&RequestHead::from(request)),
//!         None => Err(Refusal::misconfigured()),
//!     };
//!     match user {
//!         Ok(user) => Response::new(user.subject().as_bytes().to_vec()),
//!         Err(refusal) => into_http(refusal.into_parts().1),
//!     }
//! }
//! # assert_eq!(me(&Request::new(())).status(), 500);
//! ```
//!
//! # Features
//!
//! | Name | Description | Default? |
//! |---|---|---|
//! | `axum` | the extractors, the login, rejections and the ready-made routes | yes |
//! | `sqlite` | `SqliteStore`, for one machine; Rust 1.94, as for the other stores | no |
//! | `postgres` | `PostgresStore`, with TLS | no |
//! | `redis` | `RedisStore`, with TLS | no |
//! | `jwks` | `RemoteIssuer`: the keys of other issuers, by HTTPS | no |
//! | `metrics` | counters and histograms through the `metrics` facade | no |
//! | `testing` | `Auth::testing`: sessions in memory and a manual clock | no |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "axum")]
mod extract;
#[cfg(feature = "axum")]
mod form_or_json;
mod future;
mod layer;
#[cfg(feature = "axum")]
mod login;
#[cfg(feature = "axum")]
mod rejection;
mod request;
mod response;
#[cfg(feature = "axum")]
mod routes;
mod service;

pub use auth_cookie::CookiePolicy;
/// The whole of `auth-core`.
pub use auth_core as core;
pub use auth_core::rotation::KeyEncryptionKey;
pub use auth_core::session::{LoginRequest, SessionId, SessionPolicy};
pub use auth_core::{
    Access, Auth, AuthContext, AuthRoutes, Authenticated, ConfigError, CsrfPolicy, Guard,
    OwnedUserQuery, RateLimitKey, Requires, Scope, SessionRoute, StartError, UserQuery, Users,
    UsersUnavailable,
};
#[cfg(feature = "jwks")]
pub use auth_jwks::RemoteIssuer;
#[cfg(feature = "postgres")]
pub use auth_store::PostgresStore;
#[cfg(feature = "redis")]
pub use auth_store::RedisStore;
#[cfg(feature = "sqlite")]
pub use auth_store::SqliteStore;
#[cfg(feature = "axum")]
pub use extract::{Claims, MaybeClaims, Require};
#[cfg(feature = "axum")]
pub use form_or_json::{FormOrJson, FormOrJsonRejection};
pub use future::ResponseFuture;
pub use layer::AuthLayer;
#[cfg(feature = "axum")]
pub use login::{Attempt, AuthResponse, Login};
#[cfg(feature = "axum")]
pub use rejection::AuthRejection;
pub use request::RequestHead;
pub use response::into_http;
#[cfg(feature = "axum")]
pub use routes::{
    SessionAnswer, auth_routes, endpoint_route, health_route, jwks_route, session_routes,
};
pub use service::AuthService;
