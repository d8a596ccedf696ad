//! The JWKS endpoint.

use crate::endpoints::jwks::JwksEndpoint;
use crate::http::request::RequestView;
use crate::http::response::Response;
use crate::keys::rotation::tests::*;
use crate::keys::{Algorithm, Key, KeyRing};
use crate::token::issuer::Issuer;

pub(crate) struct Request {
    method: &'static str,
    fields: Vec<(&'static str, String)>,
}

impl Request {
    pub(crate) fn get() -> Self {
        Self::of("GET")
    }

    fn of(method: &'static str) -> Self {
        Self {
            method,
            fields: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.fields.push((name, value.to_owned()));
        self
    }
}

pub(crate) fn get() -> Request {
    Request::get()
}

impl RequestView for Request {
    fn method(&self) -> &str {
        self.method
    }
    fn path(&self) -> &str {
        "/.well-known/jwks.json"
    }
    fn target(&self) -> &str {
        self.path()
    }
    fn authority(&self) -> Option<&str> {
        None
    }
    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        for (_, value) in self.fields.iter().filter(|(field, _)| *field == name) {
            visit(value.as_bytes());
        }
    }
}

fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    let mut lines = answer.headers().iter().filter(|line| line.name() == name);
    let line = lines.next();
    assert!(lines.next().is_none(), "{name} twice");
    line.map(crate::http::header::HeaderLine::value)
}

#[tokio::test]
async fn f11_the_document_never_shows_private_or_symmetric_members() {
    let (memory, clock) = (Memory::default(), clock());
    let mut node = start(&memory, &clock).await;
    clock.set(at(370));
    node.step().await.unwrap();
    let answer = node.jwks().respond(&get());
    assert_eq!(
        header(&answer, "content-type"),
        Some("application/jwk-set+json")
    );
    assert_eq!(
        header(&answer, "cache-control"),
        Some("public, max-age=300")
    );
    let set: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    let keys = set["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys {
        let mut names: Vec<_> = key.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x"]);
    }

    let mut all = Vec::new();
    for algorithm in [Algorithm::Hs256, Algorithm::Rs256, Algorithm::Es384] {
        all.push(Key::generate(algorithm.as_str(), algorithm).unwrap().0);
    }
    let ring = KeyRing::new(all)
        .unwrap()
        .with_signing_key("HS256")
        .unwrap();
    let issuer = Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(ring)
        .unwrap();
    let answer = JwksEndpoint::new(&issuer, secs(0)).respond(&get());
    assert_eq!(header(&answer, "cache-control"), Some("no-cache"));
    let set: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    let keys = set["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys {
        for secret in ["k", "d", "p", "q", "dp", "dq", "qi", "oth"] {
            assert!(key.get(secret).is_none(), "{secret}");
        }
    }
}

#[tokio::test]
async fn a_verifier_that_has_the_document_gets_304_until_a_key_comes() {
    let (memory, clock) = (Memory::default(), clock());
    let mut node = start(&memory, &clock).await;
    let jwks = node.jwks();
    let tag = header(&jwks.respond(&get()), "etag").unwrap().to_owned();
    let asked = |value: &str| {
        let answer = jwks.respond(&get().with("if-none-match", value));
        (answer.status(), answer.body().is_empty())
    };
    for matching in [
        tag.clone(),
        format!("W/{tag}"),
        format!("\"a,b\", {tag} , \"c\""),
        "*".to_owned(),
    ] {
        assert_eq!(asked(&matching), (304, true), "{matching}");
    }
    for other in ["", "\"\"", "\"other\"", tag.trim_matches('"'), "w/*"] {
        assert_eq!(asked(other), (200, false), "{other}");
    }
    let answer = jwks.respond(&get().with("if-none-match", &tag));
    assert_eq!(header(&answer, "etag"), Some(&*tag));
    assert_eq!(
        header(&answer, "cache-control"),
        Some("public, max-age=300")
    );
    assert_eq!(header(&answer, "content-type"), None);

    clock.set(at(370));
    node.step().await.unwrap();
    let answer = jwks.respond(&get().with("if-none-match", &tag));
    assert_eq!(answer.status(), 200);
    assert_ne!(header(&answer, "etag"), Some(&*tag));
}

#[tokio::test]
async fn only_get_and_head_are_answered() {
    let node = start(&Memory::default(), &clock()).await;
    let jwks = node.jwks();
    assert_eq!(jwks.respond(&Request::of("HEAD")).status(), 200);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get"] {
        let answer = jwks.respond(&Request::of(method));
        assert_eq!(answer.status(), 405, "{method}");
        assert_eq!(header(&answer, "allow"), Some("GET, HEAD"));
        assert_eq!(header(&answer, "cache-control"), Some("no-store"));
    }
}
