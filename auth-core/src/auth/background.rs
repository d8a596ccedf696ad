//! The tasks of an [`Auth`](crate::Auth): the only place of this crate that spawns.
//!
//! 1. There are three tasks: the follower of the revocation feed, the key rotation, and the purge of
//!    ended sessions.
//! 2. The panic of a step is caught and reported. The task begins anew after a pause.
//! 3. Tasks hold the store, the revocation list, the key source and the refresh codec, but no
//!    sessions, issuer or guard. These keep the tasks alive, and the drop of the last one ends them.
//! 4. A runtime that ends drops its tasks. Unless they were stopped, they report it on drop.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::keys::rotation::KeyRotation;
use crate::observe::tasks::{TaskFailure, TaskHealth};
use crate::observe::words::TaskName;
use crate::revocation::feed::RevocationFeed;
use crate::revocation::{Follower, Revocations};
use crate::session::purge::Purge;

const FIRST_BACK_OFF: Duration = Duration::from_millis(200);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);
const PURGE_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// Pause after a purge that failed.
const PURGE_RETRY: Duration = Duration::from_secs(60);

/// The running tasks. They end on drop.
#[derive(Default)]
pub(super) struct Background {
    health: TaskHealth,
    running: Mutex<Vec<JoinHandle<()>>>,
}

impl Background {
    pub(super) fn health(&self) -> &TaskHealth {
        &self.health
    }

    /// Spawns a task.
    pub(super) fn spawn<U: Upkeep>(&self, runtime: &Handle, upkeep: U) {
        let report = TaskReport(self.health.clone(), U::NAME);
        self.running().push(runtime.spawn(run(upkeep, report)));
    }

    /// Ends all tasks, and waits until they have ended.
    pub(super) async fn stop(&self) {
        let tasks = self.abort();
        for task in tasks {
            // The error says that the task was aborted.
            let _ = task.await;
        }
    }

    fn abort(&self) -> Vec<JoinHandle<()>> {
        self.health.stop();
        let tasks = std::mem::take(&mut *self.running());
        for task in &tasks {
            task.abort();
        }
        tasks
    }

    fn running(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.abort();
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").finish_non_exhaustive()
    }
}

/// Work in steps that a task repeats.
pub(super) trait Upkeep: Send + 'static {
    const NAME: TaskName;

    /// Runs one step, which reports its own errors. Returns the pause before the next one.
    fn step(&mut self) -> impl Future<Output = Duration> + Send;

    /// Makes itself ready for another step after one that panicked.
    fn begin_anew(&mut self) {}
}

/// Follows the revocations of other nodes.
pub(super) struct FollowFeed {
    pub(super) feed: Arc<dyn RevocationFeed>,
    pub(super) revocations: Revocations,
    pub(super) follower: Follower,
}

impl Upkeep for FollowFeed {
    const NAME: TaskName = TaskName::Feed;

    async fn step(&mut self) -> Duration {
        self.follower.advance().await
    }

    /// Begins with a snapshot, because the position in the feed may be wrong.
    fn begin_anew(&mut self) {
        self.follower = Follower::new(Arc::clone(&self.feed), self.revocations.clone());
    }
}

/// Rotates the keys.
pub(super) struct RotateKeys(pub(super) KeyRotation);

impl Upkeep for RotateKeys {
    const NAME: TaskName = TaskName::Keys;

    async fn step(&mut self) -> Duration {
        self.0.advance().await
    }
}

/// Removes ended sessions.
pub(super) struct PurgeSessions(pub(super) Purge);

impl Upkeep for PurgeSessions {
    const NAME: TaskName = TaskName::Purge;

    async fn step(&mut self) -> Duration {
        match self.0.run().await {
            Ok(_) => PURGE_INTERVAL,
            // Reported where the error is made.
            Err(_) => PURGE_RETRY,
        }
    }
}

async fn run<U: Upkeep>(mut upkeep: U, report: TaskReport) {
    let mut back_off = FIRST_BACK_OFF;
    loop {
        let pause = if let Ok(pause) = caught(upkeep.step()).await {
            report.works();
            back_off = FIRST_BACK_OFF;
            pause
        } else {
            report.failed(TaskFailure::Panicked);
            upkeep.begin_anew();
            let pause = back_off;
            back_off = pause.saturating_mul(2).min(LONGEST_BACK_OFF);
            pause
        };
        if pause.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(pause).await;
        }
    }
}

/// The report of one task, which reports its end on drop.
struct TaskReport(TaskHealth, TaskName);

impl TaskReport {
    fn works(&self) {
        self.0.works(self.1);
    }

    fn failed(&self, failure: TaskFailure) {
        self.0.failed(self.1, failure);
    }
}

impl Drop for TaskReport {
    fn drop(&mut self) {
        self.failed(TaskFailure::Dropped);
    }
}

/// The panic of a future. The panic hook has shown its message.
struct Panicked;

/// Runs a future and catches its panic. The work of the future may be half done.
async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        polled.map_or(Poll::Ready(Err(Panicked)), |poll| poll.map(Ok))
    })
    .await
}
