//! Counters, gauges and histograms through the [`metrics`](https://docs.rs/metrics) facade, with
//! the feature `metrics`.
//!
//! 1. [`METRICS`] lists every metric of this crate.
//! 2. Label values come from closed sets: fixed words of this crate, and issuers as they were
//!    configured. No part of a request is ever a label.
//! 3. Freshness is reported as the time of the last success, in seconds since 1970. It ages by
//!    itself, even if the task that should renew it has ended. Subtract it from the current time.
//! 4. A cache hit costs one addition to a counter of its thread; every 64 hits are passed on
//!    together. No other code on that path touches metrics.
//! 5. Without the feature only the list is compiled.
//! 6. Counters of rare events (reuse, ended sessions, 503, failures of the app's own keys) start at
//!    zero with all their labels when they are described. Prometheus' `rate` and `increase` miss the
//!    first event of a counter that appears with it.
//!
//! Install a recorder in `main`, such as the one of `metrics-exporter-prometheus`, then call
//! `describe()` to register units and descriptions.

#[cfg(feature = "metrics")]
pub(crate) mod hits;
pub(crate) mod record;

#[cfg(feature = "metrics")]
pub use self::record::describe;

#[cfg(feature = "metrics")]
pub(crate) use self::hits::Hits;
pub(crate) use self::record::{
    accepted, fetched, followed, joined, keys_changed, keys_failed, logged_in, purged, refreshed,
    refused, rejected, replayed, reused, revoked, task_failed, unavailable,
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

const fn counter(
    name: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: MetricKind::Counter,
        unit,
        labels,
        help,
    }
}

const fn gauge(
    name: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: MetricKind::Gauge,
        unit,
        labels,
        help,
    }
}

const fn seconds(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: MetricKind::Histogram,
        unit: "seconds",
        labels,
        help,
    }
}

pub(crate) const CACHE_HITS: Metric = counter(
    "auth_cache_hits_total",
    "tokens",
    &[],
    "Cache hits of verified tokens, counted 64 at a time.",
);
pub(crate) const FETCHES: Metric = counter(
    "auth_issuer_fetches_total",
    "fetches",
    &["issuer", "outcome"],
    "Fetches of an issuer's keys: `ok`, or the fault.",
);
pub(crate) const FETCHED_AT: Metric = gauge(
    "auth_issuer_keys_fetched_timestamp_seconds",
    "seconds",
    &["issuer"],
    "Time at which an issuer's keys were last fetched or confirmed.",
);
pub(crate) const ISSUER_KEYS: Metric = gauge(
    "auth_issuer_keys",
    "keys",
    &["issuer"],
    "Usable keys of an issuer.",
);
pub(crate) const JOINS: Metric = counter(
    "auth_refresh_joins_total",
    "refreshes",
    &[],
    "Refreshes that shared the row of a concurrent refresh of the same session.",
);
pub(crate) const KEY_CHANGES: Metric = counter(
    "auth_key_changes_total",
    "changes",
    &[],
    "Changes of the app's own keys by this node.",
);
pub(crate) const KEY_FAILURES: Metric = counter(
    "auth_key_failures_total",
    "failures",
    &[],
    "Failed reads or changes of the app's own keys.",
);
pub(crate) const LOGINS: Metric = counter(
    "auth_logins_total",
    "logins",
    &["outcome"],
    "Logins by outcome: `done`, `disabled`, `invalid`, `superseded`, `unavailable`.",
);
pub(crate) const PURGED: Metric = counter(
    "auth_sessions_purged_total",
    "sessions",
    &[],
    "Removed rows of ended sessions.",
);
pub(crate) const REFRESHES: Metric = counter(
    "auth_refreshes_total",
    "refreshes",
    &["outcome"],
    "Refreshes by outcome: a kind of grant, or the reason for none.",
);
pub(crate) const REFUSALS: Metric = counter(
    "auth_refusals_total",
    "requests",
    &["cause"],
    "Requests refused by a guard, by the failed check.",
);
pub(crate) const REPLAY_AGE: Metric = seconds(
    "auth_replay_age_seconds",
    &["outcome"],
    "Age of a rotation when its predecessor was used again, by outcome: `replayed`, `held`, \
     `recovered` or `recent_predecessor`.",
);
pub(crate) const REUSES: Metric = counter(
    "auth_reuse_total",
    "sessions",
    &["cause"],
    "Sessions ended by the reuse of a refresh token.",
);
pub(crate) const REVOCATIONS: Metric = gauge(
    "auth_revocation_entries",
    "entries",
    &[],
    "Entries in this node's revocation list.",
);
pub(crate) const REVOCATIONS_AT: Metric = gauge(
    "auth_revocation_complete_timestamp_seconds",
    "seconds",
    &[],
    "Time up to which this node knows every revocation.",
);
pub(crate) const REVOKED: Metric = counter(
    "auth_revoked_total",
    "revocations",
    &["reason"],
    "Sessions ended before their expiry. The end of all sessions of a subject counts once.",
);
pub(crate) const STORE_CALLS: Metric = seconds(
    "auth_store_call_seconds",
    &["call"],
    "Duration of calls to the session store, failed ones included.",
);
pub(crate) const STORE_ERRORS: Metric = counter(
    "auth_store_errors_total",
    "errors",
    &["call", "kind"],
    "Failed calls to the session store.",
);
pub(crate) const TASK_FAILURES: Metric = counter(
    "auth_task_failures_total",
    "failures",
    &["task"],
    "Panics and unexpected ends of the tasks of `Auth`: `feed`, `keys` or `purge`.",
);
pub(crate) const UNAVAILABLE: Metric = counter(
    "auth_unavailable_total",
    "requests",
    &["kind"],
    "Session requests with 503 or 500, by the failure.",
);
pub(crate) const VERIFICATIONS: Metric = counter(
    "auth_verifications_total",
    "tokens",
    &["outcome"],
    "Verified access tokens: `accepted`, or the failed check. Refused tokens from the cache are \
     included.",
);

/// All metrics of this crate, sorted by name.
pub const METRICS: &[Metric] = &[
    CACHE_HITS,
    FETCHES,
    ISSUER_KEYS,
    FETCHED_AT,
    KEY_CHANGES,
    KEY_FAILURES,
    LOGINS,
    JOINS,
    REFRESHES,
    REFUSALS,
    REPLAY_AGE,
    REUSES,
    REVOCATIONS_AT,
    REVOCATIONS,
    REVOKED,
    PURGED,
    STORE_CALLS,
    STORE_ERRORS,
    TASK_FAILURES,
    UNAVAILABLE,
    VERIFICATIONS,
];
