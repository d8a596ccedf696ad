//! The task that keeps a node's list up to date.
//!
//! 1. It loads a snapshot first. Whoever wants to serve only then waits for [`Follower::load`].
//! 2. The cursor is kept over errors; after one it waits, from 100 ms doubling up to 5 s.
//! 3. A node is complete as of the moment at which the call that found nothing new, or brought
//!    everything, was *made*: what was acknowledged before is known.
//! 4. It ends when its future is dropped; every await is a place where it may be.

use std::sync::Arc;
use std::time::Duration;

use crate::revocation::{Cursor, FeedError, RevocationFeed, Revocations};

/// How long one call to the feed may wait for news.
const WAIT: Duration = Duration::from_secs(1);
/// A feed that does not answer for this long after its wait is given up, and asked again.
const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_BACK_OFF: Duration = Duration::from_millis(100);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);
/// Batches between two sweeps of the list.
const SWEEP_EVERY: u32 = 60;

/// Follows a feed into a node's [`Revocations`].
#[derive(Debug)]
pub struct Follower {
    feed: Arc<dyn RevocationFeed>,
    revocations: Revocations,
    cursor: Option<Cursor>,
    state: FollowerState,
    batches: u32,
    wait: Duration,
}

/// Whether the last call to the feed succeeded.
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
    /// A follower that has not loaded anything yet.
    #[must_use]
    pub fn new(feed: Arc<dyn RevocationFeed>, revocations: Revocations) -> Self {
        Self {
            feed,
            revocations,
            cursor: None,
            state: FollowerState::Starting,
            batches: 0,
            wait: WAIT,
        }
    }

    /// How long a call to the feed may wait for news; default 1 s. Longer waits are fewer calls and
    /// a staleness that is reported higher.
    #[must_use]
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// How it stands.
    #[must_use]
    pub fn state(&self) -> FollowerState {
        self.state
    }

    /// Loads the snapshot, once. Await it before serving.
    ///
    /// # Errors
    /// [`FeedError`] if the feed cannot be read; call again, or let [`run`](Self::run) go on
    /// trying while the stale policy answers.
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

    /// One step: the snapshot if there is none, else what came after the cursor.
    ///
    /// # Errors
    /// [`FeedError`]; the list and the cursor are as they were, the next step goes on there.
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

    /// Follows until dropped. Spawn it.
    pub async fn run(mut self) {
        let mut back_off = FIRST_BACK_OFF;
        loop {
            match self.step().await {
                Ok(()) => back_off = FIRST_BACK_OFF,
                Err(error) => {
                    self.report(&error);
                    tokio::time::sleep(back_off).await;
                    back_off = back_off.saturating_mul(2).min(LONGEST_BACK_OFF);
                }
            }
        }
    }

    /// Says it loudly when trouble begins, quietly while it lasts.
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
