//! The end of sessions: marks, and the time for which they are listed.

use std::time::Duration;

use crate::observe::words::RevokeReason;
use crate::session::store::ending::{Listing, RevokeSession, Revoked};
use crate::session::store::{InsertOutcome, NewSession, RefreshStore as _};
use crate::testing::store_kit::{
    Broken, LISTING, Trial, end_all, ensure, ensure_eq, session, side_by_side,
};

const SECOND: Duration = Duration::from_secs(1);

async fn revoked(trial: &Trial<'_>, revoking: &RevokeSession) -> Result<Revoked, Broken> {
    match trial.store.revoke(revoking).await? {
        Some(revoked) => Ok(revoked),
        None => Err(Broken::Promise("an existing row is revoked".into())),
    }
}

pub(super) async fn the_mark_of_the_first_revocation_stays(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let id = trial.insert(&trial.subject("ada")).await?;
    let first = trial.revoking(id, RevokeReason::Stale);
    let second = trial.revoking(id, RevokeReason::Logout);
    // The third call is a retry of the first, after a lost response.
    for revoking in [&first, &second, &first] {
        let found = revoked(trial, revoking).await?;
        ensure_eq(&found.mark, &Some(first.mark), "the first mark stays")?;
        ensure_eq(&found.reason, &first.reason, "the first reason stays")?;
        let other = trial.other.revoke(revoking).await?;
        let mark = other.and_then(|other| other.mark);
        ensure_eq(&mark, &Some(first.mark), "other nodes read the mark too")?;
    }
    let ghost = trial.revoking(trial.id(), RevokeReason::Logout);
    let found = trial.store.revoke(&ghost).await?;
    ensure_eq(&found, &None, "a missing row has no mark")
}

pub(super) async fn many_revocations_agree_on_one_mark(trial: &Trial<'_>) -> Result<(), Broken> {
    let ada = trial.subject("ada");
    for _ in 0..trial.fixture.rounds() {
        let id = trial.insert(&ada).await?;
        let calls: Vec<_> = (0..8)
            .map(|_| trial.revoking(id, RevokeReason::App))
            .collect();
        let answers = side_by_side(calls.iter().enumerate().map(|(at, call)| {
            let store = match at % 2 {
                0 => trial.store.clone(),
                _ => trial.other.clone(),
            };
            let call = *call;
            async move { store.revoke(&call).await }
        }))
        .await?;
        let mut marks = Vec::new();
        for answer in answers {
            marks.push(answer?.and_then(|revoked| revoked.mark));
        }
        marks.dedup();
        let &[Some(mark)] = marks.as_slice() else {
            return Err(Broken::Promise(format!("one mark instead of {marks:?}")));
        };
        let own = calls.iter().filter(|call| call.mark == mark).count();
        ensure_eq(&own, &1, "one of the calls has ended it")?;
    }
    Ok(())
}

pub(super) async fn a_login_marks_what_it_ends(trial: &Trial<'_>) -> Result<(), Broken> {
    let (ada, bob) = (trial.subject("ada"), trial.subject("bob"));
    let replaced = trial.insert(&ada).await?;
    let evicted = trial.insert(&bob).await?;
    let mark = trial.mark();
    let inserted = trial
        .insert_as(NewSession {
            id: trial.id(),
            limit: std::num::NonZeroU32::new(1),
            replaces: Some(replaced),
            mark,
            ..session(&bob)
        })
        .await?;
    let InsertOutcome::Done {
        replaced: Some(ended),
        evicted: others,
        ..
    } = inserted
    else {
        return Err(Broken::Promise(
            "a login ends the session that it replaces".into(),
        ));
    };
    ensure_eq(&ended.mark, &Some(mark), "the mark of the login")?;
    ensure_eq(
        &ended.reason,
        &RevokeReason::Replaced,
        "the reason of the end",
    )?;
    ensure_eq(&others, &vec![evicted], "the limit ends the other session")?;
    for (id, reason) in [
        (replaced, RevokeReason::Replaced),
        (evicted, RevokeReason::Limit),
    ] {
        let found = revoked(trial, &trial.revoking(id, RevokeReason::Logout)).await?;
        ensure_eq(&found.mark, &Some(mark), "the login's mark stays")?;
        ensure_eq(&found.reason, &reason, "the first reason stays")?;
    }
    Ok(())
}

pub(super) async fn a_session_that_ended_with_all_bears_nobodys_mark(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let ada = trial.subject("ada");
    let id = trial.insert(&ada).await?;
    trial.end_all(&ada, None).await?;
    let revoking = trial.revoking(id, RevokeReason::Logout);
    let found = revoked(trial, &revoking).await?;
    ensure(
        found.mark.is_none_or(|mark| mark == revoking.mark),
        "no mark, or that of the first call with one",
    )
}

pub(super) async fn the_longest_access_lifetime_only_rises(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let (one, two) = (trial.subject("issuer1"), trial.subject("issuer2"));
    let known = trial.store.raise_access_lifetime(&one, SECOND).await?;
    ensure(known >= SECOND, "a raised lifetime is stored")?;
    let longer = known + SECOND;
    let raised = trial.store.raise_access_lifetime(&one, longer).await?;
    ensure_eq(&raised, &longer, "the longest lifetime is returned")?;
    let raised = trial.other.raise_access_lifetime(&one, SECOND).await?;
    ensure_eq(&raised, &longer, "the lifetime never decreases")?;
    let raised = trial.other.raise_access_lifetime(&two, SECOND).await?;
    ensure_eq(
        &raised,
        &longer,
        "the longest lifetime of all issuers is returned",
    )
}

pub(super) async fn what_has_ended_is_listed_for_the_longest_access_lifetime(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let (ada, issuer) = (trial.subject("ada"), trial.subject("issuer"));
    let known = trial
        .store
        .raise_access_lifetime(&issuer, LISTING.lifetime)
        .await?;
    let longest = known + SECOND;
    trial.other.raise_access_lifetime(&issuer, longest).await?;
    let of_the_future = Listing {
        lifetime: longest + 3600 * SECOND,
        ..LISTING
    };
    for (listing, lifetime) in [(LISTING, longest), (of_the_future, of_the_future.lifetime)] {
        let id = trial.insert(&ada).await?;
        let expected = trial
            .row(id)
            .await?
            .now
            .saturating_add(lifetime + listing.margin);
        let promise = "the longest access token lifetime and the margin";
        let revoking = RevokeSession {
            listing,
            ..trial.revoking(id, RevokeReason::Logout)
        };
        for _ in 0..2 {
            let found = revoked(trial, &revoking).await?;
            ensure_eq(&found.listed_until, &expected, promise)?;
        }
        let inserted = trial
            .insert_as(NewSession {
                id: trial.id(),
                replaces: Some(id),
                listing,
                ..session(&ada)
            })
            .await?;
        let InsertOutcome::Done {
            replaced: Some(replaced),
            listed_until,
            ..
        } = inserted
        else {
            return Err(Broken::Promise(
                "a login finds the session that it replaces".into(),
            ));
        };
        ensure_eq(&replaced.listed_until, &expected, promise)?;
        ensure_eq(&listed_until, &expected, promise)?;
        let eve = trial.subject("eve");
        let end = crate::session::store::ending::RevokeSubject {
            listing,
            ..end_all(&eve, None)
        };
        let raised = trial.store.end_all(&end).await?;
        let until = raised.map(|raised| raised.listed_until);
        ensure_eq(&until, &Some(expected), promise)?;
    }
    Ok(())
}
