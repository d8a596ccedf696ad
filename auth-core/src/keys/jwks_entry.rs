//! Keys out of a remote JSON Web Key Set.
//!
//! 1. An entry with `alg` has that algorithm, and it must be in the allow-list.
//! 2. An entry without `alg` gets the one algorithm of the allow-list that fits its `kty` and
//!    `crv`. If several fit it is skipped: an RSA key could be meant for any of six algorithms, and
//!    the token's header must not choose (RFC 8725 §3.1). For an issuer that publishes RSA keys
//!    without `alg`, allow exactly one RSA algorithm.
//! 3. Symmetric keys and private members are never used: what is published is no secret.
//! 4. An entry without `kid` gets its RFC 7638 thumbprint as id, so it can serve tokens without
//!    `kid` and still has a name in logs.
//! 5. What cannot be used is skipped with a fixed reason; the caller keeps the other entries.

use serde_json::Value;

use crate::keys::algorithm::Algorithm;
use crate::keys::fault::Fault;
use crate::keys::import;
use crate::keys::jwk::Members;
use crate::keys::key::Key;

/// Why an entry of a remote set is not used. Fixed text; nothing of the document is in it.
pub(crate) type JwkSkip = Fault;

/// The key of one entry of a remote key set, if it can verify under one of `allowed`.
pub(crate) fn remote_jwk(entry: &Value, allowed: &[Algorithm]) -> Result<Key, JwkSkip> {
    let members = Members::from_value(entry)?;
    if members.has_secrets() {
        return Err(Fault::jwk(
            "symmetric and private keys are not taken from a remote set",
        ));
    }
    let algorithm = algorithm(&members, allowed)?;
    if !members.allows("verify")? {
        return Err(Fault::jwk("key_ops does not contain verify"));
    }
    let public = members.public(algorithm)?;
    let kid = match members.kid() {
        Some(kid) => kid.to_owned(),
        None => public.thumbprint(algorithm),
    };
    Key::from_imported(kid, algorithm, import::public(algorithm, public)?)
}

fn algorithm(members: &Members<'_>, allowed: &[Algorithm]) -> Result<Algorithm, JwkSkip> {
    let named = |algorithm: &Algorithm| match members.alg() {
        Some(name) => algorithm.as_str() == name,
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
        [] => Err(Fault::jwk("no allowed algorithm fits the key")),
        _ => Err(Fault::jwk(
            "the key has no alg and several allowed algorithms fit; allow one of them",
        )),
    }
}
