//! Many rows: lists, the session limit, purges.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::base::id::SessionId;
use crate::observe::words::RevokeReason;
use crate::session::store::{InsertOutcome, NewSession, RefreshStore as _};
use crate::testing::store_kit::{
    Broken, DAY, IDLE, Trial, ensure, ensure_eq, session, side_by_side, step,
};

const SECOND: Duration = Duration::from_secs(1);

pub(super) async fn a_list_has_the_live_sessions_last_used_first(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let (ada, bob) = (trial.subject("ada"), trial.subject("bob"));
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(trial.insert(&ada).await?);
        trial.advance_clock(SECOND);
    }
    trial.insert(&bob).await?;
    let &[used, revoked, b, c, d] = ids.as_slice() else {
        return Ok(());
    };
    let row = trial.record(used).await?;
    trial.store.advance(&step(&row)).await?;
    trial.revoke(revoked, RevokeReason::Logout).await?;
    let listed = trial.list(&ada).await?;
    ensure_eq(
        &listed,
        &vec![used, d, c, b],
        "live sessions, the most recently used first",
    )?;
    let two = trial.other.list(&ada, 2).await?;
    let two: Vec<_> = two.into_iter().map(|row| row.id).collect();
    ensure_eq(&two, &vec![used, d], "no more than the limit")?;
    trial.advance_clock(IDLE - 3 * SECOND);
    let listed = trial.list(&ada).await?;
    ensure(!listed.contains(&b), "ended sessions are not listed")?;
    ensure(
        listed.contains(&used),
        "sessions with a later idle end are listed",
    )?;
    let nobody = trial.list(&trial.subject("nobody")).await?;
    ensure(nobody.is_empty(), "an unknown subject has no sessions")
}

async fn login(
    trial: &Trial<'_>,
    subject: &str,
    limit: u32,
) -> Result<(SessionId, Vec<SessionId>), Broken> {
    let id = trial.id();
    let subject_version = trial.store.subject_version(subject).await?;
    let inserted = trial
        .insert_as(NewSession {
            id,
            subject_version,
            limit: NonZeroU32::new(limit),
            ..session(subject)
        })
        .await?;
    match inserted {
        InsertOutcome::Done { evicted, .. } => Ok((id, evicted)),
        InsertOutcome::SubjectVersionChanged => Err(Broken::Promise(
            "the subject version is the current one".into(),
        )),
    }
}

pub(super) async fn the_limit_ends_the_least_recently_used(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let ada = trial.subject("ada");
    let (a, _) = login(trial, &ada, 2).await?;
    trial.advance_clock(SECOND);
    let (b, evicted) = login(trial, &ada, 2).await?;
    ensure(evicted.is_empty(), "the limit itself is allowed")?;
    trial.advance_clock(SECOND);
    let row = trial.record(a).await?;
    trial.store.advance(&step(&row)).await?;
    trial.advance_clock(SECOND);
    let (c, evicted) = login(trial, &ada, 2).await?;
    ensure_eq(&evicted, &vec![b], "the least recently used session ends")?;
    let reason = trial.record(b).await?.revoked.map(|r| r.reason);
    ensure_eq(&reason, &Some(RevokeReason::Limit), "the reason of the end")?;
    ensure(
        trial.is_live(a).await? && trial.is_live(c).await?,
        "the other sessions stay live",
    )?;
    trial.advance_clock(SECOND);
    let (d, mut evicted) = login(trial, &ada, 1).await?;
    evicted.sort_unstable();
    let mut expected = vec![a, c];
    expected.sort_unstable();
    ensure_eq(&evicted, &expected, "a smaller limit ends several")?;
    ensure(trial.is_live(d).await?, "the new session never ends")
}

pub(super) async fn the_limit_counts_only_live_sessions(trial: &Trial<'_>) -> Result<(), Broken> {
    let ada = trial.subject("ada");
    let (revoked, _) = login(trial, &ada, 9).await?;
    trial.revoke(revoked, RevokeReason::Logout).await?;
    let short = trial.id();
    trial
        .insert_as(NewSession {
            id: short,
            idle: SECOND,
            ..session(&ada)
        })
        .await?;
    trial.advance_clock(SECOND);
    login(trial, &ada, 9).await?;
    trial.end_all(&ada, None).await?;
    let (a, evicted) = login(trial, &ada, 2).await?;
    ensure(evicted.is_empty(), "dead sessions do not count")?;
    trial.advance_clock(SECOND);
    let (_, evicted) = login(trial, &ada, 2).await?;
    ensure(evicted.is_empty(), "dead sessions do not count")?;
    trial.advance_clock(SECOND);
    let (_, evicted) = login(trial, &ada, 2).await?;
    ensure_eq(&evicted, &vec![a], "live sessions count")?;

    // The replaced session makes room for the new one.
    let bob = trial.subject("bob");
    let (old, _) = login(trial, &bob, 1).await?;
    let inserted = trial
        .insert_as(NewSession {
            id: trial.id(),
            limit: NonZeroU32::new(1),
            replaces: Some(old),
            ..session(&bob)
        })
        .await?;
    ensure(
        matches!(inserted, InsertOutcome::Done { replaced: Some(_), evicted, .. } if evicted.is_empty()),
        "a replaced session is not ended twice",
    )
}

pub(super) async fn the_limit_holds_under_concurrent_logins(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let limit = NonZeroU32::new(3);
    for round in 0..trial.fixture.rounds().min(10) {
        let ada = trial.subject(&format!("ada{round}"));
        let logins = side_by_side((0..16).map(|n| {
            let store = if n % 2 == 0 {
                trial.store.clone()
            } else {
                trial.other.clone()
            };
            let (ada, id) = (ada.clone(), trial.id());
            async move {
                store
                    .insert(&NewSession {
                        id,
                        limit,
                        ..session(&ada)
                    })
                    .await
            }
        }))
        .await?;
        for login in logins {
            login?;
        }
        ensure_eq(&trial.list(&ada).await?.len(), &3, "the limit holds")?;
    }
    Ok(())
}

async fn purge_all(trial: &Trial<'_>, kept: Duration) -> Result<(), Broken> {
    while trial.store.purge(kept, 100).await? == 100 {}
    Ok(())
}

pub(super) async fn purging_removes_what_ended_long_enough_ago(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let ada = trial.subject("ada");
    let revoked = trial.insert(&ada).await?;
    let live = trial.insert(&ada).await?;
    let idle = trial.id();
    trial
        .insert_as(NewSession {
            id: idle,
            idle: SECOND,
            ..session(&ada)
        })
        .await?;
    trial.revoke(revoked, RevokeReason::Logout).await?;
    trial.advance_clock(DAY - SECOND);
    purge_all(trial, DAY).await?;
    for id in [revoked, live, idle] {
        ensure(
            trial.other.load(&id).await?.is_some(),
            "a row stays until its time",
        )?;
    }
    trial.advance_clock(SECOND);
    purge_all(trial, DAY).await?;
    ensure(
        trial.other.load(&revoked).await?.is_none(),
        "a revoked row is removed",
    )?;
    ensure(
        trial.other.load(&idle).await?.is_some(),
        "a row that ended a second later stays a second longer",
    )?;
    trial.advance_clock(SECOND);
    purge_all(trial, DAY).await?;
    ensure(
        trial.other.load(&idle).await?.is_none(),
        "an expired row is removed",
    )?;
    ensure(trial.is_live(live).await?, "a live row is never removed")?;
    ensure_eq(
        &trial.list(&ada).await?,
        &vec![live],
        "the list has the same sessions",
    )
}

pub(super) async fn purging_respects_its_batch(trial: &Trial<'_>) -> Result<(), Broken> {
    let ada = trial.subject("ada");
    purge_all(trial, DAY).await?;
    for _ in 0..5 {
        let id = trial.insert(&ada).await?;
        trial.revoke(id, RevokeReason::Logout).await?;
    }
    trial.advance_clock(2 * DAY);
    let removed = trial.store.purge(DAY, 2).await?;
    ensure(removed <= 2, "one call removes at most a batch")?;
    let mut total = removed;
    loop {
        let removed = trial.store.purge(DAY, 2).await?;
        total += removed;
        if removed < 2 {
            break;
        }
    }
    ensure(total >= 5, "repeated calls remove all rows, and count them")
}

pub(super) async fn purging_keeps_epochs(trial: &Trial<'_>) -> Result<(), Broken> {
    let ada = trial.subject("ada");
    let dead = trial.insert(&ada).await?;
    trial.end_all(&ada, None).await?;
    trial.advance_clock(2 * DAY);
    purge_all(trial, DAY).await?;
    ensure_eq(
        &trial.other.subject_version(&ada).await?,
        &1,
        "a subject version stays",
    )?;
    if trial.other.load(&dead).await?.is_some() {
        ensure(
            !trial.is_live(dead).await?,
            "sessions with an earlier subject version stay dead",
        )?;
    }
    let inserted = trial
        .insert_as(NewSession {
            id: trial.id(),
            ..session(&ada)
        })
        .await?;
    if let InsertOutcome::Done { .. } = inserted {
        ensure(
            trial.list(&ada).await?.is_empty(),
            "a login with an earlier subject version is dead, even if it commits late",
        )?;
    }
    Ok(())
}
