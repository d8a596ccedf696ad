//! Logins: the replaced session, late logins, and the session limit.

use std::num::NonZeroU32;

use auth_core::session::{
    EndedBy, GrantKind, LoginError, LoginRequest, RefreshOutcome, RevokeReason, SessionEnded,
    SessionPolicy, UserState,
};

use auth_core::Timestamp;

use crate::world::{T0, World, claims, join_all, refresh_text, secs};

#[tokio::test]
async fn c17_rule_11_a_login_ends_the_session_that_its_request_carried() {
    let world = World::new();
    let old = world.login("ada").await;
    let request = LoginRequest::for_subject("bob").with_replaced_session(refresh_text(&old));
    let new = world.sessions.login(request).await.unwrap();
    assert_ne!(old.session(), new.session());
    let row = world.row(old.session()).await.record;
    assert_eq!(row.revoked.unwrap().reason, RevokeReason::Replaced);
    assert_eq!(world.told.take(), ["login", "login", "revoked replaced"]);

    // A late request of the old session must not clear the new one's cookies.
    let late = world.refresh(&refresh_text(&old)).await;
    assert!(matches!(late, RefreshOutcome::TokenRejected(_)));
    assert_eq!(world.granted(&refresh_text(&new)).await.subject(), "bob");
}

#[tokio::test]
async fn rule_11_what_a_client_sends_is_never_adopted() {
    let world = World::new();
    let forged = format!("rt1_{}", "A".repeat(71));
    let request = LoginRequest::for_subject("ada").with_replaced_session(forged);
    let _ = world.sessions.login(request).await.unwrap();
    assert_eq!(
        (world.memory.len(), world.told.take()),
        (1, vec!["login".into()])
    );
}

#[tokio::test]
async fn h08_a_login_is_dated_when_it_began_or_as_the_app_says_and_never_ahead() {
    let world = World::new();
    let start = world.sessions.begin_login("ada").await.unwrap();
    world.advance(40);
    let began = LoginRequest::started(start);
    let said = |at: i64| began.clone().with_auth_time(Timestamp::from_secs(at));
    for (login, dated) in [
        (began.clone(), Some(T0)),
        (said(T0 - 3600), Some(T0 - 3600)),
        (said(T0 + 3600), Some(T0 + 40)),
        (LoginRequest::for_subject("ada"), None),
    ] {
        let tokens = world.sessions.login(login).await.unwrap();
        assert_eq!(claims(&tokens)["auth_time"].as_i64(), dated);
        assert_eq!(claims(&tokens).get("und"), None);
        let kept = world.row(tokens.session()).await.record.details.auth_time();
        assert_eq!(kept.map(Timestamp::as_secs), dated);
        let next = world.granted(&refresh_text(&tokens)).await;
        assert_eq!(claims(&next)["auth_time"].as_i64(), dated);
    }
    // The wall clock is set back meanwhile.
    world.clock.step_back(secs(3600));
    let tokens = world.sessions.login(began).await.unwrap();
    assert_eq!(claims(&tokens)["auth_time"], T0 + 40 - 3600);
}

#[tokio::test]
async fn h08_a_second_login_in_a_row_that_says_no_time_is_known_by_its_tokens() {
    let world = World::new();
    let again = |old: &auth_core::session::Tokens, subject: &str| {
        LoginRequest::for_subject(subject).with_replaced_session(refresh_text(old))
    };
    let undated = |tokens: &auth_core::session::Tokens| claims(tokens).get("und").is_some();
    let first = world.login("ada").await;
    assert!(!undated(&first));
    let second = again(&first, "ada");
    let second = world.sessions.login(second).await.unwrap();
    assert!(undated(&second));
    assert!(undated(&world.granted(&refresh_text(&second)).await));
    // Another user, a login with a time, and a session that has ended.
    let other = world.sessions.login(again(&second, "bob")).await.unwrap();
    assert!(!undated(&other));
    let dated = again(&other, "bob").with_auth_time(Timestamp::from_secs(T0));
    let dated = world.sessions.login(dated).await.unwrap();
    assert!(!undated(&dated));
    world.sessions.end_all("bob", EndedBy::App).await.unwrap();
    let late = world.sessions.login(again(&dated, "bob")).await.unwrap();
    assert!(!undated(&late));
}

#[tokio::test]
async fn rule_12_a_login_that_began_before_all_was_ended_fails() {
    let world = World::new();
    let start = world.sessions.begin_login("ada").await.unwrap();
    world.sessions.end_all("ada", EndedBy::App).await.unwrap();
    let login = world.sessions.login(LoginRequest::started(start)).await;
    assert!(matches!(login, Err(LoginError::Superseded)));
    assert_eq!(world.memory.len(), 0);
    // A login that begins after the end succeeds.
    let start = world.sessions.begin_login("ada").await.unwrap();
    let tokens = world
        .sessions
        .login(LoginRequest::started(start))
        .await
        .unwrap();
    assert_eq!(crate::world::claims(&tokens)["epo"], 1);
    let next = world.granted(&refresh_text(&tokens)).await;
    assert_eq!(next.kind(), GrantKind::Rotated);
}

#[tokio::test]
async fn d11_a_disabled_user_cannot_log_in() {
    let world = World::new();
    world.users.set("ada", UserState::Disabled);
    let login = world.sessions.login(LoginRequest::for_subject("ada")).await;
    assert!(matches!(login, Err(LoginError::Disabled)));
    assert_eq!(world.memory.len(), 0);
}

#[tokio::test]
async fn h20_subjects_that_no_store_could_keep_or_person_read_are_refused() {
    let world = World::new();
    for bad in ["", " ", "\t\n", "\u{2003}\u{a0}", "a\0b", &"x".repeat(256)] {
        let login = world.sessions.login(LoginRequest::for_subject(bad)).await;
        assert!(matches!(login, Err(LoginError::Invalid(_))));
        assert!(world.sessions.begin_login(bad).await.is_err());
    }
    let ended = LoginRequest::for_subject("ada").with_idle(secs(0));
    assert!(matches!(
        world.sessions.login(ended).await,
        Err(LoginError::Invalid(_))
    ));
    assert_eq!(world.store.calls(), 0);
}

#[tokio::test]
async fn d22_the_session_limit_ends_the_least_recently_used() {
    let limit = NonZeroU32::new(2).unwrap();
    let world = World::with(SessionPolicy::default().with_session_limit(limit));
    let a = world.login("ada").await;
    world.advance(1);
    let b = world.login("ada").await;
    world.advance(1);
    let _ = world.granted(&refresh_text(&a)).await;
    world.advance(1);
    let _ = world.login("ada").await;
    let outcome = world.refresh(&refresh_text(&b)).await;
    let limit = SessionEnded::Revoked(RevokeReason::Limit);
    assert!(matches!(outcome, RefreshOutcome::SessionEnded(t) if t == limit));
    let _ = world.granted(&refresh_text(&a)).await;
    let _ = world.login("bob").await;
    assert_eq!(world.sessions.list("ada", None).await.unwrap().len(), 2);
}

#[tokio::test]
async fn d22_the_session_limit_holds_under_concurrent_logins() {
    let limit = NonZeroU32::new(3).unwrap();
    let world = World::with(SessionPolicy::default().with_session_limit(limit));
    let other = world.node();
    let mut logins: Vec<std::pin::Pin<Box<dyn Future<Output = _> + Send>>> = Vec::new();
    for n in 0..32 {
        let sessions = if n % 2 == 0 {
            world.sessions.clone()
        } else {
            other.clone()
        };
        logins.push(Box::pin(async move {
            sessions
                .login(LoginRequest::for_subject("ada"))
                .await
                .is_ok()
        }));
    }
    assert!(join_all(logins).await.into_iter().all(|ok| ok));
    assert_eq!(world.sessions.list("ada", None).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a28_absurd_lifetimes_end_in_a_thousand_years() {
    use std::time::Duration;
    let world = World::new();
    let login = LoginRequest::for_subject("ada")
        .with_idle(Duration::MAX)
        .with_absolute(Duration::MAX);
    let tokens = world.sessions.login(login).await.unwrap();
    assert_eq!(tokens.ends_in(), crate::world::days(365_250));
    world.advance(1000);
    let next = world.granted(&refresh_text(&tokens)).await;
    assert_eq!(next.kind(), GrantKind::Rotated);
}
