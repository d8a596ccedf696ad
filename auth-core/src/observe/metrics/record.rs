//! One recording function per event. They do nothing without the feature `metrics`.

use std::time::Duration;

#[cfg(feature = "metrics")]
use ::metrics::{Label, Unit};

use crate::base::clock::Timestamp;
use crate::base::error::Cause;
use crate::observe::metrics::{
    CACHE_HITS, FETCHED_AT, FETCHES, ISSUER_KEYS, JOINS, KEY_CHANGES, KEY_FAILURES, LOGINS, Metric,
    PURGED, REFRESHES, REFUSALS, REPLAY_AGE, REUSES, REVOCATIONS, REVOCATIONS_AT, REVOKED,
    TASK_FAILURES, UNAVAILABLE, VERIFICATIONS,
};
#[cfg(feature = "metrics")]
use crate::observe::metrics::{METRICS, MetricKind};
use crate::observe::words::{FetchFault, ReuseCause, RevokeReason, TaskName, UnavailableKind};

/// Counts an accepted token. Allocates nothing.
pub(crate) fn accepted() {
    #[cfg(feature = "metrics")]
    ::metrics::counter!(VERIFICATIONS.name, "outcome" => "accepted").increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = VERIFICATIONS;
}

/// Counts tokens that were answered from the cache.
pub(crate) fn hit(tokens: u64) {
    add(&CACHE_HITS, [], tokens);
}

/// Counts a rejected token, by the check that failed.
pub(crate) fn rejected(cause: Cause) {
    add(&VERIFICATIONS, [("outcome", cause.as_str())], 1);
}

/// Counts a request that a guard refused.
pub(crate) fn refused(cause: Cause) {
    add(&REFUSALS, [("cause", cause.as_str())], 1);
}

pub(crate) fn logged_in(outcome: &'static str) {
    add(&LOGINS, [("outcome", outcome)], 1);
}

pub(crate) fn refreshed(outcome: &'static str) {
    add(&REFRESHES, [("outcome", outcome)], 1);
}

/// Counts a refresh that shared the row of a concurrent refresh.
pub(crate) fn joined() {
    add(&JOINS, [], 1);
}

/// Records the `age` of the rotation when the predecessor of a refresh token was used again.
pub(crate) fn replayed(outcome: &'static str, age: Duration) {
    measure(&REPLAY_AGE, [("outcome", outcome)], age);
}

pub(crate) fn reused(cause: ReuseCause) {
    add(&REUSES, [("cause", cause.as_str())], 1);
}

pub(crate) fn revoked(reason: RevokeReason) {
    add(&REVOKED, [("reason", reason.as_str())], 1);
}

pub(crate) fn unavailable(kind: UnavailableKind) {
    add(&UNAVAILABLE, [("kind", kind.as_str())], 1);
}

pub(crate) fn purged(sessions: u32) {
    add(&PURGED, [], u64::from(sessions));
}

/// Sets the time up to which this node knows every revocation, and the number of entries.
pub(crate) fn followed(at: Timestamp, entries: usize) {
    set(&REVOCATIONS_AT, None, seconds(at));
    set(&REVOCATIONS, None, number(entries));
}

/// Records a fetch of an issuer's keys that ended at `at`. `issuer` is the configured one.
pub(crate) fn fetched(issuer: &str, fault: Option<FetchFault>, keys: usize, at: Timestamp) {
    let outcome = fault.map_or("ok", FetchFault::as_str);
    #[cfg(feature = "metrics")]
    ::metrics::counter!(FETCHES.name, "issuer" => issuer.to_owned(), "outcome" => outcome)
        .increment(1);
    #[cfg(not(feature = "metrics"))]
    let _ = (FETCHES, outcome);
    set(&ISSUER_KEYS, Some(issuer), number(keys));
    if fault.is_none() {
        set(&FETCHED_AT, Some(issuer), seconds(at));
    }
}

pub(crate) fn keys_changed() {
    add(&KEY_CHANGES, [], 1);
}

pub(crate) fn keys_failed() {
    add(&KEY_FAILURES, [], 1);
}

pub(crate) fn task_failed(task: TaskName) {
    add(&TASK_FAILURES, [("task", task.as_str())], 1);
}

/// Starts rare counters at zero: a rate needs a value before the first event, or it never shows
/// that event.
#[cfg(feature = "metrics")]
fn start_at_zero() {
    for metric in [JOINS, KEY_CHANGES, KEY_FAILURES, PURGED] {
        add(&metric, [], 0);
    }
    for cause in ReuseCause::ALL {
        add(&REUSES, [("cause", cause.as_str())], 0);
    }
    for reason in RevokeReason::ALL {
        add(&REVOKED, [("reason", reason.as_str())], 0);
    }
    for task in TaskName::ALL {
        add(&TASK_FAILURES, [("task", task.as_str())], 0);
    }
    for kind in UnavailableKind::ALL {
        add(&UNAVAILABLE, [("kind", kind.as_str())], 0);
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "milliseconds stay below 2^52 for 140,000 years"
)]
fn seconds(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1000.0
}

#[allow(clippy::cast_precision_loss, reason = "nothing has 2^52 entries")]
fn number(count: usize) -> f64 {
    count as f64
}

type Labels<const N: usize> = [(&'static str, &'static str); N];

pub(crate) fn add<const N: usize>(metric: &Metric, labels: Labels<N>, by: u64) {
    #[cfg(feature = "metrics")]
    ::metrics::counter!(metric.name, owned(labels)).increment(by);
    #[cfg(not(feature = "metrics"))]
    let _ = (metric, labels, by);
}

pub(crate) fn measure<const N: usize>(metric: &Metric, labels: Labels<N>, time: Duration) {
    #[cfg(feature = "metrics")]
    ::metrics::histogram!(metric.name, owned(labels)).record(time.as_secs_f64());
    #[cfg(not(feature = "metrics"))]
    let _ = (metric, labels, time);
}

fn set(metric: &Metric, issuer: Option<&str>, value: f64) {
    #[cfg(feature = "metrics")]
    {
        let labels = issuer.map(|issuer| Label::new("issuer", issuer.to_owned()));
        ::metrics::gauge!(metric.name, Vec::from_iter(labels)).set(value);
    }
    #[cfg(not(feature = "metrics"))]
    let _ = (metric, issuer, value);
}

#[cfg(feature = "metrics")]
fn owned<const N: usize>(labels: Labels<N>) -> Vec<Label> {
    let labels = labels.into_iter();
    labels
        .map(|(name, value)| Label::from_static_parts(name, value))
        .collect()
}

/// Registers unit and description of all [`METRICS`] with the installed recorder, and starts the
/// rare counters at zero.
#[cfg(feature = "metrics")]
pub fn describe() {
    start_at_zero();
    for metric in METRICS {
        let unit = match metric.unit {
            "seconds" => Unit::Seconds,
            _ => Unit::Count,
        };
        match metric.kind {
            MetricKind::Counter => ::metrics::describe_counter!(metric.name, unit, metric.help),
            MetricKind::Gauge => ::metrics::describe_gauge!(metric.name, unit, metric.help),
            MetricKind::Histogram => ::metrics::describe_histogram!(metric.name, unit, metric.help),
        }
    }
}
