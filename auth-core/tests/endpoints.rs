//! Endpoints for OAuth clients, called without an adapter.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use auth_core::adapter::{Endpoint, RequestView};
use auth_core::oauth::{
    AuthenticateClient, ClientCredentials, ClientsUnavailable, Introspection, IssuerMetadata,
    PublicClient, TokenRevocation,
};
use auth_core::session::{LoginRequest, RefreshKey, Sessions};
use auth_core::testing::{Fault, FaultStore, MemoryStore};
use auth_core::{AccessTokenRequest, Issuer, Key, Scope};

struct Request {
    method: &'static str,
    authorization: Option<String>,
}

impl RequestView for Request {
    fn method(&self) -> &str {
        self.method
    }
    fn path(&self) -> &str {
        "/"
    }
    fn target(&self) -> &str {
        self.path()
    }
    fn authority(&self) -> Option<&str> {
        None
    }
    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        match (name, &self.authorization) {
            ("content-type", _) => visit(b"application/x-www-form-urlencoded"),
            ("authorization", Some(value)) => visit(value.as_bytes()),
            _ => {}
        }
    }
}

fn post(authorization: Option<&str>) -> Request {
    Request {
        method: "POST",
        authorization: authorization.map(str::to_owned),
    }
}

fn issuer() -> Issuer {
    Issuer::for_issuer("https://issuer.example")
        .audience("https://api.example")
        .keys(Key::hs256("k1", &[7; 32]).unwrap())
        .unwrap()
}

fn sessions(store: &Arc<FaultStore>) -> Sessions {
    Sessions::builder(issuer(), store.clone(), RefreshKey::ephemeral().unwrap())
        .with_reference_tokens()
        .build()
        .unwrap()
}

fn store() -> Arc<FaultStore> {
    Arc::new(FaultStore::new(Arc::new(MemoryStore::new())))
}

/// The credentials that an endpoint received.
#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl AuthenticateClient for Heard {
    async fn authenticate(
        &self,
        credentials: &ClientCredentials,
    ) -> Result<Option<String>, ClientsUnavailable> {
        let text = format!("{:?} {:?}", credentials.id(), credentials.expose_secret());
        self.0.lock().unwrap().push(text);
        let known = credentials.id() == Some("app") && credentials.secret_is(b"s3cret");
        Ok(known.then(|| "first-party".to_owned()))
    }
}

#[tokio::test]
async fn a_client_names_itself_once_and_is_asked_for_its_secret() {
    let heard = Heard::default();
    let store = store();
    let sessions = sessions(&store);
    let auth = issuer().authenticator::<()>().build().unwrap();
    let endpoint = TokenRevocation::new(sessions, auth, heard.clone());
    // "app:s3cret", "app:wrong"
    let (right, wrong) = ("Basic YXBwOnMzY3JldA==", "Basic YXBwOndyb25n");
    for (header, body, status) in [
        (None, "token=x&client_id=app&client_secret=s3cret", 200),
        (None, "token=x&client_id=app&client_secret=wrong", 401),
        (None, "token=x&client_id=app", 401),
        (Some(right), "token=x", 200),
        (Some(right), "token=x&client_id=app", 200),
        (Some(wrong), "token=x", 401),
        // Different names in form and header; two methods in one request.
        (Some(right), "token=x&client_id=other", 400),
        (Some(right), "token=x&client_secret=s3cret", 400),
    ] {
        let answer = endpoint.respond(&post(header), body.as_bytes()).await;
        assert_eq!(answer.status(), status, "{header:?} {body}");
    }
    let heard = heard.0.lock().unwrap();
    assert_eq!(heard[0], "Some(\"app\") Some(\"s3cret\")");
    assert_eq!(heard[2], "Some(\"app\") None");
    assert_eq!(heard.len(), 6);
}

#[tokio::test]
async fn a_public_client_has_no_secret_and_its_own_name() {
    let store = store();
    let auth = issuer().authenticator::<()>().build().unwrap();
    let endpoint = TokenRevocation::new(sessions(&store), auth, PublicClient::new("first-party"));
    for (body, status) in [
        ("token=x", 200),
        ("token=x&client_id=first-party", 200),
        ("token=x&client_id=other", 401),
        ("token=x&client_id=first-party&client_secret=s", 401),
        ("token=x&client_secret=s", 401),
    ] {
        let answer = endpoint.respond(&post(None), body.as_bytes()).await;
        assert_eq!(answer.status(), status, "{body}");
    }
}

#[tokio::test]
async fn what_nobody_can_look_up_is_not_called_inactive() {
    let store = store();
    let sessions = sessions(&store);
    let auth = issuer()
        .authenticator::<()>()
        .with_reference_tokens(sessions.clone())
        .build()
        .unwrap();
    let callers = auth.guard().require_scope("introspect").unwrap();
    let endpoint = Introspection::new(auth, callers).unwrap();
    let scope = Scope::parse("introspect").unwrap();
    let caller = AccessTokenRequest::for_subject("gateway").with_scope(scope);
    let caller = issuer().mint(&caller).await.unwrap();
    let request = post(Some(&format!("Bearer {}", caller.expose())));

    let tokens = sessions
        .login(LoginRequest::for_subject("ada"))
        .await
        .unwrap();
    let body = format!("token={}", tokens.access().expose());
    let answer = endpoint.respond(&request, body.as_bytes()).await;
    assert_eq!(answer.status(), 200);
    let text = std::str::from_utf8(answer.body()).unwrap();
    assert!(text.contains("\"active\":true") && text.contains("\"sub\":\"ada\""));

    store.inject(None, Fault::Down, 1);
    let answer = endpoint.respond(&request, body.as_bytes()).await;
    assert_eq!(answer.status(), 503);
    let answer = endpoint.respond(&request, b"token=forged").await;
    assert_eq!(answer.body(), b"{\"active\":false}");
}

/// Otherwise every user could introspect any token they find.
#[test]
fn introspection_is_for_callers_with_a_scope_or_a_role() {
    let auth = issuer().authenticator::<()>().build().unwrap();
    let guard = || auth.guard().require_scope("introspect").unwrap();
    for (callers, good) in [
        (guard(), true),
        (auth.guard().require_role("gateway"), true),
        (auth.guard(), false),
        (guard().with_anonymous(), false),
        (guard().with_preflight(), false),
    ] {
        assert_eq!(Introspection::new(auth.clone(), callers).is_ok(), good);
    }
}

#[test]
fn endpoints_are_mounted_at_plain_paths() {
    let store = store();
    let mounted = |path: &str| {
        let auth = issuer().authenticator::<()>().build().unwrap();
        let client = PublicClient::new("first-party");
        TokenRevocation::new(sessions(&store), auth, client)
            .with_path(path)
            .map(|endpoint| endpoint.path().to_owned())
    };
    for good in ["/", "/revoke", "/a/b-c_d.e~f"] {
        assert_eq!(mounted(good).unwrap(), good);
    }
    for bad in [
        "", "revoke", "//revoke", "/a//b", "/a?b", "/a b", "/{id}", "/ä",
    ] {
        assert!(mounted(bad).is_err(), "{bad:?}");
    }
}

#[tokio::test]
async fn metadata_take_members_of_the_apps_own_and_none_twice() {
    let metadata = IssuerMetadata::new(&issuer())
        .unwrap()
        .with_member("token_endpoint", "https://issuer.example/token")
        .unwrap();
    let get = Request {
        method: "GET",
        authorization: None,
    };
    let answer = metadata.respond(&get, b"").await;
    let text = std::str::from_utf8(answer.body()).unwrap();
    assert!(text.contains("\"token_endpoint\":\"https://issuer.example/token\""));
    for taken in ["issuer", "jwks_uri", "token_endpoint"] {
        assert!(metadata.clone().with_member(taken, "x").is_err(), "{taken}");
    }
}
