//! The schema and how it comes about.
//!
//! 1. Steps are numbered and never change; a new version appends one.
//! 2. A step runs in an immediate transaction that first reads how far the file is, so processes
//!    that open it at once take turns and each step runs once.
//! 3. A file that is further than this version knows is used as it is: steps only ever add.

use sqlx::SqliteConnection;

/// `min(…)` of two columns is when a row ended; the index serves the purge.
const STEPS: &[&str] = &[
    "
CREATE TABLE auth_sessions (
    id BLOB NOT NULL PRIMARY KEY,
    subject TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    predecessor INTEGER,
    recovered INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    rotated_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    idle_expires_at INTEGER NOT NULL,
    absolute_expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    reason TEXT,
    details TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX auth_sessions_subject ON auth_sessions (subject);
CREATE INDEX auth_sessions_end
    ON auth_sessions (min(coalesce(revoked_at, idle_expires_at), idle_expires_at));
CREATE TABLE auth_subjects (
    subject TEXT NOT NULL PRIMARY KEY,
    epoch INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE auth_revocations (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    sid BLOB,
    subject TEXT,
    lowest_epoch INTEGER,
    until INTEGER NOT NULL
);
CREATE INDEX auth_revocations_until ON auth_revocations (until);
",
    "
CREATE TABLE auth_keys (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,
    sealed BLOB NOT NULL
);
",
    // Tables of their own: a new column would come between those that earlier versions have
    // prepared their statements for.
    "
CREATE TABLE auth_marks (
    id BLOB NOT NULL PRIMARY KEY REFERENCES auth_sessions (id) ON DELETE CASCADE,
    mark BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE auth_lifetimes (
    issuer TEXT NOT NULL PRIMARY KEY,
    longest INTEGER NOT NULL
) WITHOUT ROWID;
",
];

pub(super) async fn bring_up_to_date(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS auth_schema (step INTEGER NOT NULL PRIMARY KEY)")
        .execute(&mut *connection)
        .await?;
    for (done, step) in STEPS.iter().enumerate() {
        let number = i64::try_from(done).unwrap_or(i64::MAX).saturating_add(1);
        sqlx::raw_sql("BEGIN IMMEDIATE")
            .execute(&mut *connection)
            .await?;
        let ran = run_step(connection, number, step).await;
        let end = if ran.is_ok() { "COMMIT" } else { "ROLLBACK" };
        sqlx::raw_sql(end).execute(&mut *connection).await?;
        ran?;
    }
    Ok(())
}

async fn run_step(
    connection: &mut SqliteConnection,
    number: i64,
    step: &'static str,
) -> sqlx::Result<()> {
    let claimed = sqlx::query("INSERT INTO auth_schema (step) VALUES (?) ON CONFLICT DO NOTHING")
        .bind(number)
        .execute(&mut *connection)
        .await?;
    if claimed.rows_affected() == 1 {
        sqlx::raw_sql(step).execute(connection).await?;
    }
    Ok(())
}
