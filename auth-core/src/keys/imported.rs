//! [`Imported`]: parsed key material, passed from the importers to [`Key`].

use crate::keys::backend::{SignToken, VerifySignature};
use crate::keys::public::PublicParts;
use std::sync::Arc;

/// Parsed key material.
pub(super) struct Imported {
    pub(super) verifier: Arc<dyn VerifySignature>,
    pub(super) signer: Option<Arc<dyn SignToken>>,
    pub(super) public: Option<PublicParts>,
}
