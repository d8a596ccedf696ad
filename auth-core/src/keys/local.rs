//! Signing and verification with aws-lc-rs.
//!
//! `Debug` shows no key material, not even public, so that no outer layer can print it.

use async_trait::async_trait;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeyPairComponents};
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding,
};

use crate::base::opaque::opaque_debug;
use crate::keys::algorithm::Algorithm;
use crate::keys::backend::{SignError, SignToken, SignatureError, VerifySignature};
use crate::keys::fault::KeyFault;
use crate::keys::public::{PublicParts, WRONG_KIND};

/// A prepared HMAC key.
pub(super) struct HmacKey(pub(super) hmac::Key);

impl VerifySignature for HmacKey {
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        // Compares the whole tag in constant time; a truncated one is refused.
        hmac::verify(&self.0, message, signature).map_err(|_| SignatureError)
    }
}

#[async_trait]
impl SignToken for HmacKey {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

opaque_debug!(HmacKey);

/// A parsed private key and its one algorithm.
pub(super) enum PrivateKey {
    Rsa(rsa::KeyPair, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl PrivateKey {
    /// Parses a `PrivateKeyInfo` (RFC 5958). The public key inside, if any, must belong to it.
    pub(super) fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyFault> {
        match algorithm {
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(der).ok().map(Self::Ed),
            Algorithm::Es256 | Algorithm::Es384 => {
                EcdsaKeyPair::from_pkcs8(ec_signing(algorithm)?, der)
                    .ok()
                    .map(Self::Ec)
            }
            _ => {
                let encoding = rsa_encoding(algorithm)?;
                rsa::KeyPair::from_pkcs8(der)
                    .ok()
                    .map(|pair| Self::Rsa(pair, encoding))
            }
        }
        .ok_or(INVALID)
    }

    /// Parses an `RSAPrivateKey` (RFC 8017 appendix A.1.2).
    pub(super) fn from_pkcs1(algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyFault> {
        let encoding = rsa_encoding(algorithm)?;
        let pair = rsa::KeyPair::from_der(der).map_err(|_| INVALID)?;
        Ok(Self::Rsa(pair, encoding))
    }

    /// Parses an `ECPrivateKey` (RFC 5915).
    pub(super) fn from_sec1(algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyFault> {
        EcdsaKeyPair::from_private_key_der(ec_signing(algorithm)?, der)
            .map(Self::Ec)
            .map_err(|_| INVALID)
    }

    /// Creates a key from the private members of a JWK, which must belong to the public ones.
    pub(super) fn from_rsa(
        algorithm: Algorithm,
        components: &KeyPairComponents<&[u8]>,
    ) -> Result<Self, KeyFault> {
        let encoding = rsa_encoding(algorithm)?;
        let pair = rsa::KeyPair::from_components(components).map_err(|_| INVALID)?;
        Ok(Self::Rsa(pair, encoding))
    }

    /// Creates a key from a scalar and the point that must belong to it.
    pub(super) fn from_scalar(
        algorithm: Algorithm,
        scalar: &[u8],
        x: &[u8],
        y: &[u8],
    ) -> Result<Self, KeyFault> {
        let point = [&[4], x, y].concat();
        EcdsaKeyPair::from_private_key_and_public_key(ec_signing(algorithm)?, scalar, &point)
            .map(Self::Ec)
            .map_err(|_| INVALID)
    }

    /// Creates a key from a seed and the public key that must belong to it.
    pub(super) fn from_seed(seed: &[u8], x: &[u8]) -> Result<Self, KeyFault> {
        Ed25519KeyPair::from_seed_and_public_key(seed, x)
            .map(Self::Ed)
            .map_err(|_| INVALID)
    }

    /// The public numbers.
    pub(super) fn public(&self) -> Result<PublicParts, KeyFault> {
        match self {
            Self::Rsa(pair, _) => PublicParts::from_pkcs1(pair.public_key().as_ref()),
            Self::Ec(pair) => PublicParts::from_point(pair.public_key().as_ref()),
            Self::Ed(pair) => Ok(PublicParts::Ed {
                x: pair.public_key().as_ref().to_vec(),
            }),
        }
    }
}

const INVALID: KeyFault = KeyFault::key(
    "the private key is not valid: it is damaged, its parts do not belong together, or an RSA key \
     has less than 2048 bits",
);

/// ECDSA in the form of JWS: `r || s` (RFC 7518 §3.4).
pub(super) fn ec_signing(algorithm: Algorithm) -> Result<&'static EcdsaSigningAlgorithm, KeyFault> {
    match algorithm {
        Algorithm::Es256 => Ok(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::Es384 => Ok(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        _ => Err(WRONG_KIND),
    }
}

fn rsa_encoding(algorithm: Algorithm) -> Result<&'static dyn RsaEncoding, KeyFault> {
    Ok(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
        _ => return Err(WRONG_KIND),
    })
}

#[async_trait]
impl SignToken for PrivateKey {
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = match self {
            Self::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &SystemRandom::new(), message, &mut signature)
                    .map(|()| signature)
            }
            Self::Ec(pair) => pair
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec()),
            Self::Ed(pair) => pair
                .try_sign(message)
                .map(|signature| signature.as_ref().to_vec()),
        };
        signature.map_err(|_| SignError::new("aws-lc failed to sign"))
    }
}

opaque_debug!(PrivateKey);
