//! Failing stores, disconnected clients, and secrets that must not be shown.

use auth_core::session::{
    ClientInfo, EndedBy, GrantKind, LoginError, LoginRequest, RefreshOutcome, UnavailableKind,
};
use auth_core::testing::{Fault, StoreOp};

use crate::world::{World, drop_after, join_all, refresh_text};

#[tokio::test]
async fn d08_rule_10_an_answer_lost_after_the_commit_is_had_again_by_a_retry() {
    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    world
        .store
        .inject(Some(StoreOp::Write), Fault::LostAnswer, 1);
    assert!(matches!(
        world.refresh(&first).await,
        RefreshOutcome::Unavailable(_)
    ));
    let retried = world.granted(&first).await;
    assert_eq!(retried.kind(), GrantKind::Replayed);
    assert_eq!(retried.generation().get(), 1);
}

#[tokio::test]
async fn e10_a_store_that_is_down_is_trouble_of_ours_and_consumes_nothing() {
    let world = World::new();
    let tokens = world.login("ada").await;
    let first = refresh_text(&tokens);
    let (sessions, store) = (&world.sessions, &world.store);
    for op in [StoreOp::Load, StoreOp::Write] {
        store.inject(Some(op), Fault::Down, 1);
        let outcome = world.refresh(&first).await;
        assert!(matches!(outcome, RefreshOutcome::Unavailable(_)), "{op:?}");
    }
    for op in [StoreOp::Load, StoreOp::Insert] {
        store.inject(Some(op), Fault::Down, 1);
        let login = sessions.login(LoginRequest::for_subject("ada")).await;
        assert!(matches!(login, Err(LoginError::Unavailable(_))));
    }
    store.inject(None, Fault::Down, 5);
    assert!(sessions.end_by_token(&first).await.is_err());
    assert!(sessions.list("ada", None).await.is_err());
    assert!(sessions.end_all("ada", EndedBy::User("ada")).await.is_err());
    assert!(
        sessions
            .end(tokens.session(), EndedBy::User("ada"))
            .await
            .is_err()
    );
    let others = sessions.end_others("ada", tokens.session(), "").await;
    assert!(matches!(others, RefreshOutcome::Unavailable(_)));
    assert_eq!(world.granted(&first).await.kind(), GrantKind::Rotated);
}

#[tokio::test]
async fn rule_1_a_revoking_write_that_fails_is_trouble_of_ours_and_is_tried_again() {
    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    let second = refresh_text(&world.granted(&first).await);
    world.advance(121);
    let _ = world.granted(&second).await;
    world.store.inject(Some(StoreOp::Revoke), Fault::Down, 1);
    assert!(matches!(
        world.refresh(&first).await,
        RefreshOutcome::Unavailable(_)
    ));
    assert!(matches!(
        world.refresh(&first).await,
        RefreshOutcome::SessionEnded(_)
    ));
}

#[tokio::test(start_paused = true)]
async fn e11_a_store_that_stalls_is_given_up_at_the_request_deadline() {
    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    world.store.inject(Some(StoreOp::Load), Fault::Slow, 2);
    let began = tokio::time::Instant::now();
    let outcome = world.refresh(&first).await;
    assert_eq!(began.elapsed(), world.sessions.policy().request_deadline());
    assert!(
        matches!(outcome, RefreshOutcome::Unavailable(error) if error.kind() == UnavailableKind::Deadline)
    );
}

#[tokio::test]
async fn e03b_a_client_may_go_away_at_every_poll_and_its_retry_succeeds() {
    let mut finished = false;
    for polls in 1.. {
        let world = World::new();
        let first = refresh_text(&world.login("ada").await);
        finished = drop_after(polls, world.refresh(&first)).await.is_some();
        let retried = world.granted(&first).await;
        let kind = retried.kind();
        assert!(matches!(kind, GrantKind::Rotated | GrantKind::Replayed));
        assert_eq!(retried.generation().get(), 1, "{polls}");
        if finished {
            break;
        }
        assert!(polls < 100);
    }
    assert!(finished);
}

#[tokio::test]
async fn e03b_a_leader_that_goes_away_at_any_poll_hands_over() {
    for polls in 1..12 {
        let world = World::new();
        let first = refresh_text(&world.login("ada").await);
        let leader = drop_after(polls, world.refresh(&first));
        let followers = join_all(
            (0..4)
                .map(|_| {
                    let (sessions, first) = (world.sessions.clone(), first.clone());
                    Box::pin(async move {
                        match sessions.refresh(&first, &ClientInfo::new()).await {
                            RefreshOutcome::Granted(tokens) => tokens.generation().get(),
                            other => panic!("{other:?}"),
                        }
                    }) as std::pin::Pin<Box<dyn Future<Output = u32> + Send>>
                })
                .collect(),
        );
        let (_, generations) = tokio::join!(leader, followers);
        assert_eq!(generations, [1; 4]);
        assert!(world.store.writes() <= 2);
    }
}

#[tokio::test]
async fn e03_a_login_or_logout_dropped_half_way_is_whole_or_not_at_all() {
    for polls in 1..12 {
        let world = World::new();
        let login = world.sessions.login(LoginRequest::for_subject("ada"));
        let _ = drop_after(polls, login).await;
        assert!(world.memory.len() <= 1);
        let tokens = world.login("bob").await;
        let token = refresh_text(&tokens);
        let dropped = drop_after(polls, world.sessions.end_by_token(&token)).await;
        let revoked = world.row(tokens.session()).await.record.revoked;
        assert!(revoked.is_some() || dropped.is_none());
        world.sessions.end_by_token(&token).await.unwrap();
    }
}

#[tokio::test]
async fn rule_2_a_request_that_always_loses_gives_up_with_503() {
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use auth_core::session::*;
    use auth_core::store::*;
    use auth_core::testing::MemoryStore;

    /// A store in which another writer always wins.
    #[derive(Debug)]
    struct AlwaysLost(Arc<MemoryStore>);

    #[async_trait]
    impl RefreshStore for AlwaysLost {
        async fn subject_version(&self, subject: &str) -> Result<u64, StoreError> {
            self.0.subject_version(subject).await
        }
        async fn insert(&self, session: &NewSession<'_>) -> Result<InsertOutcome, StoreError> {
            self.0.insert(session).await
        }
        async fn load(&self, id: &SessionId) -> Result<Option<LoadedSession>, StoreError> {
            self.0.load(id).await
        }
        async fn advance(
            &self,
            _step: &RotateSession<'_>,
        ) -> Result<Option<RotatedAt>, StoreError> {
            Ok(None)
        }
        async fn revoke(&self, revoke: &RevokeSession) -> Result<Option<Revoked>, StoreError> {
            self.0.revoke(revoke).await
        }
        async fn end_all(
            &self,
            end: &RevokeSubject<'_>,
        ) -> Result<Option<RaisedSubjectVersion>, StoreError> {
            self.0.end_all(end).await
        }
        async fn raise_subject_version(
            &self,
            subject: &str,
            at_least: u64,
        ) -> Result<u64, StoreError> {
            self.0.raise_subject_version(subject, at_least).await
        }

        async fn raise_access_lifetime(
            &self,
            issuer: &str,
            lifetime: Duration,
        ) -> Result<Duration, StoreError> {
            self.0.raise_access_lifetime(issuer, lifetime).await
        }

        async fn list(&self, subject: &str, limit: u32) -> Result<Vec<SessionRecord>, StoreError> {
            self.0.list(subject, limit).await
        }
        async fn purge(&self, kept: Duration, batch: u32) -> Result<u32, StoreError> {
            self.0.purge(kept, batch).await
        }
    }

    let world = World::new();
    let store = Arc::new(AlwaysLost(world.memory.clone()));
    let issuer = crate::world::issuer(&world.clock);
    let sessions = Sessions::builder(issuer, store, crate::world::refresh_key(1))
        .without_revocations()
        .build()
        .unwrap();
    let first = refresh_text(&world.login("ada").await);
    let outcome = sessions.refresh(&first, &ClientInfo::new()).await;
    assert!(
        matches!(outcome, RefreshOutcome::Unavailable(error) if error.kind() == UnavailableKind::Contention)
    );
}

#[tokio::test]
async fn d01_the_store_holds_nothing_that_can_be_presented() {
    let world = World::new();
    let tokens = world.login("ada").await;
    let next = world.granted(&refresh_text(&tokens)).await;
    let record = world.row(tokens.session()).await.record;
    let dump = format!(
        "{record:?} {} {:?}",
        record.details.encode().unwrap(),
        record.id
    );
    for token in [&tokens, &next] {
        let text = refresh_text(token);
        // The output contains neither the token nor any part of its secret.
        for part in text.as_bytes()[8..].chunks(12) {
            assert!(!dump.contains(std::str::from_utf8(part).unwrap()));
        }
        assert!(!dump.contains(token.access().expose()));
    }
}

#[tokio::test]
async fn d21_debug_and_display_show_no_token_key_or_subject() {
    let world = World::new();
    let tokens = world.login("marked-subject").await;
    let text = refresh_text(&tokens);
    let mut shown = format!("{tokens:?} {:?} {:?}", world.sessions, tokens.refresh());
    world.store.inject(None, Fault::Down, 1);
    let outcome = world.refresh(&text).await;
    shown.push_str(&format!("{outcome:?}"));
    let login = LoginRequest::for_subject("marked-subject").with_replaced_session(text.clone());
    shown.push_str(&format!("{login:?}"));
    let access = tokens.access().expose();
    for secret in [&text[8..40], access, "marked-subject", "the refresh key"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn rule_14_iat_comes_from_the_loads_time() {
    // A write that takes 20 s: the token's lifetime counts from before the load.
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use auth_core::session::*;
    use auth_core::testing::ManualClock;

    #[derive(Debug)]
    struct SlowUsers(Arc<ManualClock>);

    #[async_trait]
    impl ClaimsHook for SlowUsers {
        async fn current(&self, _user: &UserQuery<'_>) -> Result<UserState, UsersUnavailable> {
            self.0.advance(Duration::from_secs(20));
            Ok(UserState::Enabled(CurrentClaims::new()))
        }
    }

    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    let issuer = crate::world::issuer(&world.clock);
    let sessions = Sessions::builder(issuer, world.store.clone(), crate::world::refresh_key(1))
        .with_claims(Arc::new(SlowUsers(world.clock.clone())))
        .without_revocations()
        .build()
        .unwrap();
    let RefreshOutcome::Granted(tokens) = sessions.refresh(&first, &ClientInfo::new()).await else {
        panic!("a good token");
    };
    assert_eq!(crate::world::claims(&tokens)["iat"], crate::world::T0);
}
