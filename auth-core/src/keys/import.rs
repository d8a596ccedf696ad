//! Import of keys from PEM and DER documents.

use std::sync::Arc;

use crate::keys::algorithm::{Algorithm, Family};
use crate::keys::der::{DerDocument, Kind};
use crate::keys::fault::KeyFault;
use crate::keys::imported::Imported;
use crate::keys::local::PrivateKey;
use crate::keys::public::{PublicParts, WRONG_KIND};
use crate::keys::{der, pem};

/// Imports a key from PEM text. The label must match the content.
pub(super) fn pem(algorithm: Algorithm, text: &[u8]) -> Result<Imported, KeyFault> {
    let block = pem::decode(text)?;
    match der::parse(&block.der) {
        Some(document) if block.is(&document) => from_document(algorithm, &document, &block.der),
        _ => Err(KeyFault::new(
            "PEM key",
            "the content of the block does not match its label",
        )),
    }
}

/// Imports a key from DER bytes.
pub(super) fn der(algorithm: Algorithm, bytes: &[u8]) -> Result<Imported, KeyFault> {
    let document = der::parse(bytes).ok_or(KeyFault::new(
        "DER key",
        "this is not a key in PKCS#8, PKCS#1, SEC 1 or SubjectPublicKeyInfo form",
    ))?;
    from_document(algorithm, &document, bytes)
}

fn from_document(
    algorithm: Algorithm,
    document: &DerDocument<'_>,
    der: &[u8],
) -> Result<Imported, KeyFault> {
    if algorithm.is_symmetric() {
        return Err(KeyFault::key(
            "an HMAC key is a secret of random bytes: use hs256, hs384 or hs512",
        ));
    }
    match *document {
        DerDocument::PublicInfo { kind, key } => {
            check_kind(algorithm, kind)?;
            public(algorithm, public_parts(algorithm, key)?)
        }
        DerDocument::RsaPublic { n, e } => public(algorithm, PublicParts::rsa(n, e)),
        DerDocument::PrivateInfo { kind, .. } => {
            check_kind(algorithm, kind)?;
            private(algorithm, PrivateKey::from_pkcs8(algorithm, der)?)
        }
        DerDocument::RsaPrivate(_) => private(algorithm, PrivateKey::from_pkcs1(algorithm, der)?),
        DerDocument::EcPrivate => private(algorithm, PrivateKey::from_sec1(algorithm, der)?),
        DerDocument::Certificate => Err(KeyFault::new(
            "DER key",
            "this is a certificate; extract its public key with `openssl x509 -pubkey -noout`",
        )),
    }
}

/// Object identifiers decide, so that a key for other uses (RSASSA-PSS only, X25519, another
/// curve) is never tried.
fn check_kind(algorithm: Algorithm, kind: Kind<'_>) -> Result<(), KeyFault> {
    let (identifier, curve) = match (algorithm.family(), algorithm) {
        (Family::Ec, Algorithm::Es256) => (der::EC, Some(der::P256)),
        (Family::Ec, _) => (der::EC, Some(der::P384)),
        (Family::Ed, _) => (der::ED25519, None),
        (Family::Rsa | Family::Hmac, _) => (der::RSA, None),
    };
    if kind.algorithm == identifier && kind.curve == curve {
        Ok(())
    } else {
        Err(WRONG_KIND)
    }
}

fn public_parts(algorithm: Algorithm, key: &[u8]) -> Result<PublicParts, KeyFault> {
    match algorithm.family() {
        Family::Rsa => PublicParts::from_pkcs1(key),
        Family::Ec => PublicParts::from_point(key),
        Family::Ed => Ok(PublicParts::Ed { x: key.to_vec() }),
        Family::Hmac => Err(WRONG_KIND),
    }
}

/// Imports a public key.
pub(super) fn public(algorithm: Algorithm, parts: PublicParts) -> Result<Imported, KeyFault> {
    Ok(Imported {
        verifier: parts.verifier(algorithm)?,
        signer: None,
        public: Some(parts),
    })
}

/// Imports a private key.
pub(super) fn private(algorithm: Algorithm, key: PrivateKey) -> Result<Imported, KeyFault> {
    let imported = public(algorithm, key.public()?)?;
    Ok(Imported {
        signer: Some(Arc::new(key)),
        ..imported
    })
}
