//! The writes, one function each, all inside a transaction that the writer opened.

use std::time::Duration;

use auth_core::Timestamp;
use auth_core::revocation::Revocation as Listed;
use auth_core::session::{RevokeReason, SessionId};
use auth_core::store::{
    InsertOutcome, Listing, RaisedSubjectVersion, RevokeSession, RevokeSubject, Revoked, RotatedAt,
    StoreError,
};
use sqlx::SqliteConnection;

use super::job::{OwnedAdvance, OwnedSession};
use crate::sql::{RevokedRow, after, lifetime, longest, session_id, signed, store_error, unsigned};

/// Maximum number of rows that the end of all sessions marks as revoked. The other sessions have
/// ended too, by their subject version.
const MARKED_AT_ONCE: i64 = 500;

const EPOCH: &str = "SELECT epoch FROM auth_subjects WHERE subject = ?";

pub(super) async fn current_subject_version(
    connection: &mut SqliteConnection,
    subject: &str,
) -> Result<i64, StoreError> {
    let subject_version = sqlx::query_scalar(EPOCH)
        .bind(subject)
        .fetch_optional(connection)
        .await;
    Ok(subject_version.map_err(store_error)?.unwrap_or(0))
}

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    session: &OwnedSession,
    now: i64,
) -> Result<Option<InsertOutcome>, StoreError> {
    if current_subject_version(connection, &session.subject).await? != session.subject_version {
        return Ok(Some(InsertOutcome::SubjectVersionChanged));
    }
    let absolute = after(now, session.absolute);
    let made = sqlx::query(
        "INSERT INTO auth_sessions (id, subject, epoch, generation, predecessor, recovered,
             created_at, rotated_at, last_used_at, idle_expires_at, absolute_expires_at, details)
         VALUES (?1, ?2, ?3, 0, NULL, 0, ?4, ?4, ?4, min(?5, ?6), ?6, ?7)
         ON CONFLICT DO NOTHING",
    )
    .bind(session.id.as_bytes().as_slice())
    .bind(&session.subject)
    .bind(session.subject_version)
    .bind(now)
    .bind(after(now, session.idle))
    .bind(absolute)
    .bind(&session.details)
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    if made.rows_affected() == 0 {
        return Ok(None);
    }
    let replaced = match session.replaces {
        Some(id) => {
            let revoking = ended_by(session, id, RevokeReason::Replaced);
            revoke(connection, &revoking, now).await?
        }
        None => None,
    };
    let evicted = evict(connection, session, now).await?;
    Ok(Some(InsertOutcome::Done {
        now: Timestamp::from_millis(now),
        replaced,
        evicted,
        listed_until: listed_until(connection, session.listing, now).await?,
    }))
}

/// Ends the least recently used sessions beyond the limit, never the new one.
async fn evict(
    connection: &mut SqliteConnection,
    session: &OwnedSession,
    now: i64,
) -> Result<Vec<SessionId>, StoreError> {
    let Some(limit) = session.limit else {
        return Ok(Vec::new());
    };
    let others: Vec<Vec<u8>> = sqlx::query_scalar(
        "SELECT id FROM auth_sessions
         WHERE subject = ?1 AND epoch = ?2 AND revoked_at IS NULL
             AND idle_expires_at > ?3 AND absolute_expires_at > ?3 AND id <> ?4
         ORDER BY last_used_at DESC, created_at DESC, id DESC
         LIMIT -1 OFFSET ?5",
    )
    .bind(&session.subject)
    .bind(session.subject_version)
    .bind(now)
    .bind(session.id.as_bytes().as_slice())
    .bind(i64::from(limit.get()) - 1)
    .fetch_all(&mut *connection)
    .await
    .map_err(store_error)?;
    let mut evicted = Vec::with_capacity(others.len());
    for id in others {
        let id = session_id(&id)?;
        let revoking = ended_by(session, id, RevokeReason::Limit);
        revoke(connection, &revoking, now).await?;
        evicted.push(id);
    }
    Ok(evicted)
}

fn ended_by(session: &OwnedSession, id: SessionId, reason: RevokeReason) -> RevokeSession {
    RevokeSession {
        id,
        reason,
        mark: session.mark,
        listing: session.listing,
    }
}

pub(super) async fn advance(
    connection: &mut SqliteConnection,
    step: &OwnedAdvance,
    now: i64,
) -> Result<Option<RotatedAt>, StoreError> {
    let idle_expires_at: Option<i64> = sqlx::query_scalar(
        "UPDATE auth_sessions
         SET generation = ?1, predecessor = ?2, recovered = ?3, details = ?4,
             rotated_at = ?5, last_used_at = ?5, idle_expires_at = min(?6, absolute_expires_at)
         WHERE id = ?7 AND generation = ?8 AND predecessor IS ?9 AND epoch = ?10
             AND revoked_at IS NULL AND subject = ?11
             AND epoch = coalesce((SELECT epoch FROM auth_subjects WHERE subject = ?11), 0)
         RETURNING idle_expires_at",
    )
    .bind(step.generation)
    .bind(step.predecessor)
    .bind(step.recovered)
    .bind(&step.details)
    .bind(now)
    .bind(after(now, step.idle))
    .bind(step.id.as_bytes().as_slice())
    .bind(step.from_generation)
    .bind(step.from_predecessor)
    .bind(step.subject_version)
    .bind(&step.subject)
    .fetch_optional(connection)
    .await
    .map_err(store_error)?;
    Ok(idle_expires_at.map(|idle_expires_at| RotatedAt {
        now: Timestamp::from_millis(now),
        idle_expires_at: Timestamp::from_millis(idle_expires_at),
    }))
}

pub(super) async fn revoke(
    connection: &mut SqliteConnection,
    revoke: &RevokeSession,
    now: i64,
) -> Result<Option<Revoked>, StoreError> {
    let listed_until = listed_until(connection, revoke.listing, now).await?;
    let id = revoke.id.as_bytes().as_slice();
    let ended = sqlx::query(
        "UPDATE auth_sessions SET revoked_at = ?1, reason = ?2 WHERE id = ?3 AND revoked_at IS NULL",
    )
    .bind(now)
    .bind(revoke.reason.as_str())
    .bind(id)
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    if ended.rows_affected() == 0 {
        return revoked_before(connection, id, listed_until).await;
    }
    sqlx::query("INSERT INTO auth_marks (id, mark) VALUES (?, ?)")
        .bind(id)
        .bind(revoke.mark.as_bytes().as_slice())
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    let listed = Listed::Session {
        id: revoke.id,
        until: listed_until,
    };
    append(connection, &listed).await?;
    Ok(Some(Revoked {
        mark: Some(revoke.mark),
        reason: revoke.reason,
        listed_until,
    }))
}

async fn revoked_before(
    connection: &mut SqliteConnection,
    id: &[u8],
    listed_until: Timestamp,
) -> Result<Option<Revoked>, StoreError> {
    let row: Option<RevokedRow> = sqlx::query_as(
        "SELECT s.reason, m.mark FROM auth_sessions s LEFT JOIN auth_marks m ON m.id = s.id
         WHERE s.id = ? AND s.revoked_at IS NOT NULL",
    )
    .bind(id)
    .fetch_optional(connection)
    .await
    .map_err(store_error)?;
    row.map(|row| row.into_revoked(listed_until)).transpose()
}

pub(super) async fn end_all(
    connection: &mut SqliteConnection,
    end: &RevokeSubject<'_>,
    now: i64,
) -> Result<Option<RaisedSubjectVersion>, StoreError> {
    let kept = end.keep.map(|id| id.as_bytes().to_vec());
    if let Some(id) = &kept
        && !is_live(connection, id, end.subject, now).await?
    {
        return Ok(None);
    }
    let subject_version: i64 = sqlx::query_scalar(
        "INSERT INTO auth_subjects (subject, epoch) VALUES (?, 1)
         ON CONFLICT (subject) DO UPDATE SET epoch = epoch + 1 RETURNING epoch",
    )
    .bind(end.subject)
    .fetch_one(&mut *connection)
    .await
    .map_err(store_error)?;
    if let Some(id) = &kept {
        sqlx::query("UPDATE auth_sessions SET epoch = ? WHERE id = ?")
            .bind(subject_version)
            .bind(id.as_slice())
            .execute(&mut *connection)
            .await
            .map_err(store_error)?;
    }
    sqlx::query(
        "UPDATE auth_sessions SET revoked_at = ?1, reason = ?2
         WHERE id IN (SELECT id FROM auth_sessions
             WHERE subject = ?3 AND epoch < ?4 AND revoked_at IS NULL LIMIT ?5)",
    )
    .bind(now)
    .bind(end.reason.as_str())
    .bind(end.subject)
    .bind(subject_version)
    .bind(MARKED_AT_ONCE)
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    let subject_version = unsigned(subject_version)?;
    let listed_until = listed_until(connection, end.listing, now).await?;
    let listed = Listed::Subject {
        subject: end.subject.into(),
        lowest_subject_version: subject_version,
        until: listed_until,
    };
    append(connection, &listed).await?;
    Ok(Some(RaisedSubjectVersion {
        subject_version,
        listed_until,
    }))
}

pub(super) async fn raise_subject_version(
    connection: &mut SqliteConnection,
    subject: &str,
    at_least: i64,
) -> Result<u64, StoreError> {
    let subject_version: i64 = sqlx::query_scalar(
        "INSERT INTO auth_subjects (subject, epoch) VALUES (?, ?)
         ON CONFLICT (subject) DO UPDATE SET epoch = max(epoch, excluded.epoch) RETURNING epoch",
    )
    .bind(subject)
    .bind(at_least)
    .fetch_one(connection)
    .await
    .map_err(store_error)?;
    unsigned(subject_version)
}

pub(super) async fn raise_access_lifetime(
    connection: &mut SqliteConnection,
    issuer: &str,
    of_issuer: Duration,
) -> Result<Duration, StoreError> {
    sqlx::query(
        "INSERT INTO auth_lifetimes (issuer, longest) VALUES (?, ?)
         ON CONFLICT (issuer) DO UPDATE SET longest = max(longest, excluded.longest)",
    )
    .bind(issuer)
    .bind(lifetime(of_issuer))
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    longest_lifetime(connection).await
}

async fn longest_lifetime(connection: &mut SqliteConnection) -> Result<Duration, StoreError> {
    let known: Option<i64> = sqlx::query_scalar("SELECT max(longest) FROM auth_lifetimes")
        .fetch_one(connection)
        .await
        .map_err(store_error)?;
    longest(known)
}

/// The end of the listing of a revocation made now.
async fn listed_until(
    connection: &mut SqliteConnection,
    listing: Listing,
    now: i64,
) -> Result<Timestamp, StoreError> {
    let longest = longest_lifetime(connection).await?;
    Ok(Timestamp::from_millis(now).saturating_add(listing.beside(longest)))
}

async fn is_live(
    connection: &mut SqliteConnection,
    id: &[u8],
    subject: &str,
    now: i64,
) -> Result<bool, StoreError> {
    let row: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM auth_sessions
         WHERE id = ?1 AND subject = ?2 AND revoked_at IS NULL
             AND idle_expires_at > ?3 AND absolute_expires_at > ?3
             AND epoch = coalesce((SELECT epoch FROM auth_subjects WHERE subject = ?2), 0)",
    )
    .bind(id)
    .bind(subject)
    .bind(now)
    .fetch_optional(connection)
    .await
    .map_err(store_error)?;
    Ok(row.is_some())
}

/// Removes rows that ended by `ended_by`, and feed entries that are no longer in force.
pub(super) async fn purge(
    connection: &mut SqliteConnection,
    ended_by: i64,
    now: i64,
    batch: u32,
) -> Result<u32, StoreError> {
    let removed = sqlx::query(
        "DELETE FROM auth_sessions WHERE id IN (SELECT id FROM auth_sessions
             WHERE min(coalesce(revoked_at, idle_expires_at), idle_expires_at) <= ?1 LIMIT ?2)",
    )
    .bind(ended_by)
    .bind(batch)
    .execute(&mut *connection)
    .await
    .map_err(store_error)?;
    sqlx::query(
        "DELETE FROM auth_revocations
         WHERE seq IN (SELECT seq FROM auth_revocations WHERE until <= ?1 LIMIT ?2)",
    )
    .bind(now)
    .bind(batch)
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(u32::try_from(removed.rows_affected()).unwrap_or(u32::MAX))
}

pub(super) async fn append(
    connection: &mut SqliteConnection,
    revocation: &Listed,
) -> Result<(), StoreError> {
    let (sid, subject, lowest_subject_version) = match revocation {
        Listed::Session { id, .. } => (Some(id.as_bytes().to_vec()), None, None),
        Listed::Subject {
            subject,
            lowest_subject_version,
            ..
        } => (
            None,
            Some(&**subject),
            Some(signed(*lowest_subject_version)?),
        ),
    };
    sqlx::query(
        "INSERT INTO auth_revocations (sid, subject, lowest_epoch, until) VALUES (?, ?, ?, ?)",
    )
    .bind(sid)
    .bind(subject)
    .bind(lowest_subject_version)
    .bind(revocation.until().as_millis())
    .execute(connection)
    .await
    .map_err(store_error)?;
    Ok(())
}
