//! The state shared by all clones of [`Sessions`](crate::session::Sessions): its parts, and the
//! steps of every call.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::base::id::SessionId;
use crate::observe::events::{Event, Events};
use crate::observe::metrics;
use crate::observe::words::UnavailableKind;
use crate::revocation::Revocations;
use crate::session::flight::Flights;
use crate::session::hook::{ClaimsHook, CurrentClaims, UserQuery, UserState};
use crate::session::outcome::Unavailable;
use crate::session::policy::SessionPolicy;
use crate::session::replays::ReplayLog;
use crate::session::store::RefreshStore;
use crate::session::store::error::StoreError;
use crate::session::store::record::SessionDetails;
use crate::session::token::RefreshCodec;
use crate::token::issuer::Issuer;

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) issuer: Issuer,
    pub(super) store: Arc<dyn RefreshStore>,
    pub(super) codec: Arc<RefreshCodec>,
    pub(super) policy: SessionPolicy,
    pub(super) hook: Arc<dyn ClaimsHook>,
    pub(super) events: Option<Arc<dyn Events>>,
    pub(super) revocations: Option<Revocations>,
    pub(super) access: AccessKind,
    pub(super) flights: Flights,
    pub(super) replays: ReplayLog,
    pub(super) longest: LongestLifetime,
}

/// The format of access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AccessKind {
    Jwt,
    Reference,
}

/// The longest access token lifetime in the store, in milliseconds; 0 until the store has this
/// node's. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct LongestLifetime(Arc<AtomicU64>);

impl LongestLifetime {
    pub(super) fn known(&self) -> Option<Duration> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            millis => Some(Duration::from_millis(millis)),
        }
    }

    /// Tells the store the lifetime of `issuer`'s access tokens, and learns the longest of all
    /// issuers.
    pub(super) async fn raise(
        &self,
        store: &dyn RefreshStore,
        issuer: &str,
        lifetime: Duration,
    ) -> Result<(), StoreError> {
        let longest = store.raise_access_lifetime(issuer, lifetime).await?;
        let millis = u64::try_from(longest.max(lifetime).as_millis()).unwrap_or(u64::MAX);
        self.0.store(millis, Ordering::Release);
        Ok(())
    }
}

impl Inner {
    /// The user's current claims from the app's hook. `None` if the user is disabled.
    pub(super) async fn current_claims(
        &self,
        subject: &str,
        session: SessionId,
        details: &SessionDetails,
    ) -> Result<Option<CurrentClaims>, Unavailable> {
        let query = UserQuery {
            subject,
            session,
            details,
        };
        match self.hook.current(&query).await {
            Ok(UserState::Enabled(claims)) => Ok(Some(claims)),
            Ok(UserState::Disabled) => Ok(None),
            Err(error) => {
                Err(Unavailable::new(UnavailableKind::Claims).with_source(error.into_source()))
            }
        }
    }

    pub(super) fn emit(&self, event: &Event<'_>) {
        event.trace();
        match event {
            Event::Reuse { cause, .. } => metrics::reused(*cause),
            Event::Revoked { reason, .. } => metrics::revoked(*reason),
            _ => {}
        }
        if let Some(events) = &self.events {
            events.on_event(event);
        }
    }

    pub(super) async fn within_deadline<T>(
        &self,
        work: impl Future<Output = Result<T, Unavailable>>,
    ) -> Result<T, Unavailable> {
        match tokio::time::timeout(self.policy.request_deadline(), work).await {
            Ok(result) => result,
            Err(_) => Err(Unavailable::new(UnavailableKind::Deadline)),
        }
    }
}
