//! Counters, gauges and histograms through the [`metrics`](https://docs.rs/metrics) facade, with
//! the feature `metrics`.
//!
//! 1. [`METRICS`] lists every metric of this crate.
//! 2. Label values come from closed sets: fixed words of this crate, and issuers as they were
//!    configured. No part of a request is ever a label.
//! 3. Freshness is reported as the time of the last success, in seconds since 1970. It ages by
//!    itself, even if the task that should renew it has ended. Subtract it from the current time.
//! 4. A cache hit costs one addition to a counter of its cache; every 64 hits are passed on
//!    together. No other code on that path touches metrics.
//! 5. Without the feature only the list is compiled.
//! 6. Counters of rare events (reuse, ended sessions, 503, failures of the app's own keys) start at
//!    zero with all their labels when they are described. Prometheus' `rate` and `increase` miss the
//!    first event of a counter that appears with it.
//!
//! Install a recorder in `main`, such as the one of `metrics-exporter-prometheus`, then call
//! `describe()` to register units and descriptions.

pub(crate) mod record;

#[cfg(feature = "metrics")]
pub use self::record::describe;

pub(crate) use self::record::{
    accepted, fetched, followed, hit, joined, keys_changed, keys_failed, logged_in, purged,
    refreshed, refused, rejected, replayed, reused, revoked, task_failed, unavailable,
};

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// A value that only increases.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// A distribution of values.
    Histogram,
}

impl MetricKind {
    /// The kind as a lower-case word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Name, kind, unit and labels of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Name of the metric.
    pub name: &'static str,
    /// Kind of the metric.
    pub kind: MetricKind,
    /// Unit: `seconds`, or the thing that is counted.
    pub unit: &'static str,
    /// Names of the labels.
    pub labels: &'static [&'static str],
    /// Description of the metric.
    pub help: &'static str,
}

/// Generates a constant for each metric, and the list of all.
macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal of $unit:literal by $labels:tt: $help:literal;)*) => {
        $(pub(crate) const $constant: Metric = Metric {
            name: $name,
            kind: MetricKind::$kind,
            unit: $unit,
            labels: &$labels,
            help: $help,
        };)*

        /// All metrics of this crate, sorted by name.
        pub const METRICS: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    CACHE_HITS = Counter "auth_cache_hits_total" of "tokens" by []:
        "Cache hits of verified tokens, counted 64 at a time.";
    FETCHES = Counter "auth_issuer_fetches_total" of "fetches" by ["issuer", "outcome"]:
        "Fetches of an issuer's keys: `ok`, or the fault.";
    ISSUER_KEYS = Gauge "auth_issuer_keys" of "keys" by ["issuer"]:
        "Usable keys of an issuer.";
    FETCHED_AT = Gauge "auth_issuer_keys_fetched_timestamp_seconds" of "seconds" by ["issuer"]:
        "Time at which an issuer's keys were last fetched or confirmed.";
    KEY_CHANGES = Counter "auth_key_changes_total" of "changes" by []:
        "Changes of the app's own keys by this node.";
    KEY_FAILURES = Counter "auth_key_failures_total" of "failures" by []:
        "Failed reads or changes of the app's own keys.";
    LOGINS = Counter "auth_logins_total" of "logins" by ["outcome"]:
        "Logins by outcome: `done`, `disabled`, `invalid`, `superseded`, `unavailable`.";
    JOINS = Counter "auth_refresh_joins_total" of "refreshes" by []:
        "Refreshes that shared the row of a concurrent refresh of the same session.";
    REFRESHES = Counter "auth_refreshes_total" of "refreshes" by ["outcome"]:
        "Refreshes by outcome: a kind of grant, or the reason for none.";
    REFUSALS = Counter "auth_refusals_total" of "requests" by ["cause"]:
        "Requests refused by a guard, by the failed check.";
    REPLAY_AGE = Histogram "auth_replay_age_seconds" of "seconds" by ["outcome"]:
        "Age of a rotation when its predecessor was used again, by outcome: `replayed`, `held`, \
         `recovered` or `recent_predecessor`.";
    REUSES = Counter "auth_reuse_total" of "sessions" by ["cause"]:
        "Sessions ended by the reuse of a refresh token.";
    REVOCATIONS_AT = Gauge "auth_revocation_complete_timestamp_seconds" of "seconds" by []:
        "Time up to which this node knows every revocation.";
    REVOCATIONS = Gauge "auth_revocation_entries" of "entries" by []:
        "Entries in this node's revocation list.";
    REVOKED = Counter "auth_revoked_total" of "revocations" by ["reason"]:
        "Sessions ended before their expiry. The end of all sessions of a subject counts once.";
    PURGED = Counter "auth_sessions_purged_total" of "sessions" by []:
        "Removed rows of ended sessions.";
    STORE_CALLS = Histogram "auth_store_call_seconds" of "seconds" by ["call"]:
        "Duration of calls to the session store, failed ones included.";
    STORE_ERRORS = Counter "auth_store_errors_total" of "errors" by ["call", "kind"]:
        "Failed calls to the session store.";
    TASK_FAILURES = Counter "auth_task_failures_total" of "failures" by ["task"]:
        "Panics and unexpected ends of the tasks of `Auth`: `feed`, `keys` or `purge`.";
    UNAVAILABLE = Counter "auth_unavailable_total" of "requests" by ["kind"]:
        "Session requests with 503 or 500, by the failure.";
    VERIFICATIONS = Counter "auth_verifications_total" of "tokens" by ["outcome"]:
        "Verified access tokens: `accepted`, or the failed check. Refused tokens from the cache \
         are included.";
}
