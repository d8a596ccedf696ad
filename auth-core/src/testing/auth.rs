//! An [`Auth`] for tests of an app.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::auth::{Access, Auth, AuthBuilder};
use crate::base::clock::{Clock, Timestamp};
use crate::session::store::StoreClock;
use crate::session::store::memory::MemoryStore;
use crate::testing::ManualClock;
use crate::token::issuer::{AccessTokenRequest, MintError};

/// Initial time of the clock, in January 2027.
const START: Timestamp = Timestamp::from_secs(1_800_000_000);

impl Auth<()> {
    /// Starts an [`Auth`] for tests of an app: sessions in memory, and a clock that stands still
    /// until the test [advances](Auth::advance) it. No task runs, and no revocation list is stale,
    /// however far the clock is advanced.
    ///
    /// The rest is built like the app's own. A token for any user is one line:
    ///
    /// ```
    /// use std::time::Duration;
    /// use auth_core::{Access, Auth};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let auth = Auth::testing().start().await?;
    /// let token = auth.token_for("alice", Access::new(()).with_roles(["admin"])).await?;
    /// // … a request with `Authorization: Bearer {token}` passes …
    /// auth.advance(Duration::from_secs(3600));
    /// // … and gets a 401 now.
    /// # let _ = token;
    /// # Ok(())
    /// # }
    /// ```
    pub fn testing() -> AuthBuilder<()> {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(START));
        let store = MemoryStore::new().with_clock(StoreClock::driven(Arc::clone(&clock)));
        let mut builder = Auth::for_issuer("https://app.example")
            .audience("https://app.example/api")
            .store(store);
        builder.settings.for_testing(clock);
        builder
    }
}

impl<T> Auth<T> {
    /// Advances the clock of an [`Auth::testing`]. Any other clock stays as it is.
    pub fn advance(&self, by: Duration) {
        let clock: &dyn Any = &**self.issuer().clock();
        if let Some(clock) = clock.downcast_ref::<ManualClock>() {
            clock.advance(by);
        }
    }
}

impl<T: Serialize> Auth<T> {
    /// Issues an access token for a user with this access, without a lookup of the user and without
    /// a session.
    ///
    /// # Errors
    /// [`MintError`] if the claims do not fit into a token.
    pub async fn token_for(&self, subject: &str, access: Access<T>) -> Result<String, MintError> {
        let mut request = AccessTokenRequest::for_subject(subject).with_roles(access.roles);
        if let Some(scope) = access.scope {
            request = request.with_scope(scope);
        }
        // `()` is written as null: no claims.
        if !matches!(
            serde_json::to_value(&access.claims),
            Ok(serde_json::Value::Null)
        ) {
            request = request.with_claims(&access.claims)?;
        }
        Ok(self.issuer().mint(&request).await?.expose().to_owned())
    }
}
