//! The list of devices; the end of one session, of the others, of all; the reach of a revocation.

use std::sync::Arc;

use auth_core::Timestamp;
use auth_core::revocation::{RevocationList, Revocations, StalePolicy};
use auth_core::session::{
    EndedBy, GrantKind, LoginRequest, RefreshOutcome, RevokeReason, SessionEnded, SessionId,
    Sessions, UserState,
};
use auth_core::testing::{Fault, StoreOp};

use crate::world::{T0, World, claims, issuer, refresh_key, refresh_text, secs};

#[tokio::test]
async fn d11_the_list_shows_the_subjects_live_sessions_and_marks_the_current() {
    let world = World::new();
    let laptop = LoginRequest::for_subject("ada").with_label("laptop");
    let laptop = world.sessions.login(laptop).await.unwrap();
    world.advance(5);
    let phone = world.login("ada").await;
    let _ = world.login("bob").await;
    let gone = world.login("ada").await;
    world
        .sessions
        .end_by_token(&refresh_text(&gone))
        .await
        .unwrap();

    let list = world
        .sessions
        .list("ada", Some(laptop.session()))
        .await
        .unwrap();
    let shown: Vec<_> = list
        .iter()
        .map(|d| (d.session(), d.is_current(), d.label()))
        .collect();
    let expected = [
        (phone.session(), false, None),
        (laptop.session(), true, Some("laptop")),
    ];
    assert_eq!(shown, expected);
    assert_eq!(list[1].created_at().as_secs(), T0);
    assert_eq!(
        list[1].expires_at(),
        world.row(laptop.session()).await.record.ends_at()
    );
}

#[tokio::test]
async fn i11_rule_17_the_last_use_is_shown_to_five_minutes_and_not_before_the_login() {
    let world = World::new();
    world.clock.set(Timestamp::from_secs(T0 + 299));
    let tokens = world.login("ada").await;
    let last_used = async || {
        let list = world.sessions.list("ada", None).await.unwrap();
        (
            list[0].last_used_at().as_secs(),
            list[0].created_at().as_secs(),
        )
    };
    assert_eq!(last_used().await, (T0 + 299, T0 + 299));
    world.clock.set(Timestamp::from_secs(T0 + 1499));
    let _ = world.granted(&refresh_text(&tokens)).await;
    assert_eq!(last_used().await, (T0 + 1200, T0 + 299));
}

#[tokio::test]
async fn d11_ending_one_reaches_only_sessions_of_ones_own() {
    let world = World::new();
    let ada = world.login("ada").await;
    let phone = world.login("ada").await;
    let bob = world.login("bob").await;
    let sessions = &world.sessions;
    assert!(
        !sessions
            .end(bob.session(), EndedBy::User("ada"))
            .await
            .unwrap()
    );
    assert!(
        !sessions
            .end(SessionId::from_bytes([0; 16]), EndedBy::User("ada"))
            .await
            .unwrap()
    );
    assert!(
        sessions
            .end(phone.session(), EndedBy::User("ada"))
            .await
            .unwrap()
    );
    assert!(
        !sessions
            .end(phone.session(), EndedBy::User("ada"))
            .await
            .unwrap()
    );
    let _ = world.granted(&refresh_text(&bob)).await;
    let _ = world.granted(&refresh_text(&ada)).await;
    let outcome = world.refresh(&refresh_text(&phone)).await;
    let revoked = SessionEnded::Revoked(RevokeReason::Others);
    assert!(matches!(outcome, RefreshOutcome::SessionEnded(t) if t == revoked));
}

#[tokio::test]
async fn rule_12_ending_the_others_moves_the_asker_to_the_new_epoch() {
    let world = World::new();
    let laptop = world.login("ada").await;
    let phone = world.login("ada").await;
    let RefreshOutcome::Granted(tokens) = world
        .sessions
        .end_others("ada", laptop.session(), laptop.access().expose())
        .await
    else {
        panic!("the asker goes on");
    };
    assert_eq!(tokens.kind(), GrantKind::Others);
    assert!(tokens.refresh().is_none());
    assert_eq!(claims(&tokens)["epo"], 1);
    let outcome = world.refresh(&refresh_text(&phone)).await;
    assert!(matches!(
        outcome,
        RefreshOutcome::SessionEnded(SessionEnded::Revoked(_))
    ));
    let next = world.granted(&refresh_text(&laptop)).await;
    assert_eq!(claims(&next)["epo"], 1);
    assert_eq!(world.sessions.list("ada", None).await.unwrap().len(), 1);
    assert!(world.told.take().contains(&"revoked others".into()));
}

#[tokio::test]
async fn rule_12_a_dead_session_cannot_end_the_others() {
    let world = World::new();
    let dead = world.login("ada").await;
    let alive = world.login("ada").await;
    world
        .sessions
        .end_by_token(&refresh_text(&dead))
        .await
        .unwrap();
    for (subject, session, end) in [
        (
            "ada",
            dead.session(),
            SessionEnded::Revoked(RevokeReason::Logout),
        ),
        ("bob", alive.session(), SessionEnded::Unknown),
    ] {
        let outcome = world.sessions.end_others(subject, session, "").await;
        assert!(matches!(outcome, RefreshOutcome::SessionEnded(own) if own == end));
    }
    let _ = world.granted(&refresh_text(&alive)).await;
    world.advance(400 * 86_400);
    let outcome = world.sessions.end_others("ada", alive.session(), "").await;
    assert!(matches!(
        outcome,
        RefreshOutcome::SessionEnded(SessionEnded::Expired)
    ));
}

#[tokio::test]
async fn d11_ending_all_reaches_every_session_of_the_subject_and_no_other() {
    let world = World::new();
    let ada = [world.login("ada").await, world.login("ada").await];
    let bob = world.login("bob").await;
    world
        .sessions
        .end_all("ada", EndedBy::User("ada"))
        .await
        .unwrap();
    for tokens in &ada {
        let outcome = world.refresh(&refresh_text(tokens)).await;
        assert!(matches!(
            outcome,
            RefreshOutcome::SessionEnded(SessionEnded::Revoked(_))
        ));
    }
    let _ = world.granted(&refresh_text(&bob)).await;
    assert!(world.sessions.list("ada", None).await.unwrap().is_empty());
}

#[tokio::test]
async fn c18_signing_out_twice_is_signed_out() {
    let world = World::new();
    let tokens = world.login("ada").await;
    let token = refresh_text(&tokens);
    for _ in 0..2 {
        let session = world.sessions.end_by_token(&token).await.unwrap();
        assert_eq!(session, Some(tokens.session()));
    }
    assert_eq!(world.told.take(), ["login", "revoked logout"]);
    let again = world
        .sessions
        .end(tokens.session(), EndedBy::Logout("ada"))
        .await;
    assert!(!again.unwrap());
}

#[tokio::test]
async fn disabling_shows_when_others_are_ended_too() {
    let world = World::new();
    let tokens = world.login("ada").await;
    world.users.set("ada", UserState::Disabled);
    let outcome = world.sessions.end_others("ada", tokens.session(), "").await;
    assert!(matches!(
        outcome,
        RefreshOutcome::SessionEnded(SessionEnded::Disabled)
    ));
}

#[tokio::test]
async fn rule_13_purging_removes_records_a_day_after_their_end() {
    let world = World::new();
    let ended = world.login("ada").await;
    let _ = world.login("bob").await;
    world
        .sessions
        .end_by_token(&refresh_text(&ended))
        .await
        .unwrap();
    world.advance(86_399);
    assert_eq!(world.sessions.purge().await.unwrap(), 0);
    world.advance(1);
    assert_eq!(world.sessions.purge().await.unwrap(), 1);
    assert_eq!(world.memory.len(), 1);
    let outcome = world.refresh(&refresh_text(&ended)).await;
    assert!(matches!(
        outcome,
        RefreshOutcome::SessionEnded(SessionEnded::Unknown)
    ));
}

#[tokio::test(start_paused = true)]
async fn rule_13_the_task_purges_again_and_again_and_ends_when_it_is_dropped() {
    let world = World::new();
    let task = tokio::spawn(world.sessions.purge_every(secs(600)));
    for _ in 0..2 {
        for _ in 0..1001 {
            let ended = world.login("ada").await;
            world
                .sessions
                .end_by_token(&refresh_text(&ended))
                .await
                .unwrap();
        }
        world.advance(86_400);
        assert_eq!(world.memory.len(), 1001);
        // The paused clock jumps to the task's next interval, which takes three batches.
        tokio::time::sleep(secs(601)).await;
        assert_eq!(world.memory.len(), 0);
    }
    world.store.inject(Some(StoreOp::Purge), Fault::Down, 1);
    let ended = world.login("ada").await;
    world
        .sessions
        .end_by_token(&refresh_text(&ended))
        .await
        .unwrap();
    world.advance(86_400);
    tokio::time::sleep(secs(600)).await;
    assert_eq!(world.memory.len(), 1);
    tokio::time::sleep(secs(600)).await;
    assert_eq!(world.memory.len(), 0);
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
}

fn with_list(world: &World) -> (Sessions, Revocations) {
    let revocations = Revocations::new(StalePolicy::FailOpen, world.clock.clone());
    let sessions = Sessions::builder(
        issuer(&world.clock),
        Arc::clone(&world.store) as Arc<_>,
        refresh_key(1),
    )
    .with_revocations(revocations.clone())
    .build()
    .unwrap();
    (sessions, revocations)
}

#[tokio::test]
async fn d12_rule_14_what_was_ended_is_listed_until_its_last_access_token_has_expired() {
    let world = World::new();
    let (sessions, revocations) = with_list(&world);
    let list: &RevocationList = revocations.list();
    let login = || sessions.login(LoginRequest::for_subject("ada"));
    let (one, two) = (login().await.unwrap(), login().await.unwrap());
    sessions.end_by_token(&refresh_text(&one)).await.unwrap();
    assert!(list.lists_session(&one.session(), world.now()));
    assert!(!list.lists_session(&two.session(), world.now()));
    sessions.end_all("ada", EndedBy::App).await.unwrap();
    assert!(list.lists_subject("ada", 0, world.now()));
    assert!(!list.lists_subject("ada", 1, world.now()));
    // Access token lifetime, maximum leeway of a verifier, request deadline.
    let at = |secs_later: i64| Timestamp::from_secs(T0 + secs_later);
    assert!(list.lists_session(&one.session(), at(929)));
    assert!(!list.lists_session(&one.session(), at(930)));
}

#[tokio::test]
async fn rule_14_a_refresh_of_a_listed_session_is_refused_and_finishes_the_write() {
    use auth_core::revocation::Revocation;
    let world = World::new();
    let (sessions, revocations) = with_list(&world);
    let tokens = sessions
        .login(LoginRequest::for_subject("ada"))
        .await
        .unwrap();
    // Another node wrote the entry and stopped before it wrote the row.
    revocations.add(&Revocation::Session {
        id: tokens.session(),
        until: world.now().saturating_add(secs(660)),
    });
    let client = auth_core::session::ClientInfo::new();
    let outcome = sessions.refresh(&refresh_text(&tokens), &client).await;
    assert!(matches!(
        outcome,
        RefreshOutcome::SessionEnded(SessionEnded::Revoked(_))
    ));
    assert!(world.row(tokens.session()).await.record.revoked.is_some());
}
