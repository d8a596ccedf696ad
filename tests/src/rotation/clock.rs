//! A clock that goes faster than the machine's, from one moment on, the same in all processes.

use std::time::Duration;

use auth_core::{Clock, SystemClock, Timestamp};

/// The machine's clock, sped up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lapse {
    from: Timestamp,
    speed: u32,
}

impl Lapse {
    pub(super) fn new(from: Timestamp, speed: u32) -> Self {
        Self { from, speed }
    }
}

impl Clock for Lapse {
    fn now(&self) -> Timestamp {
        let passed: Duration = SystemClock.now().saturating_since(self.from);
        self.from.saturating_add(passed.saturating_mul(self.speed))
    }
}
