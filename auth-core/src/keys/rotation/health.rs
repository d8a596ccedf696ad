//! [`RotationHealth`]: whether this node knows what the others know.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::base::clock::{Clock, Timestamp};

/// When this node last read the shared keys. For health checks; clones share it.
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

    /// When the shared keys were last read successfully.
    #[must_use]
    pub fn read_at(&self) -> Timestamp {
        Timestamp::from_millis(self.read_at.load(Ordering::Acquire))
    }

    /// How long ago that was.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.clock.now().saturating_since(self.read_at())
    }

    /// Whether that is short enough ago for this node to know every key: otherwise it serves no
    /// JWKS document, and later it does not sign any more either.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.age() <= self.staleness
    }
}
