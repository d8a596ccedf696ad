//! The feed of revocations for other processes that use the file.
//!
//! 1. There is one writer at a time, and a number is assigned inside its transaction, so numbers
//!    rise in the order of commits: no entry can appear behind a cursor.
//! 2. Within a process the writer wakes the followers. Other processes read every 50 ms.
//! 3. A file that was restored to an earlier state has lower numbers than a cursor: the follower
//!    then starts over.

use std::time::Duration;

use async_trait::async_trait;
use auth_core::revocation::Revocation;
use auth_core::store::{Batch, Cursor, FeedError, RevocationFeed, Snapshot, StoreError};

use super::SqliteStore;
use super::job::{Write, Written, gone};
use crate::sql::{ListedRow, row, store_error};

const LOOK_EVERY: Duration = Duration::from_millis(50);

row! {
    struct SqliteFeedRow {
        seq: i64,
        ..listed: ListedRow,
    }
}

impl SqliteStore {
    /// The entries after `seq`, in order.
    async fn entries_after(&self, seq: i64) -> Result<Vec<SqliteFeedRow>, StoreError> {
        self.bounded(async {
            sqlx::query_as(
                "SELECT seq, sid, subject, lowest_epoch, until FROM auth_revocations
                 WHERE seq > ?1 ORDER BY seq",
            )
            .bind(seq)
            .fetch_all(&self.0.readers)
            .await
            .map_err(store_error)
        })
        .await
    }

    /// The highest assigned number.
    async fn last_seq(&self) -> Result<i64, StoreError> {
        self.bounded(async {
            let last: Option<i64> = sqlx::query_scalar(
                "SELECT seq FROM sqlite_sequence WHERE name = 'auth_revocations'",
            )
            .fetch_optional(&self.0.readers)
            .await
            .map_err(store_error)?;
            Ok(last.unwrap_or(0))
        })
        .await
    }
}

fn revocations(rows: Vec<SqliteFeedRow>) -> Result<Vec<Revocation>, FeedError> {
    rows.into_iter()
        .map(|row| row.listed.into_revocation().map_err(FeedError::unavailable))
        .collect()
}

fn cursor(seq: i64) -> Cursor {
    Cursor::new(seq.to_string())
}

#[async_trait]
impl RevocationFeed for SqliteStore {
    async fn snapshot(&self) -> Result<Snapshot, FeedError> {
        // Entries between the two reads are read twice, never skipped.
        let last = self.last_seq().await.map_err(FeedError::unavailable)?;
        let rows = self
            .entries_after(0)
            .await
            .map_err(FeedError::unavailable)?;
        Ok(Snapshot {
            revocations: revocations(rows)?,
            cursor: cursor(last),
        })
    }

    async fn follow(&self, from: &Cursor, wait: Duration) -> Result<Batch, FeedError> {
        let seq: i64 = from.as_str().parse().map_err(|_| FeedError::CursorLost)?;
        let mut revoked = self.0.revoked.clone();
        let deadline = tokio::time::sleep(wait);
        tokio::pin!(deadline);
        loop {
            revoked.mark_unchanged();
            let rows = self
                .entries_after(seq)
                .await
                .map_err(FeedError::unavailable)?;
            if let Some(last) = rows.last() {
                let cursor = cursor(last.seq);
                return Ok(Batch {
                    revocations: revocations(rows)?,
                    cursor,
                });
            }
            if self.last_seq().await.map_err(FeedError::unavailable)? < seq {
                return Err(FeedError::CursorLost);
            }
            tokio::select! {
                () = &mut deadline => return Ok(Batch { revocations: Vec::new(), cursor: cursor(seq) }),
                // An error means that the writer has ended; the next read reports it.
                _ = tokio::time::timeout(LOOK_EVERY, revoked.changed()) => {}
            }
        }
    }

    async fn append(&self, revocation: &Revocation) -> Result<(), FeedError> {
        match self.write(Write::Append(revocation.clone())).await {
            Ok(Written::Appended) => Ok(()),
            Ok(_) => Err(FeedError::unavailable(gone())),
            Err(error) => Err(FeedError::unavailable(error)),
        }
    }
}
