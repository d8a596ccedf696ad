//! The layer on a gRPC server, with a real gRPC client. The service is written by hand in the form
//! of generated code: one unary method that returns the caller's subject.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use auth_core::revocation::{Revocations, StalePolicy};
use auth_core::{
    AccessTokenRequest, AuthContext, Authenticator, Guard, Issuer, Key, Scope, SystemClock,
};
use auth_tower::AuthLayer;
use bytes::{Buf, BufMut};
use http::uri::PathAndQuery;
use std::sync::Arc;
use std::time::Duration;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::BoxFuture;
use tonic::metadata::MetadataMap;
use tonic::server::{NamedService, UnaryService};
use tonic::service::Routes;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status};
use tower_service::Service;

const METHOD: &str = "/test.WhoAmI/Ask";

/// A codec for texts: the encoding of messages does not matter here.
#[derive(Clone, Copy, Default)]
struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(text.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let mut text = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut text);
        Ok(Some(String::from_utf8(text).unwrap()))
    }
}

/// Responds with the subject from the guard.
#[derive(Clone, Copy)]
struct WhoAmI;

impl UnaryService<String> for WhoAmI {
    type Response = String;
    type Future = Ready<Result<Response<String>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let context = request.extensions().get::<AuthContext>();
        let user = context.and_then(AuthContext::identity::<()>);
        ready(match user {
            Some(user) => Ok(Response::new(format!(
                "{} {}",
                request.get_ref(),
                user.subject()
            ))),
            None => Err(Status::internal("no guard")),
        })
    }
}

impl Service<http::Request<Body>> for WhoAmI {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = *self;
        Box::pin(async move { Ok(tonic::server::Grpc::new(Text).unary(service, request).await) })
    }
}

impl NamedService for WhoAmI {
    const NAME: &'static str = "test.WhoAmI";
}

fn issuer() -> Issuer {
    let key = Key::hs256("k1", &[7; 32]).unwrap();
    let issuer = Issuer::for_issuer("https://issuer.example");
    issuer.audience("https://api.example").keys(key).unwrap()
}

async fn token(scope: &str) -> String {
    let request = AccessTokenRequest::for_subject("alice").with_scope(Scope::parse(scope).unwrap());
    issuer().mint(&request).await.unwrap().expose().to_owned()
}

async fn serve(guard: Guard<()>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let guarded = Routes::new(WhoAmI)
        .into_axum_router()
        .layer(AuthLayer::new(guard));
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let server = Server::builder().add_routes(guarded.into());
    tokio::spawn(async move { server.serve_with_incoming(incoming).await.unwrap() });
    address
}

async fn ask(server: SocketAddr, authorization: Option<&str>) -> Result<String, Status> {
    let channel = Channel::from_shared(format!("http://{server}")).unwrap();
    let mut client = tonic::client::Grpc::new(channel.connect().await.unwrap());
    client.ready().await.unwrap();
    let mut request = Request::new("hello".to_owned());
    if let Some(value) = authorization {
        request
            .metadata_mut()
            .insert("authorization", value.parse().unwrap());
    }
    let path = PathAndQuery::from_static(METHOD);
    let answer = client.unary(request, path, Text).await?;
    Ok(answer.into_inner())
}

fn auth() -> Arc<Authenticator<()>> {
    issuer()
        .authenticator()
        .with_grpc_statuses()
        .build()
        .unwrap()
}

fn challenge(metadata: &MetadataMap) -> Option<&str> {
    Some(metadata.get("www-authenticate")?.to_str().unwrap())
}

#[tokio::test]
async fn a_call_with_a_good_token_reaches_its_handler_with_the_claims() {
    let server = serve(auth().guard()).await;
    let bearer = format!("Bearer {}", token("a").await);
    assert_eq!(ask(server, Some(&bearer)).await.unwrap(), "hello alice");
}

#[tokio::test]
async fn refusals_are_grpc_statuses_with_the_challenge_as_metadata() {
    let auth = auth();
    let admin = serve(auth.guard().require_scope("admin").unwrap()).await;
    let bearer = format!("Bearer {}", token("a").await);
    for (authorization, code, error) in [
        (None, Code::Unauthenticated, "Bearer realm=\"api\""),
        (
            Some("Bearer x"),
            Code::Unauthenticated,
            "Bearer realm=\"api\", error=\"invalid_token\"",
        ),
        (
            Some("Bearer"),
            Code::Unauthenticated,
            "Bearer realm=\"api\", error=\"invalid_request\"",
        ),
        (
            Some(&*bearer),
            Code::PermissionDenied,
            "Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"admin\"",
        ),
    ] {
        let status = ask(admin, authorization).await.unwrap_err();
        assert_eq!(status.code(), code);
        assert_eq!(challenge(status.metadata()), Some(error));
        assert!(!status.message().is_empty() && !status.message().contains('%'));
    }
}

#[tokio::test]
async fn trouble_of_ours_is_unavailable_and_no_reason_to_sign_out() {
    let after = Duration::from_secs(30);
    // This node has never followed its feed.
    let stale = Revocations::new(StalePolicy::FailClosed { after }, Arc::new(SystemClock));
    let auth = issuer().authenticator::<()>().with_grpc_statuses();
    let auth = auth.with_revocations(stale).build().unwrap();
    let bearer = format!("Bearer {}", token("a").await);
    let status = ask(serve(auth.guard()).await, Some(&bearer))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(challenge(status.metadata()), None);
    assert_eq!(status.metadata().get("retry-after").unwrap(), "1");
}

/// On the wire: trailers only, HTTP 200. Other requests keep their HTTP status, as do gRPC calls
/// while the setting is off.
#[tokio::test]
async fn only_grpc_calls_and_only_if_asked_for_are_answered_with_200() {
    use tower::ServiceExt;

    let with = auth();
    let without = issuer().authenticator::<()>().build().unwrap();
    for (auth, method, media, status) in [
        (&with, "POST", "application/grpc", 200),
        (&with, "POST", "application/grpc+proto", 200),
        (&with, "POST", "application/grpc-web", 401),
        (&with, "POST", "application/grpcx", 401),
        (&with, "POST", "application/json", 401),
        (&with, "GET", "application/grpc", 401),
        (&without, "POST", "application/grpc", 401),
    ] {
        let app = axum::Router::new()
            .route("/", axum::routing::any(|| async { "in" }))
            .layer(AuthLayer::new(auth));
        let request = http::Request::builder()
            .method(method)
            .uri("/")
            .header("content-type", media)
            .body(axum::body::Body::empty())
            .unwrap();
        let response = app.oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{method} {media}");
        let header = |name| {
            response
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap())
        };
        if status == 200 {
            assert_eq!(header("grpc-status"), Some("16"));
            assert_eq!(header("content-type"), Some("application/grpc"));
            assert_eq!(header("www-authenticate"), Some("Bearer realm=\"api\""));
        } else {
            assert_eq!(header("grpc-status"), None);
        }
        let body = axum::body::to_bytes(response.into_body(), 4096)
            .await
            .unwrap();
        assert_eq!(body.is_empty(), status == 200);
    }
}
