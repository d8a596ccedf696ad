//! Key material as the readers hand it to [`Key`].

use crate::keys::backend::{SignToken, VerifySignature};
use crate::keys::public::PublicParts;
use std::sync::Arc;

/// What the importers make of key material.
pub(super) struct Imported {
    pub(super) verifier: Arc<dyn VerifySignature>,
    pub(super) signer: Option<Arc<dyn SignToken>>,
    pub(super) public: Option<PublicParts>,
}
