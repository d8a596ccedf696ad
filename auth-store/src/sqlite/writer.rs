//! The writer: one task, one connection, one disk flush for all waiting callers.
//!
//! 1. SQLite allows one writer at a time, so callers queue here. All writes queued during the flush of
//!    one transaction go into the next one.
//! 2. A caller gets its result only after the commit with its write has been flushed
//!    (`synchronous=FULL`).
//! 3. If a statement fails, the whole transaction is rolled back and every caller in it gets an
//!    error: SQLite may have rolled it back itself (disk full), and a part of it must not stay.
//!    Statements fail only for lack of disk, memory or lock, never because of their arguments.
//! 4. A dropped call is skipped if its write has not begun; a write that has begun is completed.

use std::time::Duration;

use auth_core::store::StoreError;
use sqlx::SqliteConnection;
use tokio::sync::{mpsc, watch};

use super::job::{Job, Write, Written, now};
use super::{keys, write};
use crate::StoreOptions;
use crate::sql::{after, store_error};

/// Maximum number of writes in one transaction.
const LONGEST_BATCH: usize = 256;

pub(super) struct Writer {
    pub(super) connection: SqliteConnection,
    pub(super) options: StoreOptions,
    pub(super) jobs: mpsc::Receiver<Job>,
    /// Notified after a commit that may contain revocations.
    pub(super) revoked: watch::Sender<u64>,
}

impl Writer {
    /// Writes until the last sender is dropped.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::with_capacity(LONGEST_BATCH);
        while self.jobs.recv_many(&mut batch, LONGEST_BATCH).await != 0 {
            batch.retain(|job| !job.reply.is_closed());
            let may_revoke = batch.iter().any(|job| job.write.may_revoke());
            match self.write_all(&batch).await {
                Ok(results) => {
                    for (job, result) in batch.drain(..).zip(results) {
                        // The caller may have dropped the call.
                        let _ = job.reply.send(Ok(result));
                    }
                }
                Err(error) => {
                    tracing::error!(target: "auth::store", store = "sqlite", "{error}");
                    for job in batch.drain(..) {
                        let _ = job.reply.send(Err(error.clone()));
                    }
                }
            }
            if may_revoke {
                self.revoked
                    .send_modify(|count| *count = count.wrapping_add(1));
            }
        }
    }

    async fn write_all(&mut self, batch: &[Job]) -> Result<Vec<Written>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.control("BEGIN IMMEDIATE").await?;
        let results = self.write_each(batch).await;
        match results {
            Ok(results) => match self.control("COMMIT").await {
                Ok(()) => Ok(results),
                Err(error) => {
                    self.roll_back().await;
                    Err(error)
                }
            },
            Err(error) => {
                self.roll_back().await;
                Err(error)
            }
        }
    }

    async fn write_each(&mut self, batch: &[Job]) -> Result<Vec<Written>, StoreError> {
        let mut results = Vec::with_capacity(batch.len());
        for job in batch {
            let now = now(&self.options);
            results.push(self.write_one(&job.write, now).await?);
        }
        Ok(results)
    }

    async fn write_one(&mut self, write: &Write, now: i64) -> Result<Written, StoreError> {
        let connection = &mut self.connection;
        Ok(match write {
            Write::RotateSession(step) => {
                Written::RotatedAt(write::advance(connection, step, now).await?)
            }
            Write::Append(revocation) => {
                write::append(connection, revocation).await?;
                Written::Appended
            }
            Write::RevokeSubject(end) => {
                Written::Ended(write::end_all(connection, &end.borrowed(), now).await?)
            }
            Write::Insert(session) => {
                Written::InsertOutcome(write::insert(connection, session, now).await?)
            }
            Write::Purge { kept, batch } => {
                let ended_by = after(now, Duration::ZERO).saturating_sub(after(0, *kept));
                Written::Purged(write::purge(connection, ended_by, now, *batch).await?)
            }
            Write::RaiseEpoch { subject, at_least } => Written::EpochRaised(
                write::raise_subject_version(connection, subject, *at_least).await?,
            ),
            Write::RaiseLifetime { issuer, lifetime } => Written::LongestLifetime(
                write::raise_access_lifetime(connection, issuer, *lifetime).await?,
            ),
            Write::RevokeSession(revoke) => {
                Written::Revoked(write::revoke(connection, revoke, now).await?)
            }
            Write::SaveKeys { expected, sealed } => {
                Written::KeysSaved(keys::save(connection, *expected, sealed).await?)
            }
        })
    }

    async fn control(&mut self, statement: &'static str) -> Result<(), StoreError> {
        let done = sqlx::query(statement).execute(&mut self.connection).await;
        done.map(drop).map_err(store_error)
    }

    /// Ends a failed transaction. SQLite may have ended it already.
    async fn roll_back(&mut self) {
        let _ = self.control("ROLLBACK").await;
    }
}
