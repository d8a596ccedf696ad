//! Name resolution that drops forbidden addresses.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address::Reach;

/// The system's resolver without the forbidden addresses. The connection uses exactly the returned
/// addresses, so a name cannot resolve to one address for the check and to another afterwards.
#[derive(Debug)]
pub(crate) struct Resolver(Arc<Reach>);

impl Resolver {
    pub(crate) fn new(reach: Reach) -> Self {
        Self(Arc::new(reach))
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str();
            let found = tokio::net::lookup_host((host, 0)).await?;
            let named = reach.names(host);
            let allowed: Vec<SocketAddr> = found
                .filter(|address| named || reach.allows(address.ip()))
                .collect();
            if allowed.is_empty() {
                return Err(OutOfReach.into());
            }
            let allowed: Addrs = Box::new(allowed.into_iter());
            Ok(allowed)
        })
    }
}

/// The error for a name with forbidden addresses only.
#[derive(Debug)]
pub(crate) struct OutOfReach;

impl OutOfReach {
    /// Whether the source of `error` is this error.
    pub(crate) fn is_behind(error: &(dyn std::error::Error + 'static)) -> bool {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if error.is::<Self>() {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

impl fmt::Display for OutOfReach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name resolves to no allowed address")
    }
}

impl std::error::Error for OutOfReach {}
