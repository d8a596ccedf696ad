//! The readable details of sessions, clients and errors.

use std::error::Error;
use std::sync::{Arc, Mutex};

use auth_core::session::{
    ClientInfo, CurrentClaims, EndedBy, Event, Events, LoginRequest, RefreshOutcome, ReplayAdvice,
    Replays, RevokeReason, SessionEnded, SessionId, Sessions, UnavailableKind, UserState,
};
use auth_core::store::{StoreError, StoreErrorKind};
use auth_core::testing::{Fault, StoreOp};
use auth_core::{Authenticator, Issuer, SessionRoutes, Timestamp};

use crate::world::{T0, World, claims, issuer, refresh_key, refresh_text, secs};

fn phone() -> ClientInfo {
    ClientInfo::new()
        .with_user_agent("Phone/1")
        .with_ip("192.0.2.7")
}

#[tokio::test]
async fn d11_a_device_is_known_by_what_it_last_refreshed_from() {
    let world = World::new();
    let tokens = world.login("ada").await;
    let list = world.sessions.list("ada", None).await.unwrap();
    assert_eq!((list[0].user_agent(), list[0].ip()), (None, None));

    world.advance(60);
    let outcome = world
        .sessions
        .refresh(&refresh_text(&tokens), &phone())
        .await;
    assert!(matches!(outcome, RefreshOutcome::Granted(_)));
    let list = world.sessions.list("ada", None).await.unwrap();
    assert_eq!(list[0].user_agent(), Some("Phone/1"));
    assert_eq!(list[0].ip(), Some("192.0.2.7"));
    assert_eq!(list[0].label(), Some("Phone/1"));
    let row = world.row(tokens.session()).await.record;
    assert_eq!(row.details.ip(), Some("192.0.2.7"));
}

#[tokio::test]
async fn roles_of_the_user_are_in_the_next_access_token() {
    let world = World::new();
    let tokens = world.login("ada").await;
    let now = CurrentClaims::new().with_roles(["editor", "admin"]);
    world.users.set("ada", UserState::Enabled(now));
    world.advance(60);
    let tokens = world.granted(&refresh_text(&tokens)).await;
    assert_eq!(
        claims(&tokens)["roles"],
        serde_json::json!(["editor", "admin"])
    );
}

#[tokio::test]
async fn d04_a_token_that_comes_twice_is_counted() {
    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    assert_eq!(world.sessions.replays().at_once, 0);
    let _ = world.granted(&first).await;
    let _ = world.granted(&first).await;
    let replays = world.sessions.replays();
    assert_eq!((replays.at_once, replays.stale), (1, 0));
    world.advance(6);
    let _ = world.granted(&first).await;
    assert_eq!(world.sessions.replays().later, 1);
}

#[tokio::test]
async fn d04_replays_are_counted_by_what_they_tell() {
    let world = World::new();
    let first = refresh_text(&world.login("ada").await);
    let lost = refresh_text(&world.granted(&first).await);
    world.advance(121);
    let _ = world.granted(&first).await;
    assert_eq!(world.sessions.replays().recovered, 1);
    let outcome = world.refresh(&lost).await;
    assert!(matches!(
        outcome,
        RefreshOutcome::SessionEnded(SessionEnded::Reuse(_))
    ));
    assert_eq!(world.sessions.replays().orphaned, 1);

    let first = refresh_text(&world.login("bob").await);
    let second = refresh_text(&world.granted(&first).await);
    world.advance(121);
    let _ = world.granted(&second).await;
    let outcome = world.refresh(&first).await;
    assert!(matches!(
        outcome,
        RefreshOutcome::SessionEnded(SessionEnded::Reuse(_))
    ));
    let replays = world.sessions.replays();
    assert_eq!(
        (replays.stale, replays.orphaned, replays.too_late),
        (1, 1, 0)
    );
}

#[test]
fn advice_needs_twenty_replays_and_a_majority() {
    let with = |change: fn(&mut Replays)| {
        let mut replays = Replays::default();
        change(&mut replays);
        replays.advice()
    };
    assert_eq!(with(|r| r.at_once = 19), None);
    assert_eq!(
        with(|r| r.at_once = 20),
        Some(ReplayAdvice::ClientsLackALock)
    );
    assert_eq!(
        with(|r| (r.at_once, r.later) = (10, 10)),
        Some(ReplayAdvice::AnswersAreLost)
    );
    assert_eq!(
        with(|r| (r.at_once, r.recovered) = (11, 10)),
        Some(ReplayAdvice::ClientsLackALock)
    );
    assert_eq!(with(|r| r.stale = 19), None);
    assert_eq!(with(|r| r.stale = 20), Some(ReplayAdvice::OldTokensAreUsed));
    // Half of the replays is not a majority.
    assert_eq!(with(|r| (r.stale, r.orphaned) = (10, 10)), None);
    assert_eq!(
        with(|r| (r.stale, r.too_late) = (20, 20)),
        Some(ReplayAdvice::AnswersAreLost)
    );
}

#[derive(Debug, Default)]
struct Named(Mutex<Vec<(String, Option<SessionId>)>>);

impl Events for Named {
    fn on_event(&self, event: &Event<'_>) {
        let seen = (event.kind().to_owned(), event.session());
        self.0.lock().unwrap().push(seen);
    }
}

#[tokio::test]
async fn an_event_names_its_session() {
    let world = World::new();
    let named = Arc::new(Named::default());
    let sessions = Sessions::builder(issuer(&world.clock), world.store.clone(), refresh_key(1))
        .with_events(named.clone())
        .without_revocations()
        .build()
        .unwrap();
    let tokens = sessions
        .login(LoginRequest::for_subject("ada"))
        .await
        .unwrap();
    let _ = sessions.refresh(&refresh_text(&tokens), &phone()).await;
    sessions.end_by_token(&refresh_text(&tokens)).await.unwrap();
    let _ = sessions.refresh("rt1_forged", &phone()).await;
    let seen = std::mem::take(&mut *named.0.lock().unwrap());
    let of = |kind: &str| {
        seen.iter()
            .find(|(own, _)| own == kind)
            .map(|(_, sid)| *sid)
    };
    for kind in ["login", "refreshed", "revoked"] {
        assert_eq!(of(kind), Some(Some(tokens.session())), "{kind}");
    }
    assert_eq!(of("forged"), Some(None));
}

#[tokio::test]
async fn c18_a_client_without_its_refresh_token_signs_out_its_own_session_only() {
    let world = World::new();
    let ada = world.login("ada").await.session();
    assert!(
        !world
            .sessions
            .end(ada, EndedBy::Logout("bob"))
            .await
            .unwrap()
    );
    assert!(
        world
            .sessions
            .end(ada, EndedBy::Logout("ada"))
            .await
            .unwrap()
    );
    assert!(
        !world
            .sessions
            .end(ada, EndedBy::Logout("ada"))
            .await
            .unwrap()
    );
    let record = world.row(ada).await.record;
    assert_eq!(record.revoked.unwrap().reason, RevokeReason::Logout);
}

#[tokio::test]
async fn how_a_person_signed_in_is_in_every_access_token_of_the_session() {
    let world = World::new();
    let login = LoginRequest::for_subject("ada")
        .with_auth_time(Timestamp::from_secs(T0 - 5))
        .with_acr("strong")
        .with_amr(["pwd", "otp"]);
    let tokens = world.sessions.login(login).await.unwrap();
    world.advance(60);
    let next = world.granted(&refresh_text(&tokens)).await;
    for claims in [claims(&tokens), claims(&next)] {
        assert_eq!(claims["auth_time"], T0 - 5);
        assert_eq!(claims["acr"], "strong");
        assert_eq!(claims["amr"], serde_json::json!(["pwd", "otp"]));
    }
    let details = world.row(tokens.session()).await.record.details;
    assert_eq!(details.auth_time(), Some(Timestamp::from_secs(T0 - 5)));
    assert_eq!((details.acr(), details.amr().len()), (Some("strong"), 2));
}

#[tokio::test]
async fn cookies_live_as_long_as_the_session_or_as_the_browser_stays_open() {
    let world = World::new();
    let login = LoginRequest::for_subject("ada").with_idle(secs(7200));
    let tokens = world.sessions.login(login.clone()).await.unwrap();
    assert_eq!(tokens.cookie_max_age(), Some(secs(7200)));
    let tokens = world
        .sessions
        .login(login.with_nonpersistent_cookies())
        .await
        .unwrap();
    assert_eq!(tokens.cookie_max_age(), None);
    let next = world.granted(&refresh_text(&tokens)).await;
    assert_eq!(next.cookie_max_age(), None);
}

#[test]
fn what_ails_a_store_is_said_in_fixed_words() {
    for (kind, word, text) in [
        (StoreErrorKind::Corrupt, "corrupt", "unreadable"),
        (StoreErrorKind::Full, "full", "full"),
        (StoreErrorKind::Timeout, "timeout", "in time"),
        (StoreErrorKind::Unavailable, "unavailable", "not available"),
    ] {
        assert_eq!(kind.as_str(), word);
        assert!(StoreError::new(kind).to_string().contains(text), "{word}");
    }
}

#[tokio::test]
async fn trouble_has_a_fixed_text_and_its_cause_underneath() {
    let world = World::new();
    let tokens = world.login("ada").await;
    world.store.inject(Some(StoreOp::Load), Fault::Down, 1);
    let RefreshOutcome::Unavailable(trouble) = world.refresh(&refresh_text(&tokens)).await else {
        panic!("the store was down");
    };
    assert!(matches!(trouble.kind(), UnavailableKind::Store(_)));
    assert_eq!(trouble.to_string(), "the session store is not available");
    assert!(trouble.source().is_some());

    *world.users.unavailable.lock().unwrap() = true;
    world.advance(60);
    let RefreshOutcome::Unavailable(trouble) = world.refresh(&refresh_text(&tokens)).await else {
        panic!("the hook was down");
    };
    assert_eq!(trouble.kind(), UnavailableKind::Claims);
    assert_eq!(trouble.to_string(), "the app's claims hook failed");
    assert_eq!(
        trouble.source().unwrap().to_string(),
        "the user database is down"
    );
}

#[test]
fn every_advice_has_a_word_and_says_what_to_do() {
    for (advice, word, text) in [
        (ReplayAdvice::AnswersAreLost, "answers_are_lost", "timeouts"),
        (
            ReplayAdvice::ClientsLackALock,
            "clients_lack_a_lock",
            "one refresh at a time",
        ),
        (
            ReplayAdvice::OldTokensAreUsed,
            "old_tokens_are_used",
            "token",
        ),
    ] {
        assert_eq!(advice.as_str(), word);
        assert!(advice.to_string().contains(text), "{advice}");
    }
}

#[test]
fn an_issuer_tells_whom_its_tokens_are_for() {
    let issuer: Issuer = issuer(&World::new().clock);
    assert_eq!(issuer.name(), "https://issuer.example");
    assert_eq!(issuer.audience(), "https://api.example");
}

fn routes(world: &World) -> SessionRoutes<()> {
    let auth: Arc<Authenticator<()>> = world.sessions.issuer().authenticator().build().unwrap();
    SessionRoutes::new(world.sessions.clone(), auth).unwrap()
}

#[test]
fn routes_are_mounted_under_plain_paths_only() {
    let world = World::new();
    for good in ["", "/auth", "/api/v1/auth", "/a-b_c.d~e", "/a/b"] {
        let routes = routes(&world).with_prefix(good).unwrap();
        let mut paths = routes.paths();
        assert!(paths.all(|(path, _)| path.starts_with(good) && path.starts_with('/')));
    }
    for bad in [
        "/", "/auth/", "auth", "//", "//auth", "/a//b", "/a b", "/a?b", "/a#b", "/{sid}", "/ä",
        "/a\n",
    ] {
        assert!(routes(&world).with_prefix(bad).is_err(), "{bad:?}");
    }
}
