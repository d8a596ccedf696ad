//! Authentication for actix-web: a middleware that guards routes and extractors that tell handlers
//! who made the request. All rules are [`auth_core`]'s; this crate carries requests to them and
//! their answers back, the same answers as `auth-tower`'s.
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
//! 1. A request that the guard refuses never reaches a service inside of the middleware. It is
//!    answered with core's status, headers and body, as an ordinary response: CORS headers, logging
//!    and error pages of outer middleware apply to it.
//! 2. A request that passes carries the proof in its extensions, in place of whatever was there.
//!    Nothing that a client sends and nothing that another layer inserts can stand in for it.
//! 3. Response bodies are passed on as they are: streams, server-sent events and upgrades work.
//! 4. What core adds to a response (the access cookie of a silent refresh, and `Cache-Control`) is added when
//!    the response is ready. Cookies stand beside the handler's own; a handler that writes a cookie
//!    of the same name itself wins.
//! 5. The usual check does not wait and does not allocate a future; an unknown key, a reference
//!    token or a silent refresh does.
//! 6. The [`AuthError`](auth_core::AuthError) of a refused request is in the response's extensions.
//!    It is for logs: it says more than the client is told.
//!
//! # Accepting and refusing
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
//! # What a guard covers
//!
//! | wrapped | unknown path | wrong method |
//! |---|---|---|
//! | [`App::wrap`](actix_web::App::wrap) | 401 | 401 |
//! | [`Scope::wrap`](actix_web::Scope::wrap) | 401 under the scope's prefix, else the app's 404 | 401 |
//! | [`Resource::wrap`](actix_web::Resource::wrap) | the app's 404 | 401 |
//!
//! A guarded prefix does not tell strangers which paths exist. A `default_service` is guarded like
//! any other service of the app or scope it belongs to. Guards nest: the innermost one decides last,
//! and its context is what handlers see.
//!
//! # Order
//!
//! actix-web runs middleware in the *reverse* order of `.wrap()`: the one registered last sees the
//! request first. So write the guard first and CORS, logging and compression after it:
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
//! With CORS outside, preflights are answered before the guard sees them, and refusals carry CORS
//! headers, without which a browser hides the 401 from the page. Where CORS cannot be outside, tell
//! the guard to let preflights pass: [`Guard::allow_preflight`].
//!
//! # Connections that live on
//!
//! The guard looks at the request that opens a WebSocket or an event stream. When that token has
//! expired or its session has ended, [`AccessEnd`](auth_core::AccessEnd) says so: take
//! `ReqData<AuthContext>` in the handler, and wait for its
//! [`access_end`](auth_core::AuthContext::access_end) beside the messages. `examples/live` does, on
//! both frameworks.
//!
//! # Caveats
//!
//! * **Never extract `Option<Claims<T>>`.** actix-web implements `FromRequest` for every `Option`
//!   and turns every error into `None`: a forgotten `.wrap()` or a wrong `T` would look like an
//!   anonymous visitor. Take [`MaybeClaims`], behind an
//!   [optional](Guard::optional) guard.
//! * [`connection_info()`](actix_web::HttpRequest::connection_info) is not used anywhere: it
//!   believes forwarding headers. Behind a proxy that rewrites `Host`, list the public origin in
//!   the [`CsrfPolicy`](auth_core::CsrfPolicy).
//! * A service that is registered beside a wrapped scope is not guarded by it. Wrap the app and open
//!   single routes with an optional guard if forgetting one would be costly.
//! * A cached response must not be served to somebody else. Answers to requests with a cookie are
//!   marked `private` where the app sets no `Cache-Control`; shared caches do not keep answers to
//!   requests with `Authorization` unless the app allows it (RFC 9111 §3.5). An optional route's
//!   answers to strangers may be kept, so add `Vary: Authorization, Cookie` to it where such a
//!   cache stands in front.

mod extract;
mod middleware;
mod request;
mod response;
mod routes;

pub use auth_core::Guard;
pub use extract::{Claims, MaybeClaims, Require};
pub use middleware::AuthMiddleware;
#[doc(hidden)]
pub use middleware::{AuthMiddlewareService, ResponseFuture};
pub use request::RequestHead;
pub use response::{AuthRejection, into_actix};
pub use routes::{endpoint_route, jwks_route, session_routes};
