//! What an app can read of a session, of a client, and of trouble.

use std::error::Error;
use std::sync::Arc;

use auth_core::session::{
    ClientInfo, CurrentClaims, Outcome, ReplayAdvice, UnavailableKind, UserState,
};
use auth_core::testing::{Fault, StoreOp};
use auth_core::{Authenticator, Issuer, SessionRoutes};

use crate::world::{World, claims, issuer, refresh_text};

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
    assert!(matches!(outcome, Outcome::Granted(_)));
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
}

#[tokio::test]
async fn trouble_has_a_fixed_text_and_its_cause_underneath() {
    let world = World::new();
    let tokens = world.login("ada").await;
    world.store.inject(Some(StoreOp::Load), Fault::Down, 1);
    let Outcome::Transient(trouble) = world.refresh(&refresh_text(&tokens)).await else {
        panic!("the store was down");
    };
    assert!(matches!(trouble.kind(), UnavailableKind::Store(_)));
    assert_eq!(trouble.to_string(), "the session store is not available");
    assert!(trouble.source().is_some());

    *world.users.unavailable.lock().unwrap() = true;
    world.advance(60);
    let Outcome::Transient(trouble) = world.refresh(&refresh_text(&tokens)).await else {
        panic!("the hook was down");
    };
    assert_eq!(trouble.kind(), UnavailableKind::Claims);
    assert_eq!(
        trouble.to_string(),
        "the app could not say what the user may do"
    );
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
    SessionRoutes::new(world.sessions.clone(), auth)
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
