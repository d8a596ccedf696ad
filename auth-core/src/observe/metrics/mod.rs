//! What is counted and measured, through the [`metrics`](https://docs.rs/metrics) facade, with the
//! feature `metrics`.
//!
//! 1. [`METRICS`] lists everything; there is nothing that is not in it.
//! 2. Label values come from closed sets: fixed words of this crate, and issuers as they were
//!    configured. Nothing that a request brings is ever a label.
//! 3. What goes stale is told as the time at which it was good, in seconds since 1970: it grows old
//!    by itself, even if the task that should renew it is gone. Subtract it from the time of now.
//! 4. A token that is answered from the cache costs one addition to a counter of its thread's own;
//!    64 of them are handed on at a time. Nothing else of that path knows of metrics.
//! 5. Without the feature nothing of this is compiled but the list.
//! 6. Counters of what is rare (reuse, ended sessions, 503, failures of our keys) begin at zero, with
//!    all their labels, when they are described: of a counter that appears with its first event
//!    Prometheus' `rate` and `increase` never see that event.
//!
//! Install a recorder in `main`, such as the one of `metrics-exporter-prometheus`, then call
//! `describe()` to hand it units and descriptions.

#[cfg(feature = "metrics")]
pub(crate) mod hits;
pub(crate) mod record;

#[cfg(feature = "metrics")]
pub use self::record::describe;

#[cfg(feature = "metrics")]
pub(crate) use self::hits::Hits;
pub(crate) use self::record::{
    accepted, fetched, followed, joined, keys_changed, keys_failed, logged_in, purged, refreshed,
    refused, rejected, replayed, reused, revoked, unavailable,
};

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Is what it is now.
    Gauge,
    /// Is a distribution.
    Histogram,
}

impl MetricKind {
    /// The kind as a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: MetricKind,
    /// Its unit: `seconds`, or what is counted.
    pub unit: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
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
    "Tokens answered from the cache, handed on 64 at a time.",
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
    "When an issuer's keys were last fetched, or found unchanged.",
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
    "Refreshes that shared the row which another one of the same session had just loaded.",
);
pub(crate) const KEY_CHANGES: Metric = counter(
    "auth_key_changes_total",
    "changes",
    &[],
    "Changes of our own keys by this node.",
);
pub(crate) const KEY_FAILURES: Metric = counter(
    "auth_key_failures_total",
    "failures",
    &[],
    "Times at which our own keys could not be read or changed.",
);
pub(crate) const LOGINS: Metric = counter(
    "auth_logins_total",
    "logins",
    &["outcome"],
    "Logins: `done`, or why not: `disabled`, `invalid`, `superseded`, `unavailable`.",
);
pub(crate) const PURGED: Metric = counter(
    "auth_sessions_purged_total",
    "sessions",
    &[],
    "Rows of ended sessions that were removed.",
);
pub(crate) const REFRESHES: Metric = counter(
    "auth_refreshes_total",
    "refreshes",
    &["outcome"],
    "Refreshes: a kind of grant, or why there was none.",
);
pub(crate) const REFUSALS: Metric = counter(
    "auth_refusals_total",
    "requests",
    &["cause"],
    "Requests that a guard refused, by the check that failed.",
);
pub(crate) const REPLAY_AGE: Metric = seconds(
    "auth_replay_age_seconds",
    &["outcome"],
    "How old a rotation was when its refresh token was used again: `replayed`, `held`, \
     `recovered` or `recent_predecessor`.",
);
pub(crate) const REUSES: Metric = counter(
    "auth_reuse_total",
    "sessions",
    &["cause"],
    "Sessions ended because a token was used twice.",
);
pub(crate) const REVOCATIONS: Metric = gauge(
    "auth_revocation_entries",
    "entries",
    &[],
    "Entries in this node's list of revocations.",
);
pub(crate) const REVOCATIONS_AT: Metric = gauge(
    "auth_revocation_complete_timestamp_seconds",
    "seconds",
    &[],
    "As of when this node knows of every revocation.",
);
pub(crate) const REVOKED: Metric = counter(
    "auth_revoked_total",
    "revocations",
    &["reason"],
    "Ends of sessions before their time; all sessions of a subject at once count as one.",
);
pub(crate) const STORE_CALLS: Metric = seconds(
    "auth_store_call_seconds",
    &["call"],
    "How long calls to the session store took, those included that failed.",
);
pub(crate) const STORE_ERRORS: Metric = counter(
    "auth_store_errors_total",
    "errors",
    &["call", "kind"],
    "Calls to the session store that failed.",
);
pub(crate) const UNAVAILABLE: Metric = counter(
    "auth_unavailable_total",
    "requests",
    &["kind"],
    "Session requests that could not be answered, by what kept them from it.",
);
pub(crate) const VERIFICATIONS: Metric = counter(
    "auth_verifications_total",
    "tokens",
    &["outcome"],
    "Access tokens verified anew: `accepted`, or the check that failed. Refusals of tokens that \
     were in the cache count here too.",
);

/// Every metric, by name.
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
    UNAVAILABLE,
    VERIFICATIONS,
];
