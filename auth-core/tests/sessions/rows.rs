//! The rows of the decision table for a presented generation, from the view of a client.

use auth_core::session::{
    GrantKind, RefreshOutcome, ReuseCause, RevokeReason, SessionEnded, SessionId, SessionPolicy,
    TokenRejected,
};
use auth_core::store::{Listing, NewSession, RefreshStore, RevocationMark, SessionRecord};

use crate::world::{World, claims, days, refresh_text, secs};

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
    let reuse = SessionEnded::Reuse(ReuseCause::RecentPredecessor);
    assert!(matches!(outcome, RefreshOutcome::SessionEnded(t) if t == reuse));
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
    let reuse = SessionEnded::Reuse(ReuseCause::Orphan);
    assert!(matches!(outcome, RefreshOutcome::SessionEnded(t) if t == reuse));
    let after = world.refresh(&recovered).await;
    let revoked = SessionEnded::Revoked(RevokeReason::Orphan);
    assert!(matches!(after, RefreshOutcome::SessionEnded(t) if t == revoked));
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
    let reuse = SessionEnded::Reuse(ReuseCause::Stale);
    assert!(matches!(outcome, RefreshOutcome::SessionEnded(t) if t == reuse));
    assert_eq!(world.told.take(), ["revoked reuse", "reuse stale"]);
    for dead in [first, second, third] {
        assert!(matches!(
            world.refresh(&dead).await,
            RefreshOutcome::SessionEnded(SessionEnded::Revoked(RevokeReason::Stale))
        ));
    }
}

#[tokio::test]
async fn row_resumed_and_ahead_when_the_store_forgot_rotations() {
    let world = World::new();
    let rolled_back = World::new();
    let mut token = refresh_text(&world.login("ada").await);
    let session = world.row(sid(&token).await).await.record;
    for _ in 0..3 {
        token = refresh_text(&world.granted(&token).await);
        world.advance(121);
    }
    // The same session as at login, in a store restored from its backup.
    restore(&rolled_back, &session).await;
    let ahead = rolled_back.refresh(&token).await;
    assert!(matches!(
        ahead,
        RefreshOutcome::TokenRejected(TokenRejected::Ahead)
    ));
    assert_eq!(rolled_back.told.take(), ["forged ahead"]);
    assert!(rolled_back.row(session.id).await.record.revoked.is_none());

    rolled_back.advance(240);
    let resumed = rolled_back.granted(&token).await;
    assert_eq!(resumed.kind(), GrantKind::Resumed);
    assert_eq!(refresh_text(&resumed), token);
    assert_eq!(rolled_back.told.take(), ["refreshed resumed", "resumed"]);
}

async fn sid(token: &str) -> SessionId {
    // A logout with another deployment's empty store returns the session and changes nothing there.
    let elsewhere = World::new();
    elsewhere
        .sessions
        .end_by_token(token)
        .await
        .unwrap()
        .unwrap()
}

async fn restore(world: &World, session: &SessionRecord) {
    world
        .memory
        .insert(&NewSession {
            id: session.id,
            subject: &session.subject,
            subject_version: session.subject_version,
            idle: days(14),
            absolute: days(90),
            details: &session.details,
            limit: None,
            replaces: None,
            mark: RevocationMark::from_bytes([0; 16]),
            listing: Listing {
                lifetime: secs(0),
                margin: secs(0),
            },
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
    // D15: an access token is not a refresh token.
    for bad in ["", "rt1_", "x", &forged, tokens.access().expose()] {
        let outcome = world.refresh(bad).await;
        assert!(matches!(
            outcome,
            RefreshOutcome::TokenRejected(TokenRejected::Forged)
        ));
        assert_eq!(world.sessions.end_by_token(bad).await.unwrap(), None);
    }
    assert_eq!(world.store.calls(), calls);
    assert_eq!(world.told.take().len(), 1 + 5);
}

#[tokio::test]
async fn strict_mode_ends_the_session_at_the_second_use() {
    let world = World::with(SessionPolicy::default().with_strict_mode());
    let first = refresh_text(&world.login("ada").await);
    let second = refresh_text(&world.granted(&first).await);
    let third = world.granted(&second).await;
    assert_eq!(third.kind(), GrantKind::Rotated);
    let outcome = world.refresh(&second).await;
    assert!(matches!(
        outcome,
        RefreshOutcome::SessionEnded(SessionEnded::Reuse(_))
    ));
}
