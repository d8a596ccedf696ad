//! The documents of `jwks.json`: which tokens a contender accepts that has such a key set.
//!
//! 1. A document is judged by tokens: those of keys that the table calls usable must pass, those
//!    of every other key must not, forged ones included (whoever has `e` = 1 signs for anybody).
//! 2. The app allows RS256 alone, wherever the contender can be told so.
//! 3. Cases about how a document is fetched are left out: nothing is fetched here. So is the one
//!    whose key can sign nothing.
//!
//! What this project makes of them, fetching included, is asserted in its own tests
//! (`own_open_key_sets`).

use http::Request;
use jwt_authorizer::JwtAuthorizer;
use rsa::pkcs1v15::SigningKey;
use rsa::rand_core::OsRng;
use rsa::signature::{SignatureEncoding, Signer};
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, RsaPrivateKey};
use serde_json::Value;
use sha2::{Digest, Sha256, Sha512};
use tower_layer::Layer;
use tower_oauth2_resource_server::server::OAuth2ResourceServer;
use tower_oauth2_resource_server::tenant::TenantConfiguration;
use tower_oauth2_resource_server::validation::ClaimsValidationSpec;
use tower_service::Service;

use super::{b64, cases, id, named, payload, row};
use crate::tower_side::App;
use crate::world::{AUDIENCE, ISSUER, now};

const TABLE: &str = include_str!("../../../tests/corpora/own-open/jwks.json");

/// What DigestInfo says of SHA-256 (RFC 8017 §9.2, note 1).
const SHA256_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

type Claims = serde_json::Map<String, Value>;

/// Whether a contender with this key set accepts this token.
type Accepts = fn(&str, &str) -> bool;

const CONTENDERS: [(&str, Accepts); 3] = [
    ("jsonwebtoken 11 by hand", by_hand),
    ("jwt-authorizer 0.15", authorizer),
    ("tower-oauth2-resource-server 0.12", resource_server),
];

/// A token, and whether it is to be accepted.
struct Trial {
    name: &'static str,
    token: String,
    good: bool,
}

pub fn table() {
    println!("\n### jwks.json: the key set\n");
    println!("| | tokens | wrongly accepted | wrongly refused |");
    println!("|---|---:|---:|---:|");
    let keys = Keys::generate();
    let cases = cases(TABLE);
    let mut lists = Vec::new();
    for (name, accepts) in CONTENDERS {
        let (mut asked, mut accepted, mut refused) = (0, Vec::new(), Vec::new());
        for case in &cases {
            let document = keys.fill(&case["doc"]);
            for trial in keys.trials(case) {
                asked += 1;
                let told = format!("{} ({})", id(case), trial.name);
                match (trial.good, accepts(&document, &trial.token)) {
                    (false, true) => accepted.push(told),
                    (true, false) => refused.push(told),
                    _ => {}
                }
            }
        }
        println!("{}", row(name, &[asked, accepted.len(), refused.len()]));
        lists.push((name, [("accepted", accepted), ("refused", refused)]));
    }
    println!();
    for (name, lists) in lists {
        named(name, lists);
    }
}

struct Keys {
    good: RsaPrivateKey,
    other: RsaPrivateKey,
    short: RsaPrivateKey,
}

impl Keys {
    fn generate() -> Self {
        let key = |bits| RsaPrivateKey::new(&mut OsRng, bits).expect("a key");
        Self {
            good: key(2048),
            other: key(2048),
            short: key(1024),
        }
    }

    fn fill(&self, document: &Value) -> String {
        let modulus = |key: &RsaPrivateKey| b64(key.n().to_bytes_be());
        document
            .to_string()
            .replace("{N2048}", &modulus(&self.good))
            .replace("{OTHER_N2048}", &modulus(&self.other))
            .replace("{N1024}", &modulus(&self.short))
    }

    /// The tokens that a case is asked with.
    fn trials(&self, case: &Value) -> Vec<Trial> {
        let good = |good| Trial {
            name: "r1",
            token: rs256(&self.good, "r1"),
            good,
        };
        let bad = |name, token| Trial {
            name,
            token,
            good: false,
        };
        match id(case).as_str() {
            "J-001" | "J-003" | "J-004" => vec![good(true)],
            "J-005" => vec![good(true), bad("e1", rs256(&self.good, "e1"))],
            "J-006" => vec![good(true), bad("e2", rs256(&self.good, "e2"))],
            "J-007" => vec![good(true), bad("s1", hs256(&[0; 32], "s1"))],
            "J-008" => vec![good(false), bad("the other r1", rs256(&self.other, "r1"))],
            "J-009" => vec![bad("1024 bits", rs256(&self.short, "r1"))],
            "J-010" => vec![bad("forged", forged("r1", &self.good))],
            "J-015" => vec![good(true), bad("RS512", rs512(&self.good, "r1"))],
            "J-002" | "J-020" | "J-021" => vec![good(false)],
            "J-019" | "J-022" | "J-023" => Vec::new(),
            new => panic!("{new} has no tokens yet"),
        }
    }
}

fn message(algorithm: &str, kid: &str) -> String {
    let header = format!(r#"{{"alg":"{algorithm}","typ":"at+jwt","kid":"{kid}"}}"#);
    format!("{}.{}", b64(header), b64(payload("A", 600)))
}

fn rs256(key: &RsaPrivateKey, kid: &str) -> String {
    let message = message("RS256", kid);
    let signature = SigningKey::<Sha256>::new(key.clone()).sign(message.as_bytes());
    format!("{message}.{}", b64(signature.to_bytes()))
}

fn rs512(key: &RsaPrivateKey, kid: &str) -> String {
    let message = message("RS512", kid);
    let signature = SigningKey::<Sha512>::new(key.clone()).sign(message.as_bytes());
    format!("{message}.{}", b64(signature.to_bytes()))
}

fn hs256(secret: &[u8], kid: &str) -> String {
    let message = message("HS256", kid);
    format!("{message}.{}", b64(super::hmac_256(secret, &message)))
}

/// With the exponent 1 the padded digest is its own signature.
fn forged(kid: &str, key: &RsaPrivateKey) -> String {
    let message = message("RS256", kid);
    let digest = Sha256::digest(message.as_bytes());
    let padding = key.size() - SHA256_INFO.len() - digest.len() - 3;
    let mut padded = vec![0, 1];
    padded.resize(2 + padding, 0xff);
    padded.push(0);
    padded.extend(SHA256_INFO);
    padded.extend(digest);
    assert!(BigUint::from_bytes_be(&padded) < *key.n());
    format!("{message}.{}", b64(padded))
}

/// As its documentation has it: the key that `kid` names, the algorithms that the app allows.
fn by_hand(document: &str, token: &str) -> bool {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_issuer(&[ISSUER]);
    rules.set_audience(&[AUDIENCE]);
    let Ok(keys) = serde_json::from_str::<JwkSet>(document) else {
        return false;
    };
    let kid = decode_header(token).ok().and_then(|header| header.kid);
    let jwk = kid.and_then(|kid| keys.find(&kid));
    let key = jwk.and_then(|jwk| DecodingKey::from_jwk(jwk).ok());
    key.is_some_and(|key| decode::<Claims>(token, &key, &rules).is_ok())
}

fn authorizer(document: &str, token: &str) -> bool {
    let rules = jwt_authorizer::Validation::new()
        .iss(&[ISSUER])
        .aud(&[AUDIENCE])
        .algs(vec![jsonwebtoken_9::Algorithm::RS256]);
    let authorizer = JwtAuthorizer::<Claims>::from_jwks_text(document).validation(rules);
    now(authorizer.build()).is_ok_and(|authorizer| now(authorizer.check_auth(token)).is_ok())
}

fn resource_server(document: &str, token: &str) -> bool {
    let rules = ClaimsValidationSpec::recommended(ISSUER, &vec![AUDIENCE.to_owned()]).nbf(false);
    let tenant = TenantConfiguration::static_builder(document)
        .audiences(&[AUDIENCE])
        .claims_validation(rules)
        .allowed_algorithms(&[jsonwebtoken::Algorithm::RS256])
        .build();
    let Ok(tenant) = tenant else {
        return false;
    };
    let server = OAuth2ResourceServer::<Claims>::builder();
    let Ok(server) = now(server.add_tenant(tenant).build()) else {
        return false;
    };
    let request = Request::builder().header("authorization", format!("Bearer {token}"));
    let request = request.body(()).expect("valid");
    let answer = now(server.into_layer().layer(App).call(request));
    answer.expect("infallible").status().is_success()
}
