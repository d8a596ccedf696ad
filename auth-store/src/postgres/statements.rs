//! The statements. Their time is the server's clock, which is read when the statement runs, not when
//! its transaction began.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::StoreOptions;

/// The server's time in milliseconds.
macro_rules! now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}

/// The time, read once per statement, so that all stamps of one statement are equal.
macro_rules! at {
    () => {
        concat!("t AS MATERIALIZED (SELECT ", now!(), " AS now)")
    };
}

/// The text of a statement. In tests, a driven clock replaces the server's.
pub(super) fn timed(statement: &'static str, options: &StoreOptions) -> SqlStr {
    match options.driven_now() {
        Some(now) => {
            let driven = statement.replace(now!(), &format!("({now})::bigint"));
            AssertSqlSafe(driven).into_sql_str()
        }
        None => statement.into_sql_str(),
    }
}

/// The time until which an end is listed, from the caller's own access token lifetime and the
/// margin.
macro_rules! until {
    ($lifetime:literal, $margin:literal) => {
        concat!(
            "u AS MATERIALIZED (SELECT t.now + ",
            $margin,
            "::bigint + greatest(",
            $lifetime,
            "::bigint, (SELECT max(longest) FROM auth_lifetimes)) AS until FROM t)"
        )
    };
}

/// Marks the rows of `ended`, appends them to the feed and wakes the followers, all at commit.
macro_rules! list_ended {
    ($mark:literal) => {
        concat!(
            "marked AS (INSERT INTO auth_marks (id, mark) SELECT ended.id, ",
            $mark,
            "::bytea FROM ended),
             listed AS (INSERT INTO auth_revocations (sid, until)
                 SELECT ended.id, u.until FROM ended, u),
             told AS (SELECT pg_notify('auth_revocations', '') FROM ended)"
        )
    };
}

pub(super) const EPOCH: &str = "SELECT epoch FROM auth_subjects WHERE subject = $1";

/// Ensures that the subject has a row, and locks it until the transaction ends.
pub(super) const LOCK_SUBJECT: &str = "INSERT INTO auth_subjects AS j (subject, epoch)
    VALUES ($1, 0) ON CONFLICT (subject) DO UPDATE SET epoch = j.epoch RETURNING epoch";

pub(super) const INSERT: &str = concat!(
    "WITH ",
    at!(),
    ", ",
    until!("$7", "$8"),
    " INSERT INTO auth_sessions (id, subject, epoch, generation, predecessor, recovered,
          created_at, rotated_at, last_used_at, idle_expires_at, absolute_expires_at, details)
      SELECT $1, $2, $3, 0, NULL, 0, t.now, t.now, t.now,
          least(t.now + $4, t.now + $5), t.now + $5, $6
      FROM t WHERE coalesce((SELECT epoch FROM auth_subjects WHERE subject = $2), 0) = $3
      ON CONFLICT DO NOTHING RETURNING created_at, (SELECT until FROM u)"
);

/// Selects the sessions beyond the limit `$4`. The new one, `$3`, is excluded.
pub(super) const EVICT: &str = concat!(
    "WITH ",
    at!(),
    ", ",
    until!("$6", "$7"),
    ", others AS (SELECT id FROM auth_sessions, t
          WHERE subject = $1 AND epoch = $2 AND revoked_at IS NULL AND id <> $3
              AND idle_expires_at > t.now AND absolute_expires_at > t.now
          ORDER BY last_used_at DESC, created_at DESC, id DESC OFFSET $4 - 1),
      ended AS (UPDATE auth_sessions SET revoked_at = t.now, reason = $5 FROM t
          WHERE id IN (SELECT id FROM others) AND revoked_at IS NULL RETURNING id), ",
    list_ended!("$8"),
    " SELECT ended.id FROM ended, (SELECT count(*) FROM told) AS woken"
);

pub(super) const LOAD: &str = concat!(
    "WITH ",
    at!(),
    " SELECT s.*, coalesce(j.epoch, 0) AS subject_epoch, t.now
      FROM auth_sessions s CROSS JOIN t LEFT JOIN auth_subjects j ON j.subject = s.subject
      WHERE s.id = $1"
);

pub(super) const ADVANCE: &str = concat!(
    "WITH ",
    at!(),
    " UPDATE auth_sessions
      SET generation = $1, predecessor = $2, recovered = $3, details = $4,
          rotated_at = t.now, last_used_at = t.now,
          idle_expires_at = least(t.now + $5, absolute_expires_at)
      FROM t
      WHERE id = $6 AND generation = $7 AND predecessor IS NOT DISTINCT FROM $8
          AND revoked_at IS NULL AND epoch = $9 AND subject = $10
          AND epoch = coalesce((SELECT epoch FROM auth_subjects WHERE subject = $10), 0)
      RETURNING rotated_at, idle_expires_at"
);

pub(super) const REVOKE: &str = concat!(
    "WITH ",
    at!(),
    ", ",
    until!("$3", "$4"),
    ", ended AS (UPDATE auth_sessions SET revoked_at = t.now, reason = $2 FROM t
          WHERE id = $1 AND revoked_at IS NULL RETURNING id), ",
    list_ended!("$5"),
    " SELECT u.until, EXISTS (SELECT FROM ended) FROM u, (SELECT count(*) FROM told) AS woken"
);

/// The earlier revocation of a row. A separate statement, because one that waited for a lock sees
/// the row as of its own start.
pub(super) const REVOKED: &str = "SELECT s.reason, m.mark
    FROM auth_sessions s LEFT JOIN auth_marks m ON m.id = s.id
    WHERE s.id = $1 AND s.revoked_at IS NOT NULL";

/// Whether the row exists, belongs to the subject and is live. Locks it until the transaction ends.
pub(super) const HOLD_LIVE: &str = concat!(
    "WITH ",
    at!(),
    " SELECT 1::bigint FROM auth_sessions, t
      WHERE id = $1 AND subject = $2 AND revoked_at IS NULL AND epoch = $3
          AND idle_expires_at > t.now AND absolute_expires_at > t.now FOR UPDATE OF auth_sessions"
);

pub(super) const RAISE_EPOCH: &str =
    "UPDATE auth_subjects SET epoch = epoch + 1 WHERE subject = $1 RETURNING epoch";

pub(super) const RAISE_EPOCH_TO: &str = "INSERT INTO auth_subjects AS j (subject, epoch)
    VALUES ($1, $2)
    ON CONFLICT (subject) DO UPDATE SET epoch = greatest(j.epoch, excluded.epoch) RETURNING epoch";

/// The access token lifetimes of the issuer and of all.
pub(super) const LIFETIMES: &str =
    "SELECT max(longest) FILTER (WHERE issuer = $1), max(longest) FROM auth_lifetimes";

/// Waits for all revocations that have read the table, and blocks new ones.
pub(super) const LOCK_LIFETIMES: &str = "LOCK TABLE auth_lifetimes IN ACCESS EXCLUSIVE MODE";

pub(super) const RAISE_LIFETIME: &str = "INSERT INTO auth_lifetimes AS l (issuer, longest)
    VALUES ($1, $2)
    ON CONFLICT (issuer) DO UPDATE SET longest = greatest(l.longest, excluded.longest)";

pub(super) const MOVE_TO_EPOCH: &str = "UPDATE auth_sessions SET epoch = $2 WHERE id = $1";

/// Marks a limited number of rows that are dead by their subject version, so that the purge finds
/// them, and publishes the version.
pub(super) const MARK_ENDED: &str = concat!(
    "WITH ",
    at!(),
    ", ",
    until!("$4", "$5"),
    ", dead AS (SELECT id FROM auth_sessions
          WHERE subject = $1 AND epoch < $2 AND revoked_at IS NULL
          LIMIT 500 FOR UPDATE SKIP LOCKED),
      marked AS (UPDATE auth_sessions SET revoked_at = t.now, reason = $3 FROM t
          WHERE id IN (SELECT id FROM dead)),
      listed AS (INSERT INTO auth_revocations (subject, lowest_epoch, until)
          SELECT $1, $2, u.until FROM u),
      told AS (SELECT pg_notify('auth_revocations', ''))
      SELECT u.until FROM u, (SELECT count(*) FROM told) AS woken"
);

pub(super) const LIST: &str = concat!(
    "WITH ",
    at!(),
    " SELECT s.* FROM auth_sessions s, t
      WHERE subject = $1 AND revoked_at IS NULL
          AND idle_expires_at > t.now AND absolute_expires_at > t.now
          AND epoch = coalesce((SELECT epoch FROM auth_subjects WHERE subject = $1), 0)
      ORDER BY last_used_at DESC, created_at DESC, id DESC LIMIT $2"
);

pub(super) const PURGE: &str = concat!(
    "WITH ",
    at!(),
    " DELETE FROM auth_sessions WHERE id IN (SELECT id FROM auth_sessions
          WHERE least(coalesce(revoked_at, idle_expires_at), idle_expires_at)
              <= (SELECT now FROM t) - $1
          LIMIT $2 FOR UPDATE SKIP LOCKED)"
);

/// Removes entries a minute after the end of their listing.
pub(super) const PURGE_LISTED: &str = concat!(
    "WITH ",
    at!(),
    " DELETE FROM auth_revocations WHERE ctid = ANY (ARRAY(SELECT ctid FROM auth_revocations
          WHERE until <= (SELECT now FROM t) - 60000 LIMIT $1 FOR UPDATE SKIP LOCKED))"
);

pub(super) const APPEND: &str = "WITH listed AS (
        INSERT INTO auth_revocations (sid, subject, lowest_epoch, until) VALUES ($1, $2, $3, $4))
    SELECT pg_notify('auth_revocations', '')::text";

/// The entries of transactions that may have been running when the cursor was taken, or began
/// later, and the new cursor. Both come from one snapshot.
pub(super) const FOLLOW: &str = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS next,
        pg_snapshot_xmax(pg_current_snapshot()) < $1::text::xid8 AS lost,
        current_setting('transaction_read_only') = 'on' AS read_only,
        r.sid, r.subject, r.lowest_epoch, r.until
    FROM (SELECT 1) AS one LEFT JOIN auth_revocations r ON r.xid >= $1::text::xid8";

/// The server's time, and the sealed keys, if any.
pub(super) const LOAD_KEYS: &str = concat!(
    "WITH ",
    at!(),
    " SELECT t.now, k.version, k.sealed FROM t LEFT JOIN auth_keys k ON true"
);

pub(super) const FIRST_KEYS: &str =
    "INSERT INTO auth_keys (one, version, sealed) VALUES (1, 1, $1) ON CONFLICT DO NOTHING";

pub(super) const REPLACE_KEYS: &str =
    "UPDATE auth_keys SET version = version + 1, sealed = $1 WHERE version = $2";
