//! Metrics in the Prometheus format.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::Reply;
use crate::config::Config;

/// Histogram buckets in seconds, from a local store to a call near its time limit.
const BUCKETS: &[f64] = &[
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0,
    10.0, 30.0, 120.0,
];

/// The recorder behind `/metrics`, if it is turned on.
#[derive(Clone)]
pub struct Metrics(Option<PrometheusHandle>);

impl Metrics {
    /// Installs the recorder if the configuration turns it on.
    ///
    /// # Errors
    /// If another recorder is installed.
    pub fn install(config: &Config) -> Result<Self, BuildError> {
        if !config.metrics {
            return Ok(Self(None));
        }
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), BUCKETS)?
            .install_recorder()?;
        auth_core::metrics::describe();
        Ok(Self(Some(recorder)))
    }

    /// Renders the metrics. In production, serve them on a port that only Prometheus can reach.
    #[must_use]
    pub fn reply(&self) -> Reply {
        let Some(recorder) = &self.0 else {
            return Reply::problem(404, "not found");
        };
        recorder.run_upkeep();
        Reply::new(200, "text/plain; version=0.0.4", recorder.render())
    }
}
