//! [`Key`]: one id, one algorithm, a verifier and optionally a signer.

use std::fmt;
use std::sync::Arc;

use crate::base::config::ConfigError;
use crate::keys::algorithm::Algorithm;
use crate::keys::backend::{SignError, SignToken, SignatureError, VerifySignature};
use crate::keys::fault::KeyFault;
use crate::keys::imported::Imported;
use crate::keys::jwk::PrivateJwk;
use crate::keys::{hmac, import, jwk};

/// A key for signing or verifying tokens. Clones are cheap and share the key.
///
/// A key has an id, the `kid` of its tokens, and exactly one algorithm: a token whose header names
/// another one is refused (RFC 8725 §3.1). The id is 1 to 256 visible ASCII characters without
/// quote and backslash.
///
/// ```
/// use auth_core::{Algorithm, Key};
///
/// # fn main() -> Result<(), auth_core::ConfigError> {
/// let (key, private_jwk) = Key::generate("2030-01", Algorithm::Es256)?;
/// assert!(key.can_sign());
///
/// // Store the text where secrets are kept, and load it at the next start.
/// let same = Key::from_jwk(private_jwk.expose())?;
/// assert_eq!(same.public_jwk(), key.public_jwk());
///
/// // An empty environment variable is an error, not an empty secret.
/// assert!(Key::hs256("k1", b"").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Key(Arc<KeyParts>);

#[derive(Clone)]
struct KeyParts {
    id: Box<str>,
    algorithm: Algorithm,
    verifier: Arc<dyn VerifySignature>,
    signer: Option<Signer>,
    public_jwk: Option<Box<str>>,
    header_segment: Box<str>,
    /// Thumbprint of the public numbers (RFC 7638). It identifies one key under several ids.
    thumbprint: Option<Box<str>>,
    certificate: Thumbprints,
}

/// The thumbprints of a certificate (RFC 7517 §4.8, §4.9), as text. They are compared, never
/// computed from a certificate in a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Thumbprints {
    /// `x5t`.
    pub(crate) sha1: Option<Box<str>>,
    /// `x5t#S256`.
    pub(crate) sha256: Option<Box<str>>,
}

impl Thumbprints {
    /// Whether both name the same certificate.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        let same = |one: &Option<Box<str>>, two: &Option<Box<str>>| one.is_some() && one == two;
        same(&self.sha256, &other.sha256) || same(&self.sha1, &other.sha1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sha1.is_none() && self.sha256.is_none()
    }

    /// The stronger of the two thumbprints.
    pub(crate) fn into_text(self) -> Option<String> {
        self.sha256.or(self.sha1).map(String::from)
    }
}

#[derive(Clone)]
enum Signer {
    /// A signer of this crate, whose signatures are not verified again.
    Local(Arc<dyn SignToken>),
    /// A signer of the app, whose signatures are verified before use.
    Plugged(Arc<dyn SignToken>),
}

impl Key {
    /// Creates a key for HMAC with SHA-256. `secret` needs at least 32 bytes.
    ///
    /// # Errors
    /// [`ConfigError`] if the secret is empty or shorter than the hash (RFC 7518 §3.2). Also if it
    /// is a public or private key as PEM, DER, JWK or SSH text: every holder of the public key
    /// could sign.
    ///
    /// # Security
    /// A secret must be random bytes, e.g. from `openssl rand 32`, never a password (RFC 8725
    /// §3.5). Every holder of the secret can sign as well as verify.
    pub fn hs256(kid: impl Into<String>, secret: &[u8]) -> Result<Self, ConfigError> {
        Self::from_secret(kid.into(), Algorithm::Hs256, secret)
    }

    /// Creates a key for HMAC with SHA-384. `secret` needs at least 48 bytes. Otherwise like
    /// [`hs256`](Self::hs256).
    ///
    /// # Errors
    /// The same as for [`hs256`](Self::hs256).
    pub fn hs384(kid: impl Into<String>, secret: &[u8]) -> Result<Self, ConfigError> {
        Self::from_secret(kid.into(), Algorithm::Hs384, secret)
    }

    /// Creates a key for HMAC with SHA-512. `secret` needs at least 64 bytes. Otherwise like
    /// [`hs256`](Self::hs256).
    ///
    /// # Errors
    /// The same as for [`hs256`](Self::hs256).
    pub fn hs512(kid: impl Into<String>, secret: &[u8]) -> Result<Self, ConfigError> {
        Self::from_secret(kid.into(), Algorithm::Hs512, secret)
    }

    /// Parses a key from PEM text (RFC 7468). A private key (`PRIVATE KEY`, `RSA PRIVATE KEY`, `EC
    /// PRIVATE KEY`) signs and verifies, a public key (`PUBLIC KEY`, `RSA PUBLIC KEY`) verifies.
    ///
    /// # Errors
    /// [`ConfigError`] if the text is not exactly one such PEM block (encrypted keys and
    /// certificates are not), or if kind or curve of the key do not fit `algorithm`. Also for an
    /// RSA key with fewer than 2048 or more than 8192 bits, or with a bad exponent.
    pub fn from_pem(
        kid: impl Into<String>,
        algorithm: Algorithm,
        pem: &[u8],
    ) -> Result<Self, ConfigError> {
        let imported = import::pem(algorithm, pem)?;
        Ok(Self::from_imported(kid.into(), algorithm, imported)?)
    }

    /// Parses a key from DER bytes: PKCS#8, PKCS#1 or SEC 1 for a private key,
    /// `SubjectPublicKeyInfo` or PKCS#1 for a public one. Otherwise like
    /// [`from_pem`](Self::from_pem).
    ///
    /// # Errors
    /// The same as for [`from_pem`](Self::from_pem).
    pub fn from_der(
        kid: impl Into<String>,
        algorithm: Algorithm,
        der: &[u8],
    ) -> Result<Self, ConfigError> {
        let imported = import::der(algorithm, der)?;
        Ok(Self::from_imported(kid.into(), algorithm, imported)?)
    }

    /// Parses a key from a JSON Web Key (RFC 7517) with `kid` and `alg`. With private members it
    /// signs and verifies, without them it verifies.
    ///
    /// # Errors
    /// [`ConfigError`] if a member is missing, repeated, mistyped or contradicts another one, if
    /// `use` or `key_ops` do not allow signatures, or if private and public members do not belong
    /// together. Also for the reasons of [`from_pem`](Self::from_pem) and [`hs256`](Self::hs256).
    pub fn from_jwk(json: &str) -> Result<Self, ConfigError> {
        let (kid, algorithm, imported) = jwk::import(json, None)?;
        Ok(Self::from_imported(kid, algorithm, imported)?)
    }

    /// Parses a key from a JSON Web Key without `alg`, for `algorithm`. An `alg` that is present
    /// must be the same.
    ///
    /// # Errors
    /// The same as for [`from_jwk`](Self::from_jwk).
    pub fn from_jwk_as(json: &str, algorithm: Algorithm) -> Result<Self, ConfigError> {
        let (kid, algorithm, imported) = jwk::import(json, Some(algorithm))?;
        Ok(Self::from_imported(kid, algorithm, imported)?)
    }

    /// Generates a random key, and returns it with its text for storage. The key is a secret of the
    /// hash's length, an RSA key of 2048 bits, or a key on the curve of the algorithm.
    ///
    /// # Errors
    /// [`ConfigError`] if `kid` is not a valid key id, or the operating system returns no random
    /// bytes.
    pub fn generate(
        kid: impl Into<String>,
        algorithm: Algorithm,
    ) -> Result<(Self, PrivateJwk), ConfigError> {
        let kid = kid.into();
        check_id(&kid)?;
        let private_jwk = jwk::generate(&kid, algorithm)?;
        // Parsed from the text, which proves that a stored text will load.
        Ok((Self::from_jwk(private_jwk.expose())?, private_jwk))
    }

    /// Creates a key from a custom verifier: another backend, or hardware.
    ///
    /// # Errors
    /// [`ConfigError`] if `kid` is not a valid key id.
    ///
    /// # Security
    /// `verifier` must verify signatures of `algorithm` and no other.
    pub fn new(
        kid: impl Into<String>,
        algorithm: Algorithm,
        verifier: Arc<dyn VerifySignature>,
    ) -> Result<Self, ConfigError> {
        let imported = Imported {
            verifier,
            signer: None,
            public: None,
        };
        Ok(Self::from_imported(kid.into(), algorithm, imported)?)
    }

    /// Sets a custom signer, e.g. a key management service. Each signature is verified with this
    /// key before it is used.
    #[must_use]
    pub fn with_signer(self, signer: Arc<dyn SignToken>) -> Self {
        let mut parts = Arc::unwrap_or_clone(self.0);
        parts.signer = Some(Signer::Plugged(signer));
        Self(Arc::new(parts))
    }

    /// Sets the JSON Web Key under which this key is published. The public members of `json` are
    /// kept; `kid`, `alg` and `use` are replaced.
    ///
    /// # Errors
    /// [`ConfigError`] if `json` is not a public key for this key's algorithm, has private members
    /// or another `kid` or `alg`, or if this key is symmetric.
    pub fn with_public_jwk(self, json: &str) -> Result<Self, ConfigError> {
        let public = jwk::import_public(json, self.id(), self.algorithm())?;
        let mut parts = Arc::unwrap_or_clone(self.0);
        parts.public_jwk = Some(public.to_jwk(&parts.id, parts.algorithm).into_boxed_str());
        Ok(Self(Arc::new(parts)))
    }

    /// The key id, the `kid` of its tokens.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The algorithm of its signatures.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// Whether the key can sign, or only verify.
    #[must_use]
    pub fn can_sign(&self) -> bool {
        self.0.signer.is_some()
    }

    /// The public half as a JSON Web Key with `kid`, `alg` and `use`. `None` for symmetric keys,
    /// which have no public half, and for custom keys without
    /// [`with_public_jwk`](Self::with_public_jwk).
    #[must_use]
    pub fn public_jwk(&self) -> Option<&str> {
        self.0.public_jwk.as_deref()
    }

    /// Whether both keys have the same public numbers, under any id.
    pub(crate) fn has_numbers_of(&self, other: &Self) -> bool {
        self.0.thumbprint.is_some() && self.0.thumbprint == other.0.thumbprint
    }

    pub(crate) fn certificate(&self) -> &Thumbprints {
        &self.0.certificate
    }

    /// Sets the thumbprints of the key's certificate.
    pub(super) fn with_certificate(self, certificate: Thumbprints) -> Self {
        let mut parts = Arc::unwrap_or_clone(self.0);
        parts.certificate = certificate;
        Self(Arc::new(parts))
    }

    /// Whether both are clones of one key.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Verifies `signature` of `message`.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        self.0.verifier.verify(message, signature)
    }

    /// Signs `message`.
    pub(crate) async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match &self.0.signer {
            Some(Signer::Local(signer)) => signer.sign(message).await,
            Some(Signer::Plugged(signer)) => {
                let signature = signer.sign(message).await?;
                self.verify(message, &signature)
                    .map_err(|_| SignError::new(WRONG_SIGNATURE))?;
                Ok(signature)
            }
            None => Err(SignError::new("the key has no private half")),
        }
    }

    /// The encoded header of every access token signed with this key: base64url of
    /// `{"alg":…,"typ":"at+jwt","kid":…}`. It is constant, so verification compares bytes.
    pub(crate) fn header_segment(&self) -> &str {
        &self.0.header_segment
    }

    fn from_secret(kid: String, algorithm: Algorithm, secret: &[u8]) -> Result<Self, ConfigError> {
        Ok(Self::from_imported(
            kid,
            algorithm,
            hmac::import(algorithm, secret)?,
        )?)
    }

    pub(super) fn from_imported(
        kid: String,
        algorithm: Algorithm,
        imported: Imported,
    ) -> Result<Self, KeyFault> {
        check_id(&kid)?;
        // An id needs no escaping: `check_id` lets no quote, backslash or control through.
        let header = format!(
            r#"{{"alg":"{}","typ":"at+jwt","kid":"{kid}"}}"#,
            algorithm.as_str()
        );
        Ok(Self(Arc::new(KeyParts {
            header_segment: base64_simd::URL_SAFE_NO_PAD
                .encode_to_string(header)
                .into_boxed_str(),
            thumbprint: imported
                .public
                .as_ref()
                .map(|public| public.thumbprint(algorithm).into_boxed_str()),
            certificate: Thumbprints::default(),
            public_jwk: imported
                .public
                .map(|public| public.to_jwk(&kid, algorithm).into_boxed_str()),
            id: kid.into_boxed_str(),
            algorithm,
            verifier: imported.verifier,
            signer: imported.signer.map(Signer::Local),
        })))
    }
}

const WRONG_SIGNATURE: &str = "the signer's signature does not verify with the key; it must have \
                               the form of RFC 7518 §3 (ECDSA: r || s, not DER)";

/// Whether `kid` is a valid key id.
pub(crate) fn is_key_id(kid: &str) -> bool {
    let visible = |byte: u8| matches!(byte, b'!'..=b'~') && !matches!(byte, b'"' | b'\\');
    (1..=256).contains(&kid.len()) && kid.bytes().all(visible)
}

fn check_id(kid: &str) -> Result<(), KeyFault> {
    if is_key_id(kid) {
        Ok(())
    } else {
        Err(KeyFault::new(
            "kid",
            "must be 1 to 256 visible ASCII characters without quote and backslash",
        )
        .at("kid"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.0.id)
            .field("algorithm", &self.0.algorithm)
            .finish_non_exhaustive()
    }
}
