//! Races: each operation must be one statement, transaction or script.

use std::sync::Arc;

use crate::observe::words::RevokeReason;
use crate::session::store::error::StoreError;
use crate::session::store::record::SessionRecord;
use crate::session::store::{InsertOutcome, NewSession, RefreshStore};
use crate::testing::store_kit::{
    Broken, Trial, end_all, ensure, ensure_eq, session, side_by_side, step,
};

fn nodes(trial: &Trial<'_>, n: usize) -> Arc<dyn RefreshStore> {
    if n.is_multiple_of(2) {
        trial.store.clone()
    } else {
        trial.other.clone()
    }
}

async fn advance_once(
    store: Arc<dyn RefreshStore>,
    row: SessionRecord,
) -> Result<bool, StoreError> {
    Ok(store.advance(&step(&row)).await?.is_some())
}

pub(super) async fn exactly_one_of_many_steps_wins(trial: &Trial<'_>) -> Result<(), Broken> {
    let ada = trial.subject("ada");
    for n in [2, 8, 64] {
        let id = trial.insert(&ada).await?;
        let rounds = trial.fixture.rounds() / if n == 64 { 5 } else { 1 };
        for round in 1..=rounds.max(1) {
            let row = trial.record(id).await?;
            let steps = (0..n).map(|at| advance_once(nodes(trial, at), row.clone()));
            let mut winners = 0;
            for won in side_by_side(steps).await? {
                winners += u32::from(won?);
            }
            ensure_eq(&winners, &1, "one rotation succeeds")?;
            let generation = trial.record(id).await?.generation.get();
            ensure_eq(&generation, &round, "one rotation happens")?;
        }
    }
    Ok(())
}

pub(super) async fn no_step_survives_a_revocation(trial: &Trial<'_>) -> Result<(), Broken> {
    let ada = trial.subject("ada");
    for _ in 0..trial.fixture.rounds() {
        let id = trial.insert(&ada).await?;
        let row = trial.record(id).await?;
        let store = nodes(trial, 1);
        let revoking = trial.revoking(id, RevokeReason::Logout);
        let ending = async move { Ok(store.revoke(&revoking).await?.is_some()) };
        let racing: [crate::testing::store_kit::Running<'static>; 3] = [
            boxed(advance_once(nodes(trial, 0), row.clone())),
            boxed(ending),
            boxed(advance_once(nodes(trial, 1), row)),
        ];
        for result in side_by_side(racing).await? {
            result?;
        }
        let row = trial.record(id).await?;
        ensure(row.revoked.is_some(), "no rotation revives a session")?;
        let written = trial.store.advance(&step(&row)).await?;
        ensure_eq(&written, &None, "a revoked session does not rotate")?;
    }
    Ok(())
}

pub(super) async fn no_step_survives_the_end_of_all(trial: &Trial<'_>) -> Result<(), Broken> {
    for round in 0..trial.fixture.rounds() {
        let ada = trial.subject(&format!("ada{round}"));
        let asker = trial.insert(&ada).await?;
        let other = trial.insert(&ada).await?;
        let rows = [trial.record(asker).await?, trial.record(other).await?];
        let [asking, ended] = rows;
        let store = nodes(trial, 0);
        let subject = ada.clone();
        let ending = async move {
            Ok(store
                .end_all(&end_all(&subject, Some(asker)))
                .await?
                .is_some())
        };
        let racing: [crate::testing::store_kit::Running<'static>; 3] = [
            boxed(advance_once(nodes(trial, 1), asking)),
            boxed(ending),
            boxed(advance_once(nodes(trial, 1), ended)),
        ];
        for result in side_by_side(racing).await? {
            result?;
        }
        ensure(trial.is_live(asker).await?, "the kept session stays live")?;
        ensure(!trial.is_live(other).await?, "the other sessions are dead")?;
    }
    Ok(())
}

pub(super) async fn one_of_two_logins_replaces_a_session(trial: &Trial<'_>) -> Result<(), Broken> {
    let ada = trial.subject("ada");
    for _ in 0..trial.fixture.rounds().min(10) {
        let old = trial.insert(&ada).await?;
        let logins = (0..4).map(|n| {
            let (store, ada, id) = (nodes(trial, n), ada.clone(), trial.id());
            let mark = trial.mark();
            async move {
                let login = NewSession {
                    id,
                    replaces: Some(old),
                    mark,
                    ..session(&ada)
                };
                let inserted = store.insert(&login).await?;
                Ok::<_, StoreError>(
                    matches!(inserted, InsertOutcome::Done { replaced: Some(ended), .. }
                    if ended.mark == Some(mark)),
                )
            }
        });
        let mut replaced = 0;
        for login in side_by_side(logins).await? {
            replaced += u32::from(login?);
        }
        ensure_eq(&replaced, &1, "a session is replaced once")?;
    }
    Ok(())
}

fn boxed(
    work: impl Future<Output = Result<bool, StoreError>> + Send + 'static,
) -> crate::testing::store_kit::Running<'static> {
    Box::pin(async move {
        work.await?;
        Ok(())
    })
}
