//! [`Health`]: whether a node can do its work, for load balancers and alarms.
//!
//! 1. Three states. *Ready*. *Degraded*: something is wrong, and what does not need it goes on:
//!    take no node out of service for it, since what is wrong is likely wrong for all of them.
//!    *Not ready*: this node refuses every token at the moment, and another one may not.
//! 2. Reasons come from a closed set, with no text from outside.
//! 3. It tells how things stand; nothing is fetched, written or retried by asking. Only the session
//!    store is asked for a session that cannot exist, for at most two seconds.

use std::fmt;
use std::time::Duration;

use crate::http::answer::{Body, Response};
use crate::keys::remote::RemoteKeys;
use crate::keys::rotation::RotationHealth;
use crate::revocation::Revocations;
use crate::session::Sessions;

/// A feed that is asked every second and has told nothing for so long is in trouble.
const FEED_LATE: Duration = Duration::from_secs(10);
const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// What a node's health depends on.
///
/// ```
/// use auth_core::health::{Health, HealthStatus};
/// use auth_core::remote::RemoteKeys;
/// use auth_core::revocation::Revocations;
/// use auth_core::session::Sessions;
///
/// # async fn ready(revocations: Revocations, keys: RemoteKeys, sessions: Sessions) {
/// let health = Health::new()
///     .with_revocations(revocations)
///     .with_issuer_keys(keys)
///     .with_sessions(sessions);
/// let report = health.check().await;
/// if report.status() != HealthStatus::Ready {
///     for reason in report.reasons() {
///         eprintln!("{}", reason.as_str());
///     }
/// }
/// // 200, or 503 if no request can be served; `{"status":"ready","reasons":[]}`
/// let answer = report.response();
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Health {
    revocations: Option<Revocations>,
    issuers: Vec<RemoteKeys>,
    rotation: Option<RotationHealth>,
    sessions: Option<Sessions>,
}

/// Whether a node can do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HealthStatus {
    /// It can.
    Ready,
    /// It can do some of it.
    Degraded,
    /// It refuses every token at the moment.
    NotReady,
}

impl HealthStatus {
    /// The status as a short fixed word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::NotReady => "not_ready",
        }
    }
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum HealthReason {
    /// The feed of revocations has told nothing for 10 seconds, or nothing yet; tokens are accepted
    /// all the same.
    FeedLate,
    /// The feed is staler than the policy allows, or was not loaded yet: all tokens get 503.
    FeedStale,
    /// The last fetch of an issuer's keys failed; those at hand are still good.
    IssuerFetchFailed,
    /// An issuer's keys cannot be used, or there are none yet: its tokens get 503.
    IssuerKeysUnusable,
    /// Our own keys were not read for too long: no JWKS document is served.
    OwnKeysStale,
    /// The session store does not answer: nobody can sign in, refresh or sign out.
    StoreUnavailable,
}

impl HealthReason {
    /// The reason as a short fixed word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FeedLate => "feed_late",
            Self::FeedStale => "feed_stale",
            Self::IssuerFetchFailed => "issuer_fetch_failed",
            Self::IssuerKeysUnusable => "issuer_keys_unusable",
            Self::OwnKeysStale => "own_keys_stale",
            Self::StoreUnavailable => "store_unavailable",
        }
    }

    fn status(self) -> HealthStatus {
        match self {
            Self::FeedStale => HealthStatus::NotReady,
            _ => HealthStatus::Degraded,
        }
    }
}

impl fmt::Display for HealthReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Health {
    /// Nothing can be wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at the feed of revocations.
    pub fn with_revocations(mut self, revocations: Revocations) -> Self {
        self.revocations = Some(revocations);
        self
    }

    /// Looks at the keys of an issuer. Call it for each.
    pub fn with_issuer_keys(mut self, keys: RemoteKeys) -> Self {
        self.issuers.push(keys);
        self
    }

    /// Looks at our own keys.
    pub fn with_rotation(mut self, rotation: RotationHealth) -> Self {
        self.rotation = Some(rotation);
        self
    }

    /// Asks the session store: one call each time, so let not everybody ask.
    pub fn with_sessions(mut self, sessions: Sessions) -> Self {
        self.sessions = Some(sessions);
        self
    }

    /// How things stand now. Takes at most two seconds.
    pub async fn check(&self) -> HealthReport {
        let feed = self.revocations.as_ref().and_then(of_feed);
        let issuers = self.issuers.iter().filter_map(of_issuer);
        let own = self.rotation.as_ref().filter(|own| !own.is_current());
        let mut reasons: Vec<HealthReason> = feed
            .into_iter()
            .chain(issuers)
            .chain(own.map(|_| HealthReason::OwnKeysStale))
            .collect();
        if let Some(sessions) = &self.sessions {
            let asked = tokio::time::timeout(STORE_PATIENCE, sessions.ping()).await;
            if !matches!(asked, Ok(Ok(()))) {
                reasons.push(HealthReason::StoreUnavailable);
            }
        }
        reasons.sort_unstable();
        reasons.dedup();
        HealthReport { reasons }
    }
}

fn of_feed(revocations: &Revocations) -> Option<HealthReason> {
    if revocations.is_too_stale() {
        return Some(HealthReason::FeedStale);
    }
    let is_late = revocations
        .staleness()
        .is_none_or(|staleness| staleness > FEED_LATE);
    is_late.then_some(HealthReason::FeedLate)
}

fn of_issuer(keys: &RemoteKeys) -> Option<HealthReason> {
    let status = keys.status();
    if !status.usable {
        return Some(HealthReason::IssuerKeysUnusable);
    }
    status.last_fault.map(|_| HealthReason::IssuerFetchFailed)
}

/// How a node stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthReport {
    reasons: Vec<HealthReason>,
}

impl HealthReport {
    /// The worst that any of the reasons means.
    #[must_use]
    pub fn status(&self) -> HealthStatus {
        let of = |status| self.reasons.iter().any(|reason| reason.status() == status);
        if of(HealthStatus::NotReady) {
            HealthStatus::NotReady
        } else if of(HealthStatus::Degraded) {
            HealthStatus::Degraded
        } else {
            HealthStatus::Ready
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn reasons(&self) -> &[HealthReason] {
        &self.reasons
    }

    /// An answer to whoever asks whether requests should come here: 200, or 503 if not.
    #[must_use]
    pub fn response(&self) -> Response {
        let status = match self.status() {
            HealthStatus::Ready | HealthStatus::Degraded => 200,
            HealthStatus::NotReady => 503,
        };
        let reasons: Vec<&str> = self.reasons.iter().map(|reason| reason.as_str()).collect();
        let body = serde_json::json!({ "status": self.status().as_str(), "reasons": reasons });
        Response::new(status)
            .no_store()
            .with_body(Body::new("application/json", body.to_string()))
    }
}
