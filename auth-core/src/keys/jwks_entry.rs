//! Keys from the entries of a remote JSON Web Key Set.
//!
//! 1. An entry with `alg` has that algorithm, which must be in the allow-list.
//! 2. An entry without `alg` gets the one algorithm of the allow-list that fits its `kty` and
//!    `crv`. If several fit it is skipped: an RSA key could be meant for any of six algorithms, and
//!    the token's header must not choose (RFC 8725 §3.1). For an issuer that publishes RSA keys
//!    without `alg`, allow exactly one RSA algorithm.
//! 3. Symmetric keys and private members are never used: a published secret is no secret.
//! 4. An entry without `kid` gets its RFC 7638 thumbprint as id. It can serve tokens without `kid`
//!    and still has a name in logs.
//! 5. An unusable entry is skipped with a fixed reason and the name of the member at fault. The
//!    other entries are kept.
//! 6. Members are parsed as other libraries do it: `null` is absence, and the numbers may be padded.
//!    A configured key has one form only.
//! 7. A certificate also names its key: by `x5t` and `x5t#S256`, or by the thumbprints of the first
//!    certificate in `x5c`. The certificate itself is not checked.

use std::borrow::Cow;

use aws_lc_rs::digest;
use serde_json::{Map, Value};

use crate::keys::algorithm::Algorithm;
use crate::keys::fault::KeyFault;
use crate::keys::import;
use crate::keys::jwk::Members;
use crate::keys::key::{Key, Thumbprints};

/// The reason why an entry of a remote set is not used. Fixed text, without content of the
/// document.
pub(crate) type JwkSkip = KeyFault;

/// The members that are base64url text.
const NUMBERS: [&str; 4] = ["n", "e", "x", "y"];

/// Parses the key of one entry of a remote key set, for one of the `allowed` algorithms.
pub(crate) fn remote_jwk(entry: &Value, allowed: &[Algorithm]) -> Result<Key, JwkSkip> {
    let entry = plain(entry);
    let members = Members::from_value(&entry)?;
    if let Some(secret) = members.secret() {
        let fault = KeyFault::jwk("symmetric and private keys of a remote set are not used");
        return Err(fault.at(secret));
    }
    let algorithm = algorithm(&members, allowed)?;
    if !members.allows("verify")? {
        return Err(KeyFault::jwk("key_ops does not contain verify").at("key_ops"));
    }
    let public = members.public(algorithm)?;
    let kid = match members.kid() {
        Some(kid) => kid.to_owned(),
        None => public.thumbprint(algorithm),
    };
    let key = Key::from_imported(kid, algorithm, import::public(algorithm, public)?)?;
    Ok(key.with_certificate(thumbprints(&entry)))
}

/// Applies rule 6.
fn plain(entry: &Value) -> Cow<'_, Value> {
    let Value::Object(members) = entry else {
        return Cow::Borrowed(entry);
    };
    let present = members.iter().filter(|(_, value)| !value.is_null());
    let plain = present.map(|(name, value)| {
        let value = match value {
            Value::String(text) if NUMBERS.contains(&name.as_str()) => without_padding(text).into(),
            _ => value.clone(),
        };
        (name.clone(), value)
    });
    Cow::Owned(Value::Object(plain.collect::<Map<_, _>>()))
}

/// Removes valid padding only (RFC 4648 §3.2).
fn without_padding(text: &str) -> &str {
    let bare = text.trim_end_matches('=');
    let padding = text.len().saturating_sub(bare.len());
    if padding < 3 && text.len().is_multiple_of(4) {
        bare
    } else {
        text
    }
}

/// Applies rule 7.
fn thumbprints(entry: &Value) -> Thumbprints {
    let first = || {
        let chain = entry.get("x5c")?.as_array()?;
        let text = chain.first()?.as_str()?;
        base64_simd::STANDARD.decode_to_vec(text).ok()
    };
    let certificate = first();
    let named = |name: &str, algorithm: &'static digest::Algorithm| {
        let text = entry.get(name).and_then(Value::as_str).map(Box::from);
        text.or_else(|| {
            let hash = digest::digest(algorithm, certificate.as_deref()?);
            let text = base64_simd::URL_SAFE_NO_PAD.encode_to_string(hash);
            Some(text.into_boxed_str())
        })
    };
    Thumbprints {
        sha1: named("x5t", &digest::SHA1_FOR_LEGACY_USE_ONLY),
        sha256: named("x5t#S256", &digest::SHA256),
    }
}

fn algorithm(members: &Members<'_>, allowed: &[Algorithm]) -> Result<Algorithm, JwkSkip> {
    let named = |algorithm: &Algorithm| match members.alg() {
        Some(name) => Algorithm::parse(name) == Some(*algorithm),
        None => true,
    };
    let mut fitting: Vec<Algorithm> = allowed
        .iter()
        .copied()
        .filter(|algorithm| named(algorithm) && members.fits(*algorithm))
        .collect();
    fitting.sort_unstable();
    fitting.dedup();
    match fitting[..] {
        [algorithm] => Ok(algorithm),
        [] => {
            let member = members.alg().map_or("kty", |_| "alg");
            Err(KeyFault::jwk("no allowed algorithm fits the key").at(member))
        }
        _ => Err(KeyFault::jwk(
            "the key has no alg and several allowed algorithms fit; allow one of them",
        )
        .at("alg")),
    }
}
