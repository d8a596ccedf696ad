//! A separate database per test, and nodes connected to one.

use std::sync::Arc;

use async_trait::async_trait;
use auth_core::store::{RefreshStore, StoreClock, StoreError};
use auth_core::testing::{ManualClock, StoreFixture};
use auth_store::{PostgresStore, StoreOptions};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// Creates a database for the test. `None`, with a reported skip, if there is no server.
pub(crate) async fn database(name: &str) -> Option<String> {
    let server = super::server("AUTH_TEST_POSTGRES_URL")?;
    let mut admin = PgConnection::connect(&server).await.unwrap();
    let name = format!("auth_test_{name}_{}", std::process::id());
    for statement in [
        format!("DROP DATABASE IF EXISTS {name}"),
        format!("CREATE DATABASE {name}"),
    ] {
        admin.execute(AssertSqlSafe(statement)).await.unwrap();
    }
    let (base, _) = server.rsplit_once('/').unwrap();
    Some(format!("{base}/{name}"))
}

/// A database with several connected nodes.
pub(crate) struct PostgresFixture {
    pub(crate) url: String,
    pub(crate) clock: Option<Arc<ManualClock>>,
}

#[async_trait]
impl StoreFixture for PostgresFixture {
    async fn open(&self) -> Result<Arc<dyn RefreshStore>, StoreError> {
        let mut options = StoreOptions::new();
        if let Some(clock) = &self.clock {
            options = options.with_clock(StoreClock::driven(clock.clone()));
        }
        Ok(Arc::new(
            PostgresStore::connect_with(&self.url, options).await?,
        ))
    }

    fn clock(&self) -> Option<Arc<ManualClock>> {
        self.clock.clone()
    }

    fn rounds(&self) -> u32 {
        10
    }
}
