//! [`RotationHealth`]: the freshness of this node's keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::base::clock::{Clock, Timestamp};

/// The time of this node's last successful read of the shared keys, for health checks. Clones share
/// it.
#[derive(Clone, Debug)]
pub struct RotationHealth {
    clock: Arc<dyn Clock>,
    staleness: Duration,
    read_at: Arc<AtomicI64>,
}

impl RotationHealth {
    pub(crate) fn new(clock: Arc<dyn Clock>, staleness: Duration) -> Self {
        Self {
            clock,
            staleness,
            read_at: Arc::new(AtomicI64::new(i64::MIN)),
        }
    }

    pub(crate) fn read(&self, at: Timestamp) {
        self.read_at.store(at.as_millis(), Ordering::Release);
    }

    /// The time of the last successful read.
    #[must_use]
    pub fn read_at(&self) -> Timestamp {
        Timestamp::from_millis(self.read_at.load(Ordering::Acquire))
    }

    /// The time since the last successful read.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.clock.now().saturating_since(self.read_at())
    }

    /// Whether the last read is recent enough for this node to know every key. Otherwise it serves
    /// no JWKS document, and later it stops signing too.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.age() <= self.staleness
    }
}
