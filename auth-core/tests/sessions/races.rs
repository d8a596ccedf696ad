//! One refresh token in many concurrent requests, on one node and on several.

use std::sync::Arc;

use auth_core::session::{
    ClientInfo, GrantKind, RefreshOutcome, ReuseCause, SessionEnded, Sessions,
};
use auth_core::testing::ManualClock;

use crate::world::{T0, World, join_all, refresh_key, refresh_text};

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
        let session = world.sessions.end_by_token(&first).await.unwrap().unwrap();
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
    let stale = SessionEnded::Reuse(ReuseCause::Stale);
    assert!(matches!(outcomes[2], RefreshOutcome::SessionEnded(t) if t == stale));
}

#[tokio::test]
async fn rule_8_skewed_nodes_cannot_make_a_retry_look_like_theft() {
    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    let second = world.granted(&first).await;
    for skew in [-3600, 3600] {
        let clock = Arc::new(ManualClock::at(auth_core::Timestamp::from_secs(T0 + skew)));
        let issuer = crate::world::issuer(&clock);
        let skewed = Sessions::builder(issuer, world.store.clone(), refresh_key(1))
            .without_revocations()
            .build()
            .unwrap();
        let outcome = boxed_refresh(&skewed, &first).await;
        assert_eq!(kind(&outcome), GrantKind::Replayed);
        assert_eq!(successor(&outcome), refresh_text(&second));
        let outcome = boxed_refresh(&skewed, &refresh_text(&second)).await;
        assert_eq!(kind(&outcome), GrantKind::Fresh);
    }
}

type Boxed = std::pin::Pin<Box<dyn Future<Output = RefreshOutcome> + Send>>;

fn boxed_refresh(sessions: &Sessions, token: &str) -> Boxed {
    let (sessions, token) = (sessions.clone(), token.to_owned());
    Box::pin(async move { sessions.refresh(&token, &ClientInfo::new()).await })
}

fn successor(outcome: &RefreshOutcome) -> String {
    match outcome {
        RefreshOutcome::Granted(tokens) => refresh_text(tokens),
        other => panic!("{other:?}"),
    }
}

fn kind(outcome: &RefreshOutcome) -> GrantKind {
    match outcome {
        RefreshOutcome::Granted(tokens) => tokens.kind(),
        other => panic!("{other:?}"),
    }
}
