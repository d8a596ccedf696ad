//! The protocol over the store: every row of its table, with races and faults, from the view of
//! clients.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::base::clock::{Clock, SystemClock};
use crate::keys::Key;
use crate::keys::refresh::RefreshKey;
use crate::observe::events::{Event, Events};
use crate::observe::words::{GrantKind, ReuseCause};
use crate::revocation::{Revocation, Revocations, StalePolicy};
use crate::session::store::memory::MemoryStore;
use crate::session::store::record::SessionDetails;
use crate::session::store::{NewSession, RefreshStore, StoreClock};
use crate::session::{
    ClientInfo, EndedBy, LoginRequest, RefreshOutcome, RefreshToken, SessionEnded, Sessions,
    SessionsBuilder, Tokens,
};
use crate::testing::store_kit::{
    ABSOLUTE, Broken, IDLE, LISTING, Trial, ensure, ensure_eq, side_by_side,
};
use crate::testing::{Fault, FaultStore, StoreOp};
use crate::token::issuer::Issuer;

const KEY: &[u8; 32] = b"a key of the kit, of no use else";

/// Creates the sessions of one node over a store.
fn node(trial: &Trial<'_>, store: Arc<dyn RefreshStore>) -> Result<Sessions, Broken> {
    node_with(trial, store, |builder| builder)
}

fn node_with(
    trial: &Trial<'_>,
    store: Arc<dyn RefreshStore>,
    with: impl FnOnce(SessionsBuilder) -> SessionsBuilder,
) -> Result<Sessions, Broken> {
    let build = || {
        let issuer = Issuer::for_issuer("https://issuer.example")
            .audience("https://api.example")
            .keys(Key::hs256("kit", KEY)?)?
            .with_clock(clock(trial));
        let sessions = Sessions::builder(issuer, store, RefreshKey::new(1, KEY)?);
        with(sessions.without_revocations()).build()
    };
    build().map_err(|error| Broken::Promise(error.to_string()))
}

fn clock(trial: &Trial<'_>) -> Arc<dyn Clock> {
    match trial.fixture.clock() {
        Some(clock) => clock,
        None => Arc::new(SystemClock),
    }
}

pub(super) async fn login(sessions: &Sessions, subject: &str) -> Result<Tokens, Broken> {
    sessions
        .login(LoginRequest::for_subject(subject))
        .await
        .map_err(|error| Broken::Promise(format!("a login succeeds: {error}")))
}

fn text(tokens: &Tokens) -> String {
    let token = tokens.refresh().map(RefreshToken::expose);
    token.unwrap_or_default().to_owned()
}

async fn refresh(sessions: &Sessions, token: &str) -> RefreshOutcome {
    sessions.refresh(token, &ClientInfo::new()).await
}

async fn granted(sessions: &Sessions, token: &str, expected: GrantKind) -> Result<String, Broken> {
    match refresh(sessions, token).await {
        RefreshOutcome::Granted(tokens) => {
            ensure_eq(&tokens.kind(), &expected, "the decision about a token")?;
            Ok(text(&tokens))
        }
        other => Err(Broken::Promise(format!(
            "{expected:?} instead of {other:?}"
        ))),
    }
}

async fn reused(sessions: &Sessions, token: &str, expected: ReuseCause) -> Result<(), Broken> {
    match refresh(sessions, token).await {
        RefreshOutcome::SessionEnded(SessionEnded::Reuse(cause)) => {
            ensure_eq(&cause, &expected, "why")
        }
        other => Err(Broken::Promise(format!("reuse instead of {other:?}"))),
    }
}

pub(super) async fn every_row_of_the_table(trial: &Trial<'_>) -> Result<(), Broken> {
    let a = node(trial, trial.store.clone())?;
    let b = node(trial, trial.other.clone())?;
    rotated_fresh_replayed_held_stale(trial, &a, &b).await?;
    recovered_orphan_recent_predecessor(trial, &a, &b).await?;
    resumed_ahead(trial, &b).await?;
    revoked_expired_unknown(trial, &a, &b).await
}

async fn rotated_fresh_replayed_held_stale(
    trial: &Trial<'_>,
    a: &Sessions,
    b: &Sessions,
) -> Result<(), Broken> {
    let tokens = login(a, &trial.subject("ada")).await?;
    let first = text(&tokens);
    let second = granted(b, &first, GrantKind::Rotated).await?;
    trial.advance_clock(Duration::from_secs(10));
    let again = granted(a, &first, GrantKind::Replayed).await?;
    ensure(again == second, "a retry gets the same successor")?;
    granted(a, &second, GrantKind::Fresh).await?;
    trial.advance_clock(Duration::from_secs(1));
    let held = granted(b, &first, GrantKind::Held).await?;
    ensure(held.is_empty(), "a held session keeps its token")?;
    trial.advance_clock(Duration::from_secs(110));
    granted(b, &second, GrantKind::Rotated).await?;
    reused(a, &first, ReuseCause::Stale).await?;
    let row = trial.record(tokens.session()).await?;
    ensure(row.revoked.is_some(), "reuse revokes")
}

async fn recovered_orphan_recent_predecessor(
    trial: &Trial<'_>,
    a: &Sessions,
    b: &Sessions,
) -> Result<(), Broken> {
    let min_rotation_interval = Duration::from_secs(121);
    for end_with_orphan in [true, false] {
        let first = text(&login(a, &trial.subject("ada")).await?);
        let mut orphan = granted(b, &first, GrantKind::Rotated).await?;
        for _ in 0..3 {
            trial.advance_clock(min_rotation_interval);
            let next = granted(a, &first, GrantKind::Recovered).await?;
            ensure(next != orphan, "a recovery issues another successor")?;
            if end_with_orphan {
                reused(b, &orphan, ReuseCause::Orphan).await?;
                break;
            }
            orphan = next;
        }
        if !end_with_orphan {
            trial.advance_clock(min_rotation_interval);
            reused(b, &first, ReuseCause::RecentPredecessor).await?;
        }
    }
    Ok(())
}

/// Resumes a session whose rotations happened in another store, as after a backup of the login.
async fn resumed_ahead(trial: &Trial<'_>, b: &Sessions) -> Result<(), Broken> {
    let subject = trial.subject("ada");
    let Some(clock) = trial.fixture.clock() else {
        return Ok(());
    };
    let elsewhere = MemoryStore::new().with_clock(StoreClock::driven(clock));
    let elsewhere = node(trial, Arc::new(elsewhere))?;
    let tokens = login(&elsewhere, &subject).await?;
    let second = granted(&elsewhere, &text(&tokens), GrantKind::Rotated).await?;
    trial.advance_clock(Duration::from_secs(121));
    let third = granted(&elsewhere, &second, GrantKind::Rotated).await?;
    let details = SessionDetails {
        idle_ms: u64::try_from(IDLE.as_millis()).unwrap_or(u64::MAX),
        ..SessionDetails::default()
    };
    trial
        .insert_as(NewSession {
            id: tokens.session(),
            subject: &subject,
            subject_version: 0,
            idle: IDLE,
            absolute: ABSOLUTE,
            details: &details,
            limit: None,
            replaces: None,
            mark: trial.mark(),
            listing: LISTING,
        })
        .await?;
    let ahead = refresh(b, &third).await;
    ensure(
        matches!(ahead, RefreshOutcome::TokenRejected(_)),
        "a token ahead of the store is refused",
    )?;
    let resumed = granted(b, &second, GrantKind::Resumed).await?;
    ensure(resumed == second, "a resumed token stays")?;
    granted(b, &third, GrantKind::Resumed).await?;
    Ok(())
}

async fn revoked_expired_unknown(
    trial: &Trial<'_>,
    a: &Sessions,
    b: &Sessions,
) -> Result<(), Broken> {
    let terminal = |outcome: &RefreshOutcome| match outcome {
        RefreshOutcome::SessionEnded(terminal) => Some(*terminal),
        _ => None,
    };
    let first = login(a, &trial.subject("ada")).await?;
    let second = login(a, &trial.subject("ada")).await?;
    let ada = trial.subject("ada");
    let ended = b.end_all(&ada, EndedBy::User(&ada)).await;
    ensure(ended.is_ok(), "all sessions can be ended")?;
    for dead in [&first, &second] {
        let outcome = refresh(a, &text(dead)).await;
        ensure(
            matches!(terminal(&outcome), Some(SessionEnded::Revoked(_))),
            "a session with another subject version is revoked",
        )?;
    }
    let idle = login(a, &trial.subject("bob")).await?;
    trial.advance_clock(IDLE);
    let outcome = refresh(b, &text(&idle)).await;
    ensure_eq(&terminal(&outcome), &Some(SessionEnded::Expired), "an end")?;
    let gone = login(&node(trial, Arc::new(MemoryStore::new()))?, "nobody").await?;
    let outcome = refresh(b, &text(&gone)).await;
    ensure_eq(&terminal(&outcome), &Some(SessionEnded::Unknown), "no row")
}

pub(super) async fn requests_of_two_nodes_get_one_successor(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let a = node(trial, trial.store.clone())?;
    let b = node(trial, trial.other.clone())?;
    for n in [2, 8, 64] {
        for _ in 0..(trial.fixture.rounds() / 5).max(1) {
            let tokens = login(&a, &trial.subject("ada")).await?;
            let first = text(&tokens);
            let requests = (0..n).map(|at| {
                let (sessions, first) = (if at % 2 == 0 { &a } else { &b }.clone(), first.clone());
                async move { refresh(&sessions, &first).await }
            });
            let mut successors = Vec::new();
            let mut rotated = 0;
            for outcome in side_by_side(requests).await? {
                let RefreshOutcome::Granted(tokens) = outcome else {
                    return Err(Broken::Promise(format!("tokens instead of {outcome:?}")));
                };
                rotated += u32::from(tokens.kind() == GrantKind::Rotated);
                successors.push(text(&tokens));
            }
            successors.dedup();
            ensure_eq(&successors.len(), &1, "one successor for all requests")?;
            ensure_eq(&rotated, &1, "one rotation")?;
            let generation = trial.record(tokens.session()).await?.generation.get();
            ensure_eq(&generation, &1, "one write")?;
        }
    }
    Ok(())
}

pub(super) async fn a_lost_answer_is_had_again(trial: &Trial<'_>) -> Result<(), Broken> {
    let store = Arc::new(FaultStore::new(trial.store.clone()));
    let sessions = node(trial, store.clone())?;
    let first = text(&login(&sessions, &trial.subject("ada")).await?);
    store.inject(Some(StoreOp::Write), Fault::LostAnswer, 1);
    let lost = refresh(&sessions, &first).await;
    ensure(
        matches!(lost, RefreshOutcome::Unavailable(_)),
        "an unknown result is 503",
    )?;
    granted(&sessions, &first, GrantKind::Replayed).await?;
    Ok(())
}

pub(super) async fn the_store_may_be_down_at_any_call_and_nobody_is_signed_out(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let store = Arc::new(FaultStore::new(trial.store.clone()));
    let sessions = node(trial, store.clone())?;
    let mut token = text(&login(&sessions, &trial.subject("ada")).await?);
    for op in [StoreOp::Load, StoreOp::Write] {
        for fault in [Fault::Down, Fault::LostAnswer] {
            trial.advance_clock(Duration::from_secs(121));
            store.inject(Some(op), fault, 1);
            let outcome = refresh(&sessions, &token).await;
            ensure(
                matches!(outcome, RefreshOutcome::Unavailable(_)),
                "a store failure is 503",
            )?;
            match refresh(&sessions, &token).await {
                RefreshOutcome::Granted(tokens) => token = text(&tokens),
                other => return Err(Broken::Promise(format!("tokens instead of {other:?}"))),
            }
        }
    }
    Ok(())
}

/// The emitted ends, and whether they were confirmed.
#[derive(Debug, Default)]
struct Confirmations(Mutex<Vec<bool>>);

impl Events for Confirmations {
    fn on_event(&self, event: &Event<'_>) {
        if let Event::Revoked { confirmed, .. } = event {
            let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            told.push(*confirmed);
        }
    }
}

impl Confirmations {
    fn take(&self) -> Vec<bool> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) async fn an_end_without_an_answer_is_told_once(trial: &Trial<'_>) -> Result<(), Broken> {
    for (fault, expected) in [
        (Fault::LostAnswer, vec![false]),
        (Fault::Down, vec![false, true]),
    ] {
        let store = Arc::new(FaultStore::new(trial.store.clone()));
        let told = Arc::new(Confirmations::default());
        let a = node_with(trial, store.clone(), |b| b.with_events(told.clone()))?;
        let b = node_with(trial, trial.other.clone(), |b| b.with_events(told.clone()))?;
        let token = text(&login(&a, &trial.subject("ada")).await?);
        store.inject(Some(StoreOp::Revoke), fault, 1);
        ensure(
            a.end_by_token(&token).await.is_err(),
            "an unknown result is 503",
        )?;
        for node in [&b, &a] {
            ensure(node.end_by_token(&token).await.is_ok(), "a retry succeeds")?;
        }
        let told = told.take();
        ensure_eq(
            &told,
            &expected,
            "an end is emitted once, when it is confirmed",
        )?;
    }
    Ok(())
}

pub(super) async fn an_entry_ahead_of_its_epoch_locks_nobody_out(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let ada = trial.subject("ada");
    let revocations = Revocations::new(StalePolicy::FailOpen, clock(trial));
    let listing = revocations.clone();
    let sessions = node_with(trial, trial.store.clone(), |b| b.with_revocations(listing))?;
    let before = login(&sessions, &ada).await?;
    revocations.add(&Revocation::Subject {
        subject: ada.as_str().into(),
        lowest_subject_version: 2,
        until: clock(trial).now().saturating_add(LISTING.lifetime),
    });
    let after = login(&sessions, &ada).await?;
    let subject_version = trial.record(after.session()).await?.subject_version;
    ensure_eq(
        &subject_version,
        &2,
        "the new session has the proved subject version",
    )?;
    ensure_eq(
        &trial.other.subject_version(&ada).await?,
        &2,
        "the store has the proved subject version",
    )?;
    granted(&sessions, &text(&after), GrantKind::Rotated).await?;
    let outcome = refresh(&sessions, &text(&before)).await;
    ensure(
        matches!(
            outcome,
            RefreshOutcome::SessionEnded(SessionEnded::Revoked(_))
        ),
        "an earlier session has ended",
    )?;
    let row = trial.record(before.session()).await?;
    ensure(
        row.revoked.is_none(),
        "it has ended by its subject version, without a write",
    )
}
