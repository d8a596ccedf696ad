//! Connections for one statement or one transaction, which may be dropped at any await.
//!
//! 1. A connection returns to the pool only when its transaction has ended. Otherwise it is closed,
//!    and the server rolls the transaction back.
//! 2. The driver's own transactions are not used. If one is dropped while `BEGIN` is in flight, the
//!    connection returns to the pool, and the driver believes that it is not in a transaction. The
//!    writes of the next caller would be acknowledged, hold their locks, and be lost.
//! 3. Behind a pooler in transaction mode, a single statement is a transaction too, and statements
//!    have no names: the next transaction may be on another server.

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgQueryResult, PgRow};
use sqlx::query::{Query, QueryAs};
use sqlx::{Executor, FromRow, PgConnection, Postgres};

use super::connections::Connections;

/// A connection of the pool, in a transaction or not.
pub(super) struct PgLink {
    /// The connection. `None` after its end.
    connection: Option<PoolConnection<Postgres>>,
    /// Whether a transaction has begun.
    begun: bool,
    /// Whether statements are prepared once per connection.
    named: bool,
}

impl PgLink {
    /// Acquires a connection for one statement, or for several that need no transaction.
    pub(super) async fn single(connections: &Connections) -> sqlx::Result<Self> {
        if connections.is_pooled() {
            return Self::begin(connections).await;
        }
        Ok(Self {
            connection: Some(connections.acquire().await?),
            begun: false,
            named: true,
        })
    }

    pub(super) async fn begin(connections: &Connections) -> sqlx::Result<Self> {
        let mut begun = Self {
            connection: Some(connections.acquire().await?),
            begun: true,
            named: !connections.is_pooled(),
        };
        let begin = connections.begin();
        begun.connection()?.execute(begin).await?;
        Ok(begun)
    }

    /// The connection, for statements that the server does not prepare.
    pub(super) fn connection(&mut self) -> sqlx::Result<&mut PgConnection> {
        self.connection
            .as_deref_mut()
            .ok_or(sqlx::Error::PoolClosed)
    }

    pub(super) async fn all<T>(
        &mut self,
        query: QueryAs<'_, Postgres, T, PgArguments>,
    ) -> sqlx::Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let query = query.persistent(self.named);
        query.fetch_all(self.connection()?).await
    }

    pub(super) async fn first<T>(
        &mut self,
        query: QueryAs<'_, Postgres, T, PgArguments>,
    ) -> sqlx::Result<Option<T>>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let query = query.persistent(self.named);
        query.fetch_optional(self.connection()?).await
    }

    pub(super) async fn one<T>(
        &mut self,
        query: QueryAs<'_, Postgres, T, PgArguments>,
    ) -> sqlx::Result<T>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let row = self.first(query).await?;
        row.ok_or(sqlx::Error::RowNotFound)
    }

    pub(super) async fn execute(
        &mut self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> sqlx::Result<PgQueryResult> {
        let query = query.persistent(self.named);
        query.execute(self.connection()?).await
    }

    /// Commits if the work succeeded and is to stay; otherwise rolls back.
    pub(super) async fn end<T>(
        mut self,
        work: sqlx::Result<T>,
        stays: impl FnOnce(&T) -> bool,
    ) -> sqlx::Result<T> {
        if !self.begun {
            return work;
        }
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

impl Drop for PgLink {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take().filter(|_| self.begun) {
            connection.close_on_drop();
        }
    }
}
