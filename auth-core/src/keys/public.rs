//! The public numbers of a key, independent of the document format.
//!
//! 1. RSA: a modulus of 2048 to 8192 bits, an odd exponent of at least 3 and at most 33 bits; not
//!    from a generator whose keys can be factored (ROCA).
//! 2. ECDSA: a point on the algorithm's curve, uncompressed. Signatures are `r || s`.
//! 3. Ed25519: a canonical encoding of a point that is not of small order. For points of small order
//!    signatures can be made without a private key.

use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};

use crate::base::opaque::opaque_debug;
use crate::keys::algorithm::Algorithm;
use crate::keys::backend::{SignatureError, VerifySignature};
use crate::keys::der;
use crate::keys::der::DerDocument;
use crate::keys::fault::KeyFault;

/// The public members of a JWK (RFC 7518 §6, RFC 8037 §2), decoded.
#[derive(PartialEq, Eq)]
pub(super) enum PublicParts {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Ec { x: Vec<u8>, y: Vec<u8> },
    Ed { x: Vec<u8> },
}

impl PublicParts {
    /// The numbers of a PKCS#1 public key.
    pub(super) fn from_pkcs1(der: &[u8]) -> Result<Self, KeyFault> {
        match der::parse(der) {
            Some(DerDocument::RsaPublic { n, e }) => Ok(Self::rsa(n, e)),
            _ => Err(KeyFault::key("the RSA public key cannot be read")),
        }
    }

    /// An RSA key. Leading zeros of a number are ignored (RFC 7518 §6.3.1.1 forbids them, some
    /// libraries write them).
    pub(super) fn rsa(n: &[u8], e: &[u8]) -> Self {
        Self::Rsa {
            n: significant(n).to_vec(),
            e: significant(e).to_vec(),
        }
    }

    /// An uncompressed point (SEC 1 §2.3.3).
    pub(super) fn from_point(point: &[u8]) -> Result<Self, KeyFault> {
        match point {
            [4, coordinates @ ..] if coordinates.len() % 2 == 0 => {
                let (x, y) = coordinates.split_at(coordinates.len() / 2);
                Ok(Self::Ec {
                    x: x.to_vec(),
                    y: y.to_vec(),
                })
            }
            _ => Err(KeyFault::key("the point must be in uncompressed form")),
        }
    }

    /// Creates a verifier for signatures under `algorithm`. Checks the numbers.
    pub(super) fn verifier(
        &self,
        algorithm: Algorithm,
    ) -> Result<Arc<dyn VerifySignature>, KeyFault> {
        let parsed = match (self, algorithm) {
            (Self::Ec { x, y }, Algorithm::Es256) => {
                ec_key(&signature::ECDSA_P256_SHA256_FIXED, 32, x, y)?
            }
            (Self::Ec { x, y }, Algorithm::Es384) => {
                ec_key(&signature::ECDSA_P384_SHA384_FIXED, 48, x, y)?
            }
            (Self::Ed { x }, Algorithm::EdDsa) => ed_key(x)?,
            (Self::Rsa { n, e }, _) => rsa_key(rsa_parameters(algorithm)?, n, e)?,
            _ => return Err(WRONG_KIND),
        };
        Ok(Arc::new(PublicKey(parsed)))
    }

    /// The JWK with `kid`, `alg` and `use` (RFC 7517 §4).
    pub(super) fn to_jwk(&self, kid: &str, algorithm: Algorithm) -> String {
        format!(
            r#"{{"kid":"{kid}","use":"sig","alg":"{}",{}}}"#,
            algorithm.as_str(),
            self.members(algorithm)
        )
    }

    /// The required JWK members, in the order of a thumbprint.
    pub(super) fn members(&self, algorithm: Algorithm) -> String {
        let (kty, crv) = algorithm.jwk_type();
        let crv = crv.unwrap_or_default();
        let base64url = |bytes: &[u8]| base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes);
        match self {
            Self::Rsa { n, e } => {
                let (n, e) = (base64url(n), base64url(e));
                format!(r#""e":"{e}","kty":"{kty}","n":"{n}""#)
            }
            Self::Ec { x, y } => {
                let (x, y) = (base64url(x), base64url(y));
                format!(r#""crv":"{crv}","kty":"{kty}","x":"{x}","y":"{y}""#)
            }
            Self::Ed { x } => {
                let x = base64url(x);
                format!(r#""crv":"{crv}","kty":"{kty}","x":"{x}""#)
            }
        }
    }

    /// The key's SHA-256 thumbprint (RFC 7638 §3), for keys that come without an id.
    pub(super) fn thumbprint(&self, algorithm: Algorithm) -> String {
        let canonical = format!("{{{}}}", self.members(algorithm));
        let hash = digest::digest(&digest::SHA256, canonical.as_bytes());
        base64_simd::URL_SAFE_NO_PAD.encode_to_string(hash)
    }
}

pub(super) const WRONG_KIND: KeyFault =
    KeyFault::key("the key has another kind or curve than the algorithm requires");

/// The bytes of a number without leading zeros.
fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn rsa_parameters(algorithm: Algorithm) -> Result<&'static signature::RsaParameters, KeyFault> {
    Ok(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return Err(WRONG_KIND),
    })
}

fn rsa_key(
    parameters: &'static signature::RsaParameters,
    n: &[u8],
    e: &[u8],
) -> Result<ParsedPublicKey, KeyFault> {
    match bits(n) {
        2048..=8192 => {}
        0..2048 => return Err(KeyFault::key("an RSA key needs at least 2048 bits").at("n")),
        _ => return Err(KeyFault::key("an RSA key may have at most 8192 bits").at("n")),
    }
    if !is_odd(n) || !is_odd(e) || e == [1] || bits(e) > 33 {
        return Err(KeyFault::key(
            "the RSA modulus or exponent is not valid (65537 is the usual exponent)",
        )
        .at(if is_odd(n) { "e" } else { "n" }));
    }
    if has_roca_fingerprint(n) {
        return Err(KeyFault::key(
            "the RSA key comes from a flawed generator and can be factored (CVE-2017-15361)",
        )
        .at("n"));
    }
    // Through DER, since it is the parser that has aws-lc check the key.
    PublicKeyComponents { n, e }
        .as_der()
        .ok()
        .and_then(|der| ParsedPublicKey::new(parameters, der.as_ref()).ok())
        .ok_or(KeyFault::key("the RSA public key is not valid").at("n"))
}

/// Whether the modulus, modulo each of these primes, is a power of 65537. Of the moduli of a good
/// generator, fewer than one in 2^27 are. The primes are those modulo which 65537 generates a
/// proper subgroup, up to the largest that the flawed generator uses for its shortest keys. See
/// Nemec et al., "The Return of Coppersmith's Attack", 2017.
fn has_roca_fingerprint(n: &[u8]) -> bool {
    const PRIMES: [u32; 17] = [
        11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157,
    ];
    PRIMES.iter().all(|&prime| {
        let residue = n.iter().fold(0, |residue, &byte| {
            (residue * 256 + u32::from(byte)) % prime
        });
        let mut power = 1;
        (0..prime).any(|_| {
            power = power * 65537 % prime;
            power == residue
        })
    })
}

fn bits(number: &[u8]) -> usize {
    match number.split_first() {
        Some((first, rest)) => rest.len() * 8 + (8 - first.leading_zeros() as usize),
        None => 0,
    }
}

fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|byte| byte & 1 == 1)
}

fn ec_key(
    algorithm: &'static dyn VerificationAlgorithm,
    length: usize,
    x: &[u8],
    y: &[u8],
) -> Result<ParsedPublicKey, KeyFault> {
    // Coordinates have the curve's full length (RFC 7518 §6.2.1.2).
    if x.len() != length || y.len() != length {
        return Err(WRONG_KIND.at(if x.len() == length { "y" } else { "x" }));
    }
    ParsedPublicKey::new(algorithm, [&[4], x, y].concat())
        .map_err(|_| KeyFault::key("the point is not on the curve").at("x"))
}

fn ed_key(x: &[u8]) -> Result<ParsedPublicKey, KeyFault> {
    let point: [u8; 32] = x.try_into().map_err(|_| WRONG_KIND.at("x"))?;
    if !is_canonical(point) || has_small_order(point) {
        return Err(KeyFault::key("the Ed25519 public key is a point of small order").at("x"));
    }
    ParsedPublicKey::new(&signature::ED25519, point)
        .map_err(|_| KeyFault::key("the Ed25519 public key is not valid").at("x"))
}

/// Whether y is less than 2^255 - 19 (RFC 8032 §5.1.3).
fn is_canonical([first, middle @ .., last]: [u8; 32]) -> bool {
    first < 0xed || middle.iter().any(|byte| *byte != 0xff) || last & 0x7f != 0x7f
}

/// Whether the point is one of the eight whose order divides 8. For these, a signature made
/// without any private key verifies for some or all messages.
fn has_small_order(mut point: [u8; 32]) -> bool {
    // y, little-endian, without the sign of x: order 4, 1, 8, 8, 2.
    const POINTS: [[u8; 32]; 5] = [
        [0; 32],
        {
            let mut one = [0; 32];
            one[0] = 1;
            one
        },
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
        {
            let mut minus_one = [0xff; 32];
            minus_one[0] = 0xec;
            minus_one[31] = 0x7f;
            minus_one
        },
    ];
    if let Some(last) = point.last_mut() {
        *last &= 0x7f;
    }
    POINTS.contains(&point)
}

/// A parsed public key.
pub(super) struct PublicKey(pub(super) ParsedPublicKey);

impl VerifySignature for PublicKey {
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        self.0
            .verify_sig(message, signature)
            .map_err(|_| SignatureError)
    }
}

opaque_debug!(PublicKey);
