//! Opaque access tokens: the same sessions, one load per request, no readable content.

use std::sync::Arc;

use auth_core::adapter::{RequestView, Step, Verdict};
use auth_core::session::{
    EndedBy, GrantKind, LoginRequest, RefreshOutcome, SessionPolicy, Sessions, SessionsBuilder,
    Tokens,
};
use auth_core::testing::{Fault, StoreOp};
use auth_core::{AuthErrorKind, Authenticated, Authenticator, Cause, Scope};

use crate::world::{T0, World, issuer, refresh_key, refresh_text, secs};

struct Bearer(String);

impl RequestView for Bearer {
    fn method(&self) -> &str {
        "GET"
    }

    fn path(&self) -> &str {
        "/me"
    }

    fn target(&self) -> &str {
        self.path()
    }

    fn authority(&self) -> Option<&str> {
        Some("api.example")
    }

    fn visit_header<'r>(&'r self, name: &str, visit: &mut dyn FnMut(&'r [u8])) {
        if name == "authorization" {
            visit(self.0.as_bytes());
        }
    }
}

struct Opaque {
    world: World,
    sessions: Sessions,
    auth: Arc<Authenticator<()>>,
}

fn builder(world: &World) -> SessionsBuilder {
    Sessions::builder(issuer(&world.clock), world.store.clone(), refresh_key(1))
        .with_claims(world.users.clone())
        .with_reference_tokens()
}

impl Opaque {
    fn new() -> Self {
        let world = World::new();
        let sessions = builder(&world).build().unwrap();
        let auth = issuer(&world.clock)
            .authenticator::<()>()
            .with_leeway(secs(0))
            .with_reference_tokens(sessions.clone())
            .build()
            .unwrap();
        Self {
            world,
            sessions,
            auth,
        }
    }

    async fn login(&self) -> Tokens {
        let login = LoginRequest::for_subject("ada").with_scope(Scope::parse("read").unwrap());
        self.sessions.login(login).await.unwrap()
    }

    async fn refresh(&self, token: &str) -> Tokens {
        let client = auth_core::session::ClientInfo::new();
        match self.sessions.refresh(token, &client).await {
            RefreshOutcome::Granted(tokens) => tokens,
            other => panic!("{other:?}"),
        }
    }

    async fn who(&self, access: &str) -> Result<Authenticated<()>, Cause> {
        let request = Bearer(format!("Bearer {access}"));
        let verdict = match self.auth.authenticate(&request) {
            Step::Done(verdict) => verdict,
            Step::Wait(verdict) => verdict.await,
        };
        match verdict {
            Verdict::Pass(pass) => {
                let (context, _) = pass.into_parts();
                Ok(context.authenticated::<()>(&request).unwrap().unwrap())
            }
            Verdict::Refuse(refusal) => {
                let error = refusal.into_parts().0;
                let unavailable = error.kind() == AuthErrorKind::Unavailable;
                assert_eq!(unavailable, error.cause() == Cause::StoreUnavailable);
                Err(error.cause())
            }
        }
    }
}

#[tokio::test]
async fn an_opaque_token_is_the_session_and_costs_one_load() {
    let opaque = Opaque::new();
    let tokens = opaque.login().await;
    let access = tokens.access().expose();
    assert!(access.starts_with("at1_") && !access.contains('.'));
    assert_eq!(access.len(), 4 + 66);
    let calls = opaque.world.store.calls();
    let who = opaque.who(access).await.unwrap();
    assert_eq!(opaque.world.store.calls() - calls, 1);
    assert_eq!((who.subject(), who.scope().as_str()), ("ada", "read"));
    assert_eq!(who.session_id(), Some(&*tokens.session().to_string()));
    assert_eq!(who.expires_at().as_secs(), T0 + 600);
}

/// The unguessable part of a token is derived from its session's secret, and differs in every
/// session.
#[tokio::test]
async fn opaque_tokens_of_two_sessions_have_nothing_in_common() {
    let opaque = Opaque::new();
    let secret = |tokens: &Tokens| {
        let sealed = tokens
            .access()
            .expose()
            .strip_prefix("at1_")
            .unwrap()
            .to_owned();
        base64_simd::URL_SAFE_NO_PAD.decode_to_vec(sealed).unwrap()
    };
    let (one, other) = (opaque.login().await, opaque.login().await);
    let (one, other) = (secret(&one), secret(&other));
    let shared = |run: &[u8]| other.windows(run.len()).any(|own| own == run);
    assert!(!one.windows(8).any(shared));
}

#[tokio::test]
async fn retries_get_the_same_opaque_token_and_nothing_is_written_for_them() {
    let opaque = Opaque::new();
    let first = refresh_text(&opaque.login().await);
    let rotated = opaque.refresh(&first).await;
    let writes = opaque.world.store.writes();
    for wait in [5, 20] {
        opaque.world.advance(wait);
        let again = opaque.refresh(&first).await;
        assert_eq!(again.access().expose(), rotated.access().expose());
    }
    let fresh = opaque.refresh(&refresh_text(&rotated)).await;
    assert_eq!(fresh.kind(), GrantKind::Fresh);
    assert_eq!(fresh.access().expose(), rotated.access().expose());
    assert_eq!(fresh.access().expires_in(), secs(575));
    assert_eq!(opaque.world.store.writes(), writes);
}

#[tokio::test]
async fn the_last_token_is_answered_for_requests_on_their_way_and_no_longer() {
    let opaque = Opaque::new();
    let login = opaque.login().await;
    let next = opaque.refresh(&refresh_text(&login)).await;
    let (old, new) = (login.access().expose(), next.access().expose());
    assert_ne!(old, new);
    opaque.world.advance(120);
    assert!(opaque.who(old).await.is_ok());
    opaque.world.advance(1);
    assert_eq!(opaque.who(old).await.unwrap_err(), Cause::Expired);
    assert!(opaque.who(new).await.is_ok());
    opaque.world.advance(600);
    assert_eq!(opaque.who(new).await.unwrap_err(), Cause::Expired);
}

#[tokio::test]
async fn an_opaque_token_dies_with_its_session_at_once() {
    let opaque = Opaque::new();
    let ended = opaque.login().await;
    let other = opaque.login().await;
    opaque
        .sessions
        .end_by_token(&refresh_text(&ended))
        .await
        .unwrap();
    let dead = opaque.who(ended.access().expose()).await;
    assert_eq!(dead.unwrap_err(), Cause::Revoked);
    assert!(opaque.who(other.access().expose()).await.is_ok());
    opaque.sessions.end_all("ada", EndedBy::App).await.unwrap();
    let dead = opaque.who(other.access().expose()).await;
    assert_eq!(dead.unwrap_err(), Cause::Revoked);
}

#[tokio::test]
async fn the_one_that_ends_all_others_keeps_its_opaque_token() {
    let opaque = Opaque::new();
    let (asker, other) = (opaque.login().await, opaque.login().await);
    let access = asker.access().expose();
    let outcome = opaque
        .sessions
        .end_others("ada", asker.session(), access)
        .await;
    let RefreshOutcome::Granted(tokens) = outcome else {
        panic!("the asker goes on");
    };
    assert_eq!(tokens.access().expose(), access);
    assert!(opaque.who(access).await.is_ok());
    let dead = opaque.who(other.access().expose()).await;
    assert_eq!(dead.unwrap_err(), Cause::Revoked);
}

#[tokio::test]
async fn forged_and_confused_tokens_are_refused_without_a_load() {
    let opaque = Opaque::new();
    let tokens = opaque.login().await;
    let access = tokens.access().expose().to_owned();
    let refresh = refresh_text(&tokens);
    let calls = opaque.world.store.calls();
    let swapped = if access.ends_with('A') { "E" } else { "A" };
    for bad in [
        "at1_".to_owned(),
        format!("at1_{}", "A".repeat(66)),
        format!("{}{swapped}", &access[..access.len() - 1]),
        format!("{access}A"),
        refresh.replace("rt1_", "at1_"),
        refresh.clone(),
    ] {
        assert!(opaque.who(&bad).await.is_err(), "{bad}");
    }
    // D15: an opaque access token is not a refresh token either.
    let client = auth_core::session::ClientInfo::new();
    for bad in [access.clone(), access.replace("at1_", "rt1_")] {
        let outcome = opaque.sessions.refresh(&bad, &client).await;
        assert!(matches!(outcome, RefreshOutcome::TokenRejected(_)));
    }
    assert_eq!(opaque.world.store.calls(), calls);
}

#[tokio::test]
async fn e10_a_store_in_trouble_is_503_for_opaque_tokens() {
    let opaque = Opaque::new();
    let tokens = opaque.login().await;
    let access = tokens.access().expose();
    opaque
        .world
        .store
        .inject(Some(StoreOp::Load), Fault::Down, 1);
    let trouble = opaque.who(access).await;
    assert_eq!(trouble.unwrap_err(), Cause::StoreUnavailable);
    assert!(opaque.who(access).await.is_ok());
}

#[tokio::test]
async fn d01_the_row_of_an_opaque_token_cannot_be_presented() {
    let opaque = Opaque::new();
    let tokens = opaque.login().await;
    let record = opaque.world.row(tokens.session()).await.record;
    let kept = record.details.encode().unwrap();
    let text = tokens.access().expose();
    // The session id is half of the secret, and public. The other half must not appear anywhere.
    for part in text.as_bytes()[27..].chunks(10) {
        assert!(!kept.contains(std::str::from_utf8(part).unwrap()));
    }
}

#[tokio::test]
async fn opaque_tokens_live_for_twice_the_settle_time_or_are_not_built() {
    let world = World::new();
    let slow = SessionPolicy::default().with_min_rotation_interval(secs(301));
    let error = builder(&world).with_policy(slow).build().unwrap_err();
    assert_eq!(error.setting(), "access lifetime");
}

#[tokio::test]
async fn sessions_from_before_the_change_go_on_with_either_kind() {
    let opaque = Opaque::new();
    let before = opaque.world.login("ada").await;
    let first = refresh_text(&before);
    assert!(opaque.who(before.access().expose()).await.is_ok());
    let next = opaque.refresh(&first).await;
    assert!(next.access().expose().starts_with("at1_"));
    assert!(opaque.who(next.access().expose()).await.is_ok());
    let back = opaque.world.granted(&refresh_text(&next)).await;
    assert!(opaque.who(back.access().expose()).await.is_ok());
}
