//! Dropped calls: a write happens completely or has no effect.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::base::id::Generation;
use crate::observe::words::RevokeReason;
use crate::session::store::record::SessionRecord;
use crate::session::store::{NewSession, RefreshStore as _};
use crate::testing::store_kit::{Broken, Trial, end_all, ensure, ensure_eq, session, step};

/// Maximum number of polls, more than any call needs.
const MOST_POLLS: u32 = 200;

/// A future that is dropped after a number of polls.
struct Impatient<F> {
    future: Pin<Box<F>>,
    polls_left: u32,
}

impl<F: Future> Future for Impatient<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls_left == 0 {
            return Poll::Ready(None);
        }
        self.polls_left -= 1;
        let polled = self.future.as_mut().poll(context).map(Some);
        if polled.is_pending() && self.polls_left == 0 {
            return Poll::Ready(None);
        }
        polled
    }
}

fn dropped_after<F: Future>(polls_left: u32, future: F) -> Impatient<F> {
    Impatient {
        future: Box::pin(future),
        polls_left,
    }
}

pub(super) async fn a_call_dropped_at_any_poll_happened_whole_or_not_at_all(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    for polls in 1..MOST_POLLS {
        let mut finished = one_step(trial, polls).await?;
        finished &= one_insert(trial, polls).await?;
        finished &= one_end(trial, polls).await?;
        if finished {
            return Ok(());
        }
    }
    Err(Broken::Promise("a call completes after a few polls".into()))
}

/// A step, then the same step again: it takes effect exactly once.
async fn one_step(trial: &Trial<'_>, polls: u32) -> Result<bool, Broken> {
    let id = trial.insert(&trial.subject("ada")).await?;
    let before = trial.record(id).await?;
    let dropped = dropped_after(polls, trial.store.advance(&step(&before))).await;
    let retried = trial.other.advance(&step(&before)).await?;
    let row = trial.record(id).await?;
    let expected = SessionRecord {
        generation: Generation::new(1),
        predecessor: Some(Generation::FIRST),
        rotated_at: row.rotated_at,
        last_used_at: row.rotated_at,
        idle_expires_at: row.idle_expires_at,
        ..before
    };
    ensure(row == expected, "a rotation happens once, and completely")?;
    if let Some(first) = dropped {
        let winners = u32::from(first?.is_some()) + u32::from(retried.is_some());
        ensure(winners == 1, "a rotation happens once")?;
        return Ok(true);
    }
    Ok(false)
}

async fn one_insert(trial: &Trial<'_>, polls: u32) -> Result<bool, Broken> {
    let subject = trial.subject("bob");
    let old = trial.insert(&subject).await?;
    let id = trial.id();
    let login = NewSession {
        id,
        replaces: Some(old),
        ..session(&subject)
    };
    let dropped = dropped_after(polls, trial.store.insert(&login)).await;
    let finished = dropped.transpose()?.is_some();
    // The dropped call may still take effect between two reads, so read the old row first.
    let replaced = trial.record(old).await?.revoked.is_some();
    let inserted = trial.other.load(&id).await?.is_some();
    ensure(
        inserted || !replaced,
        "a login without effect replaces no session",
    )?;
    ensure(
        !finished || (inserted && replaced),
        "an acknowledged write has happened",
    )?;
    Ok(finished)
}

async fn one_end(trial: &Trial<'_>, polls: u32) -> Result<bool, Broken> {
    let subject = trial.subject(&format!("eve{polls}"));
    let asker = trial.insert(&subject).await?;
    let other = trial.insert(&subject).await?;
    let end = end_all(&subject, Some(asker));
    let ended = dropped_after(polls, trial.store.end_all(&end)).await;
    ensure(
        trial.is_live(asker).await?,
        "the kept session and the subject version change together",
    )?;
    let revoking = trial.revoking(other, RevokeReason::App);
    let revoked = dropped_after(polls, trial.store.revoke(&revoking)).await;
    let retried = trial.other.revoke(&revoking).await?;
    let mark = retried.and_then(|retried| retried.mark);
    // The end of all sessions may have marked the row already.
    ensure(
        mark.is_none_or(|mark| mark == revoking.mark) && retried.is_some(),
        "a retry finds its own mark",
    )?;
    ensure(!trial.is_live(other).await?, "a retry completes the end")?;
    let alone = trial.insert(&trial.subject("ann")).await?;
    let revoking = trial.revoking(alone, RevokeReason::App);
    let _ = dropped_after(polls, trial.store.revoke(&revoking)).await;
    let retried = trial.other.revoke(&revoking).await?;
    ensure_eq(
        &retried.and_then(|retried| retried.mark),
        &Some(revoking.mark),
        "a retry finds its own mark",
    )?;
    Ok(ended.transpose()?.is_some() & revoked.transpose()?.is_some())
}
