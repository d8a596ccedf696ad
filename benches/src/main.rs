//! What the layer adds to a request, next to a layer that does nothing and to
//! `jsonwebtoken::decode` of the same token, in one process.
//!
//! Contenders take turns in an order shuffled every round, so that a change of the machine's speed
//! hits all of them; medians are printed. `cargo run --release` in this folder.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use allocation_counter::measure;
use auth_core::{AccessTokenRequest, Algorithm, Authenticator, Issuer, Key, KeySource, PrivateJwk};
use auth_tower::AuthLayer;
use http::{Request, Response};
use serde::{Deserialize, Serialize};
use tower_layer::Layer;
use tower_service::Service;

#[derive(Clone, Serialize, Deserialize)]
struct User {
    tenant: String,
    level: u8,
}

/// The app: an empty answer.
#[derive(Clone)]
struct App;

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

/// A layer that passes the request on with one `Arc` in its extensions.
#[derive(Clone)]
struct NoOp(App, Arc<u64>);

impl Service<Request<()>> for NoOp {
    type Response = Response<Vec<u8>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<()>) -> Self::Future {
        request.extensions_mut().insert(Arc::clone(&self.1));
        self.0.call(request)
    }
}

type Contender = (&'static str, Box<dyn FnMut(Request<()>) -> bool>);

fn serve<S>(mut service: S) -> Box<dyn FnMut(Request<()>) -> bool>
where
    S: Service<Request<()>, Response = Response<Vec<u8>>, Error = Infallible> + 'static,
{
    Box::new(move |request| {
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        let answer = pin!(service.call(request)).poll(&mut context);
        matches!(answer, Poll::Ready(Ok(response)) if response.status() == 200)
    })
}

struct Setup {
    auth: Arc<Authenticator<User>>,
    token: String,
}

fn setup(key: Key) -> Setup {
    let issuer = Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(KeySource::from(key))
        .expect("the key signs");
    let user = User {
        tenant: "acme".into(),
        level: 3,
    };
    let request = AccessTokenRequest::for_subject("0b0f3a39-2f2e-4c3b-9a53-3f5a2d9d2f10")
        .session_id("AAAAAAAAAAAAAAAAAAAAAA")
        .claims(&user)
        .expect("no registered claim");
    let mint = pin!(issuer.mint(&request)).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(Ok(token)) = mint else {
        panic!("a local key signs at once")
    };
    let auth = issuer.authenticator::<User>().build().expect("complete");
    Setup {
        auth,
        token: token.expose().to_owned(),
    }
}

fn decode(
    key: jsonwebtoken::DecodingKey,
    algorithm: jsonwebtoken::Algorithm,
    token: String,
) -> Box<dyn FnMut(Request<()>) -> bool> {
    let mut rules = jsonwebtoken::Validation::new(algorithm);
    rules.set_issuer(&["https://issuer.example"]);
    rules.set_audience(&["https://api.example"]);
    Box::new(move |_| jsonwebtoken::decode::<User>(&token, &key, &rules).is_ok())
}

fn request(token: &str) -> Request<()> {
    Request::get("/me")
        .header("host", "api.example")
        .header("authorization", format!("Bearer {token}"))
        .body(())
        .expect("a valid request")
}

/// Median time of one call, and allocations of one.
fn run(contenders: &mut [(Contender, String)], rounds: usize, calls: usize) {
    let mut times = vec![Vec::with_capacity(rounds); contenders.len()];
    let mut order: Vec<usize> = (0..contenders.len()).collect();
    let mut seed = 0x9E37_79B9_u64;
    for _ in 0..rounds {
        for last in (1..order.len()).rev() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            order.swap(last, (seed >> 33) as usize % (last + 1));
        }
        for &index in &order {
            let ((_, call), token) = &mut contenders[index];
            let requests: Vec<_> = (0..calls).map(|_| request(token)).collect();
            let begin = Instant::now();
            for request in requests {
                assert!(call(request));
            }
            times[index].push(begin.elapsed() / calls as u32);
        }
    }
    println!("{:<28} {:>10} {:>12}", "", "ns", "allocations");
    for (((name, call), token), times) in contenders.iter_mut().zip(&mut times) {
        times.sort();
        let ready = request(token);
        let counted = measure(|| assert!(call(ready)));
        let median: Duration = times[times.len() / 2];
        println!(
            "{name:<28} {:>10} {:>12}",
            median.as_nanos(),
            counted.count_total
        );
    }
}

fn main() {
    let secret: [u8; 32] = std::array::from_fn(|n| (n as u8).wrapping_mul(37) ^ 0x5A);
    let hs = setup(Key::hs256("k1", &secret).expect("long enough"));
    let (key, private): (Key, PrivateJwk) =
        Key::generate("k2", Algorithm::Es256).expect("the system has randomness");
    let public: jsonwebtoken::jwk::Jwk =
        serde_json_from(key.public_jwk().expect("asymmetric").as_ref());
    drop(private);
    let es = setup(key);
    let hs_key = jsonwebtoken::DecodingKey::from_secret(&secret);
    let es_key = jsonwebtoken::DecodingKey::from_jwk(&public).expect("a key of ours");
    let mut contenders: Vec<(Contender, String)> = vec![
        (("no layer", serve(App)), hs.token.clone()),
        (
            ("no-op layer", serve(NoOp(App, Arc::new(7)))),
            hs.token.clone(),
        ),
        (
            (
                "auth layer, HS256",
                serve(AuthLayer::new(&hs.auth).layer(App)),
            ),
            hs.token.clone(),
        ),
        (
            (
                "auth layer, ES256",
                serve(AuthLayer::new(&es.auth).layer(App)),
            ),
            es.token.clone(),
        ),
        (
            (
                "jsonwebtoken decode, HS256",
                decode(hs_key, jsonwebtoken::Algorithm::HS256, hs.token.clone()),
            ),
            hs.token.clone(),
        ),
        (
            (
                "jsonwebtoken decode, ES256",
                decode(es_key, jsonwebtoken::Algorithm::ES256, es.token.clone()),
            ),
            es.token.clone(),
        ),
    ];
    run(&mut contenders, 61, 300);
}

fn serde_json_from<T: serde::de::DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).expect("our own document")
}
