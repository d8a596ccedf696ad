//! The task that keeps a node's list up to date.
//!
//! 1. The first step loads a snapshot. Await [`Follower::load`] to serve only after it.
//! 2. The cursor survives errors. After an error the task waits, from 100 ms doubling up to 5 s.
//! 3. A node is complete as of the time of the *call* that found nothing new, or brought all
//!    entries: every revocation acknowledged before is known.
//! 4. The task ends when its future is dropped, at any await.

use std::sync::Arc;
use std::time::Duration;

use crate::revocation::Revocations;
use crate::revocation::feed::{Cursor, FeedError, RevocationFeed};

/// Time for which one call to the feed may wait for news.
const WAIT: Duration = Duration::from_secs(1);
/// Timeout of a call to the feed, in addition to its wait. It is then repeated.
const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_BACK_OFF: Duration = Duration::from_millis(100);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);
/// Number of batches between two sweeps of the list.
const SWEEP_EVERY: u32 = 60;

/// A task that follows a feed into a node's [`Revocations`].
#[derive(Debug)]
pub struct Follower {
    feed: Arc<dyn RevocationFeed>,
    revocations: Revocations,
    cursor: Option<Cursor>,
    state: FollowerState,
    batches: u32,
    wait: Duration,
    back_off: Duration,
}

/// The state of a follower after its last call to the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FollowerState {
    /// No snapshot yet.
    Starting,
    /// Up to date with the feed.
    Following,
    /// The last call failed; the list is as it was.
    Interrupted,
}

impl Follower {
    /// Creates a follower without a snapshot.
    #[must_use]
    pub fn new(feed: Arc<dyn RevocationFeed>, revocations: Revocations) -> Self {
        Self {
            feed,
            revocations,
            cursor: None,
            state: FollowerState::Starting,
            batches: 0,
            wait: WAIT,
            back_off: FIRST_BACK_OFF,
        }
    }

    /// Sets the time for which a call to the feed may wait for news. Default: 1 s. A longer wait
    /// means fewer calls and a higher reported staleness.
    #[must_use]
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// The current state of the follower.
    #[must_use]
    pub fn state(&self) -> FollowerState {
        self.state
    }

    /// Loads the snapshot, once. Await it before serving.
    ///
    /// # Errors
    /// [`FeedError`] if the feed cannot be read. Call again, or let [`run`](Self::run) retry while
    /// the stale policy applies.
    pub async fn load(&mut self) -> Result<(), FeedError> {
        let asked = self.revocations.clock().monotonic();
        let snapshot = bounded(PATIENCE, self.feed.snapshot()).await?;
        for revocation in &snapshot.revocations {
            self.revocations.add(revocation);
        }
        self.revocations.complete(asked);
        self.cursor = Some(snapshot.cursor);
        self.state = FollowerState::Following;
        Ok(())
    }

    /// Runs one step: the snapshot if there is none, else the entries after the cursor.
    ///
    /// # Errors
    /// [`FeedError`]; list and cursor are unchanged, and the next step continues there.
    pub async fn step(&mut self) -> Result<(), FeedError> {
        let Some(cursor) = &self.cursor else {
            return self.load().await;
        };
        let asked = self.revocations.clock().monotonic();
        let batch = match bounded(
            self.wait.saturating_add(PATIENCE),
            self.feed.follow(cursor, self.wait),
        )
        .await
        {
            Ok(batch) => batch,
            Err(FeedError::CursorLost) => {
                self.cursor = None;
                return self.load().await;
            }
            Err(error) => return Err(error),
        };
        for revocation in &batch.revocations {
            self.revocations.add(revocation);
        }
        self.revocations.complete(asked);
        self.cursor = Some(batch.cursor);
        self.state = FollowerState::Following;
        self.batches = self.batches.wrapping_add(1);
        if self.batches.is_multiple_of(SWEEP_EVERY) {
            self.revocations.sweep();
        }
        Ok(())
    }

    /// Follows the feed until the future is dropped. Spawn it.
    pub async fn run(mut self) {
        loop {
            let pause = self.advance().await;
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Runs one step and reports its failure. Returns the pause before the next one.
    pub(crate) async fn advance(&mut self) -> Duration {
        let Err(error) = self.step().await else {
            self.back_off = FIRST_BACK_OFF;
            return Duration::ZERO;
        };
        self.report(&error);
        let pause = self.back_off;
        self.back_off = pause.saturating_mul(2).min(LONGEST_BACK_OFF);
        pause
    }

    /// Logs an error when a failure starts, and at a lower level while it lasts.
    fn report(&mut self, error: &FeedError) {
        let first = self.state != FollowerState::Interrupted;
        self.state = FollowerState::Interrupted;
        let staleness = self
            .revocations
            .staleness()
            .map(|staleness| staleness.as_secs());
        if first {
            tracing::error!(target: "auth::revocation", staleness, "{error}");
        } else {
            tracing::debug!(target: "auth::revocation", staleness, "{error}");
        }
    }
}

async fn bounded<T>(
    bound: Duration,
    call: impl Future<Output = Result<T, FeedError>>,
) -> Result<T, FeedError> {
    match tokio::time::timeout(bound, call).await {
        Ok(answer) => answer,
        Err(elapsed) => Err(FeedError::unavailable(elapsed)),
    }
}
