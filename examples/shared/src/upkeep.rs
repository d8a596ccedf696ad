//! What runs beside the requests.

use std::time::Duration;

use auth_core::revocation::Follower;
use auth_core::session::Sessions;

/// How often ended sessions are cleared away.
const PURGE_EVERY: Duration = Duration::from_secs(10 * 60);

/// Follows the revocations of other nodes and clears away old sessions, until dropped. Spawn it.
pub async fn upkeep(follower: Follower, sessions: Sessions) {
    let purge = async {
        let mut turns = tokio::time::interval(PURGE_EVERY);
        loop {
            turns.tick().await;
            if let Err(error) = sessions.purge().await {
                tracing::warn!(%error, "old sessions stay a little longer");
            }
        }
    };
    tokio::join!(follower.run(), purge);
}
