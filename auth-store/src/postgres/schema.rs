//! The schema and how it comes about.
//!
//! 1. Steps are numbered and never change; a new version appends one, and steps only ever add, so
//!    that old and new nodes run side by side.
//! 2. All of it happens in one transaction under an advisory lock: nodes that start at once take
//!    turns, and each step runs once.

use sqlx::{Connection, PgConnection};

/// Chosen at random once; every version uses the same.
const LOCK: i64 = 0x6175_7468_5f31_7a9c;

const STEPS: &[&str] = &[
    r#"
CREATE TABLE auth_sessions (
    id bytea NOT NULL PRIMARY KEY,
    subject text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    generation bigint NOT NULL,
    predecessor bigint,
    recovered smallint NOT NULL,
    created_at bigint NOT NULL,
    rotated_at bigint NOT NULL,
    last_used_at bigint NOT NULL,
    idle_expires_at bigint NOT NULL,
    absolute_expires_at bigint NOT NULL,
    revoked_at bigint,
    reason text,
    details text NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX auth_sessions_subject ON auth_sessions (subject);
CREATE INDEX auth_sessions_end
    ON auth_sessions (least(coalesce(revoked_at, idle_expires_at), idle_expires_at));
CREATE TABLE auth_subjects (
    subject text COLLATE "C" NOT NULL PRIMARY KEY,
    epoch bigint NOT NULL
);
CREATE TABLE auth_revocations (
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    sid bytea,
    subject text COLLATE "C",
    lowest_epoch bigint,
    until bigint NOT NULL
);
CREATE INDEX auth_revocations_xid ON auth_revocations (xid);
CREATE INDEX auth_revocations_until ON auth_revocations (until);
"#,
    r#"
CREATE TABLE auth_keys (
    one smallint NOT NULL PRIMARY KEY CHECK (one = 1),
    version bigint NOT NULL,
    sealed bytea NOT NULL
);
"#,
    // A table of its own: where earlier versions have prepared statements, a new column would be
    // the end of those.
    r#"
CREATE TABLE auth_marks (
    id bytea NOT NULL PRIMARY KEY REFERENCES auth_sessions (id) ON DELETE CASCADE,
    mark bytea NOT NULL
);
CREATE TABLE auth_lifetimes (
    issuer text COLLATE "C" NOT NULL PRIMARY KEY,
    longest bigint NOT NULL
);
"#,
];

pub(super) async fn bring_up_to_date(connection: &mut PgConnection) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut *transaction)
        .await?;
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS auth_schema (step bigint NOT NULL PRIMARY KEY)")
        .execute(&mut *transaction)
        .await?;
    for (done, step) in STEPS.iter().enumerate() {
        let number = i64::try_from(done).unwrap_or(i64::MAX).saturating_add(1);
        let claimed =
            sqlx::query("INSERT INTO auth_schema (step) VALUES ($1) ON CONFLICT DO NOTHING")
                .bind(number)
                .execute(&mut *transaction)
                .await?;
        if claimed.rows_affected() == 1 {
            sqlx::raw_sql(*step).execute(&mut *transaction).await?;
        }
    }
    transaction.commit().await
}
