//! The refresh of a session: the table's rows as a client sees them, and the rules around it.

use auth_core::Scope;
use auth_core::session::{
    ClientInfo, GrantKind, LoginRequest, Outcome, RefusedToken, ReuseCause, RevokeReason,
    SessionPolicy, Terminal, UnavailableKind, UserState,
};

use crate::world::{ACCESS, T0, World, claims, days, join_all, refresh_key, refresh_text, secs};

#[tokio::test]
async fn row_rotated_and_fresh_and_replayed_answer_the_same_successor() {
    let world = World::new();
    let login = world.login("ada").await;
    let first = refresh_text(&login);

    let rotated = world.granted(&first).await;
    assert_eq!(rotated.kind(), GrantKind::Rotated);
    assert_ne!(refresh_text(&rotated), first);

    world.advance(10);
    let replayed = world.granted(&first).await;
    assert_eq!(replayed.kind(), GrantKind::Replayed);
    assert_eq!(refresh_text(&replayed), refresh_text(&rotated));

    let fresh = world.granted(&refresh_text(&rotated)).await;
    assert_eq!(fresh.kind(), GrantKind::Fresh);
    assert_eq!(refresh_text(&fresh), refresh_text(&rotated));
    assert_eq!(
        world.told.take(),
        [
            "login",
            "refreshed rotated",
            "refreshed replayed",
            "refreshed fresh"
        ]
    );
}

#[tokio::test]
async fn row_held_has_an_access_token_and_no_refresh_token() {
    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    let _ = world.granted(&first).await;
    world.advance(11);
    let held = world.granted(&first).await;
    assert_eq!(held.kind(), GrantKind::Held);
    assert!(held.refresh().is_none());
    assert_eq!(claims(&held)["sub"], "ada");
}

#[tokio::test]
async fn row_recovered_three_times_in_a_row_and_then_reuse() {
    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    let _ = world.granted(&first).await;
    for _ in 0..3 {
        world.advance(121);
        assert_eq!(world.granted(&first).await.kind(), GrantKind::Recovered);
    }
    world.advance(121);
    let outcome = world.refresh(&first).await;
    let reuse = Terminal::Reuse(ReuseCause::RecentPredecessor);
    assert!(matches!(outcome, Outcome::Terminal(t) if t == reuse));
    let told = world.told.take();
    assert_eq!(told.iter().filter(|event| *event == "recovered").count(), 3);
    assert_eq!(
        told[told.len() - 2..],
        ["revoked reuse", "reuse recent_predecessor"]
    );
}

#[tokio::test]
async fn row_orphan_the_successor_that_a_recovery_killed_ends_the_session() {
    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    let orphan = refresh_text(&world.granted(&first).await);
    world.advance(121);
    let recovered = refresh_text(&world.granted(&first).await);
    let outcome = world.refresh(&orphan).await;
    let reuse = Terminal::Reuse(ReuseCause::Orphan);
    assert!(matches!(outcome, Outcome::Terminal(t) if t == reuse));
    let after = world.refresh(&recovered).await;
    let revoked = Terminal::Revoked(RevokeReason::Orphan);
    assert!(matches!(after, Outcome::Terminal(t) if t == revoked));
}

#[tokio::test]
async fn d02_a_token_from_long_before_ends_the_session() {
    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    let second = refresh_text(&world.granted(&first).await);
    world.advance(121);
    let third = refresh_text(&world.granted(&second).await);
    world.told.take();

    let outcome = world.refresh(&first).await;
    let reuse = Terminal::Reuse(ReuseCause::Stale);
    assert!(matches!(outcome, Outcome::Terminal(t) if t == reuse));
    assert_eq!(world.told.take(), ["revoked reuse", "reuse stale"]);
    for dead in [first, second, third] {
        assert!(matches!(
            world.refresh(&dead).await,
            Outcome::Terminal(Terminal::Revoked(RevokeReason::Stale))
        ));
    }
}

#[tokio::test]
async fn row_resumed_and_ahead_when_the_store_forgot_rotations() {
    let world = World::new();
    let rolled_back = World::new();
    let mut token = refresh_text(&world.login("ada").await);
    let session = world.row(sid(&world, &token).await).await.record;
    for _ in 0..3 {
        token = refresh_text(&world.granted(&token).await);
        world.advance(121);
    }
    // The same session as it was at login, in a store restored from its backup.
    restore(&rolled_back, &session).await;
    let ahead = rolled_back.refresh(&token).await;
    assert!(matches!(ahead, Outcome::Refused(RefusedToken::Ahead)));
    assert_eq!(rolled_back.told.take(), ["forged ahead"]);
    assert!(rolled_back.row(session.id).await.record.revoked.is_none());

    rolled_back.advance(240);
    let resumed = rolled_back.granted(&token).await;
    assert_eq!(resumed.kind(), GrantKind::Resumed);
    assert_eq!(refresh_text(&resumed), token);
    assert_eq!(rolled_back.told.take(), ["refreshed resumed", "resumed"]);
}

async fn sid(world: &World, token: &str) -> auth_core::session::SessionId {
    // Signing out of another world's empty store names the session and changes nothing there.
    let elsewhere = World::new();
    let _ = world;
    elsewhere.sessions.logout(token).await.unwrap().unwrap()
}

async fn restore(world: &World, session: &auth_core::session::SessionRecord) {
    use auth_core::session::{NewSession, RefreshStore};
    world
        .memory
        .insert(&NewSession {
            id: session.id,
            subject: &session.subject,
            epoch: session.epoch,
            idle: days(14),
            absolute: days(90),
            details: &session.details,
            limit: None,
            replaces: None,
            list_for: secs(0),
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn row_forged_never_touches_the_store() {
    let world = World::new();
    let tokens = world.login("ada").await;
    let calls = world.store.calls();
    let mut forged = refresh_text(&tokens);
    forged.replace_range(10..11, if &forged[10..11] == "A" { "B" } else { "A" });
    // D15: an access token is no refresh token.
    for bad in ["", "rt1_", "x", &forged, tokens.access().expose()] {
        let outcome = world.refresh(bad).await;
        assert!(matches!(outcome, Outcome::Refused(RefusedToken::Forged)));
        assert_eq!(world.sessions.logout(bad).await.unwrap(), None);
    }
    assert_eq!(world.store.calls(), calls);
    assert_eq!(world.told.take().len(), 1 + 5);
}

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
        matches!(outcome, Outcome::Transient(error) if error.kind() == UnavailableKind::Claims)
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
    assert!(matches!(outcome, Outcome::Terminal(Terminal::Reuse(_))));
    assert_eq!(*world.users.asked.lock().unwrap(), asked);
}

#[tokio::test]
async fn d11_a_disabled_user_cannot_refresh_and_the_session_ends() {
    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    world.users.set("ada", UserState::Disabled);
    let outcome = world.refresh(&first).await;
    assert!(matches!(outcome, Outcome::Terminal(Terminal::Disabled)));
    assert_eq!(world.told.take(), ["login", "revoked disabled"]);
    world.users.scope("ada", "");
    let outcome = world.refresh(&first).await;
    let revoked = Terminal::Revoked(RevokeReason::Disabled);
    assert!(matches!(outcome, Outcome::Terminal(t) if t == revoked));
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
    assert!(matches!(outcome, Outcome::Terminal(Terminal::Expired)));
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
    assert!(matches!(outcome, Outcome::Terminal(Terminal::Expired)));
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
    assert!(matches!(outcome, Outcome::Terminal(Terminal::Expired)));
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
async fn d03_rule_3_requests_that_arrive_together_cost_one_write_and_all_get_the_same_successor() {
    for n in [2, 8, 64] {
        let world = World::new();
        let first = refresh_text(&world.login("ada").await);
        let before = world.store.calls();
        let outcomes = join_all(
            (0..n)
                .map(|_| boxed_refresh(&world.sessions, &first))
                .collect(),
        )
        .await;
        let successors: Vec<_> = outcomes.iter().map(successor).collect();
        assert!(successors.iter().all(|token| *token == successors[0]));
        assert_eq!(world.store.writes(), 1);
        assert_eq!(world.store.calls() - before, 2, "one load, one write");
    }
}

#[tokio::test]
async fn d03_two_nodes_race_and_exactly_one_write_wins() {
    for n in [1, 4, 32] {
        let world = World::new();
        let other = world.node();
        let first = refresh_text(&world.login("ada").await);
        let mut requests = Vec::new();
        for _ in 0..n {
            requests.push(boxed_refresh(&world.sessions, &first));
            requests.push(boxed_refresh(&other, &first));
        }
        let outcomes = join_all(requests).await;
        let kinds: Vec<_> = outcomes.iter().map(kind).collect();
        let rotated = kinds.iter().filter(|kind| **kind == GrantKind::Rotated);
        assert_eq!(rotated.count(), 1);
        assert!(
            outcomes
                .iter()
                .all(|outcome| successor(outcome) == successor(&outcomes[0]))
        );
        let session = world.sessions.logout(&first).await.unwrap().unwrap();
        assert_eq!(world.row(session).await.record.generation.get(), 1);
    }
}

#[tokio::test]
async fn rule_3_each_follower_decides_with_its_own_token() {
    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    let second = refresh_text(&world.granted(&first).await);
    world.advance(121);
    let requests = vec![
        boxed_refresh(&world.sessions, &second),
        boxed_refresh(&world.sessions, &second),
        boxed_refresh(&world.sessions, &first),
    ];
    let outcomes = join_all(requests).await;
    assert_eq!(kind(&outcomes[0]), GrantKind::Rotated);
    assert_eq!(kind(&outcomes[1]), GrantKind::Replayed);
    let stale = Terminal::Reuse(ReuseCause::Stale);
    assert!(matches!(outcomes[2], Outcome::Terminal(t) if t == stale));
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
    world.sessions.logout(&first).await.unwrap();
    world.advance(119);
    let outcome = world.refresh(&first).await;
    let ended = RefusedToken::JustEnded(RevokeReason::Logout);
    assert!(matches!(outcome, Outcome::Refused(r) if r == ended));
    world.advance(1);
    let outcome = world.refresh(&first).await;
    let revoked = Terminal::Revoked(RevokeReason::Logout);
    assert!(matches!(outcome, Outcome::Terminal(t) if t == revoked));
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
        Outcome::Refused(RefusedToken::Forged)
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
    struct Seen(Mutex<Option<(u64, String, String)>>);
    impl Events for Seen {
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
    let seen = Arc::new(Seen::default());
    let issuer = crate::world::issuer(&world.clock);
    let sessions = Sessions::builder(issuer, world.store.clone(), refresh_key(1))
        .with_events(seen.clone())
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
async fn strict_mode_ends_the_session_at_the_second_use() {
    let world = World::with(SessionPolicy::default().strict());
    let first = refresh_text(&world.login("ada").await);
    let second = refresh_text(&world.granted(&first).await);
    let third = world.granted(&second).await;
    assert_eq!(third.kind(), GrantKind::Rotated);
    let outcome = world.refresh(&second).await;
    assert!(matches!(outcome, Outcome::Terminal(Terminal::Reuse(_))));
}

#[tokio::test]
async fn rule_8_skewed_nodes_cannot_make_a_retry_look_like_theft() {
    use auth_core::session::Sessions;
    use auth_core::testing::ManualClock;
    use std::sync::Arc;

    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    let second = world.granted(&first).await;
    for skew in [-3600, 3600] {
        let clock = Arc::new(ManualClock::at(auth_core::Timestamp::from_secs(T0 + skew)));
        let issuer = crate::world::issuer(&clock);
        let skewed = Sessions::builder(issuer, world.store.clone(), refresh_key(1))
            .build()
            .unwrap();
        let outcome = boxed_refresh(&skewed, &first).await;
        assert_eq!(kind(&outcome), GrantKind::Replayed);
        assert_eq!(successor(&outcome), refresh_text(&second));
        let outcome = boxed_refresh(&skewed, &refresh_text(&second)).await;
        assert_eq!(kind(&outcome), GrantKind::Fresh);
    }
}

#[tokio::test]
async fn rule_2_a_refresh_makes_no_row_and_brings_none_back() {
    let world = World::new();
    let tokens = world.login("ada").await;
    let first = refresh_text(&tokens);
    world.sessions.logout(&first).await.unwrap();
    let ended = world.row(tokens.session()).await.record;
    let _ = world.refresh(&first).await;
    assert_eq!(world.row(tokens.session()).await.record, ended);
    world.advance(2 * 86_400);
    world.sessions.purge().await.unwrap();
    let outcome = world.refresh(&first).await;
    assert!(matches!(outcome, Outcome::Terminal(Terminal::Unknown)));
    assert!(world.memory.is_empty());
}

#[test]
fn rule_16_an_answer_may_take_half_of_settle_minus_window() {
    assert_eq!(SessionPolicy::default().silent_answer_limit(), secs(55));
}

type Boxed = std::pin::Pin<Box<dyn Future<Output = Outcome> + Send>>;

fn boxed_refresh(sessions: &auth_core::session::Sessions, token: &str) -> Boxed {
    let (sessions, token) = (sessions.clone(), token.to_owned());
    Box::pin(async move { sessions.refresh(&token, &ClientInfo::new()).await })
}

fn successor(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Granted(tokens) => refresh_text(tokens),
        other => panic!("{other:?}"),
    }
}

fn kind(outcome: &Outcome) -> GrantKind {
    match outcome {
        Outcome::Granted(tokens) => tokens.kind(),
        other => panic!("{other:?}"),
    }
}
