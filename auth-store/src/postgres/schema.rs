//! The schema and its migrations.
//!
//! 1. Steps are numbered and never change. A new version appends steps, and steps only add, so that
//!    old and new nodes run side by side. A step records itself, even if an operator runs its text.
//! 2. A complete schema is only read, which needs no right to create tables.
//! 3. Otherwise all steps run in one transaction under an advisory lock: nodes that start at the
//!    same time take turns, and each step runs once.

use sqlx::{Executor, PgConnection};

use super::connections::Connections;
use super::link::PgLink;
use crate::opening::OpenError;

/// Number of the advisory lock, chosen at random once and the same in every version.
const LOCK: i64 = 0x6175_7468_5f31_7a9c;

/// The text of a step, which starts by recording itself.
macro_rules! step {
    ($number:literal, $text:literal) => {
        concat!(
            "CREATE TABLE IF NOT EXISTS auth_schema (step bigint NOT NULL PRIMARY KEY);\n",
            "INSERT INTO auth_schema (step) VALUES (",
            $number,
            ");",
            $text
        )
    };
}

pub(super) const STEPS: &[&str] = &[
    step!(
        1,
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
"#
    ),
    step!(
        2,
        r#"
CREATE TABLE auth_keys (
    one smallint NOT NULL PRIMARY KEY CHECK (one = 1),
    version bigint NOT NULL,
    sealed bytea NOT NULL
);
"#
    ),
    // A separate table: a new column would break the prepared statements of earlier versions.
    step!(
        3,
        r#"
CREATE TABLE auth_marks (
    id bytea NOT NULL PRIMARY KEY REFERENCES auth_sessions (id) ON DELETE CASCADE,
    mark bytea NOT NULL
);
CREATE TABLE auth_lifetimes (
    issuer text COLLATE "C" NOT NULL PRIMARY KEY,
    longest bigint NOT NULL
);
"#
    ),
];

/// The rights that the statements need.
const RIGHTS: &str = "SELECT n.tab || ' (' || p.need || ')' FROM (VALUES
        ('auth_sessions', 'SELECT,INSERT,UPDATE,DELETE'),
        ('auth_subjects', 'SELECT,INSERT,UPDATE'),
        ('auth_revocations', 'SELECT,INSERT,UPDATE,DELETE'),
        ('auth_keys', 'SELECT,INSERT,UPDATE'),
        ('auth_marks', 'SELECT,INSERT'),
        ('auth_lifetimes', 'SELECT,INSERT,UPDATE')) AS n (tab, needs),
        unnest(string_to_array(n.needs, ',')) AS p (need)
    WHERE NOT has_table_privilege(n.tab, p.need)";

/// Creates the missing parts of the schema if `migrates` allows it, and checks that the role has
/// the rights that the store needs.
pub(super) async fn prepare(connections: &Connections, migrates: bool) -> Result<(), OpenError> {
    if is_complete(connections).await? {
        return check_rights(connections).await;
    }
    if !migrates {
        return Err(OpenError::advice(
            "the schema is missing or older than this version, and migrations are off: run those \
             steps of PostgresStore::migrations() that are not in the table auth_schema yet",
        ));
    }
    let made = async {
        let mut link = PgLink::begin(connections).await?;
        let made = run_missing(&mut link).await;
        link.end(made, |()| true).await
    };
    made.await.map_err(|error| {
        OpenError::from_sql(
            "the schema is missing or older than this version, and could not be created: open \
             the store once with a role that may create tables, or run the SQL of \
             PostgresStore::migrations()",
            error,
        )
    })
}

async fn is_complete(connections: &Connections) -> Result<bool, OpenError> {
    let read = async {
        let mut link = PgLink::single(connections).await?;
        let missing = missing(&mut link).await;
        link.end(missing, |_| true).await
    };
    let missing = read.await.map_err(|error| {
        OpenError::from_sql(
            "the schema cannot be read: the role needs SELECT on auth_schema, and a pooler must \
             keep a server for a whole transaction (pool_mode = transaction or session)",
            error,
        )
    })?;
    Ok(missing.is_empty())
}

async fn check_rights(connections: &Connections) -> Result<(), OpenError> {
    let read = async {
        let mut link = PgLink::single(connections).await?;
        let lacking = link.all(sqlx::query_as::<_, (String,)>(RIGHTS)).await;
        link.end(lacking, |_| true).await
    };
    let lacking = read
        .await
        .map_err(|error| OpenError::from_sql("a table of the schema is missing", error))?;
    if lacking.is_empty() {
        return Ok(());
    }
    let lacking: Vec<String> = lacking.into_iter().map(|(right,)| right).collect();
    let lacking = lacking.join(", ");
    Err(OpenError::advice(format!(
        "the role lacks rights that the store needs: {lacking}"
    )))
}

/// The texts of the steps that have not run.
async fn missing(link: &mut PgLink) -> sqlx::Result<Vec<&'static str>> {
    let (begun,): (bool,) = link
        .one(sqlx::query_as(
            "SELECT to_regclass('auth_schema') IS NOT NULL",
        ))
        .await?;
    if !begun {
        return Ok(STEPS.to_vec());
    }
    let done: Vec<(i64,)> = link
        .all(sqlx::query_as("SELECT step FROM auth_schema"))
        .await?;
    let numbered = (1_i64..).zip(STEPS);
    Ok(numbered
        .filter(|(number, _)| !done.contains(&(*number,)))
        .map(|(_, step)| *step)
        .collect())
}

async fn run_missing(link: &mut PgLink) -> sqlx::Result<()> {
    link.execute(sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK))
        .await?;
    // Another node may have run them already.
    for step in missing(link).await? {
        let connection: &mut PgConnection = link.connection()?;
        connection.execute(sqlx::raw_sql(step)).await?;
    }
    Ok(())
}
