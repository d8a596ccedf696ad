//! The schema and its migrations.
//!
//! 1. Steps are numbered and never change; a new version appends steps. A step records itself, even
//!    if an operator runs its text.
//! 2. A complete file is only read. Otherwise the steps run in one immediate transaction, which
//!    first reads the state of the file. Processes that open it at the same time take turns, and
//!    each step runs once.
//! 3. A file with steps of a newer version is used: steps only add.

use sqlx::SqliteConnection;

/// The text of a step, which starts by recording itself.
macro_rules! step {
    ($number:literal, $text:literal) => {
        concat!(
            "CREATE TABLE IF NOT EXISTS auth_schema (step INTEGER NOT NULL PRIMARY KEY);\n",
            "INSERT INTO auth_schema (step) VALUES (",
            $number,
            ");",
            $text
        )
    };
}

/// The steps. `min(…)` of two columns is the time at which a row ended; its index serves the purge.
pub(super) const STEPS: &[&str] = &[
    step!(
        1,
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
"
    ),
    step!(
        2,
        "
CREATE TABLE auth_keys (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,
    sealed BLOB NOT NULL
);
"
    ),
    // Separate tables: a new column would break the prepared statements of earlier versions.
    step!(
        3,
        "
CREATE TABLE auth_marks (
    id BLOB NOT NULL PRIMARY KEY REFERENCES auth_sessions (id) ON DELETE CASCADE,
    mark BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE auth_lifetimes (
    issuer TEXT NOT NULL PRIMARY KEY,
    longest INTEGER NOT NULL
) WITHOUT ROWID;
"
    ),
];

/// Creates the missing parts if `migrates` allows it. Returns whether the schema is complete.
pub(super) async fn bring_up_to_date(
    connection: &mut SqliteConnection,
    migrates: bool,
) -> sqlx::Result<bool> {
    if missing(connection).await?.is_empty() {
        return Ok(true);
    }
    if !migrates {
        return Ok(false);
    }
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut *connection)
        .await?;
    let ran = run_missing(connection).await;
    let end = if ran.is_ok() { "COMMIT" } else { "ROLLBACK" };
    sqlx::raw_sql(end).execute(&mut *connection).await?;
    ran.map(|()| true)
}

/// The texts of the steps that have not run.
async fn missing(connection: &mut SqliteConnection) -> sqlx::Result<Vec<&'static str>> {
    let begun: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM sqlite_master WHERE name = 'auth_schema'")
            .fetch_optional(&mut *connection)
            .await?;
    if begun.is_none() {
        return Ok(STEPS.to_vec());
    }
    let done: Vec<i64> = sqlx::query_scalar("SELECT step FROM auth_schema")
        .fetch_all(connection)
        .await?;
    let numbered = (1_i64..).zip(STEPS);
    Ok(numbered
        .filter(|(number, _)| !done.contains(number))
        .map(|(_, step)| *step)
        .collect())
}

async fn run_missing(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    for step in missing(connection).await? {
        sqlx::raw_sql(step).execute(&mut *connection).await?;
    }
    Ok(())
}
