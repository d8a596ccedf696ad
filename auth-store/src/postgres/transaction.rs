//! Transactions that may be dropped at any await.
//!
//! 1. A connection goes back to the pool only when its transaction has come to its end. Otherwise
//!    it is closed, and the server undoes what was begun.
//! 2. The driver's own transactions are not used: one that is dropped while `BEGIN` is on its way
//!    leaves a connection in the pool of which the driver believes that it is in no transaction.
//!    What the next caller writes on it would be acknowledged, hold its locks, and be lost.

use sqlx::pool::PoolConnection;
use sqlx::{Executor, PgConnection, PgPool, Postgres};

/// A transaction on a connection of the pool.
pub(super) struct Transaction {
    /// `None` once it has ended.
    connection: Option<PoolConnection<Postgres>>,
}

impl Transaction {
    pub(super) async fn begin(pool: &PgPool) -> sqlx::Result<Self> {
        let mut begun = Self {
            connection: Some(pool.acquire().await?),
        };
        begun.connection()?.execute("BEGIN").await?;
        Ok(begun)
    }

    pub(super) fn connection(&mut self) -> sqlx::Result<&mut PgConnection> {
        self.connection
            .as_deref_mut()
            .ok_or(sqlx::Error::PoolClosed)
    }

    /// Commits if the work was done and is to stay; otherwise undoes it.
    pub(super) async fn end<T>(
        mut self,
        work: sqlx::Result<T>,
        stays: impl FnOnce(&T) -> bool,
    ) -> sqlx::Result<T> {
        let commits = work.as_ref().is_ok_and(stays);
        let statement = if commits { "COMMIT" } else { "ROLLBACK" };
        let ended = self.connection()?.execute(statement).await;
        if ended.is_ok() {
            drop(self.connection.take());
        }
        match ended {
            Err(error) if commits => Err(error),
            _ => work,
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            connection.close_on_drop();
        }
    }
}
