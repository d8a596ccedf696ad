//! Subject versions: the end of all sessions of a subject, with logins that commit at any time.

use crate::observe::words::RevokeReason;
use crate::session::store::record::SessionRecord;
use crate::session::store::{InsertOutcome, NewSession, RefreshStore as _};
use crate::testing::store_kit::{
    Broken, Trial, end_all, ensure, ensure_eq, session, side_by_side, step,
};

pub(super) async fn raising_an_epoch_kills_every_session_of_the_subject(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let (ada, bob) = (trial.subject("ada"), trial.subject("bob"));
    let one = trial.insert(&ada).await?;
    let two = trial.insert(&ada).await?;
    let bobs = trial.insert(&bob).await?;
    let row = trial.record(one).await?;
    let subject_version = trial.end_all(&ada, None).await?;
    ensure_eq(
        &subject_version,
        &Some(1),
        "a subject version is raised by one",
    )?;
    ensure_eq(
        &trial.other.subject_version(&ada).await?,
        &1,
        "the subject version is stored",
    )?;
    for dead in [one, two] {
        ensure(!trial.is_live(dead).await?, "all sessions are dead")?;
    }
    let written = trial.store.advance(&step(&row)).await?;
    ensure_eq(&written, &None, "a dead session does not rotate")?;
    let reborn = SessionRecord {
        subject_version: 1,
        ..row
    };
    let written = trial.store.advance(&step(&reborn)).await?;
    ensure_eq(
        &written,
        &None,
        "a rotation does not move it to the new subject version",
    )?;
    ensure(
        trial.is_live(bobs).await?,
        "sessions of other subjects stay live",
    )?;
    ensure_eq(
        &trial.other.subject_version(&bob).await?,
        &0,
        "the version of other subjects is unchanged",
    )?;
    ensure(
        trial.list(&ada).await?.is_empty(),
        "dead sessions are not listed",
    )
}

pub(super) async fn an_epoch_is_raised_without_any_session(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let nobody = trial.subject("nobody");
    ensure_eq(
        &trial.store.subject_version(&nobody).await?,
        &0,
        "a subject version begins at 0",
    )?;
    for expected in 1..=3 {
        let subject_version = trial.end_all(&nobody, None).await?;
        ensure_eq(
            &subject_version,
            &Some(expected),
            "a subject version is raised by one",
        )?;
    }
    let id = trial.id();
    let inserted = trial
        .insert_as(NewSession {
            id,
            subject_version: 3,
            ..session(&nobody)
        })
        .await?;
    ensure(
        matches!(inserted, InsertOutcome::Done { .. }),
        "a login with the current subject version succeeds",
    )?;
    ensure(trial.is_live(id).await?, "and lives")
}

pub(super) async fn one_session_goes_along_to_the_new_epoch(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let ada = trial.subject("ada");
    let asker = trial.insert(&ada).await?;
    let other = trial.insert(&ada).await?;
    let before = trial.record(asker).await?;
    let subject_version = trial.end_all(&ada, Some(asker)).await?;
    ensure_eq(
        &subject_version,
        &Some(1),
        "a subject version is raised by one",
    )?;
    ensure(trial.is_live(asker).await?, "the kept session stays live")?;
    ensure(!trial.is_live(other).await?, "the other sessions are dead")?;
    let written = trial.store.advance(&step(&before)).await?;
    ensure_eq(
        &written,
        &None,
        "a rotation from the old subject version has no effect",
    )?;
    let row = trial.record(asker).await?;
    let expected = SessionRecord {
        subject_version: 1,
        ..before
    };
    ensure(row == expected, "only the subject version has changed")?;
    ensure(
        trial.store.advance(&step(&row)).await?.is_some(),
        "the kept session rotates with the new subject version",
    )
}

pub(super) async fn a_dead_session_takes_nobody_along(trial: &Trial<'_>) -> Result<(), Broken> {
    let (ada, bob) = (trial.subject("ada"), trial.subject("bob"));
    let revoked = trial.insert(&ada).await?;
    trial.revoke(revoked, RevokeReason::Logout).await?;
    let bobs = trial.insert(&bob).await?;
    for keep in [revoked, bobs] {
        let subject_version = trial.end_all(&ada, Some(keep)).await?;
        ensure_eq(
            &subject_version,
            &None,
            "only a live session of the subject may be kept",
        )?;
    }
    let outdated = trial.insert(&ada).await?;
    trial.end_all(&ada, None).await?;
    let subject_version = trial.end_all(&ada, Some(outdated)).await?;
    ensure_eq(
        &subject_version,
        &None,
        "only a session with the current subject version may be kept",
    )?;
    ensure_eq(
        &trial.other.subject_version(&ada).await?,
        &1,
        "the subject version is unchanged",
    )?;
    ensure(
        trial.is_live(bobs).await?,
        "sessions of other subjects stay live",
    )
}

pub(super) async fn an_ended_session_takes_nobody_along(trial: &Trial<'_>) -> Result<(), Broken> {
    let ada = trial.subject("ada");
    let ended = trial.insert(&ada).await?;
    trial.advance_clock(crate::testing::store_kit::IDLE);
    let subject_version = trial.end_all(&ada, Some(ended)).await?;
    ensure_eq(&subject_version, &None, "only a live session may be kept")
}

pub(super) async fn a_login_of_an_earlier_epoch_is_dead(trial: &Trial<'_>) -> Result<(), Broken> {
    let ada = trial.subject("ada");
    trial.end_all(&ada, None).await?;
    let id = trial.id();
    let inserted = trial
        .insert_as(NewSession {
            id,
            ..session(&ada)
        })
        .await?;
    if inserted == InsertOutcome::SubjectVersionChanged {
        let row = trial.other.load(&id).await?;
        return ensure(row.is_none(), "a refused login writes no row");
    }
    ensure(
        !trial.is_live(id).await?,
        "a login with an earlier subject version is dead",
    )
}

pub(super) async fn a_login_races_the_end_of_all_and_never_survives_it(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    for round in 0..trial.fixture.rounds() {
        let ada = trial.subject(&format!("ada{round}"));
        let id = trial.id();
        let (login, end) = (trial.store.clone(), trial.other.clone());
        let (by_login, by_end) = (ada.clone(), ada.clone());
        let login = async move {
            login
                .insert(&NewSession {
                    id,
                    ..session(&by_login)
                })
                .await
                .map(|_| ())
        };
        let end = async move { end.end_all(&end_all(&by_end, None)).await.map(|_| ()) };
        let both: [crate::testing::store_kit::Running<'static>; 2] = [
            Box::pin(async move { Ok(login.await?) }),
            Box::pin(async move { Ok(end.await?) }),
        ];
        for result in side_by_side(both).await? {
            result?;
        }
        if let Some(loaded) = trial.other.load(&id).await? {
            let live = loaded
                .record
                .is_live(loaded.current_subject_version, loaded.now);
            ensure(!live, "no login that began before the end is live")?;
        }
    }
    Ok(())
}

pub(super) async fn raising_epochs_concurrently_loses_none(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let ada = trial.subject("ada");
    let raised = side_by_side((0..8).map(|n| {
        let store = if n % 2 == 0 {
            trial.store.clone()
        } else {
            trial.other.clone()
        };
        let ada = ada.clone();
        async move { store.end_all(&end_all(&ada, None)).await }
    }))
    .await?;
    let mut epochs = Vec::new();
    for raised in raised {
        epochs.extend(raised?.map(|raised| raised.subject_version));
    }
    epochs.sort_unstable();
    let expected: Vec<u64> = (1..=8).collect();
    ensure_eq(
        &epochs,
        &expected,
        "each end of all sessions raises the subject version",
    )
}

pub(super) async fn an_epoch_is_raised_to_what_the_feed_has_proved(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let (ada, bob) = (trial.subject("ada"), trial.subject("bob"));
    let old = trial.insert(&ada).await?;
    let bobs = trial.insert(&bob).await?;
    for (at_least, expected) in [(2, 2), (2, 2), (1, 2), (3, 3)] {
        let subject_version = trial.store.raise_subject_version(&ada, at_least).await?;
        ensure_eq(
            &subject_version,
            &expected,
            "a subject version is raised to the minimum, and never lowered",
        )?;
        ensure_eq(
            &trial.other.subject_version(&ada).await?,
            &expected,
            "and kept",
        )?;
    }
    ensure(!trial.is_live(old).await?, "sessions from before are dead")?;
    ensure(
        trial.is_live(bobs).await?,
        "sessions of other subjects stay live",
    )?;
    let id = trial.id();
    let login = NewSession {
        id,
        subject_version: 3,
        ..session(&ada)
    };
    trial.insert_as(login).await?;
    ensure(
        trial.is_live(id).await?,
        "a login with that subject version is live",
    )?;
    ensure_eq(
        &trial.list(&ada).await?,
        &vec![id],
        "only that session is listed",
    )?;
    let subject_version = trial.end_all(&ada, Some(id)).await?;
    ensure_eq(
        &subject_version,
        &Some(4),
        "the next end of all sessions raises it by one",
    )?;
    ensure(
        trial.is_live(id).await?,
        "the kept session moves to the new subject version",
    )
}

pub(super) async fn raising_an_epoch_as_far_races_the_end_of_all(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let ada = trial.subject("ada");
    let raised = side_by_side((0..8).map(|n| {
        let (store, other) = (trial.store.clone(), trial.other.clone());
        let ada = ada.clone();
        async move {
            if n % 2 == 0 {
                return store.raise_subject_version(&ada, 1).await.map(|_| None);
            }
            let raised = other.end_all(&end_all(&ada, None)).await?;
            Ok(raised.map(|raised| raised.subject_version))
        }
    }))
    .await?;
    let mut epochs = Vec::new();
    for subject_version in raised {
        epochs.extend(subject_version?);
    }
    epochs.sort_unstable();
    let last = epochs.last().copied().unwrap_or_default();
    epochs.dedup();
    ensure_eq(
        &epochs.len(),
        &4,
        "each end of all sessions raises the subject version",
    )?;
    ensure_eq(
        &trial.other.subject_version(&ada).await?,
        &last,
        "no raise is lost",
    )
}
