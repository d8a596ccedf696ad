//! One row: inserted once, rotated conditionally, revoked once.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::id::Generation;
use crate::observe::words::RevokeReason;
use crate::session::store::record::SessionDetails;
use crate::session::store::{InsertOutcome, NewSession, RotateSession};
use crate::testing::store_kit::{ABSOLUTE, Broken, IDLE, Trial, ensure, ensure_eq, session, step};

pub(super) async fn a_new_row_is_what_was_inserted(trial: &Trial<'_>) -> Result<(), Broken> {
    let subject = trial.subject("ada");
    let mut details = SessionDetails::default();
    details.set_label("laptop");
    let id = trial.id();
    let inserted = trial
        .insert_as(NewSession {
            id,
            details: &details,
            ..session(&subject)
        })
        .await?;
    let InsertOutcome::Done {
        now,
        replaced,
        evicted,
        ..
    } = inserted
    else {
        return Err(Broken::Promise("a subject version begins at 0".into()));
    };
    ensure(
        replaced.is_none() && evicted.is_empty(),
        "no other session ends",
    )?;
    let loaded = trial.row(id).await?;
    let row = &loaded.record;
    ensure(loaded.now >= now, "the store's time does not go back")?;
    ensure_eq(
        &loaded.current_subject_version,
        &0,
        "the subject version of a new row",
    )?;
    ensure_eq(
        &(row.id, &*row.subject),
        &(id, &*subject),
        "the id and subject of a new row",
    )?;
    ensure_eq(
        &(
            row.subject_version,
            row.generation,
            row.predecessor,
            row.recovered,
        ),
        &(0, Generation::FIRST, None, 0),
        "the numbers of a new row",
    )?;
    ensure_eq(
        &[row.created_at, row.rotated_at, row.last_used_at],
        &[now; 3],
        "the times of a new row",
    )?;
    ensure_eq(
        &(row.idle_expires_at, row.absolute_expires_at),
        &(now.saturating_add(IDLE), now.saturating_add(ABSOLUTE)),
        "the ends of a new row",
    )?;
    ensure_eq(&row.revoked, &None, "a new row is live")?;
    ensure(row.details == details, "the details are stored")?;

    let short = trial.id();
    trial
        .insert_as(NewSession {
            id: short,
            idle: ABSOLUTE,
            absolute: IDLE,
            ..session(&subject)
        })
        .await?;
    let row = trial.record(short).await?;
    ensure_eq(
        &row.idle_expires_at,
        &row.absolute_expires_at,
        "the idle end is at most the absolute end",
    )
}

pub(super) async fn an_existing_id_is_not_inserted_again(trial: &Trial<'_>) -> Result<(), Broken> {
    let (ada, eve) = (trial.subject("ada"), trial.subject("eve"));
    let id = trial.insert(&ada).await?;
    let before = trial.record(id).await?;
    for subject in [&ada, &eve] {
        let again = NewSession {
            id,
            ..session(subject)
        };
        ensure(
            trial.other.insert(&again).await.is_err(),
            "an existing id is an error",
        )?;
    }
    ensure(trial.record(id).await? == before, "the row is unchanged")
}

pub(super) async fn what_is_not_there_is_not_loaded_written_or_revoked(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let subject = trial.subject("ada");
    let id = trial.insert(&subject).await?;
    let mut ghost = trial.record(id).await?;
    ghost.id = trial.id();
    ensure(trial.store.load(&ghost.id).await?.is_none(), "no row")?;
    let written = trial.store.advance(&step(&ghost)).await?;
    ensure_eq(&written, &None, "no row is written")?;
    let revoked = trial.revoke(ghost.id, RevokeReason::App).await?;
    ensure(!revoked, "no session is revoked")?;
    let kept = trial.end_all(&subject, Some(ghost.id)).await?;
    ensure_eq(&kept, &None, "no session is kept")?;
    ensure(
        trial.other.load(&ghost.id).await?.is_none(),
        "only an insert creates a row",
    )
}

pub(super) async fn a_step_needs_the_generation_the_predecessor_and_the_epoch(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let subject = trial.subject("ada");
    let id = trial.insert(&subject).await?;
    let fresh = trial.record(id).await?;
    let first = trial.store.advance(&step(&fresh)).await?;
    ensure(first.is_some(), "a loaded row can be rotated")?;
    let row = trial.record(id).await?;
    ensure_eq(
        &(row.generation, row.predecessor, row.recovered),
        &(Generation::new(1), Some(Generation::FIRST), 0),
        "the numbers after a rotation",
    )?;

    let right = step(&row);
    let wrong = [
        step(&fresh),
        RotateSession {
            from_generation: Generation::new(2),
            ..right
        },
        RotateSession {
            from_predecessor: None,
            ..right
        },
        RotateSession {
            from_predecessor: Some(Generation::new(7)),
            ..right
        },
        RotateSession {
            subject_version: 1,
            ..right
        },
    ];
    for advance in wrong {
        let written = trial.store.advance(&advance).await?;
        ensure_eq(
            &written,
            &None,
            "a rotation from another state has no effect",
        )?;
    }
    ensure(
        trial.record(id).await? == row,
        "a rotation without effect changes nothing",
    )?;
    let mut details = SessionDetails::default();
    details.set_label("renamed");
    let recovery = RotateSession {
        generation: Generation::new(5),
        predecessor: Some(Generation::FIRST),
        recovered: 2,
        details: &details,
        ..right
    };
    ensure(
        trial.other.advance(&recovery).await?.is_some(),
        "any node can rotate the row",
    )?;
    let row = trial.record(id).await?;
    ensure_eq(
        &(row.generation, row.predecessor, row.recovered),
        &(Generation::new(5), Some(Generation::FIRST), 2),
        "the numbers of a rotation are written as given",
    )?;
    ensure(
        row.details == details,
        "the details of a rotation are written",
    )
}

pub(super) async fn a_step_is_stamped_by_the_store_at_the_write(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let id = trial.insert(&trial.subject("ada")).await?;
    let loaded = trial.row(id).await?;
    trial.advance_clock(Duration::from_millis(7_001));
    let idle = Duration::from_secs(1000);
    let advance = RotateSession {
        idle,
        ..step(&loaded.record)
    };
    let Some(advanced) = trial.store.advance(&advance).await? else {
        return Err(Broken::Promise("a loaded row can be rotated".into()));
    };
    let now = loaded.now.saturating_add(Duration::from_millis(7_001));
    ensure_eq(
        &advanced.now,
        &now,
        "the stamp is the time of the write, not of the load",
    )?;
    let row = trial.record(id).await?;
    ensure_eq(
        &(row.rotated_at, row.last_used_at, row.idle_expires_at),
        &(now, now, now.saturating_add(idle)),
        "the times after a rotation",
    )?;
    ensure_eq(
        &advanced.idle_expires_at,
        &row.idle_expires_at,
        "a rotation returns the stamped times",
    )?;
    ensure_eq(
        &(row.created_at, row.absolute_expires_at),
        &(loaded.record.created_at, loaded.record.absolute_expires_at),
        "a rotation changes neither the login time nor the absolute end",
    )
}

pub(super) async fn a_step_never_passes_the_absolute_end(trial: &Trial<'_>) -> Result<(), Broken> {
    let subject = trial.subject("ada");
    let id = trial.id();
    trial
        .insert_as(NewSession {
            id,
            idle: Duration::from_secs(60),
            absolute: Duration::from_secs(100),
            ..session(&subject)
        })
        .await?;
    trial.advance_clock(Duration::from_secs(50));
    let row = trial.record(id).await?;
    let advance = RotateSession {
        idle: Duration::from_secs(60),
        ..step(&row)
    };
    let advanced = trial.store.advance(&advance).await?;
    ensure_eq(
        &advanced.map(|a| a.idle_expires_at),
        &Some(row.absolute_expires_at),
        "the idle end is at most the absolute end",
    )
}

pub(super) async fn numbers_and_moments_at_their_ends_survive(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let subject = trial.subject("ada");
    let thousand_years = 365_250 * crate::testing::store_kit::DAY;
    let id = trial.id();
    trial
        .insert_as(NewSession {
            id,
            idle: thousand_years,
            absolute: thousand_years,
            ..session(&subject)
        })
        .await?;
    let row = trial.record(id).await?;
    let end = row.created_at.saturating_add(thousand_years);
    ensure_eq(
        &row.absolute_expires_at,
        &end,
        "an end in 1000 years is stored",
    )?;
    ensure(
        end > Timestamp::from_secs(0).saturating_add(thousand_years),
        "a session may last 1000 years",
    )?;
    let last = RotateSession {
        generation: Generation::LAST,
        predecessor: Some(Generation::new(u32::MAX - 1)),
        recovered: u8::MAX,
        idle: thousand_years,
        ..step(&row)
    };
    ensure(trial.store.advance(&last).await?.is_some(), "large numbers")?;
    let row = trial.record(id).await?;
    ensure_eq(
        &(row.generation, row.predecessor, row.recovered),
        &(
            Generation::LAST,
            Some(Generation::new(u32::MAX - 1)),
            u8::MAX,
        ),
        "the largest numbers are stored",
    )
}

pub(super) async fn a_revocation_happens_once_and_stays(trial: &Trial<'_>) -> Result<(), Broken> {
    let id = trial.insert(&trial.subject("ada")).await?;
    let before = trial.record(id).await?;
    let first = trial.revoke(id, RevokeReason::Orphan).await?;
    ensure(first, "a live session can be revoked")?;
    let again = trial.revoke(id, RevokeReason::Logout).await?;
    ensure(!again, "a second revocation takes no effect")?;
    let row = trial.record(id).await?;
    let Some(revocation) = row.revoked else {
        return Err(Broken::Promise("a revoked row has its revocation".into()));
    };
    ensure_eq(
        &revocation.reason,
        &RevokeReason::Orphan,
        "the first reason stays",
    )?;
    ensure(
        revocation.at >= before.created_at,
        "a revocation has the store's time",
    )?;
    let written = trial.store.advance(&step(&before)).await?;
    ensure_eq(&written, &None, "a revoked session does not rotate")?;
    let mut expected = before;
    expected.revoked = Some(revocation);
    ensure(
        trial.record(id).await? == expected,
        "a revocation changes no other field",
    )
}

pub(super) async fn a_login_ends_the_session_it_replaces(trial: &Trial<'_>) -> Result<(), Broken> {
    let (ada, bob) = (trial.subject("ada"), trial.subject("bob"));
    let old = trial.insert(&ada).await?;
    let other = trial.insert(&ada).await?;
    let missing = trial.id();
    for (replaces, expected) in [(old, true), (old, false), (missing, false)] {
        let mark = trial.mark();
        let inserted = trial
            .insert_as(NewSession {
                id: trial.id(),
                replaces: Some(replaces),
                mark,
                ..session(&bob)
            })
            .await?;
        let took_effect = matches!(inserted, InsertOutcome::Done { replaced: Some(ended), .. }
            if ended.mark == Some(mark));
        ensure_eq(&took_effect, &expected, "the replaced session is revoked")?;
    }
    let reason = trial.record(old).await?.revoked.map(|r| r.reason);
    ensure_eq(
        &reason,
        &Some(RevokeReason::Replaced),
        "the reason of the end",
    )?;
    ensure(trial.is_live(other).await?, "other sessions stay live")?;
    ensure(
        trial.other.load(&missing).await?.is_none(),
        "replacing a missing session creates no row",
    )
}
