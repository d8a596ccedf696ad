//! Authentication for [tower](https://docs.rs/tower) services and
//! [axum](https://docs.rs/axum) apps: [`AuthLayer`] and extractors over [`auth_core`].
//!
//! # The rules
//!
//! 1. [`AuthLayer`] asks its [`Guard`] about every request, whatever the method. A refused
//!    request never reaches the inner service; it is answered with core's status, challenge and
//!    body, as `Ok(response)`, so that layers outside (CORS, tracing) see a response like others.
//! 2. The response to a refused request carries the [`AuthError`](auth_core::AuthError) in its
//!    extensions, for outer layers to log or count. It never goes over the wire.
//! 3. A request that passes carries an [`AuthContext`](auth_core::AuthContext) in its extensions,
//!    in place of any that was there. Only a guard can make one. Whatever else is in the
//!    extensions stays.
//! 4. Bodies are not touched, neither the request's nor the response's: streams, server-sent
//!    events and upgrades (WebSocket) pass as they are.
//! 5. The layer's own cookies are appended to the response when it is ready, beside the app's. If
//!    the app has set or deleted a cookie of that name itself, the app's line stays and ours is
//!    left out.
//! 6. The layer is ready when the inner service is, and the service that was polled ready is the
//!    one that is called.
//! 7. The authority of a request is its URI's (HTTP/2) or the single `Host` field; where they
//!    differ there is none. `X-Forwarded-*` is not read.
//! 8. An extractor on a route that no layer guards answers 500 and says so in the log; it never
//!    takes the request for an anonymous one.
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
//! // No token does not.
//! let response = app.oneshot(Request::get("/me").body(Body::empty())?).await?;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer realm=\"api\"");
//! # Ok(())
//! # }
//! ```
//!
//! # Where to put the layer
//!
//! With [`tower::ServiceBuilder`](https://docs.rs/tower/latest/tower/struct.ServiceBuilder.html)
//! the first layer is the outermost one; with `Router::layer` the last. From the outside in:
//!
//! 1. `SetSensitiveRequestHeadersLayer` for `authorization` and `cookie`, before anything that
//!    prints headers. The `set-cookie` lines of this crate are marked already; for those of your own
//!    there is `SetSensitiveResponseHeadersLayer`.
//! 2. `TraceLayer`: it sees refusals as responses.
//! 3. `CorsLayer`: it answers preflights, which carry no credential (Fetch §4.8), before they
//!    reach the guard, and lets the page's script read our 401. Where CORS is further inside, the
//!    guard must be told to [allow preflights](Guard::allow_preflight).
//!    Where cookies are to cross origins, CORS names each front end's origin (never `*`), allows
//!    credentials, and the preset's custom header; the guard's
//!    [`CsrfPolicy`](auth_core::CsrfPolicy) lists the same origins. `tests/cross_site.rs` is such
//!    an app.
//! 4. **`AuthLayer`**.
//! 5. Body limits, compression, timeouts of the app's own work, the app.
//!
//! In axum, the routes that are there when `Router::layer` is called are guarded, later ones are
//! not. `layer` guards the fallback too: an unknown path answers 401 to a stranger and 404 to a
//! user, so paths cannot be probed. `route_layer` guards routes only: an unknown path answers 404
//! to everybody; a known path with a wrong method answers 401 to a stranger and 405 to a user.
//!
//! Two layers around one route are both asked; handlers see the inner one's context.
//!
//! # Beside `tower_http::csrf`
//!
//! The guard's own rule against request forgery needs no other layer. `CsrfLayer` may stand outside
//! of it, for routes that no guard covers; where both stand, both must be satisfied, so give them the
//! same origins. Both read `Sec-Fetch-Site` and `Origin`. They differ in this:
//!
//! | | `tower_http::csrf::CsrfLayer` | the guard |
//! |---|---|---|
//! | applies to | every request, those with a bearer token too | what a cookie authenticates; login, refresh, logout |
//! | neither field | passes | refused, unless told otherwise |
//! | `Origin: http://…` that equals `Host` | passes | on loopback only: elsewhere the network may have written the page |
//! | a WebSocket's handshake | passes, being a `GET` | must prove its origin |
//! | a repeated field | the first line counts | refused |
//! | trusted origins | compared byte by byte | letter case and default port make no difference |
//! | a custom header | none | can be required |
//! | refusal | 403 without a body | 403 with problem JSON and `no-store` |
//!
//! `auth-actix` has the guard's column, word for word: the rule is in `auth-core`.
//!
//! # Deployment
//!
//! - Responses to authenticated requests differ by user. The layer marks its own answers
//!   `no-store`, and the app's answers to requests with a cookie `private` where they have no
//!   `Cache-Control`. Shared caches do not keep answers to requests with `Authorization` unless
//!   the app allows it (RFC 9111 §3.5). An optional route's answers to strangers may be kept, so
//!   add `Vary: Authorization, Cookie` to it where such a cache stands in front.
//! - A proxy must pass the `Host` that the browser asked for: the cross-site rule of cookies
//!   compares `Origin` with it where a browser sends no `Sec-Fetch-Site`. Otherwise list the
//!   public origin in [`CsrfPolicy`](auth_core::CsrfPolicy).
//! - In a `nest`ed router the layer sees the path without the prefix. No rule depends on it.
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
//! UNAUTHENTICATED, PERMISSION_DENIED or UNAVAILABLE, with the challenge as metadata. A method asks
//! `request.extensions().get::<AuthContext>()` for its
//! [`identity`](auth_core::AuthContext::identity). `tests/grpc.rs` is such a service and its client.
//!
//! # Connections that live on
//!
//! The guard looks at the request that opens a WebSocket or an event stream. When that token has
//! expired or its session has ended, [`AccessEnd`](auth_core::AccessEnd) says so: take
//! `Extension<AuthContext>` in the handler, and wait for its
//! [`access_end`](auth_core::AuthContext::access_end) beside the messages. `examples/live` does, on
//! both frameworks.
//!
//! # Without axum
//!
//! With `default-features = false` the layer works for every service whose response body is made
//! from bytes (`ResBody: From<Vec<u8>>`: `http_body_util::Full<Bytes>`, `axum::body::Body`).
//! Handlers read the context themselves:
//!
//! ```
//! use auth_core::{AuthContext, Refusal};
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
//! | `axum` | the extractors `Claims`, `MaybeClaims`, `Require` and their rejection, the session routes, the OAuth endpoints | yes |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "axum")]
mod extract;
mod future;
mod layer;
#[cfg(feature = "axum")]
mod rejection;
mod request;
mod response;
#[cfg(feature = "axum")]
mod routes;
mod service;

pub use auth_core::Guard;
#[cfg(feature = "axum")]
pub use extract::{Claims, MaybeClaims, Require};
pub use future::ResponseFuture;
pub use layer::AuthLayer;
#[cfg(feature = "axum")]
pub use rejection::AuthRejection;
pub use request::RequestHead;
pub use response::into_http;
#[cfg(feature = "axum")]
pub use routes::{SessionAnswer, endpoint_route, jwks_route, session_routes};
pub use service::AuthService;
