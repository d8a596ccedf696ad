//! Ends without a response, the duration of listings, and entries ahead of the subject version.

use std::sync::Arc;
use std::time::Duration;

use auth_core::adapter::{RequestView, Step, Verdict};
use auth_core::revocation::{Revocation, Revocations, StalePolicy};
use auth_core::session::{
    ClientInfo, EndedBy, GrantKind, LoginError, LoginRequest, RefreshOutcome, SessionEnded,
    Sessions, Tokens,
};
use auth_core::store::RefreshStore as _;
use auth_core::testing::{Fault, StoreOp};
use auth_core::{Authenticator, Clock, Guard};

use crate::world::{World, issuer, refresh_key, refresh_text, secs};

/// A node with its own list, whose access tokens live for `lifetime` seconds.
struct Node {
    sessions: Sessions,
    revocations: Revocations,
    guard: Guard<()>,
}

/// A request with this `Authorization` field only.
struct Header(String);

impl RequestView for Header {
    fn method(&self) -> &str {
        "GET"
    }
    fn path(&self) -> &str {
        "/me"
    }

    fn target(&self) -> &str {
        "/me"
    }
    fn authority(&self) -> Option<&str> {
        None
    }
    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        if name == "authorization" {
            visit(self.0.as_bytes());
        }
    }
}

impl Node {
    fn new(world: &World, lifetime: u64) -> Self {
        let issuer = issuer(&world.clock).with_lifetime(secs(lifetime)).unwrap();
        let revocations = Revocations::new(StalePolicy::FailOpen, world.clock.clone());
        let sessions = Sessions::builder(issuer.clone(), world.store.clone(), refresh_key(1))
            .with_events(world.told.clone())
            .with_revocations(revocations.clone())
            .build()
            .unwrap();
        let auth: Arc<Authenticator<()>> = issuer
            .authenticator()
            .with_leeway(secs(300))
            .with_revocations(revocations.clone())
            .build()
            .unwrap();
        Self {
            sessions,
            revocations,
            guard: Guard::from(auth),
        }
    }

    async fn login(&self, subject: &str) -> Tokens {
        let login = LoginRequest::for_subject(subject);
        self.sessions.login(login).await.unwrap()
    }

    async fn refresh(&self, token: &str) -> RefreshOutcome {
        self.sessions.refresh(token, &ClientInfo::new()).await
    }

    async fn granted(&self, token: &str, kind: GrantKind) -> Tokens {
        match self.refresh(token).await {
            RefreshOutcome::Granted(tokens) => {
                assert_eq!(tokens.kind(), kind);
                tokens
            }
            other => panic!("{other:?}"),
        }
    }

    fn accepts(&self, tokens: &Tokens) -> bool {
        let request = Header(format!("Bearer {}", tokens.access().expose()));
        match self.guard.check(&request) {
            Step::Done(Verdict::Pass(_)) => true,
            Step::Done(Verdict::Refuse(refusal)) => {
                assert_eq!(refusal.response().status(), 401);
                false
            }
            Step::Wait(_) => panic!("our own keys are here"),
        }
    }

    /// Follows the entries that the store has published.
    async fn follow(&self, world: &World) {
        use auth_core::store::RevocationFeed as _;
        for entry in world.memory.snapshot().await.unwrap().revocations {
            self.revocations.add(&entry);
        }
    }
}

#[tokio::test]
async fn h10_an_end_whose_answer_is_lost_is_felt_at_once_and_told_once() {
    for retried_by in 0..3 {
        let world = World::new();
        let (here, there) = (Node::new(&world, 600), Node::new(&world, 600));
        let tokens = here.login("ada").await;
        let token = refresh_text(&tokens);
        world.told.take();
        world
            .store
            .inject(Some(StoreOp::Revoke), Fault::LostAnswer, 1);
        assert!(here.sessions.end_by_token(&token).await.is_err());
        assert!(!here.accepts(&tokens), "refused on the node that asked");
        match retried_by {
            0 => drop(here.sessions.end_by_token(&token).await.unwrap()),
            1 => drop(there.sessions.end_by_token(&token).await.unwrap()),
            _ => assert!(matches!(
                there.refresh(&token).await,
                RefreshOutcome::TokenRejected(_)
            )),
        }
        assert_eq!(world.told.take(), ["revoked logout unconfirmed"]);
        assert!(!here.accepts(&tokens));
        if retried_by == 1 {
            assert!(!there.accepts(&tokens), "the retry lists it on its node");
        }
    }
}

#[tokio::test]
async fn h10_reuse_whose_answer_is_lost_is_told_once() {
    let world = World::new();
    let node = Node::new(&world, 600);
    let first = refresh_text(&node.login("ada").await);
    let second = refresh_text(&node.granted(&first, GrantKind::Rotated).await);
    world.advance(121);
    let third = node.granted(&second, GrantKind::Rotated).await;
    world.told.take();
    world
        .store
        .inject(Some(StoreOp::Revoke), Fault::LostAnswer, 1);
    assert!(matches!(
        node.refresh(&first).await,
        RefreshOutcome::Unavailable(_)
    ));
    assert!(!node.accepts(&third), "the thief's tokens, too");
    let told = ["revoked reuse unconfirmed", "reuse stale unconfirmed"];
    assert_eq!(world.told.take(), told);
    let again = node.refresh(&first).await;
    assert!(matches!(
        again,
        RefreshOutcome::SessionEnded(SessionEnded::Revoked(_))
    ));
    assert!(world.told.take().is_empty());
}

#[tokio::test]
async fn h10_an_end_that_never_reached_the_store_is_finished_by_the_next_refresh() {
    let world = World::new();
    let node = Node::new(&world, 600);
    let tokens = node.login("ada").await;
    world.told.take();
    world.store.inject(Some(StoreOp::Revoke), Fault::Down, 1);
    assert!(
        node.sessions
            .end_by_token(&refresh_text(&tokens))
            .await
            .is_err()
    );
    assert!(!node.accepts(&tokens));
    let outcome = node.refresh(&refresh_text(&tokens)).await;
    assert!(matches!(
        outcome,
        RefreshOutcome::SessionEnded(SessionEnded::Revoked(_))
    ));
    assert!(world.row(tokens.session()).await.record.revoked.is_some());
    let told = ["revoked logout unconfirmed", "revoked app"];
    assert_eq!(world.told.take(), told, "confirmed once it has happened");
}

#[tokio::test(start_paused = true)]
async fn h10_the_deadline_and_a_client_that_goes_away_are_no_answer_either() {
    let world = World::new();
    let node = Node::new(&world, 600);
    let tokens = node.login("ada").await;
    world.told.take();
    world.store.inject(Some(StoreOp::Revoke), Fault::Slow, 1);
    let logout = node.sessions.end_by_token(&refresh_text(&tokens)).await;
    assert!(logout.is_err());
    assert!(!node.accepts(&tokens));
    assert_eq!(world.told.take(), ["revoked logout unconfirmed"]);

    let tokens = node.login("bob").await;
    world.told.take();
    let token = refresh_text(&tokens);
    let dropped = crate::world::drop_after(2, node.sessions.end_by_token(&token)).await;
    assert!(dropped.is_none());
    assert!(!node.accepts(&tokens));
    assert_eq!(world.told.take(), ["revoked logout unconfirmed"]);
}

#[tokio::test]
async fn h10_a_login_whose_answer_is_lost_ends_only_what_the_store_says() {
    for fault in [Fault::LostAnswer, Fault::Down] {
        let world = World::new();
        let node = Node::new(&world, 600);
        let old = node.login("ada").await;
        let again = || LoginRequest::for_subject("ada").with_replaced_session(refresh_text(&old));
        world.told.take();
        world.store.inject(Some(StoreOp::Insert), fault, 1);
        assert!(node.sessions.login(again()).await.is_err());
        assert_eq!(world.told.take(), ["revoked replaced unconfirmed"]);
        assert!(node.accepts(&old), "perhaps it did not happen");
        let new = node.sessions.login(again()).await.unwrap();
        assert!(!node.accepts(&old) && node.accepts(&new));
        let told = world.told.take();
        match fault {
            Fault::LostAnswer => assert_eq!(told, ["login"], "it was told of before"),
            _ => assert_eq!(told, ["login", "revoked replaced"]),
        }
    }
}

#[tokio::test]
async fn h07_a_revoked_token_of_the_longer_lifetime_stays_refused_to_its_end() {
    let world = World::new();
    // A deployment changes from an hour to ten minutes, or two services differ.
    let (hour, minutes) = (Node::new(&world, 3600), Node::new(&world, 600));
    let tokens = hour.login("ada").await;
    minutes
        .sessions
        .end_by_token(&refresh_text(&tokens))
        .await
        .unwrap();
    let all = hour.login("bob").await;
    minutes
        .sessions
        .end_all("bob", EndedBy::User("bob"))
        .await
        .unwrap();
    hour.follow(&world).await;
    // Until the token has expired, including the leeway.
    for _ in 0..3600 + 300 {
        for node in [&hour, &minutes] {
            assert!(!node.accepts(&tokens), "{:?}", world.now());
            assert!(!node.accepts(&all), "{:?}", world.now());
        }
        world.advance(1);
    }
}

#[tokio::test]
async fn h07_the_store_knows_the_lifetime_before_a_row_is_read() {
    let world = World::new();
    let minutes = Node::new(&world, 600);
    let token = refresh_text(&minutes.login("ada").await);
    // A node with the longer lifetime has not loaded the row yet when another one ends the session.
    let hour = Node::new(&world, 3600);
    world.store.inject(Some(StoreOp::Load), Fault::Down, 1);
    let outcome = hour.refresh(&token).await;
    assert!(matches!(outcome, RefreshOutcome::Unavailable(_)));
    let longest = world
        .memory
        .raise_access_lifetime("https://other.example", Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(longest, Duration::from_secs(3600));
}

#[tokio::test]
async fn h24_a_token_that_was_made_without_a_write_is_refused_to_its_end() {
    let world = World::new();
    let node = Node::new(&world, 600);
    let first = refresh_text(&node.login("ada").await);
    let second = refresh_text(&node.granted(&first, GrantKind::Rotated).await);
    world.advance(100);
    let fresh = node.granted(&second, GrantKind::Fresh).await;
    world.advance(10);
    assert!(node.accepts(&fresh));
    node.sessions.end_by_token(&second).await.unwrap();
    for _ in 0..600 + 300 {
        assert!(!node.accepts(&fresh), "{:?}", world.now());
        world.advance(1);
    }
}

#[tokio::test]
async fn h25_a_login_that_finds_its_subjects_entry_ahead_heals_it_and_is_let_in() {
    let world = World::new();
    let node = Node::new(&world, 600);
    let before = node.login("ada").await;
    let began = node.sessions.begin_login("ada").await.unwrap();
    // The entry exists, the version does not: it was lost, or is not raised yet.
    let entry = Revocation::Subject {
        subject: "ada".into(),
        lowest_subject_version: 1,
        until: world.clock.now().saturating_add(secs(930)),
    };
    node.revocations.add(&entry);
    let late = node.sessions.login(LoginRequest::started(began)).await;
    assert!(matches!(late, Err(LoginError::Superseded)), "began before");
    let after = node.login("ada").await;
    assert!(node.accepts(&after));
    assert_eq!(world.memory.subject_version("ada").await.unwrap(), 1);
    let began = node.sessions.begin_login("ada").await.unwrap();
    let started = node.sessions.login(LoginRequest::started(began)).await;
    assert!(node.accepts(&started.unwrap()));
    // Earlier sessions have ended by their version, without a revocation.
    let outcome = node.refresh(&refresh_text(&before)).await;
    assert!(matches!(
        outcome,
        RefreshOutcome::SessionEnded(SessionEnded::Revoked(_))
    ));
    assert!(world.row(before.session()).await.record.revoked.is_none());
}

#[tokio::test]
async fn h25_a_refresh_that_finds_its_subjects_entry_ahead_heals_it() {
    let world = World::new();
    let node = Node::new(&world, 600);
    let tokens = node.login("ada").await;
    let entry = Revocation::Subject {
        subject: "ada".into(),
        lowest_subject_version: 3,
        until: world.clock.now().saturating_add(secs(930)),
    };
    node.revocations.add(&entry);
    world.told.take();
    let outcome = node.refresh(&refresh_text(&tokens)).await;
    assert!(matches!(
        outcome,
        RefreshOutcome::SessionEnded(SessionEnded::Revoked(_))
    ));
    assert_eq!(world.memory.subject_version("ada").await.unwrap(), 3);
    assert!(world.row(tokens.session()).await.record.revoked.is_none());
    assert!(world.told.take().is_empty(), "nothing was ended here");
    let next = node.login("ada").await;
    let next = node.granted(&refresh_text(&next), GrantKind::Rotated).await;
    assert!(node.accepts(&next));
}
