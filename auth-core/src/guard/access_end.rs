//! [`AccessEnd`]: the end of access for connections that outlive their request, such as WebSockets,
//! server-sent events and long streams.
//!
//! 1. A connection ends when a request with its token would be refused. The token has expired
//!    (leeway included), its session or subject was revoked, or this node is too stale
//!    ([`StalePolicy::FailClosed`](crate::revocation::StalePolicy)).
//! 2. A revocation takes effect when this node learns of it: at once for its own, with the feed for
//!    those of others. Expiry and staleness are checked every two seconds, so that a changed clock
//!    is noticed.
//! 3. The client reconnects with a new token; nothing extends a connection from inside.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::base::error::AuthErrorKind;
use crate::guard::context::{AnyVerified, AuthContext};
use crate::guard::verifier::Validity;

/// Time between two checks of the clock.
const LOOK: Duration = Duration::from_secs(2);
/// Minimum time between two checks of one connection during many revocations.
const COALESCE: Duration = Duration::from_millis(20);

/// The reason why a connection must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// The token has expired.
    Expired,
    /// The session or the subject was revoked.
    Revoked,
    /// This node does not know the latest revocations, and its policy is to fail closed.
    Unavailable,
}

impl EndReason {
    /// The reason as a short fixed word, for the client and for logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Unavailable => "unavailable",
        }
    }

    /// The WebSocket close code (RFC 6455 §7.4.1): 1008, policy violation, for a token that is no
    /// longer valid; 1013, try again later, for an unavailable node.
    #[must_use]
    pub fn close_code(self) -> u16 {
        match self {
            Self::Expired | Self::Revoked => 1008,
            Self::Unavailable => 1013,
        }
    }
}

/// The end of a token's access, for connections that outlive their request.
///
/// Created by [`AuthContext::access_end`](crate::AuthContext::access_end). Cheap to clone.
///
/// ```
/// use auth_core::{AccessEnd, EndReason};
///
/// # async fn next_message() -> Option<String> { None }
/// # async fn send(_: String) {}
/// async fn serve(end: AccessEnd) -> EndReason {
///     loop {
///         tokio::select! {
///             reason = end.reached() => return reason,
///             Some(message) = next_message() => send(message).await,
///         }
///     }
/// }
/// ```
#[derive(Clone)]
pub struct AccessEnd {
    verified: Arc<dyn AnyVerified>,
    validity: Arc<Validity>,
}

impl AccessEnd {
    pub(crate) fn new(verified: Arc<dyn AnyVerified>, validity: Arc<Validity>) -> Self {
        Self { verified, validity }
    }

    /// The reason, if the access has ended.
    #[must_use]
    pub fn reason(&self) -> Option<EndReason> {
        let claims = self.verified.registered();
        if self.validity.time_left(claims).is_zero() {
            return Some(EndReason::Expired);
        }
        let now = self.validity.now();
        let error = self.validity.check_revoked(claims, now).err()?;
        Some(match error.kind() {
            AuthErrorKind::Unavailable => EndReason::Unavailable,
            _ => EndReason::Revoked,
        })
    }

    /// Waits until the access has ended. Needs tokio's timer.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing; call it again.
    pub async fn reached(&self) -> EndReason {
        loop {
            let Some(revocations) = &self.validity.revocations else {
                if let Some(reason) = self.reason() {
                    return reason;
                }
                tokio::time::sleep(self.pause()).await;
                continue;
            };
            let mut news = pin!(revocations.news());
            // Every revocation from here on wakes the future.
            news.as_mut().enable();
            if let Some(reason) = self.reason() {
                return reason;
            }
            if tokio::time::timeout(self.pause(), news).await.is_ok() && self.reason().is_none() {
                // The revocation may concern another session.
                tokio::time::sleep(COALESCE).await;
            }
        }
    }

    fn pause(&self) -> Duration {
        let left = self.validity.time_left(self.verified.registered());
        left.min(LOOK)
    }
}

impl fmt::Debug for AccessEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessEnd")
            .field("reason", &self.reason())
            .finish_non_exhaustive()
    }
}

impl AuthContext {
    /// The end of the access that the request's token gives, for WebSockets and other long-lived
    /// connections. `None` if the request is anonymous.
    #[must_use]
    pub fn access_end(&self) -> Option<AccessEnd> {
        let identity = self.identity.as_ref()?;
        let verified = Arc::clone(&identity.verified);
        Some(AccessEnd::new(verified, Arc::clone(&self.runtime.validity)))
    }
}
