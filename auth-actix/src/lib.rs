//! Authentication for actix-web: a middleware that guards routes, extractors of the caller's
//! identity, the login, and ready-made routes. All rules are in [`auth_core`]; responses are the same
//! as those of `auth-tower`.
//!
//! An app starts an [`Auth`]. `&auth` and its guards make an [`AuthMiddleware`], [`auth_routes`] mounts
//! refresh, logout and the list of sessions, and [`Login`] logs users in. The README of the project
//! has a whole program.
//!
//! ```
//! use actix_web::{App, HttpServer, web};
//! use auth_actix::{AuthMiddleware, Claims};
//! use auth_core::{Authenticator, Key};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct User {
//!     tenant: String,
//! }
//!
//! async fn me(Claims(user): Claims<User>) -> String {
//!     format!("{:?} of {}", user.subject(), user.tenant)
//! }
//!
//! # fn serve(secret: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! let auth = Authenticator::<User>::for_issuer("https://issuer.example")
//!     .audience("https://api.example")
//!     .keys(Key::hs256("k1", secret)?)
//!     .build()?;
//! let guarded = AuthMiddleware::new(&auth);
//! HttpServer::new(move || {
//!     App::new().service(
//!         web::scope("/api").wrap(guarded.clone()).route("/me", web::get().to(me)),
//!     )
//! });
//! # Ok(())
//! # }
//! ```
//!
//! # Rules
//!
//! 1. A refused request never reaches a service inside the middleware. The response has core's
//!    status, headers and body and is an ordinary response: CORS headers, logging and error pages of
//!    outer middleware apply to it.
//! 2. A request that passes carries an [`AuthContext`] in its extensions, in
//!    place of any other. Only a guard can make one; no client and no other middleware can.
//! 3. Response bodies are not touched: streams, server-sent events and upgrades work.
//! 4. Core's edits (the access cookie of a silent refresh, and `Cache-Control`) are applied when the
//!    response is ready. Cookies are appended to the app's; if the app sets or deletes a cookie of
//!    the same name, only the app's line is sent.
//! 5. The usual check does not wait and allocates no future; an unknown key, a reference token or a
//!    silent refresh does.
//! 6. The response to a refused request carries the [`AuthError`](auth_core::AuthError) in its
//!    extensions, for logs. It has the cause, which the client does not receive.
//!
//! # Example of an accepted and a refused request
//!
//! ```
//! use actix_web::{App, http::StatusCode, http::header, test, web};
//! use auth_actix::{AuthMiddleware, Claims};
//! use auth_core::{AccessTokenRequest, Issuer, Key};
//!
//! # #[actix_web::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let issuer = Issuer::for_issuer("https://issuer.example")
//!     .audience("https://api.example")
//!     .keys(Key::hs256("k1", &[7; 32])?)?;
//! let auth = issuer.authenticator::<()>().build()?;
//! let app = test::init_service(
//!     App::new()
//!         .wrap(AuthMiddleware::new(&auth))
//!         .route("/me", web::get().to(|user: Claims<()>| async move { user.subject().to_owned() })),
//! )
//! .await;
//!
//! let token = issuer.mint(&AccessTokenRequest::for_subject("alice")).await?;
//! let good = test::TestRequest::get()
//!     .uri("/me")
//!     .insert_header((header::AUTHORIZATION, format!("Bearer {}", token.expose())));
//! assert_eq!(test::call_and_read_body(&app, good.to_request()).await, "alice");
//!
//! let none = test::TestRequest::get().uri("/me").to_request();
//! let refused = test::call_service(&app, none).await;
//! assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
//! let challenge = refused.headers().get(header::WWW_AUTHENTICATE).unwrap();
//! assert_eq!(challenge, "Bearer realm=\"api\"");
//! # Ok(())
//! # }
//! ```
//!
//! # Coverage of a guard
//!
//! | wrapped | unknown path | wrong method |
//! |---|---|---|
//! | [`App::wrap`](actix_web::App::wrap) | 401 | 401 |
//! | [`Scope::wrap`](actix_web::Scope::wrap) | 401 under the scope's prefix, else the app's 404 | 401 |
//! | [`Resource::wrap`](actix_web::Resource::wrap) | the app's 404 | 401 |
//!
//! Under a guarded prefix, a client without a token cannot find out which paths exist. A
//! `default_service` is guarded like any other service of its app or scope. With nested guards, all
//! must pass; handlers see the context of the innermost one. If they have the same authenticator, an
//! inner one takes over the identity that the outer one has proved, and checks only its own
//! requirements: see [`Guard::check_within`](auth_core::Guard::check_within).
//!
//! # Order of middleware
//!
//! actix-web runs middleware in the *reverse* order of `.wrap()`: the one registered last sees the
//! request first. Wrap the guard first, and CORS, logging and compression after it:
//!
//! ```
//! # use actix_web::{App, middleware::Logger};
//! # use auth_actix::AuthMiddleware;
//! # fn app(guard: AuthMiddleware<()>, cors: actix_cors::Cors) {
//! App::new()
//!     .wrap(guard) // runs third, next to the handlers
//!     .wrap(cors) // runs second
//!     .wrap(Logger::default()) // runs first
//! # ;
//! # }
//! ```
//!
//! `Logger`'s default format shows no token; `%{Authorization}i` or `%{Cookie}i` in a format would.
//!
//! With CORS outside the guard, preflights are handled before they reach the guard, and refusals have
//! CORS headers, without which browsers hide a 401 from the page. If CORS is inside, the guard must
//! [allow preflights](Guard::with_preflight).
//!
//! # Long-lived connections
//!
//! The guard checks the request that opens a WebSocket or an event stream. To close the connection
//! when the token expires or the session ends, extract `ReqData<AuthContext>` and wait for its
//! [`access_end`](auth_core::AuthContext::access_end) in addition to the messages.
//! [`AccessEnd`](auth_core::AccessEnd) completes at that moment. `examples/live` does this on both
//! frameworks.
//!
//! # Caveats
//!
//! * **Never extract `Option<Claims<T>>`.** actix-web implements `FromRequest` for every `Option`
//!   and turns every error into `None`: a forgotten `.wrap()` or a wrong `T` would look like an
//!   anonymous visitor. Extract [`MaybeClaims`] behind an [optional](Guard::with_anonymous) guard.
//! * [`connection_info()`](actix_web::HttpRequest::connection_info) is never used, because it trusts
//!   forwarding headers. Behind a proxy that rewrites `Host`, list the public origin in
//!   the [`CsrfPolicy`].
//! * A service outside a wrapped scope is not guarded by it. To guard every service, wrap the app, and
//!   open single routes with an optional guard.
//! * Responses to authenticated requests differ by user. Responses to requests with a cookie are
//!   marked `private` if the app sets no `Cache-Control`. Shared caches do not store responses to
//!   requests with `Authorization` unless the app allows it (RFC 9111 §3.5). They may store an
//!   optional route's responses to anonymous requests, so add `Vary: Authorization, Cookie` to such
//!   a route behind a shared cache.
//!
//! # Features
//!
//! | Name | Description | Default? |
//! |---|---|---|
//! | `sqlite` | `SqliteStore`, for one machine; Rust 1.94, as for the other stores | no |
//! | `postgres` | `PostgresStore`, with TLS | no |
//! | `redis` | `RedisStore`, with TLS | no |
//! | `jwks` | `RemoteIssuer`: the keys of other issuers, by HTTPS | no |
//! | `metrics` | counters and histograms through the `metrics` facade | no |
//! | `testing` | `Auth::testing`: sessions in memory and a manual clock | no |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod extract;
mod login;
mod middleware;
mod request;
mod response;
mod routes;

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
pub use extract::{Claims, MaybeClaims, Require};
pub use login::{Attempt, AuthResponse, Login};
pub use middleware::AuthMiddleware;
#[doc(hidden)]
pub use middleware::{AuthMiddlewareService, ResponseFuture};
pub use request::RequestHead;
pub use response::{AuthRejection, into_actix};
pub use routes::{auth_routes, endpoint_route, health_route, jwks_route, session_routes};
