//! The rules around the refresh of a session. The table is tested in `rows.rs`, concurrent requests
//! in `races.rs`.

use auth_core::Scope;
use auth_core::session::{
    ClientInfo, GrantKind, LoginRequest, RefreshOutcome, RevokeReason, SessionEnded, SessionPolicy,
    TokenRejected, UnavailableKind, UserState,
};

use crate::world::{ACCESS, T0, World, claims, days, refresh_key, refresh_text, secs};

#[tokio::test]
async fn d18_a_flood_of_unknown_tokens_makes_no_store_call_and_no_row() {
    let world = World::new();
    for n in 0..2_000u32 {
        let token = format!("rt1_{n:071}");
        let _ = world.refresh(&token).await;
    }
    assert_eq!((world.store.calls(), world.memory.len()), (0, 0));
}

#[tokio::test]
async fn d15_rule_1_the_refresh_token_is_no_access_token_and_the_claims_are_the_sessions() {
    let world = World::new();
    let tokens = world.login("ada").await;
    let claims = claims(&tokens);
    assert_eq!(claims["sid"], tokens.session().to_string());
    assert_eq!(claims["iat"], T0);
    assert_eq!(claims["exp"], T0 + ACCESS as i64);
    assert!(claims.get("epo").is_none());
}

#[tokio::test]
async fn d13b_rule_1_nothing_is_consumed_while_the_app_cannot_answer() {
    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    *world.users.unavailable.lock().unwrap() = true;
    let outcome = world.refresh(&first).await;
    assert!(
        matches!(outcome, RefreshOutcome::Unavailable(error) if error.kind() == UnavailableKind::Claims)
    );
    assert_eq!(world.store.writes(), 0);
    *world.users.unavailable.lock().unwrap() = false;
    assert_eq!(world.granted(&first).await.kind(), GrantKind::Rotated);
}

#[tokio::test]
async fn rule_1_reuse_never_waits_for_the_app() {
    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    let second = refresh_text(&world.granted(&first).await);
    world.advance(121);
    let _ = world.granted(&second).await;
    *world.users.unavailable.lock().unwrap() = true;
    let asked = *world.users.asked.lock().unwrap();
    let outcome = world.refresh(&first).await;
    assert!(matches!(
        outcome,
        RefreshOutcome::SessionEnded(SessionEnded::Reuse(_))
    ));
    assert_eq!(*world.users.asked.lock().unwrap(), asked);
}

#[tokio::test]
async fn d11_a_disabled_user_cannot_refresh_and_the_session_ends() {
    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    world.users.set("ada", UserState::Disabled);
    let outcome = world.refresh(&first).await;
    assert!(matches!(
        outcome,
        RefreshOutcome::SessionEnded(SessionEnded::Disabled)
    ));
    assert_eq!(world.told.take(), ["login", "revoked disabled"]);
    world.users.scope("ada", "");
    let outcome = world.refresh(&first).await;
    let revoked = SessionEnded::Revoked(RevokeReason::Disabled);
    assert!(matches!(outcome, RefreshOutcome::SessionEnded(t) if t == revoked));
}

#[tokio::test]
async fn d13_a_refresh_never_widens_the_scope_and_drops_what_the_app_took_away() {
    let world = World::new();
    let login = LoginRequest::for_subject("ada").with_scope(Scope::parse("read write").unwrap());
    world.users.scope("ada", "read write admin");
    let first = world.sessions.login(login).await.unwrap();
    assert_eq!(claims(&first)["scope"], "read write");
    world.users.scope("ada", "read admin");
    let next = world.granted(&refresh_text(&first)).await;
    assert_eq!(claims(&next)["scope"], "read");
}

#[tokio::test]
async fn d10_a_session_ends_when_it_was_not_used_for_its_idle_time() {
    let world = World::with(SessionPolicy::default().with_idle(secs(1000)));
    let first = refresh_text(&world.login("ada").await);
    world.advance(999);
    let second = refresh_text(&world.granted(&first).await);
    world.advance(1000);
    let outcome = world.refresh(&second).await;
    assert!(matches!(
        outcome,
        RefreshOutcome::SessionEnded(SessionEnded::Expired)
    ));
    assert_eq!(world.told.take().last().unwrap(), "expired");
}

#[tokio::test]
async fn d09_renewals_never_pass_the_absolute_end() {
    let policy = SessionPolicy::default()
        .with_idle(secs(1000))
        .with_absolute(secs(2500));
    let world = World::with(policy);
    let mut tokens = world.login("ada").await;
    for (at, ends_in) in [(900, 1000), (1800, 700), (2499, 1)] {
        world.clock.set(auth_core::Timestamp::from_secs(T0 + at));
        tokens = world.granted(&refresh_text(&tokens)).await;
        assert_eq!(tokens.ends_in(), secs(ends_in));
    }
    world.advance(1);
    let outcome = world.refresh(&refresh_text(&tokens)).await;
    assert!(matches!(
        outcome,
        RefreshOutcome::SessionEnded(SessionEnded::Expired)
    ));
}

#[tokio::test]
async fn d09b_a_thousand_rotations_end_exactly_at_the_absolute_limit() {
    let policy = SessionPolicy::default()
        .with_idle(days(2))
        .with_absolute(secs(500_500));
    let world = World::with(policy);
    let mut tokens = world.login("ada").await;
    for n in 1..=1000 {
        world.advance(500);
        tokens = world.granted(&refresh_text(&tokens)).await;
        assert_eq!(tokens.generation().get(), n);
        let left = 500_500 - 500 * u64::from(n);
        assert_eq!(tokens.ends_in(), secs(left).min(days(2)));
        assert_eq!(tokens.access().expires_in(), secs(left.min(ACCESS)));
    }
    let end = T0 + 500_500;
    assert_eq!(tokens.access().expires_at().as_secs(), end);
    world.advance(500);
    let outcome = world.refresh(&refresh_text(&tokens)).await;
    assert!(matches!(
        outcome,
        RefreshOutcome::SessionEnded(SessionEnded::Expired)
    ));
}

#[tokio::test]
async fn rule_5_lifetimes_are_those_of_the_login() {
    let world = World::new();
    let login = LoginRequest::for_subject("ada")
        .with_idle(secs(3600))
        .with_absolute(days(365));
    let tokens = world.sessions.login(login).await.unwrap();
    assert_eq!(tokens.ends_in(), secs(3600));
    world.advance(3000);
    let tokens = world.granted(&refresh_text(&tokens)).await;
    assert_eq!(tokens.ends_in(), secs(3600));
    let row = world.row(tokens.session()).await.record;
    assert_eq!(row.absolute_expires_at.as_secs(), T0 + 365 * 86_400);
}

#[tokio::test]
async fn rule_4_windows_start_at_the_rotation_and_never_slide() {
    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    let _ = world.granted(&first).await;
    for (step, expected) in [
        (6, GrantKind::Replayed),
        (4, GrantKind::Replayed),
        (1, GrantKind::Held),
        (109, GrantKind::Held),
        (1, GrantKind::Recovered),
    ] {
        world.advance(step);
        assert_eq!(world.granted(&first).await.kind(), expected);
    }
}

#[tokio::test]
async fn rule_9_a_late_request_after_logout_leaves_the_cookies_alone() {
    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    world.sessions.end_by_token(&first).await.unwrap();
    world.advance(119);
    let outcome = world.refresh(&first).await;
    let ended = TokenRejected::JustEnded(RevokeReason::Logout);
    assert!(matches!(outcome, RefreshOutcome::TokenRejected(r) if r == ended));
    world.advance(1);
    let outcome = world.refresh(&first).await;
    let revoked = SessionEnded::Revoked(RevokeReason::Logout);
    assert!(matches!(outcome, RefreshOutcome::SessionEnded(t) if t == revoked));
}

#[tokio::test]
async fn rule_15_refresh_keys_rotate_without_signing_anybody_out() {
    use auth_core::session::RefreshKeys;
    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    let keys = RefreshKeys::new(refresh_key(2));
    let both = keys.clone().with_verify_only(refresh_key(1)).unwrap();
    world.sessions.replace_refresh_keys(both);
    let second = refresh_text(&world.granted(&first).await);
    world.sessions.replace_refresh_keys(keys);
    assert!(matches!(
        world.refresh(&first).await,
        RefreshOutcome::TokenRejected(TokenRejected::Forged)
    ));
    assert_eq!(world.granted(&second).await.kind(), GrantKind::Fresh);
}

#[tokio::test]
async fn rule_6_a_revocation_is_committed_although_its_request_is_refused() {
    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    let second = refresh_text(&world.granted(&first).await);
    world.advance(121);
    let tokens = world.granted(&second).await;
    let _ = world.refresh(&first).await;
    let row = world.row(tokens.session()).await.record;
    assert_eq!(row.revoked.unwrap().reason, RevokeReason::Stale);
}

#[tokio::test]
async fn rule_7_recovered_tells_its_age_and_both_user_agents() {
    use auth_core::session::{Event, Events, Sessions};
    use std::sync::{Arc, Mutex};

    #[derive(Debug, Default)]
    struct SeenQuery(Mutex<Option<(u64, String, String)>>);
    impl Events for SeenQuery {
        fn on_event(&self, event: &Event<'_>) {
            if let Event::Recovered {
                age,
                rotated_by,
                user_agent,
                ..
            } = event
            {
                *self.0.lock().unwrap() = Some((
                    age.as_secs(),
                    rotated_by.unwrap().into(),
                    user_agent.unwrap().into(),
                ));
            }
        }
    }
    let world = World::new();
    let seen = Arc::new(SeenQuery::default());
    let issuer = crate::world::issuer(&world.clock);
    let sessions = Sessions::builder(issuer, world.store.clone(), refresh_key(1))
        .with_events(seen.clone())
        .without_revocations()
        .build()
        .unwrap();
    let agent = |name: &str| ClientInfo::new().with_user_agent(name);
    let login = LoginRequest::for_subject("ada").with_client(agent("laptop"));
    let first = refresh_text(&sessions.login(login).await.unwrap());
    let _ = sessions.refresh(&first, &agent("thief")).await;
    world.advance(500);
    let _ = sessions.refresh(&first, &agent("laptop")).await;
    let expected = (500, "thief".to_owned(), "laptop".to_owned());
    assert_eq!(seen.0.lock().unwrap().take(), Some(expected));
}

#[tokio::test]
async fn rule_2_a_refresh_makes_no_row_and_brings_none_back() {
    let world = World::new();
    let tokens = world.login("ada").await;
    let first = refresh_text(&tokens);
    world.sessions.end_by_token(&first).await.unwrap();
    let ended = world.row(tokens.session()).await.record;
    let _ = world.refresh(&first).await;
    assert_eq!(world.row(tokens.session()).await.record, ended);
    world.advance(2 * 86_400);
    world.sessions.purge().await.unwrap();
    let outcome = world.refresh(&first).await;
    assert!(matches!(
        outcome,
        RefreshOutcome::SessionEnded(SessionEnded::Unknown)
    ));
    assert!(world.memory.is_empty());
}
