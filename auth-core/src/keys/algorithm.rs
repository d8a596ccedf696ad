//! The JWS algorithms of keys (RFC 7518 §3.1, RFC 8037 §3.1 and RFC 9864).

use std::fmt;

/// A JWS signature algorithm. A [`Key`](crate::keys::Key) has exactly one (RFC 8725 §3.1).
///
/// There is no `none`, and no ES512, ES256K or Ed448. `EdDSA` means Ed25519 and is the name that is
/// written; its fully-specified name, `Ed25519` (RFC 9864), is accepted too. The other algorithms
/// have no second name in JOSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// EdDSA on Ed25519.
    EdDsa,
}

/// The kind of key that an algorithm requires.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Hmac,
    Rsa,
    Ec,
    Ed,
}

impl Algorithm {
    /// All algorithms, to accept any key or to test with each. A verifier of other issuers' tokens
    /// should name the few that they use (RFC 8725 §3.1).
    pub const ALL: &'static [Self] = &[
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// The value of `alg` in a header or JWK.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Parses an `alg` name. Names are case-sensitive (RFC 7515 §4.1.1).
    ///
    /// ```
    /// use auth_core::Algorithm;
    ///
    /// assert_eq!(Algorithm::parse("ES256"), Some(Algorithm::Es256));
    /// assert_eq!(Algorithm::parse("Ed25519"), Some(Algorithm::EdDsa));
    /// assert_eq!(Algorithm::parse("es256"), None);
    /// assert_eq!(Algorithm::parse("none"), None);
    /// ```
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(Self::EdDsa);
        }
        Self::ALL
            .iter()
            .copied()
            .find(|algorithm| algorithm.as_str() == name)
    }

    /// Whether signing and verifying use the same secret (the HMAC family).
    #[must_use]
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }

    pub(super) const fn family(self) -> Family {
        match self {
            Self::Hs256 | Self::Hs384 | Self::Hs512 => Family::Hmac,
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => {
                Family::Rsa
            }
            Self::Es256 | Self::Es384 => Family::Ec,
            Self::EdDsa => Family::Ed,
        }
    }

    /// The JWK `kty` of its keys, and their `crv` if they have one (RFC 7518 §6, RFC 8037 §2).
    pub(super) const fn jwk_type(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Es256 => ("EC", Some("P-256")),
            Self::Es384 => ("EC", Some("P-384")),
            _ => match self.family() {
                Family::Hmac => ("oct", None),
                Family::Ed => ("OKP", Some("Ed25519")),
                Family::Rsa | Family::Ec => ("RSA", None),
            },
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a01_only_exact_names_of_real_algorithms_parse() {
        for name in [
            "none", "None", "NONE", "nOnE", "", "hs256", "RS256 ", "RS1", "ES256K", "ES512",
            "ed25519", "Ed448", "EDDSA", "ESP256", "HS256\0", "A128KW",
        ] {
            assert_eq!(Algorithm::parse(name), None, "{name:?}");
        }
        assert_eq!(Algorithm::ALL.len(), 12);
        for &algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.as_str()), Some(algorithm));
        }
    }

    #[test]
    fn i06_the_fully_specified_name_is_the_same_algorithm() {
        assert_eq!(Algorithm::parse("Ed25519"), Some(Algorithm::EdDsa));
        assert_eq!(Algorithm::EdDsa.as_str(), "EdDSA");
    }
}
