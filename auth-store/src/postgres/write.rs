//! Writes of more than one statement.

use auth_core::Timestamp;
use auth_core::session::RevokeReason;
use auth_core::store::{
    InsertOutcome, NewSession, RevokeSession, RevokeSubject, Revoked, StoreError,
};

use super::link::PgLink;
use super::statements;
use crate::StoreOptions;
use crate::sql::{RevokedRow, lifetime as interval, session_id};

/// The values of a new row that the caller does not supply.
pub(super) struct NewRow {
    pub(super) subject_version: i64,
    pub(super) details: String,
}

pub(super) enum Made {
    Done(Result<InsertOutcome, StoreError>),
    SubjectVersionChanged,
    NotNew,
}

impl NewRow {
    pub(super) async fn insert(
        &self,
        link: &mut PgLink,
        session: &NewSession<'_>,
        options: &StoreOptions,
    ) -> sqlx::Result<Made> {
        if session.limit.is_some() {
            // Concurrent logins of one subject are serialized from here on.
            let (subject_version,): (i64,) = link
                .one(sqlx::query_as(statements::LOCK_SUBJECT).bind(session.subject))
                .await?;
            if subject_version != self.subject_version {
                return Ok(Made::SubjectVersionChanged);
            }
        }
        let stamped: Option<(i64, i64)> = link
            .first(
                sqlx::query_as(statements::timed(statements::INSERT, options))
                    .bind(session.id.as_bytes().as_slice())
                    .bind(session.subject)
                    .bind(self.subject_version)
                    .bind(interval(session.idle))
                    .bind(interval(session.absolute))
                    .bind(&self.details)
                    .bind(interval(session.listing.lifetime))
                    .bind(interval(session.listing.margin)),
            )
            .await?;
        let Some((now, until)) = stamped else {
            let subject_version: Option<(i64,)> = link
                .first(sqlx::query_as(statements::EPOCH).bind(session.subject))
                .await?;
            let moved = subject_version.map_or(0, |(number,)| number) != self.subject_version;
            return Ok(if moved {
                Made::SubjectVersionChanged
            } else {
                Made::NotNew
            });
        };
        let replaced = self.replace(link, session, options).await?;
        let evicted = self.evict(link, session, options).await?;
        let done = || {
            Ok(InsertOutcome::Done {
                now: Timestamp::from_millis(now),
                replaced: replaced?,
                evicted: evicted
                    .iter()
                    .map(|(id,)| session_id(id))
                    .collect::<Result<_, _>>()?,
                listed_until: Timestamp::from_millis(until),
            })
        };
        Ok(Made::Done(done()))
    }

    async fn replace(
        &self,
        link: &mut PgLink,
        session: &NewSession<'_>,
        options: &StoreOptions,
    ) -> sqlx::Result<Result<Option<Revoked>, StoreError>> {
        let Some(id) = session.replaces else {
            return Ok(Ok(None));
        };
        let revoke = RevokeSession {
            id,
            reason: RevokeReason::Replaced,
            mark: session.mark,
            listing: session.listing,
        };
        let ended = end_one(link, &revoke, options).await?;
        Ok(ended.into_revoked(&revoke))
    }

    async fn evict(
        &self,
        link: &mut PgLink,
        session: &NewSession<'_>,
        options: &StoreOptions,
    ) -> sqlx::Result<Vec<(Vec<u8>,)>> {
        let Some(limit) = session.limit else {
            return Ok(Vec::new());
        };
        link.all(
            sqlx::query_as(statements::timed(statements::EVICT, options))
                .bind(session.subject)
                .bind(self.subject_version)
                .bind(session.id.as_bytes().as_slice())
                .bind(i64::from(limit.get()))
                .bind(RevokeReason::Limit.as_str())
                .bind(interval(session.listing.lifetime))
                .bind(interval(session.listing.margin))
                .bind(session.mark.as_bytes().as_slice()),
        )
        .await
    }
}

/// The result of a revoking statement.
pub(super) struct Ended {
    until: i64,
    by: RowEnd,
}

pub(super) enum RowEnd {
    This,
    Another(RevokedRow),
    NoRow,
}

impl Ended {
    pub(super) fn into_revoked(
        self,
        revoke: &RevokeSession,
    ) -> Result<Option<Revoked>, StoreError> {
        let listed_until = Timestamp::from_millis(self.until);
        match self.by {
            RowEnd::This => Ok(Some(Revoked {
                mark: Some(revoke.mark),
                reason: revoke.reason,
                listed_until,
            })),
            RowEnd::Another(row) => row.into_revoked(listed_until).map(Some),
            RowEnd::NoRow => Ok(None),
        }
    }
}

pub(super) async fn end_one(
    link: &mut PgLink,
    revoke: &RevokeSession,
    options: &StoreOptions,
) -> sqlx::Result<Ended> {
    let id = revoke.id.as_bytes().as_slice();
    let (until, ended): (i64, bool) = link
        .one(
            sqlx::query_as(statements::timed(statements::REVOKE, options))
                .bind(id)
                .bind(revoke.reason.as_str())
                .bind(interval(revoke.listing.lifetime))
                .bind(interval(revoke.listing.margin))
                .bind(revoke.mark.as_bytes().as_slice()),
        )
        .await?;
    let by = if ended {
        RowEnd::This
    } else {
        let row = link
            .first(sqlx::query_as(statements::REVOKED).bind(id))
            .await?;
        row.map_or(RowEnd::NoRow, RowEnd::Another)
    };
    Ok(Ended { until, by })
}

pub(super) async fn raise_lifetime(
    link: &mut PgLink,
    issuer: &str,
    lifetime: i64,
) -> sqlx::Result<()> {
    link.execute(sqlx::query(statements::LOCK_LIFETIMES))
        .await?;
    link.execute(
        sqlx::query(statements::RAISE_LIFETIME)
            .bind(issuer)
            .bind(lifetime),
    )
    .await
    .map(drop)
}

pub(super) async fn raise_subject_version(
    link: &mut PgLink,
    end: &RevokeSubject<'_>,
    options: &StoreOptions,
) -> sqlx::Result<Option<(i64, i64)>> {
    let (before,): (i64,) = link
        .one(sqlx::query_as(statements::LOCK_SUBJECT).bind(end.subject))
        .await?;
    if let Some(id) = &end.keep {
        let live: Option<(i64,)> = link
            .first(
                sqlx::query_as(statements::timed(statements::HOLD_LIVE, options))
                    .bind(id.as_bytes().as_slice())
                    .bind(end.subject)
                    .bind(before),
            )
            .await?;
        if live.is_none() {
            return Ok(None);
        }
    }
    let (subject_version,): (i64,) = link
        .one(sqlx::query_as(statements::RAISE_EPOCH).bind(end.subject))
        .await?;
    if let Some(id) = &end.keep {
        link.execute(
            sqlx::query(statements::MOVE_TO_EPOCH)
                .bind(id.as_bytes().as_slice())
                .bind(subject_version),
        )
        .await?;
    }
    let (until,): (i64,) = link
        .one(
            sqlx::query_as(statements::timed(statements::MARK_ENDED, options))
                .bind(end.subject)
                .bind(subject_version)
                .bind(end.reason.as_str())
                .bind(interval(end.listing.lifetime))
                .bind(interval(end.listing.margin)),
        )
        .await?;
    Ok(Some((subject_version, until)))
}
