//! Import and export of JSON Web Keys (RFC 7517).
//!
//! 1. A JWK is an object of strict JSON without repeated members. Unknown members are ignored
//!    (RFC 7517 §4); nothing is ever fetched for them.
//! 2. `kty` and `crv` must be those of the algorithm; `use` must be `sig` and `key_ops` must
//!    allow the operation, if they are present.
//! 3. Numbers are base64url without padding, in canonical form. Private ones are decoded into
//!    buffers that are zeroized on drop.

use std::borrow::Cow;

use aws_lc_rs::encoding::{AsBigEndian, AsDer, Curve25519SeedBin, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::rsa::{self, KeyPairComponents, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair};
use serde::de::{Deserialize, Deserializer, IgnoredAny};
use zeroize::Zeroizing;

use crate::base::config::ConfigError;
use crate::base::opaque::opaque_debug;
use crate::base::strict_json::is_strict;
use crate::keys::algorithm::{Algorithm, Family};
use crate::keys::der::DerDocument;
use crate::keys::fault::KeyFault;
use crate::keys::imported::Imported;
use crate::keys::local::{PrivateKey, ec_signing};
use crate::keys::public::{PublicParts, WRONG_KIND};
use crate::keys::{der, hmac, import};

/// A private or symmetric key as the text of a JSON Web Key, returned by
/// [`Key::generate`](crate::keys::Key::generate) for storage.
///
/// # Security
/// Every holder of the text can sign tokens. `Debug` does not show it, and it is zeroized on drop.
/// The caller must protect copies made from [`expose`](Self::expose).
pub struct PrivateJwk(Zeroizing<String>);

impl PrivateJwk {
    /// The secret text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

opaque_debug!(PrivateJwk);

/// The members of a JWK that are used. Numbers borrow from the text, so that private ones are not
/// copied.
#[derive(serde::Deserialize)]
pub(super) struct Members<'a> {
    #[serde(borrow)]
    kty: Cow<'a, str>,
    #[serde(default, deserialize_with = "present")]
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    alg: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crv: Option<String>,
    #[serde(default, rename = "use", deserialize_with = "present")]
    usage: Option<String>,
    #[serde(default, deserialize_with = "present")]
    key_ops: Option<Vec<String>>,
    #[serde(borrow, default, deserialize_with = "present")]
    n: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "present")]
    e: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "present")]
    x: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "present")]
    y: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "present")]
    k: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "present")]
    d: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "present")]
    p: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "present")]
    q: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "present")]
    dp: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "present")]
    dq: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "present")]
    qi: Option<&'a str>,
    #[serde(default, deserialize_with = "present")]
    oth: Option<IgnoredAny>,
}

/// A present member must have its type: `null` is not absence.
fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

const MALFORMED: KeyFault = KeyFault::jwk(
    "this is not a JSON Web Key: an object with kty, without repeated members or members of a \
     wrong type",
);
const INCOMPLETE: KeyFault =
    KeyFault::jwk("a member that this kind of key needs is missing, or is not base64url");
const WRONG_USE: KeyFault = KeyFault::jwk("use or key_ops do not allow signatures");

impl<'a> Members<'a> {
    fn parse(json: &'a str) -> Result<Self, KeyFault> {
        // Serde would accept an array for the members in order, and is lenient with skipped
        // members.
        if !json.trim_start().starts_with('{') || !is_strict(json) {
            return Err(MALFORMED);
        }
        // The error is dropped: it quotes the document.
        serde_json::from_str(json).map_err(|_| MALFORMED)
    }

    /// Parses an entry of an already parsed document, like [`parse`](Self::parse).
    pub(super) fn from_value(value: &'a serde_json::Value) -> Result<Self, KeyFault> {
        if !value.is_object() {
            return Err(MALFORMED);
        }
        Self::deserialize(value).map_err(|_| match mistyped(value) {
            Some(member) => MALFORMED.at(member),
            None => MALFORMED,
        })
    }

    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    pub(super) fn alg(&self) -> Option<&str> {
        self.alg.as_deref()
    }

    /// The first private member.
    pub(super) fn secret(&self) -> Option<&'static str> {
        let secrets = [
            ("k", self.k.is_some()),
            ("d", self.d.is_some()),
            ("p", self.p.is_some()),
            ("q", self.q.is_some()),
            ("dp", self.dp.is_some()),
            ("dq", self.dq.is_some()),
            ("qi", self.qi.is_some()),
            ("oth", self.oth.is_some()),
            ("kty", self.kty == "oct"),
        ];
        let found = secrets.into_iter().find(|(_, present)| *present);
        found.map(|(member, _)| member)
    }

    /// Whether a key of `algorithm` has this `kty` and `crv`.
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        let (kty, crv) = algorithm.jwk_type();
        self.kty == kty && self.crv.as_deref() == crv
    }

    /// Whether `use` and `key_ops` allow `operation`, if they are present (RFC 7517 §4.2, §4.3).
    pub(super) fn allows(&self, operation: &str) -> Result<bool, KeyFault> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err(WRONG_USE.at("use"));
        }
        let Some(operations) = &self.key_ops else {
            return Ok(true);
        };
        let mut distinct: Vec<&str> = operations.iter().map(String::as_str).collect();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() < operations.len() {
            return Err(KeyFault::jwk("key_ops names an operation twice").at("key_ops"));
        }
        Ok(distinct.contains(&operation))
    }

    /// The public numbers.
    pub(super) fn public(&self, algorithm: Algorithm) -> Result<PublicParts, KeyFault> {
        Ok(match algorithm.family() {
            Family::Rsa => PublicParts::rsa(&number("n", self.n)?, &number("e", self.e)?),
            Family::Ec => PublicParts::Ec {
                x: number("x", self.x)?.to_vec(),
                y: number("y", self.y)?.to_vec(),
            },
            Family::Ed => PublicParts::Ed {
                x: number("x", self.x)?.to_vec(),
            },
            Family::Hmac => return Err(WRONG_KIND),
        })
    }

    /// The private key, which must belong to the public numbers.
    fn private(&self, algorithm: Algorithm) -> Result<PrivateKey, KeyFault> {
        if self.k.is_some() || self.oth.is_some() {
            return Err(KeyFault::jwk(
                "k and oth are not members of a private key for signatures",
            ));
        }
        let d = number("d", self.d)?;
        match self.public(algorithm)? {
            PublicParts::Ec { x, y } => {
                // The scalar has the curve's full length (RFC 7518 §6.2.2.1).
                if d.len() != x.len() {
                    return Err(INCOMPLETE);
                }
                PrivateKey::from_scalar(algorithm, &d, &x, &y)
            }
            PublicParts::Ed { x } => PrivateKey::from_seed(&d, &x),
            PublicParts::Rsa { n, e } => {
                let (p, q) = (number("p", self.p)?, number("q", self.q)?);
                let (dp, dq) = (number("dp", self.dp)?, number("dq", self.dq)?);
                let qi = number("qi", self.qi)?;
                let components = KeyPairComponents {
                    public_key: PublicKeyComponents {
                        n: &n[..],
                        e: &e[..],
                    },
                    d: &d[..],
                    p: &p[..],
                    q: &q[..],
                    dP: &dp[..],
                    dQ: &dq[..],
                    qInv: &qi[..],
                };
                PrivateKey::from_rsa(algorithm, &components)
            }
        }
    }

    fn import(&self, algorithm: Algorithm) -> Result<Imported, KeyFault> {
        if !self.fits(algorithm) {
            return Err(WRONG_KIND);
        }
        let (signs, verifies) = (self.allows("sign")?, self.allows("verify")?);
        if algorithm.is_symmetric() {
            return self.import_secret(algorithm, signs, verifies);
        }
        if self.secret().is_none() {
            return if verifies {
                import::public(algorithm, self.public(algorithm)?)
            } else {
                Err(WRONG_USE)
            };
        }
        let key = self.private(algorithm)?;
        if signs {
            // The public half of a signing key verifies, regardless of the `key_ops` of the private
            // one.
            import::private(algorithm, key)
        } else {
            Err(KeyFault::jwk("key_ops of a private key must contain sign"))
        }
    }

    fn import_secret(
        &self,
        algorithm: Algorithm,
        signs: bool,
        verifies: bool,
    ) -> Result<Imported, KeyFault> {
        if self.d.is_some() || self.n.is_some() || self.x.is_some() {
            return Err(KeyFault::jwk(
                "a symmetric key has no other key member than k",
            ));
        }
        if !verifies {
            return Err(WRONG_USE);
        }
        let mut imported = hmac::import(algorithm, &number("k", self.k)?)?;
        if !signs {
            imported.signer = None;
        }
        Ok(imported)
    }
}

/// The fault of a member that is missing, or is not text where it must be.
fn mistyped(entry: &serde_json::Value) -> Option<&'static str> {
    const TEXTS: [&str; 16] = [
        "kid", "alg", "crv", "use", "n", "e", "x", "y", "k", "d", "p", "q", "dp", "dq", "qi", "kty",
    ];
    let wrong = |name: &&str| entry.get(name).is_some_and(|value| !value.is_string());
    let text = TEXTS.into_iter().find(wrong);
    let missing = entry.get("kty").is_none().then_some("kty");
    text.or(missing).or(entry.get("key_ops").map(|_| "key_ops"))
}

/// A number or octet sequence, in a buffer that is overwritten when dropped.
fn number(member: &'static str, text: Option<&str>) -> Result<Zeroizing<Vec<u8>>, KeyFault> {
    let incomplete = INCOMPLETE.at(member);
    let mut bytes = Zeroizing::new(text.ok_or(incomplete)?.as_bytes().to_vec());
    let length = base64_simd::URL_SAFE_NO_PAD
        .decode_inplace(&mut bytes)
        .map_err(|_| incomplete)?
        .len();
    bytes.truncate(length);
    Ok(bytes)
}

/// A key from a JWK. Its algorithm is the JWK's `alg`, or the configured one if there is none.
pub(super) fn import(
    json: &str,
    configured: Option<Algorithm>,
) -> Result<(String, Algorithm, Imported), KeyFault> {
    let members = Members::parse(json)?;
    let algorithm = algorithm(&members, configured)?;
    let imported = members.import(algorithm)?;
    let kid = members
        .kid()
        .ok_or(KeyFault::jwk("the key has no kid; add one"))?;
    Ok((kid.to_owned(), algorithm, imported))
}

/// The public numbers of a JWK that is meant to describe the key `kid`.
pub(super) fn import_public(
    json: &str,
    kid: &str,
    algorithm: Algorithm,
) -> Result<PublicParts, ConfigError> {
    let members = Members::parse(json)?;
    if algorithm.is_symmetric() || members.secret().is_some() {
        return Err(KeyFault::jwk("this is not a public key and must not be published").into());
    }
    if members.kid().is_some_and(|other| other != kid) {
        return Err(KeyFault::jwk("the kid differs from the key's").into());
    }
    self::algorithm(&members, Some(algorithm))?;
    if !members.fits(algorithm) {
        return Err(WRONG_KIND.into());
    }
    if !members.allows("verify")? {
        return Err(WRONG_USE.into());
    }
    let public = members.public(algorithm)?;
    public.verifier(algorithm)?;
    Ok(public)
}

fn algorithm(members: &Members<'_>, configured: Option<Algorithm>) -> Result<Algorithm, KeyFault> {
    let named = match members.alg() {
        Some(name) => Some(Algorithm::parse(name).ok_or(KeyFault::jwk(
            "the alg is not one of the supported signature algorithms",
        ))?),
        None => None,
    };
    match (named, configured) {
        (Some(named), Some(configured)) if named != configured => Err(KeyFault::jwk(
            "the alg differs from the configured algorithm",
        )),
        (Some(algorithm), _) | (None, Some(algorithm)) => Ok(algorithm),
        (None, None) => Err(KeyFault::jwk(
            "the key has no alg; load it with from_jwk_as and its one algorithm",
        )),
    }
}

/// A new random key for `algorithm` as a JWK.
pub(super) fn generate(kid: &str, algorithm: Algorithm) -> Result<PrivateJwk, ConfigError> {
    let failed = || ConfigError::new("key", "the operating system returned no random bytes");
    match algorithm.family() {
        Family::Hmac => generate_secret(kid, algorithm),
        Family::Rsa => generate_rsa(kid, algorithm),
        Family::Ec => generate_ec(kid, algorithm),
        Family::Ed => generate_ed(kid, algorithm),
    }
    .ok_or_else(failed)
}

fn generate_secret(kid: &str, algorithm: Algorithm) -> Option<PrivateJwk> {
    let length = match algorithm {
        Algorithm::Hs256 => 32,
        Algorithm::Hs384 => 48,
        _ => 64,
    };
    let mut secret = Zeroizing::new(vec![0; length]);
    aws_lc_rs::rand::fill(&mut secret).ok()?;
    Some(private_jwk(
        kid,
        algorithm,
        r#""kty":"oct""#,
        &[("k", &secret)],
    ))
}

fn generate_rsa(kid: &str, algorithm: Algorithm) -> Option<PrivateJwk> {
    let pair = rsa::KeyPair::generate(KeySize::Rsa2048).ok()?;
    let pkcs8: Pkcs8V1Der<'_> = pair.as_der().ok()?;
    let Some(DerDocument::PrivateInfo { key, .. }) = der::parse(pkcs8.as_ref()) else {
        return None;
    };
    let Some(DerDocument::RsaPrivate([n, e, d, p, q, dp, dq, qi])) = der::parse(key) else {
        return None;
    };
    let public = PublicParts::rsa(n, e).members(algorithm);
    let private = [
        ("d", d),
        ("p", p),
        ("q", q),
        ("dp", dp),
        ("dq", dq),
        ("qi", qi),
    ];
    Some(private_jwk(kid, algorithm, &public, &private))
}

fn generate_ec(kid: &str, algorithm: Algorithm) -> Option<PrivateJwk> {
    let pair = EcdsaKeyPair::generate(ec_signing(algorithm).ok()?).ok()?;
    let scalar: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().ok()?;
    let public = public_members(algorithm, PrivateKey::Ec(pair))?;
    let private = [("d", scalar.as_ref())];
    Some(private_jwk(kid, algorithm, &public, &private))
}

fn generate_ed(kid: &str, algorithm: Algorithm) -> Option<PrivateJwk> {
    let pair = Ed25519KeyPair::generate().ok()?;
    let seed: Curve25519SeedBin<'_> = pair.seed().ok()?.as_be_bytes().ok()?;
    let public = public_members(algorithm, PrivateKey::Ed(pair))?;
    Some(private_jwk(
        kid,
        algorithm,
        &public,
        &[("d", seed.as_ref())],
    ))
}

fn public_members(algorithm: Algorithm, key: PrivateKey) -> Option<String> {
    Some(key.public().ok()?.members(algorithm))
}

/// The text of a private JWK; `public` are its public members.
fn private_jwk(
    kid: &str,
    algorithm: Algorithm,
    public: &str,
    private: &[(&str, &[u8])],
) -> PrivateJwk {
    let base64url = base64_simd::URL_SAFE_NO_PAD;
    // Allocated at full size: growing would leave copies of the secret in memory.
    let numbers = private
        .iter()
        .map(|(_, number)| base64url.encoded_length(number.len()) + 8);
    let room = 128 + kid.len() + public.len() + numbers.sum::<usize>();
    let mut text = Zeroizing::new(String::with_capacity(room));
    for part in [
        r#"{"kid":""#,
        kid,
        r#"","use":"sig","alg":""#,
        algorithm.as_str(),
        r#"","#,
        public,
    ] {
        text.push_str(part);
    }
    for (name, number) in private {
        text.push_str(",\"");
        text.push_str(name);
        text.push_str("\":\"");
        base64url.encode_append(number, &mut *text);
        text.push('"');
    }
    text.push('}');
    PrivateJwk(text)
}
