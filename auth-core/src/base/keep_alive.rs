//! [`KeepAlive`]: a share in running tasks.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// A share in tasks that end with the last share.
#[derive(Clone)]
pub(crate) struct KeepAlive(
    #[expect(dead_code, reason = "held, not read")] Arc<dyn Any + Send + Sync>,
);

impl KeepAlive {
    pub(crate) fn new(kept: Arc<dyn Any + Send + Sync>) -> Self {
        Self(kept)
    }
}

impl fmt::Debug for KeepAlive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeepAlive")
    }
}
