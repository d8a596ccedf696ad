//! [`Health`]: the health of a node, for load balancers and alarms.
//!
//! 1. There are three states. *Ready*. *Degraded*: a part fails, and the rest works. Keep the node in
//!    service: the other nodes probably fail in the same way. *Not ready*: this node refuses every
//!    token at the moment, and another node may not.
//! 2. Reasons come from a closed set, with no text from outside.
//! 3. A check reports the state; it does not fetch, write or retry. Only the session store is
//!    pinged with the load of a session that cannot exist, with a timeout of two seconds.

use std::fmt;
use std::time::Duration;

use crate::base::config::ConfigError;
use crate::endpoints::endpoint::{Endpoint, checked_path};
use crate::endpoints::reply;
use crate::guard::verdict::BoxFuture;
use crate::http::request::RequestView;
use crate::http::response::Response;
use crate::keys::remote::RemoteKeys;
use crate::keys::rotation::RotationHealth;
use crate::observe::tasks::TaskHealth;
use crate::revocation::Revocations;
use crate::session::Sessions;

/// Time without a successful poll after which a feed, polled every second, counts as late.
const FEED_LATE: Duration = Duration::from_secs(10);
const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// A health check of a node, over the parts that were added.
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
    tasks: Option<TaskHealth>,
}

/// The health status of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HealthStatus {
    /// All parts work.
    Ready,
    /// Some parts fail.
    Degraded,
    /// The node refuses every token at the moment.
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

/// The reason why a node is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum HealthReason {
    /// No successful poll of the revocation feed in the last 10 seconds, or none yet. Tokens are
    /// still accepted.
    FeedLate,
    /// The feed is staler than the policy allows, or was not loaded yet: the response to all tokens
    /// is 503.
    FeedStale,
    /// The last fetch of an issuer's keys failed. The current keys are still usable.
    IssuerFetchFailed,
    /// An issuer's keys are expired or not loaded yet: the response to its tokens is 503.
    IssuerKeysUnusable,
    /// The app's own keys were not read for too long: no JWKS document is served.
    OwnKeysStale,
    /// The session store does not respond: login, refresh and logout fail.
    StoreUnavailable,
    /// A task of [`Auth`](crate::Auth) has panicked and begins anew, or its runtime has ended.
    TaskFailed,
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
            Self::TaskFailed => "task_failed",
        }
    }

    fn status(self) -> HealthStatus {
        match self {
            Self::FeedStale | Self::TaskFailed => HealthStatus::NotReady,
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
    /// Creates a check without parts, which is always ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the revocation feed.
    pub fn with_revocations(mut self, revocations: Revocations) -> Self {
        self.revocations = Some(revocations);
        self
    }

    /// Adds the keys of an issuer. Call it once per issuer.
    pub fn with_issuer_keys(mut self, keys: RemoteKeys) -> Self {
        self.issuers.push(keys);
        self
    }

    /// Adds the app's own rotating keys.
    pub fn with_rotation(mut self, rotation: RotationHealth) -> Self {
        self.rotation = Some(rotation);
        self
    }

    /// Adds the tasks that keep the other parts up to date.
    pub(crate) fn with_tasks(mut self, tasks: TaskHealth) -> Self {
        self.tasks = Some(tasks);
        self
    }

    /// Pings the session store on every check. Do not expose the endpoint publicly.
    pub fn with_sessions(mut self, sessions: Sessions) -> Self {
        self.sessions = Some(sessions);
        self
    }

    /// Runs the check. Takes at most two seconds.
    pub async fn check(&self) -> HealthReport {
        let feed = self.revocations.as_ref().and_then(of_feed);
        let issuers = self.issuers.iter().filter_map(of_issuer);
        let own = self.rotation.as_ref().filter(|own| !own.is_current());
        let tasks = self.tasks.as_ref().filter(|tasks| !tasks.all_work());
        let mut reasons: Vec<HealthReason> = feed
            .into_iter()
            .chain(issuers)
            .chain(own.map(|_| HealthReason::OwnKeysStale))
            .chain(tasks.map(|_| HealthReason::TaskFailed))
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

/// A health check at a path of its own.
///
/// # Security
/// Every check pings the session store: do not expose the path publicly.
#[derive(Clone, Debug)]
pub struct HealthEndpoint {
    path: Box<str>,
    health: Health,
}

impl HealthEndpoint {
    /// Creates the endpoint at `path`, such as `/ready`.
    ///
    /// # Errors
    /// [`ConfigError`] if it is not a plain path.
    pub fn new(path: &str, health: Health) -> Result<Self, ConfigError> {
        let path = checked_path(path)?;
        Ok(Self { path, health })
    }
}

impl Endpoint for HealthEndpoint {
    fn path(&self) -> &str {
        &self.path
    }

    fn methods(&self) -> &'static str {
        "GET, HEAD"
    }

    fn respond(&self, request: &dyn RequestView, _: &[u8]) -> BoxFuture<Response> {
        if !matches!(request.method(), "GET" | "HEAD") {
            return reply::ready(reply::method_not_allowed(self.methods()));
        }
        let health = self.health.clone();
        Box::pin(async move { health.check().await.response() })
    }

    fn max_body_bytes(&self) -> usize {
        0
    }
}

/// The result of a health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthReport {
    reasons: Vec<HealthReason>,
}

impl HealthReport {
    /// The worst status of all reasons.
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

    /// The reasons why the node is not ready.
    #[must_use]
    pub fn reasons(&self) -> &[HealthReason] {
        &self.reasons
    }

    /// The response to a load balancer: 200, or 503 if the node is not ready.
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
            .with_content("application/json", body.to_string())
    }
}
