//! What runs beside the requests.

use std::time::Duration;

use auth_core::revocation::Follower;
use auth_core::rotation::KeyRotation;
use auth_core::session::Sessions;

/// How often ended sessions are cleared away.
const PURGE_EVERY: Duration = Duration::from_secs(10 * 60);

/// Follows the revocations of other nodes, rotates the keys and clears away old sessions, until
/// dropped. Spawn it, and abort it when the last request is answered: whatever it is doing then
/// has happened or has not.
pub async fn upkeep(follower: Follower, rotation: KeyRotation, sessions: Sessions) {
    let purging = sessions.purge_every(PURGE_EVERY);
    tokio::join!(follower.run(), rotation.run(), purging);
}
