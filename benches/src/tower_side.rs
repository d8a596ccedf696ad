//! Layers around a tower service that answers at once, as axum runs them.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use auth_core::Authenticator;
use auth_tower::AuthLayer;
use axum_core::extract::FromRequestParts;
use axum_login::{AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend};
use http::{Request, Response};
use jwt_authorizer::{IntoLayer, JwtAuthorizer};
use tower_layer::Layer;
use tower_oauth2_resource_server::server::OAuth2ResourceServer;
use tower_oauth2_resource_server::tenant::TenantConfiguration;
use tower_service::Service;
use tower_sessions::{MemoryStore, SessionManagerLayer};

use crate::harness::{Run, Table, timed};
use crate::world::{AUDIENCE, AllClaims, COOKIE, ISSUER, SECRET, User, World, now};

/// An answer; a type of its own, since one peer wants to make its errors into it.
#[derive(Debug)]
pub struct Reply;

impl From<jwt_authorizer::AuthError> for Reply {
    fn from(error: jwt_authorizer::AuthError) -> Self {
        panic!("refused: {error}")
    }
}

/// The app.
#[derive(Clone)]
pub struct App;

impl Service<Request<()>> for App {
    type Response = Response<Vec<u8>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(Vec::new())))
    }
}

/// The app for jwt-authorizer.
#[derive(Clone)]
struct BareApp;

impl Service<Request<()>> for BareApp {
    type Response = Reply;
    type Error = Infallible;
    type Future = Ready<Result<Reply, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Reply))
    }
}

/// Passes the request on with one `Arc` in its extensions.
#[derive(Clone)]
pub struct NoOp<S>(S, Arc<u64>);

impl<S: Service<Request<()>>> Service<Request<()>> for NoOp<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<()>) -> Self::Future {
        request.extensions_mut().insert(Arc::clone(&self.1));
        self.0.call(request)
    }
}

/// What most apps do: read the header, decode, put the claims into the extensions.
#[derive(Clone)]
struct ByHand {
    inner: App,
    key: Arc<jsonwebtoken::DecodingKey>,
    rules: Arc<jsonwebtoken::Validation>,
}

impl Service<Request<()>> for ByHand {
    type Response = Response<Vec<u8>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<()>) -> Self::Future {
        let token = request
            .headers()
            .get(http::header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .expect("there is a token");
        let data =
            jsonwebtoken::decode::<AllClaims>(token, &self.key, &self.rules).expect("a good token");
        request.extensions_mut().insert(Arc::new(data.claims));
        self.inner.call(request)
    }
}

pub fn by_hand(world: &World) -> (jsonwebtoken::DecodingKey, jsonwebtoken::Validation) {
    let jwk: jsonwebtoken::jwk::Jwk =
        serde_json::from_value(world.jwk.clone()).expect("our own key");
    let key = jsonwebtoken::DecodingKey::from_jwk(&jwk).expect("our own key");
    let algorithm = match world.algorithm {
        auth_core::Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
        auth_core::Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        auth_core::Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        _ => jsonwebtoken::Algorithm::RS256,
    };
    let mut rules = jsonwebtoken::Validation::new(algorithm);
    rules.set_issuer(&[ISSUER]);
    rules.set_audience(&[AUDIENCE]);
    (key, rules)
}

/// An axum extractor in the place of a layer.
#[derive(Clone)]
struct Extracting {
    inner: App,
    decoder: axum_jwt_auth::Decoder<AllClaims>,
}

impl Service<Request<()>> for Extracting {
    type Response = Response<Vec<u8>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        type Theirs = axum_jwt_auth::Claims<AllClaims>;
        let extracted = now(<Theirs as FromRequestParts<_>>::from_request_parts(
            &mut parts,
            &self.decoder,
        ));
        let Ok(claims) = extracted else {
            panic!("refused")
        };
        parts.extensions.insert(Arc::new(claims.claims));
        self.inner.call(Request::from_parts(parts, body))
    }
}

/// How a request brings its token.
#[derive(Clone)]
pub enum Carried {
    Bearer,
    Cookie,
    /// Among so many others.
    CookieAmong(usize),
    /// A cookie of another crate.
    Other(String),
}

pub fn request(token: &str, carried: &Carried) -> Request<()> {
    let request = Request::get("/me").header("host", "api.example");
    let request = match carried {
        Carried::Bearer => request.header("authorization", format!("Bearer {token}")),
        Carried::Cookie => request.header("cookie", format!("{COOKIE}={token}")),
        Carried::CookieAmong(others) => {
            let mut line = String::new();
            for n in 0..*others {
                line.push_str(&format!("preference_{n:02}=some-value-{n:04}; "));
            }
            request.header("cookie", format!("{line}{COOKIE}={token}"))
        }
        Carried::Other(cookie) => request.header("cookie", cookie),
    };
    request.body(()).expect("a valid request")
}

/// Calls `service` with requests that carry `token`.
pub fn run<S, R>(mut service: S, token: &str, carried: Carried) -> Run
where
    S: Service<Request<()>, Response = R, Error = Infallible> + 'static,
{
    let token = token.to_owned();
    Box::new(move |calls| {
        timed(
            calls,
            || request(&token, &carried),
            |request| call(&mut service, request),
        )
    })
}

pub fn call<S, R>(service: &mut S, request: Request<()>) -> bool
where
    S: Service<Request<()>, Response = R, Error = Infallible>,
{
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    now(service.call(request)).is_ok()
}

pub fn ours(
    auth: &Arc<Authenticator<User>>,
) -> impl Service<Request<()>, Response = Response<Vec<u8>>, Error = Infallible> + Clone + use<> {
    Checked(AuthLayer::new(auth).layer(App))
}

/// Makes a refusal fail loudly.
#[derive(Clone)]
struct Checked<S>(S);

impl<S> Service<Request<()>> for Checked<S>
where
    S: Service<Request<()>, Response = Response<Vec<u8>>, Error = Infallible>,
{
    type Response = Response<Vec<u8>>;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        self.0.call(request)
    }
}

pub fn no_op() -> NoOp<App> {
    NoOp(App, Arc::new(7))
}

/// Ours, the peers, and their baselines, under one algorithm.
pub fn fill(table: &mut Table, world: &World) {
    let token = &world.token;
    let bearer = || Carried::Bearer;
    let auth = world.with_cache();
    // A request that is refused is faster: see that none is.
    for carried in [Carried::Bearer, Carried::Cookie] {
        let response = now(ours(&auth).call(request(token, &carried)));
        assert_eq!(response.expect("infallible").status(), 200);
    }
    let bare = table.baseline("tower: no layer", run(App, token, bearer()));
    let no_op = table.baseline("tower: no-op layer", run(self::no_op(), token, bearer()));
    let _ = bare;
    table.against(
        no_op,
        "ours, miss",
        run(ours(&world.without_cache()), token, bearer()),
    );
    table.against(no_op, "ours, hit", run(ours(&auth), token, bearer()));
    let with_cookie = table.baseline(
        "tower: no-op layer, token in a cookie",
        run(self::no_op(), token, Carried::Cookie),
    );
    let cookie = || Carried::Cookie;
    table.against(
        with_cookie,
        "ours, miss, cookie",
        run(ours(&world.without_cache()), token, cookie()),
    );
    table.against(
        with_cookie,
        "ours, hit, cookie",
        run(ours(&auth), token, cookie()),
    );
    let (key, rules) = by_hand(world);
    let by_hand = ByHand {
        inner: App,
        key: Arc::new(key),
        rules: Arc::new(rules),
    };
    table.against(no_op, "jsonwebtoken by hand", run(by_hand, token, bearer()));
}

/// The layers that others have written, all with HS256.
pub fn fill_peers(table: &mut Table, world: &World) {
    let token = &world.token;
    let no_op = table.baseline(
        "tower: no-op layer (peers)",
        run(self::no_op(), token, Carried::Bearer),
    );
    table.against(
        no_op,
        "axum-jwt-auth 0.7",
        run(extracting(), token, Carried::Bearer),
    );
    table.against(
        no_op,
        "tower-oauth2-resource-server 0.12",
        run(resource_server(world), token, Carried::Bearer),
    );
    let (sessions, cookie) = logged_in();
    let other = Carried::Other(cookie);
    let with_cookie = table.baseline(
        "tower: no-op layer, session cookie",
        run(self::no_op(), token, other.clone()),
    );
    table.against(
        with_cookie,
        "axum-login 0.18, MemoryStore",
        run(sessions, token, other),
    );
    let bare = table.baseline(
        "tower: no-op layer (jwt-authorizer)",
        run(NoOp(BareApp, Arc::new(7)), token, Carried::Bearer),
    );
    table.against(
        bare,
        "jwt-authorizer 0.15",
        run(authorizer(), token, Carried::Bearer),
    );
}

fn extracting() -> Extracting {
    let key = jsonwebtoken_10::DecodingKey::from_secret(SECRET.as_bytes());
    let mut rules = jsonwebtoken_10::Validation::new(jsonwebtoken_10::Algorithm::HS256);
    rules.set_issuer(&[ISSUER]);
    rules.set_audience(&[AUDIENCE]);
    let decoder = axum_jwt_auth::LocalDecoder::new(vec![key], rules).expect("complete");
    Extracting {
        inner: App,
        decoder: Arc::new(decoder),
    }
}

fn resource_server(
    world: &World,
) -> impl Service<Request<()>, Response = Response<Vec<u8>>, Error = Infallible> + use<> {
    let jwks = serde_json::json!({ "keys": [world.jwk] }).to_string();
    let tenant = TenantConfiguration::static_builder(jwks)
        .audiences(&[AUDIENCE])
        .allowed_algorithms(&[jsonwebtoken::Algorithm::HS256])
        .build()
        .expect("our own key set");
    let server = now(OAuth2ResourceServer::<AllClaims>::builder()
        .add_tenant(tenant)
        .build());
    server.expect("complete").into_layer().layer(App)
}

fn authorizer() -> impl Service<Request<()>, Response = Reply, Error = Infallible> {
    let rules = jwt_authorizer::Validation::new()
        .iss(&[ISSUER])
        .aud(&[AUDIENCE]);
    let authorizer = JwtAuthorizer::<AllClaims>::from_secret(SECRET).validation(rules);
    let authorizer = now(authorizer.build()).expect("complete");
    authorizer.into_layer().layer(BareApp)
}

/// A user of axum-login.
#[derive(Clone, Debug)]
struct Member;

impl AuthUser for Member {
    type Id = u64;

    fn id(&self) -> u64 {
        7
    }

    fn session_auth_hash(&self) -> &[u8] {
        b"hash"
    }
}

#[derive(Clone)]
struct Members;

impl AuthnBackend for Members {
    type User = Member;
    type Credentials = ();
    type Error = Infallible;

    async fn authenticate(&self, (): ()) -> Result<Option<Member>, Infallible> {
        Ok(Some(Member))
    }

    async fn get_user(&self, _: &u64) -> Result<Option<Member>, Infallible> {
        Ok(Some(Member))
    }
}

/// An app that signs in whoever asks for it, and else wants to know who it is.
#[derive(Clone)]
struct Club;

impl Service<Request<()>> for Club {
    type Response = Response<Vec<u8>>;
    type Error = Infallible;
    type Future = futures_util::future::BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let session = request.extensions().get::<AuthSession<Members>>().cloned();
        let mut session = session.expect("the layer is there");
        if request.uri().path() != "/login" {
            assert!(session.user.is_some(), "signed in");
            return Box::pin(ready(Ok(Response::new(Vec::new()))));
        }
        Box::pin(async move {
            session.login(&Member).await.expect("signs in");
            Ok(Response::new(Vec::new()))
        })
    }
}

fn logged_in() -> (
    impl Service<Request<()>, Response = Response<Vec<u8>>, Error = Infallible>,
    String,
) {
    let sessions = SessionManagerLayer::new(MemoryStore::default());
    let layer = AuthManagerLayerBuilder::new(Members, sessions).build();
    let mut service = layer.layer(Club);
    let login = Request::get("/login").body(()).expect("a valid request");
    let response: Response<Vec<u8>> = now(service.call(login)).expect("infallible");
    let cookie = response.headers()["set-cookie"].to_str().expect("text");
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    (service, cookie)
}
