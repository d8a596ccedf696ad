//! Keys that rotate by themselves: made, published, used and retired on a schedule.
//!
//! 1. A key is published, signs, retires and is gone; [`KeySchedule`] derives the times from how
//!    long tokens live and how long verifiers cache keys. A verifier that refreshes its copy of
//!    the JWKS document within `max-age` never meets an unknown key, and no key goes before its
//!    last token has expired.
//! 2. All keys are in one document that all nodes read. Publishing is a compare-and-set of the
//!    whole document, so of many nodes exactly one makes the next key, and a crash leaves the old
//!    document or the new one.
//! 3. The moments at which keys begin to sign are in the document: nodes change over by the clock,
//!    without another write. A shared store's clock is used where there is one.
//! 4. A node that cannot read the document follows what it has read. Before there could be a
//!    successor that it does not know, it stops serving the JWKS document, then stops signing; when
//!    its last token has expired it accepts none any more.
//! 5. Refresh keys rotate in the same way, in the same document, and stay for twice the longest
//!    idle time.
//! 6. The document is a secret. In a file it is the owner's alone; in a shared store it is sealed
//!    with a key that the store never sees ([`EncryptedKeys`]). A retiring key's private half is
//!    removed as soon as no node signs with it.
//!
//! # When a key has leaked
//! [`KeyRotation::rekey`] replaces all signing keys at once, without any overlap: every access
//! token issued so far is refused as soon as a node has read the document again, and clients
//! refresh.

pub(crate) mod builder;
pub(crate) mod document;
pub(crate) mod health;
pub(crate) mod material;
pub(crate) mod persistence;
pub(crate) mod plan;
pub(crate) mod rules;
pub(crate) mod schedule;
pub(crate) mod sealed;
pub(crate) mod task;

pub use self::builder::KeyRotationBuilder;
pub use self::document::KeyDocument;
pub use self::health::RotationHealth;
pub use self::persistence::{Kept, KeyPersistence, PersistenceError, PersistenceErrorKind};
pub use self::plan::KeyState;
pub use self::schedule::{KeySchedule, RefreshKeySchedule};
pub use self::sealed::{EncryptedKeys, KeyEncryptionKey, SealedKeyStore, SealedKeys, StoredKeys};
pub use self::task::{KeyRotation, RotationError};
pub use crate::endpoints::jwks::JwksEndpoint;

#[cfg(test)]
mod tests;
