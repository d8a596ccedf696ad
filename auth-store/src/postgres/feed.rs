//! The feed of revocations for other nodes.
//!
//! 1. A row of the feed is written in the transaction of its revocation and has that transaction's
//!    number. Numbers are assigned before the commit, so a lower one may become visible after a
//!    higher one. The cursor is therefore the lowest number still running (`pg_snapshot_xmin`), not
//!    the highest number read. A row that was not visible has a number from there on, and is read
//!    next time. Some entries are read twice, none is skipped.
//! 2. `NOTIFY` at commit wakes the followers. If it is lost, they read after their wait, about a
//!    second. Behind a pooler in transaction mode it never arrives.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::revocation::Revocation;
use auth_core::store::{Batch, Cursor, FeedError, RevocationFeed, Snapshot};
use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::connections::{Connections, ReadOnly};
use super::link::PgLink;
use super::{Again, PostgresStore, statements, unavailable};
use crate::sql::{ListedRow, row, signed};

const RECONNECT_AFTER: Duration = Duration::from_millis(500);

row! {
    struct PostgresFeedRow {
        next: String,
        lost: bool,
        read_only: bool,
        ..listed: OptionalRow,
    }
}

row! {
    /// The outer join's right side: all columns are null if there are no new entries.
    struct OptionalRow {
        sid: Option<Vec<u8>>,
        subject: Option<String>,
        lowest_subject_version: Option<i64> = "lowest_epoch",
        until: Option<i64>,
    }
}

impl OptionalRow {
    fn into_revocation(self) -> Option<Result<Revocation, FeedError>> {
        let Self {
            sid,
            subject,
            lowest_subject_version,
            until,
        } = self;
        let row = ListedRow {
            sid,
            subject,
            lowest_subject_version,
            until: until?,
        };
        Some(row.into_revocation().map_err(FeedError::unavailable))
    }
}

/// Listens for `NOTIFY` in one task per store, from the first follower on.
pub(super) struct Wakeup {
    connections: Arc<Connections>,
    woken: watch::Sender<u64>,
    listening: OnceLock<Option<AbortOnDrop>>,
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Wakeup {
    pub(super) fn new(connections: Arc<Connections>) -> Self {
        Self {
            connections,
            woken: watch::Sender::new(0),
            listening: OnceLock::new(),
        }
    }

    /// A receiver that changes when a revocation may have happened.
    fn receiver(&self) -> watch::Receiver<u64> {
        self.listening.get_or_init(|| {
            if self.connections.is_pooled() {
                tracing::warn!(
                    target: "auth::store",
                    store = "postgres",
                    "LISTEN does not work through this connection pooler: other nodes learn of \
                     revocations by polling, about a second later",
                );
                return None;
            }
            let listening = listen(self.connections.clone(), self.woken.clone());
            Some(AbortOnDrop(tokio::spawn(listening)))
        });
        self.woken.subscribe()
    }
}

async fn listen(connections: Arc<Connections>, woken: watch::Sender<u64>) {
    loop {
        if let Ok(mut listener) = PgListener::connect_with(&connections.pool()).await
            && listener.listen("auth_revocations").await.is_ok()
        {
            // Wakes for notifications that were missed before the listening began.
            wake(&woken);
            // `None` means that the connection was lost and opened again. A replaced pool is an
            // error.
            while listener.try_recv().await.is_ok() {
                wake(&woken);
            }
        }
        tokio::time::sleep(RECONNECT_AFTER).await;
    }
}

fn wake(woken: &watch::Sender<u64>) {
    woken.send_modify(|count| *count = count.wrapping_add(1));
}

/// Parses a cursor: the number of the oldest transaction to read, and the number of wake-ups at the
/// last read.
fn parse(cursor: &Cursor) -> Option<(&str, u64)> {
    let (xid, woken) = cursor.as_str().split_once(':')?;
    xid.parse::<u64>().ok()?;
    Some((xid, woken.parse().ok()?))
}

impl PostgresStore {
    /// Reads the entries that became visible since the cursor, with `woken` in the new one.
    async fn read_from(&self, xid: &str, woken: u64) -> Result<Batch, FeedError> {
        let rows: Vec<PostgresFeedRow> = self
            .run(Again::IfBroken, || async {
                let mut link = PgLink::single(&self.0.connections).await?;
                let rows = link.all(sqlx::query_as(statements::FOLLOW).bind(xid)).await;
                let rows: Vec<PostgresFeedRow> = link.end(rows, |_| true).await?;
                // A read-only server has no new revocations.
                match rows.first() {
                    Some(first) if first.read_only => Err(ReadOnly.into()),
                    _ => Ok(rows),
                }
            })
            .await
            .map_err(FeedError::unavailable)?;
        let Some(first) = rows.first() else {
            return Err(FeedError::unavailable(unavailable()));
        };
        if first.lost {
            return Err(FeedError::CursorLost);
        }
        let cursor = Cursor::new(format!("{}:{woken}", first.next));
        let revocations: Result<Vec<Revocation>, FeedError> = rows
            .into_iter()
            .filter_map(|row| row.listed.into_revocation())
            .collect();
        Ok(Batch {
            revocations: revocations?,
            cursor,
        })
    }
}

#[async_trait]
impl RevocationFeed for PostgresStore {
    async fn snapshot(&self) -> Result<Snapshot, FeedError> {
        let woken = *self.0.wakeup.receiver().borrow();
        let Batch {
            revocations,
            cursor,
        } = self.read_from("0", woken).await?;
        Ok(Snapshot {
            revocations,
            cursor,
        })
    }

    async fn follow(&self, from: &Cursor, wait: Duration) -> Result<Batch, FeedError> {
        let (xid, seen) = parse(from).ok_or(FeedError::CursorLost)?;
        let mut woken = self.0.wakeup.receiver();
        // While an old transaction runs, the same entries are read repeatedly. Waiting for a
        // wake-up instead of an empty batch prevents a busy loop. A new receiver counts as changed:
        // without the update, `changed` would not wait.
        if *woken.borrow_and_update() == seen {
            let _ = tokio::time::timeout(wait, woken.changed()).await;
        }
        let woken = *woken.borrow();
        self.read_from(xid, woken).await
    }

    async fn append(&self, revocation: &Revocation) -> Result<(), FeedError> {
        let (sid, subject, lowest_subject_version) = match revocation {
            Revocation::Session { id, .. } => (Some(id.as_bytes().to_vec()), None, None),
            Revocation::Subject {
                subject,
                lowest_subject_version,
                ..
            } => {
                let subject_version =
                    signed(*lowest_subject_version).map_err(FeedError::unavailable)?;
                (None, Some(&**subject), Some(subject_version))
            }
        };
        self.execute(Again::IfBroken, || {
            sqlx::query(statements::APPEND)
                .bind(sid.as_deref())
                .bind(subject)
                .bind(lowest_subject_version)
                .bind(revocation.until().as_millis())
        })
        .await
        .map(drop)
        .map_err(FeedError::unavailable)
    }
}
