//! The contenders, each as strict as its documentation lets it be.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use actix_jwt_auth_middleware::{AuthenticationService, Authority};
use actix_web::Error;
use actix_web::dev::ServiceRequest;
use actix_web_httpauth::extractors::AuthenticationError;
use actix_web_httpauth::extractors::bearer::{BearerAuth, Config, Error as Code};
use actix_web_httpauth::middleware::HttpAuthentication;
use auth_actix::AuthMiddleware;
use auth_cookie::CookiePolicy;
use auth_core::{Authenticator, Key};
use auth_tower::AuthLayer;
use axum_core::extract::FromRequestParts;
use axum_core::response::IntoResponse;
use axum_jwt_auth::{CookieTokenExtractor, Decoder, ExtractorConfig};
use http::{Request, Response};
use jwt_authorizer::layer::JwtSource;
use jwt_authorizer::{IntoLayer, JwtAuthorizer};
use jwt_compact::TimeOptions;
use jwt_compact::alg::{Hs256, Hs256Key};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower_layer::Layer;
use tower_oauth2_resource_server::server::OAuth2ResourceServer;
use tower_oauth2_resource_server::tenant::TenantConfiguration;
use tower_oauth2_resource_server::validation::ClaimsValidationSpec;
use tower_service::Service;

use super::actix::actix;
use super::ask::{Ask, Told};
use super::{COOKIE, SECRET, b64};
use crate::tower_side::App;
use crate::world::{AUDIENCE, ISSUER, now};

type AskFn = Box<dyn Fn(&Ask) -> Option<Told>>;

pub struct Contender {
    pub name: &'static str,
    pub setup: &'static str,
    pub bearer: bool,
    pub cookies: bool,
    /// Whether its keys have names, for a `kid` to be compared with.
    pub named_keys: bool,
    by_header: Option<AskFn>,
    by_cookie: Option<AskFn>,
}

impl Contender {
    fn new(name: &'static str, setup: &'static str) -> Self {
        Self {
            name,
            setup,
            bearer: false,
            cookies: false,
            named_keys: false,
            by_header: None,
            by_cookie: None,
        }
    }

    fn by_header(mut self, ask: impl Fn(&Ask) -> Option<Told> + 'static) -> Self {
        self.bearer = true;
        self.by_header = Some(Box::new(ask));
        self
    }

    fn by_cookie(mut self, ask: impl Fn(&Ask) -> Option<Told> + 'static) -> Self {
        self.cookies = true;
        self.by_cookie = Some(Box::new(ask));
        self
    }

    fn with_named_keys(mut self) -> Self {
        self.named_keys = true;
        self
    }

    /// `None` if no server would hand such a request on.
    pub fn ask(&self, ask: &Ask) -> Option<Told> {
        let by_cookie = ask.lines.iter().any(|(name, _)| name == "cookie");
        let way = if by_cookie {
            &self.by_cookie
        } else {
            &self.by_header
        };
        way.as_ref().expect("it has this way")(ask)
    }

    /// A token in the way that it prefers.
    pub fn with_token(&self, token: &str) -> Option<Told> {
        let line = if self.by_header.is_some() {
            ("authorization", format!("Bearer {token}"))
        } else {
            ("cookie", format!("{COOKIE}={token}"))
        };
        self.ask(&Ask {
            lines: vec![(line.0.to_owned(), line.1.into_bytes())],
            ..Ask::default()
        })
    }
}

/// What RFC 9068 requires, as a type that insists on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Strict {
    iss: String,
    aud: Value,
    sub: String,
    client_id: String,
    jti: String,
    iat: f64,
    exp: f64,
}

/// The same without what jwt-compact keeps to itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Custom {
    iss: String,
    aud: Value,
    sub: String,
    client_id: String,
    jti: String,
}

pub fn all() -> Vec<Contender> {
    vec![
        Contender::new("this project, tower", "issuer, audience, key, cookies; leeway 0")
            .by_header(tower(AuthLayer::new(ours()).layer(App)))
            .by_cookie(tower(AuthLayer::new(ours()).layer(App)))
            .with_named_keys(),
        Contender::new("this project, actix-web", "the same")
            .by_header(actix(|| AuthMiddleware::new(ours().guard())))
            .by_cookie(actix(|| AuthMiddleware::new(ours().guard())))
            .with_named_keys(),
        Contender::new(
            "jsonwebtoken 11 by hand",
            "`set_issuer`, `set_audience`, `required_spec_claims` of exp, iss, aud and sub, `validate_nbf`, leeway 0, a claims type that insists on RFC 9068's; the header is read as most guides have it (`strip_prefix(\"Bearer \")`), and every refusal is 401 `invalid_token`, or a bare challenge without a token",
        )
        .by_header(tower(ByHand)),
        Contender::new(
            "axum-jwt-auth 0.7",
            "jsonwebtoken 10 with the same rules and claims type; its own cookie extractor",
        )
        .by_header(tower(Extracting::<axum_jwt_auth::BearerTokenExtractor>::new()))
        .by_cookie(tower(Extracting::<CookieTokenExtractor<OurCookie>>::new())),
        Contender::new(
            "jwt-authorizer 0.15",
            "`iss`, `aud`, `exp`, `nbf`, `algs`, leeway 0, the same claims type; its own cookie source",
        )
        .by_header(authorizer(JwtSource::AuthorizationHeader))
        .by_cookie(authorizer(JwtSource::Cookie(COOKIE.to_owned()))),
        Contender::new(
            "tower-oauth2-resource-server 0.12",
            "a fixed key set, `ClaimsValidationSpec` with iss, aud and exp, `allowed_algorithms`, the same claims type; with nbf it refuses every token that has none, so that is off",
        )
        .by_header(tower(resource_server()))
        .with_named_keys(),
        Contender::new(
            "actix-web-httpauth 0.8 + jsonwebtoken 11",
            "its bearer extractor, the rules and claims type of jsonwebtoken by hand, errors by its own `AuthenticationError`",
        )
        .by_header(actix(|| HttpAuthentication::bearer(checked))),
        Contender::new(
            "actix-jwt-auth-middleware 0.5",
            "HS256, leeway 0, a claims type that insists; it has no setting for iss and aud. In a cookie: what it reads from `Authorization` keeps `Bearer ` before it and is refused",
        )
        .by_cookie(actix(|| {
            let authority = Authority::<Custom, Hs256, _, _>::new()
                .refresh_authorizer(|| async { Ok(()) })
                .access_token_name(COOKIE)
                .renew_access_token_automatically(false)
                .verifying_key(Hs256Key::new(SECRET))
                .algorithm(Hs256)
                .time_options(TimeOptions::from_leeway(chrono::Duration::zero()))
                .build()
                .expect("complete");
            AuthenticationService::new(authority)
        })),
    ]
}

fn ours() -> Arc<Authenticator<()>> {
    let key = Key::hs256("k1", SECRET).expect("long enough");
    Authenticator::for_issuer(ISSUER)
        .audience(AUDIENCE)
        .keys(key)
        .with_cookies(CookiePolicy::server_rendered())
        .with_leeway(std::time::Duration::ZERO)
        .build()
        .expect("complete")
}

macro_rules! rules {
    ($jwt:ident) => {{
        let mut rules = $jwt::Validation::new($jwt::Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        rules.validate_nbf = true;
        rules.leeway = 0;
        rules
    }};
}

fn tower<S, B>(service: S) -> impl Fn(&Ask) -> Option<Told>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + Clone,
{
    move |ask| {
        let mut service = service.clone();
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        let response = now(service.call(http_request(ask)?)).expect("infallible");
        Some(Told::of(response.status().as_u16(), response.headers()))
    }
}

fn http_request(ask: &Ask) -> Option<Request<()>> {
    let mut request = Request::builder()
        .method(ask.method())
        .uri(ask.target())
        .header("host", "api.example");
    for (name, value) in &ask.lines {
        request = request.header(name, &value[..]);
    }
    request.body(()).ok()
}

/// What most apps have.
#[derive(Clone)]
struct ByHand;

impl Service<Request<()>> for ByHand {
    type Response = Response<Vec<u8>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let value = request.headers().get(http::header::AUTHORIZATION);
        let token = value
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        let key = jsonwebtoken::DecodingKey::from_secret(SECRET);
        let refuse = |challenge: &str| {
            let response = Response::builder()
                .status(401)
                .header("www-authenticate", challenge);
            ready(Ok(response.body(Vec::new()).expect("valid")))
        };
        let Some(token) = token else {
            return refuse("Bearer");
        };
        match jsonwebtoken::decode::<Strict>(token, &key, &rules!(jsonwebtoken)) {
            Ok(_) => ready(Ok(Response::new(Vec::new()))),
            Err(_) => refuse("Bearer error=\"invalid_token\""),
        }
    }
}

struct OurCookie;

impl ExtractorConfig for OurCookie {
    fn value() -> &'static str {
        COOKIE
    }
}

/// An axum extractor in the place of a layer.
struct Extracting<E>(Decoder<Strict>, std::marker::PhantomData<E>);

impl<E> Clone for Extracting<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), std::marker::PhantomData)
    }
}

impl<E> Extracting<E> {
    fn new() -> Self {
        let key = jsonwebtoken_10::DecodingKey::from_secret(SECRET);
        let decoder = axum_jwt_auth::LocalDecoder::new(vec![key], rules!(jsonwebtoken_10));
        Self(
            Arc::new(decoder.expect("complete")),
            std::marker::PhantomData,
        )
    }
}

impl<E: axum_jwt_auth::TokenExtractor> Service<Request<()>> for Extracting<E> {
    type Response = Response<Vec<u8>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let (mut parts, ()) = request.into_parts();
        type Theirs<E> = axum_jwt_auth::Claims<Strict, E>;
        let extracted = now(Theirs::<E>::from_request_parts(&mut parts, &self.0));
        let (parts, _) = match extracted {
            Ok(_) => Response::new(Vec::<u8>::new()).into_parts(),
            Err(error) => {
                let (parts, _) = error.into_response().into_parts();
                (parts, Vec::new())
            }
        };
        ready(Ok(Response::from_parts(parts, Vec::new())))
    }
}

fn resource_server()
-> impl Service<Request<()>, Response = Response<Vec<u8>>, Error = Infallible> + Clone {
    let key = serde_json::json!({"kty": "oct", "kid": "k1", "alg": "HS256", "k": b64(SECRET)});
    let jwks = serde_json::json!({ "keys": [key] }).to_string();
    let rules = ClaimsValidationSpec::recommended(ISSUER, &vec![AUDIENCE.to_owned()]).nbf(false);
    let tenant = TenantConfiguration::static_builder(jwks)
        .audiences(&[AUDIENCE])
        .claims_validation(rules)
        .allowed_algorithms(&[jsonwebtoken::Algorithm::HS256])
        .build()
        .expect("our own key set");
    let server = now(OAuth2ResourceServer::<Strict>::builder()
        .add_tenant(tenant)
        .build());
    server.expect("complete").into_layer().layer(App)
}

/// The app for jwt-authorizer, whose answers are of another version of axum.
#[derive(Clone)]
struct BareApp;

struct Reply(Told);

impl From<jwt_authorizer::AuthError> for Reply {
    fn from(error: jwt_authorizer::AuthError) -> Self {
        let response = axum_core_04::response::IntoResponse::into_response(error);
        Self(Told::of(response.status().as_u16(), response.headers()))
    }
}

impl Service<Request<()>> for BareApp {
    type Response = Reply;
    type Error = Infallible;
    type Future = Ready<Result<Reply, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Reply(Told::new(200, None))))
    }
}

fn authorizer(source: JwtSource) -> impl Fn(&Ask) -> Option<Told> {
    let rules = jwt_authorizer::Validation::new()
        .iss(&[ISSUER])
        .aud(&[AUDIENCE])
        .exp(true)
        .nbf(true)
        .leeway(0)
        .algs(vec![jsonwebtoken_9::Algorithm::HS256]);
    let secret = std::str::from_utf8(SECRET).expect("text");
    let authorizer = JwtAuthorizer::<Strict>::from_secret(secret)
        .validation(rules)
        .jwt_source(source);
    let service = now(authorizer.build()).expect("complete").into_layer();
    move |ask| {
        let mut service = service.layer(BareApp);
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        let Reply(told) = now(service.call(http_request(ask)?)).expect("infallible");
        Some(told)
    }
}

async fn checked(
    request: ServiceRequest,
    bearer: BearerAuth,
) -> Result<ServiceRequest, (Error, ServiceRequest)> {
    let key = jsonwebtoken::DecodingKey::from_secret(SECRET);
    match jsonwebtoken::decode::<Strict>(bearer.token(), &key, &rules!(jsonwebtoken)) {
        Ok(_) => Ok(request),
        Err(_) => {
            let error = AuthenticationError::from(Config::default());
            Err((error.with_error(Code::InvalidToken).into(), request))
        }
    }
}
