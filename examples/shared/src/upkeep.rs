//! Background tasks.

use std::time::Duration;

use auth_core::revocation::Follower;
use auth_core::rotation::KeyRotation;
use auth_core::session::Sessions;

/// Interval between purges of ended sessions.
const PURGE_EVERY: Duration = Duration::from_secs(10 * 60);

/// Follows the revocations of other nodes, rotates the keys and purges old sessions, until dropped.
/// Spawn it, and abort it after the last request: every step is complete or has no effect.
pub async fn upkeep(follower: Follower, rotation: KeyRotation, sessions: Sessions) {
    let purging = sessions.purge_every(PURGE_EVERY);
    tokio::join!(follower.run(), rotation.run(), purging);
}
