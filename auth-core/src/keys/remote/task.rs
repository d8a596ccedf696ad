//! The task that fetches keys. No other code does, so fetches never overlap.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use crate::base::config::ConfigError;
use crate::keys::KeyRing;
use crate::keys::remote::document::{Limits, Skipped};
use crate::keys::remote::fetch::{FetchError, FetchKeys, FetchedKeys};
use crate::keys::remote::shared::RemoteKeySet;
use crate::keys::remote::state::FetchState;
use crate::keys::remote::{FETCH_LIMIT, document};
use crate::observe::events::{Event, Events};
use crate::observe::metrics;
use crate::observe::words::FetchFault;

/// Longest sleep: the clock may be set forward, and a machine may be suspended.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// A task that fetches the keys of an issuer when they are due and when a request needs one.
///
/// It ends when [`RemoteKeys::shutdown`](crate::keys::remote::RemoteKeys::shutdown) is called and
/// when the last handle is dropped. If the task itself is dropped, waiting requests fail (503) at
/// once.
#[must_use = "spawn `run`, or no keys are fetched"]
pub struct RemoteKeysTask {
    shared: Arc<RemoteKeySet>,
    fetcher: Arc<dyn FetchKeys>,
    events: Option<Arc<dyn Events>>,
    limits: Limits,
}

impl RemoteKeysTask {
    pub(crate) fn new(shared: Arc<RemoteKeySet>, fetcher: Arc<dyn FetchKeys>) -> Self {
        Self {
            shared,
            fetcher,
            events: None,
            limits: Limits::default(),
        }
    }

    /// Sets the limits of a key set, in bytes and keys. Default: 64 KiB and 64 keys.
    ///
    /// # Errors
    /// [`ConfigError`] above 1 MiB or 1024 keys, or at zero.
    pub fn with_key_set_limits(mut self, bytes: usize, keys: usize) -> Result<Self, ConfigError> {
        self.limits = Limits { bytes, keys }.check()?;
        Ok(self)
    }

    /// Sets a listener for key events: failures of fetches, and recoveries.
    pub fn with_events(mut self, events: Arc<dyn Events>) -> Self {
        self.events = Some(events);
        self
    }

    /// Fetches until it is shut down. Needs tokio's timer.
    pub async fn run(self) {
        let mut closed = self.shared.closed.subscribe();
        let closed = closed.wait_for(|closed| *closed);
        let mut closed = pin!(closed);
        let mut work = pin!(self.work());
        poll_fn(|context| {
            if closed.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            work.as_mut().poll(context)
        })
        .await;
    }

    async fn work(&self) {
        let shared = &self.shared;
        loop {
            let begun = {
                let mut state = shared.state();
                state.begin(shared.clock.now()).then(|| state.etag())
            };
            match begun {
                Some(etag) => {
                    let fetch = self.fetcher.fetch(etag.as_deref());
                    let answer = match tokio::time::timeout(FETCH_LIMIT, fetch).await {
                        Ok(answer) => answer,
                        Err(_) => Err(FetchError::new(FetchFault::TimedOut)),
                    };
                    let news = shared.conclude(answer, self.limits);
                    if let (Some(event), Some(events)) = (news, &self.events) {
                        events.on_event(&event);
                    }
                }
                None => {
                    let _ = tokio::time::timeout(shared.nap(), shared.wake.notified()).await;
                }
            }
        }
    }
}

impl Drop for RemoteKeysTask {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl fmt::Debug for RemoteKeysTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeysTask")
            .field("issuer", &self.shared.issuer)
            .finish_non_exhaustive()
    }
}

impl RemoteKeySet {
    /// The time to sleep without a wake-up. Also sets the time at which requests wake the task.
    fn nap(&self) -> Duration {
        let due_at = self.state().due_at();
        let wake_at = due_at.map_or(i64::MAX, |at| at.as_millis());
        self.wake_at.store(wake_at, Ordering::Relaxed);
        due_at.map_or(LONGEST_SLEEP, |at| {
            at.saturating_since(self.clock.now())
                .clamp(Duration::from_millis(1), LONGEST_SLEEP)
        })
    }

    /// Applies the result of a fetch, then wakes the waiting requests. Returns the event, if any.
    fn conclude(
        &self,
        answer: Result<FetchedKeys, FetchError>,
        limits: Limits,
    ) -> Option<Event<'_>> {
        let now = self.clock.now();
        // Read before the state is taken: parsing the keys takes a moment.
        let read = answer.and_then(|fetched| {
            let usable = match &fetched.body {
                Some(body) => {
                    Some(document::read(body, &self.algorithms, limits).map_err(FetchError::new)?)
                }
                None => None,
            };
            Ok((fetched, usable))
        });
        let mut state = self.state();
        let failing = state.last_fault();
        match read {
            Ok((fetched, Some(usable))) => {
                self.report_skipped(&state.skipped, &usable.skipped);
                state.skipped = usable.skipped;
                if usable.keys.is_empty() {
                    state.withdraw(now);
                } else {
                    state.succeed(now, fetched.freshness(), fetched.etag);
                }
                self.ring.replace(KeyRing::of_remote(usable.keys));
            }
            Ok((fetched, None)) => match state.etag() {
                Some(etag) => state.succeed(now, fetched.freshness(), Some(etag)),
                // The response to an unconditional fetch cannot be "unchanged".
                None => state.fail(now, FetchError::new(FetchFault::Malformed)),
            },
            Err(error) => state.fail(now, error),
        }
        let until = state.usable_until().map_or(i64::MIN, |at| at.as_millis());
        self.usable_until.store(until, Ordering::Release);
        self.report(&state, failing);
        let fault = state.last_fault();
        metrics::fetched(&self.issuer, fault, self.ring.load().iter().count(), now);
        self.ended
            .send_modify(|count| *count = count.wrapping_add(1));
        drop(state);
        let issuer = &*self.issuer;
        match fault {
            Some(fault) if failing != Some(fault) => Some(Event::IssuerFailed { issuer, fault }),
            None if failing.is_some() => Some(Event::IssuerRecovered { issuer }),
            _ => None,
        }
    }

    /// Logs each unused key, once for as long as it is in the set.
    fn report_skipped(&self, before: &[Skipped], now: &[Skipped]) {
        for skipped in now.iter().filter(|skipped| !before.contains(skipped)) {
            let Skipped {
                index,
                member,
                reason,
            } = *skipped;
            let issuer = &*self.issuer;
            tracing::warn!(
                target: "auth::keys",
                issuer,
                index,
                member,
                reason,
                "a published key is not used"
            );
        }
    }

    /// Logs an error when a failure starts, and at a lower level while it lasts.
    fn report(&self, state: &FetchState, before: Option<FetchFault>) {
        let issuer = &*self.issuer;
        match state.last_error() {
            None if before.is_some() => {
                tracing::info!(target: "auth::keys", issuer, "keys can be fetched again");
            }
            None => tracing::debug!(target: "auth::keys", issuer, "keys fetched"),
            Some(error) if before == Some(error.fault()) => {
                tracing::debug!(target: "auth::keys", issuer, fault = error.fault().as_str());
            }
            Some(error) => tracing::error!(
                target: "auth::keys",
                issuer,
                fault = error.fault().as_str(),
                source = std::error::Error::source(&error).map(tracing::field::display),
                "keys cannot be fetched"
            ),
        }
    }
}
