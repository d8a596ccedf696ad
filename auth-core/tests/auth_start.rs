//! What an `Auth` does once it has started, and what keeps it from starting.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken expectation fails the test"
)]

mod auth_kit;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use auth_core::adapter::Verdict;
use auth_core::session::{LoginError, LoginRequest, SessionPolicy, UserQuery, UsersUnavailable};
use auth_core::testing::{ManualClock, MemoryStore};
use auth_core::{Access, Auth, AuthBuilder, AuthErrorKind, Guard, StartError, Timestamp, Users};
use serde::{Deserialize, Serialize};

use crate::auth_kit::{Faults, Frail, Request, builder};

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

async fn status<T>(guard: Guard<T>, token: &str) -> u16
where
    T: serde::de::DeserializeOwned + Send + Sync + 'static,
{
    match guard.check(&Request::bearer(token)).verdict().await {
        Verdict::Pass(_) => 200,
        Verdict::Refuse(refusal) => refusal.response().status(),
    }
}

async fn signed_in<T>(auth: &Auth<T>, subject: &str) -> auth_core::session::Tokens {
    let login = LoginRequest::for_subject(subject);
    auth.sessions().login(login).await.unwrap()
}

#[tokio::test]
async fn g06_a_session_ends_at_once_without_a_line_that_says_so() {
    let auth = builder(MemoryStore::new()).start().await.unwrap();
    let tokens = signed_in(&auth, "alice").await;
    let access = tokens.access().expose();
    assert_eq!(status(auth.guard(), access).await, 200);
    let refresh = tokens.refresh().unwrap().expose();
    auth.sessions().end_by_token(refresh).await.unwrap();
    assert_eq!(status(auth.guard(), access).await, 401);
}

#[tokio::test]
async fn g06_nodes_share_keys_and_revocations() {
    let store = Arc::new(MemoryStore::new());
    let one = builder(Arc::clone(&store)).start().await.unwrap();
    let other = builder(Arc::clone(&store)).start().await.unwrap();
    let tokens = signed_in(&one, "alice").await;
    let access = tokens.access().expose();
    assert_eq!(status(other.guard(), access).await, 200);
    one.sessions()
        .end_by_token(tokens.refresh().unwrap().expose())
        .await
        .unwrap();
    while status(other.guard(), access).await == 200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(status(other.guard(), access).await, 401);
}

#[derive(Serialize, Deserialize)]
struct User {
    tenant: String,
}

/// Users by their names.
struct Db;

impl Users for Db {
    type Claims = User;

    async fn access(&self, user: &UserQuery<'_>) -> Result<Option<Access<User>>, UsersUnavailable> {
        tokio::task::yield_now().await;
        match user.subject() {
            "trouble" => Err(std::io::Error::other("down"))?,
            "mallory" => Ok(None),
            _ => {
                let user = User {
                    tenant: "acme".into(),
                };
                Ok(Some(Access::new(user).with_roles(["admin"])))
            }
        }
    }
}

#[tokio::test]
async fn the_claims_are_those_of_the_users() {
    let auth: Auth<User> = builder(MemoryStore::new())
        .with_users(Db)
        .start()
        .await
        .unwrap();
    let tokens = signed_in(&auth, "alice").await;
    let request = Request::bearer(tokens.access().expose());
    let Verdict::Pass(pass) = auth.require_role("admin").check(&request).verdict().await else {
        panic!("refused");
    };
    let user = pass.into_parts().0.require::<User>(&request).unwrap();
    assert_eq!((user.subject(), &*user.tenant), ("alice", "acme"));
    let auditors = auth.require_role("auditor");
    assert_eq!(status(auditors, tokens.access().expose()).await, 403);

    let login = |subject| auth.sessions().login(LoginRequest::for_subject(subject));
    assert!(matches!(login("mallory").await, Err(LoginError::Disabled)));
    assert!(matches!(
        login("trouble").await,
        Err(LoginError::Unavailable(_))
    ));
}

#[tokio::test]
async fn users_may_be_a_closure() {
    let roles = Arc::new(vec!["admin".to_owned()]);
    let auth = builder(MemoryStore::new())
        .with_users_fn(move |user| {
            let roles = Arc::clone(&roles);
            async move {
                let known = user.subject.parse::<u32>()?;
                Ok((known > 0).then(|| Access::new(()).with_roles(roles.iter().cloned())))
            }
        })
        .start()
        .await
        .unwrap();
    let tokens = signed_in(&auth, "7").await;
    let admins = auth.require_role("admin");
    assert_eq!(status(admins, tokens.access().expose()).await, 200);
    let login = |subject| auth.sessions().login(LoginRequest::for_subject(subject));
    assert!(matches!(login("0").await, Err(LoginError::Disabled)));
    assert!(matches!(login("x").await, Err(LoginError::Unavailable(_))));
}

#[tokio::test]
async fn a_node_that_is_cut_off_for_30_s_refuses_every_token() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_800_000_000)));
    let store = Frail::default();
    let start = async |change: fn(AuthBuilder<()>) -> AuthBuilder<()>| {
        let builder = builder(store.clone()).with_clock(Arc::clone(&clock));
        change(builder).start().await.unwrap()
    };
    let closed = start(|auth| auth).await;
    let open = start(AuthBuilder::with_insecure_stale_revocations).await;
    let off = start(AuthBuilder::without_revocations).await;
    let tokens = signed_in(&closed, "alice").await;
    Faults::set(&store.faults.feed_fails, true);
    // A call that was under way may still succeed.
    tokio::time::sleep(secs(0)).await;
    let statuses = async || {
        let access = tokens.access().expose();
        [
            status(closed.guard(), access).await,
            status(open.guard(), access).await,
            status(off.guard(), access).await,
        ]
    };
    clock.advance(secs(29));
    assert_eq!(statuses().await, [200, 200, 200]);
    clock.advance(secs(2));
    assert_eq!(statuses().await, [503, 200, 200]);
}

async fn refused(
    change: impl FnOnce(AuthBuilder<()>) -> AuthBuilder<()>,
) -> (&'static str, String) {
    let error = change(builder(MemoryStore::new()))
        .start()
        .await
        .unwrap_err();
    let text = error.to_string();
    // What `fn main() -> Result` prints.
    assert_eq!(format!("{error:?}"), format!("StartError({text})"));
    match error {
        StartError::Config(error) => (error.setting(), text),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_contradiction_does_not_start_and_says_what_mends_it() {
    let policy = SessionPolicy::default;
    type Change = Box<dyn FnOnce(AuthBuilder<()>) -> AuthBuilder<()>>;
    let cases: Vec<(&str, [&str; 2], &str, Change)> = vec![
        (
            "access lifetime",
            ["100000s", "86400s"],
            ".with_access_lifetime(",
            Box::new(|auth| auth.with_access_lifetime(secs(100_000))),
        ),
        (
            "access lifetime",
            ["3600s", "1800s"],
            ".with_access_lifetime(",
            Box::new(move |auth| {
                auth.with_access_lifetime(secs(3600))
                    .with_session_policy(policy().with_idle(secs(1800)))
            }),
        ),
        (
            "idle",
            ["864000s", "3600s"],
            ".with_session_policy(",
            Box::new(move |auth| {
                let policy = policy().with_idle(secs(864_000)).with_absolute(secs(3600));
                auth.with_session_policy(policy)
            }),
        ),
        (
            "leeway",
            ["301s", "300s"],
            ".with_leeway(",
            Box::new(|auth| auth.with_leeway(secs(301))),
        ),
        (
            "max staleness",
            ["1s", "5s"],
            ".with_max_staleness(",
            Box::new(|auth| auth.with_max_staleness(secs(1))),
        ),
        (
            "login page",
            ["\"/login\"", "cookies"],
            ".with_cookies(",
            Box::new(|auth| auth.with_login_page("/login")),
        ),
        (
            "client_ip_field",
            ["", ""],
            "header field",
            Box::new(|auth| auth.with_client_ip_field("x real ip")),
        ),
        (
            "key period",
            ["60s", "1300s"],
            ".with_key_period(",
            Box::new(|auth| auth.with_key_period(secs(60))),
        ),
    ];
    for (setting, values, remedy, change) in cases {
        let (named, text) = refused(change).await;
        assert_eq!(named, setting);
        for part in values.into_iter().chain([remedy]) {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}

#[tokio::test]
async fn an_empty_issuer_or_audience_does_not_start() {
    let start = |issuer: &str, audience: &str| {
        let auth = Auth::for_issuer(issuer).audience(audience);
        auth.store(MemoryStore::new()).start()
    };
    assert!(start("", "https://a.example").await.is_err());
    assert!(start("https://a.example", "").await.is_err());
}

#[test]
fn without_a_runtime_it_says_so() {
    let mut starting = pin!(builder(MemoryStore::new()).start());
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Err(error)) = starting.as_mut().poll(&mut context) else {
        panic!("it waits");
    };
    assert!(error.to_string().contains("Tokio runtime"), "{error}");
}

#[tokio::test]
async fn a_claims_type_that_declares_a_registered_claim_does_not_start() {
    #[derive(Serialize, Deserialize)]
    struct Wrong {
        sub: String,
    }
    let users = async |_| Ok(Some(Access::new(Wrong { sub: "x".into() })));
    let auth = builder(MemoryStore::new()).with_users_fn(move |user| Box::pin(users(user)));
    let error = auth.start().await.unwrap_err();
    assert!(error.to_string().contains("`sub`"), "{error}");
}

#[tokio::test]
async fn pages_lead_to_the_login_page_and_the_api_does_not() {
    let auth = builder(MemoryStore::new()).start().await.unwrap();
    let request = Request::new("GET", "/").with("sec-fetch-mode", "navigate");
    for guard in [auth.guard(), auth.pages()] {
        let Verdict::Refuse(refusal) = guard.check(&request).verdict().await else {
            panic!("passed");
        };
        assert_eq!(refusal.error().kind(), AuthErrorKind::MissingCredential);
        assert_eq!(refusal.response().status(), 401);
    }
    let Verdict::Pass(_) = auth.optional().check(&request).verdict().await else {
        panic!("refused");
    };
}
