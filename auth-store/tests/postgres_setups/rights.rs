//! Roles without the right to create tables, and the SQL for a role with it.

use auth_core::session::SessionId;
use auth_core::store::{InsertOutcome, RefreshStore, SessionDetails};
use auth_store::{PostgresStore, StoreOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::common::{database, logout, session};

/// Creates a role with only the right to log in, and returns its address.
async fn role(owner: &mut PgConnection, url: &str, name: &str) -> (String, String) {
    let role = format!("auth_test_{name}_{}", std::process::id());
    for statement in [
        format!("DROP ROLE IF EXISTS {role}"),
        format!("CREATE ROLE {role} LOGIN PASSWORD 'never-shown'"),
    ] {
        owner.execute(AssertSqlSafe(statement)).await.unwrap();
    }
    let (_, address) = url.split_once('@').unwrap();
    let url = format!("postgres://{role}:never-shown@{address}");
    (role, url)
}

async fn grant(owner: &mut PgConnection, rights: &str, role: &str) {
    let statement = format!("GRANT {rights} ON ALL TABLES IN SCHEMA public TO {role}");
    owner.execute(AssertSqlSafe(statement)).await.unwrap();
}

/// Removes a role: roles belong to the server, not to the database.
async fn remove(owner: &mut PgConnection, role: &str) {
    let statement = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    owner
        .execute(sqlx::raw_sql(AssertSqlSafe(statement)))
        .await
        .unwrap();
}

async fn works(store: &PostgresStore) {
    let details = SessionDetails::default();
    let id = SessionId::from_bytes([1; 16]);
    let made = store.insert(&session(id, "alice", &details)).await.unwrap();
    assert!(matches!(made, InsertOutcome::Done { .. }));
    let lifetime = std::time::Duration::from_secs(60);
    store.raise_access_lifetime("a", lifetime).await.unwrap();
    assert!(store.revoke(&logout(id)).await.unwrap().is_some());
    store.purge(lifetime, 10).await.unwrap();
}

#[tokio::test]
async fn j03_a_role_that_may_only_read_and_write_rows_opens_what_is_there() {
    let Some(url) = database("rows").await else {
        return;
    };
    let mut owner = PgConnection::connect(&url).await.unwrap();
    let (name, as_role) = role(&mut owner, &url, "rows").await;
    drop(PostgresStore::connect(&url).await.unwrap());
    grant(&mut owner, "SELECT, INSERT, UPDATE, DELETE", &name).await;
    for options in [
        StoreOptions::new(),
        StoreOptions::new().without_migrations(),
    ] {
        let store = PostgresStore::connect_with(&as_role, options)
            .await
            .unwrap();
        works(&store).await;
        owner.execute("DELETE FROM auth_sessions").await.unwrap();
    }
    remove(&mut owner, &name).await;
}

#[tokio::test]
async fn j03_an_opening_says_what_is_missing_and_what_the_server_said() {
    let Some(url) = database("says").await else {
        return;
    };
    let mut owner = PgConnection::connect(&url).await.unwrap();
    let (name, as_role) = role(&mut owner, &url, "says").await;
    let error = PostgresStore::connect(&as_role).await.unwrap_err();
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(text.contains("schema is missing"), "{text}");
        assert!(
            text.contains("permission denied for schema public (42501)"),
            "{text}"
        );
        assert!(!text.contains("never-shown"), "{text}");
    }
    // The schema exists, but this role has no rights on it.
    drop(PostgresStore::connect(&url).await.unwrap());
    let error = PostgresStore::connect(&as_role)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("SELECT on auth_schema"), "{error}");
    assert!(
        error.contains("permission denied for table auth_schema"),
        "{error}"
    );
    grant(&mut owner, "SELECT, INSERT", &name).await;
    let error = PostgresStore::connect(&as_role)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("auth_sessions (UPDATE)"), "{error}");
    assert!(!error.contains("auth_marks"), "{error}");
    remove(&mut owner, &name).await;
    // The database does not exist.
    let error = PostgresStore::connect(&format!("{url}_not"))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("does not exist (3D000)"),
        "{error}"
    );
    // An error never shows a password that makes a URL invalid.
    let error = PostgresStore::connect("postgres://app:never/shown@db/app").await;
    let error = format!("{:?}", error.unwrap_err());
    assert!(
        error.contains("percent-encoded") && !error.contains("never"),
        "{error}"
    );
}

#[tokio::test]
async fn j06_the_schema_can_be_made_by_hand() {
    let Some(url) = database("by_hand").await else {
        return;
    };
    let options = || StoreOptions::new().without_migrations();
    let error = PostgresStore::connect_with(&url, options())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("PostgresStore::migrations()"),
        "{error}"
    );
    let mut owner = PgConnection::connect(&url).await.unwrap();
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'auth%'";
    let made: i64 = sqlx::query_scalar(tables)
        .fetch_one(&mut owner)
        .await
        .unwrap();
    assert_eq!(made, 0);
    for (done, step) in PostgresStore::migrations().iter().enumerate() {
        let opened = PostgresStore::connect_with(&url, options()).await;
        assert!(opened.is_err(), "{done} steps are not all");
        owner.execute(sqlx::raw_sql(*step)).await.unwrap();
    }
    let store = PostgresStore::connect_with(&url, options()).await.unwrap();
    works(&store).await;
    drop(PostgresStore::connect(&url).await.unwrap());
}
