//! Generation of new keys, and parsing of stored ones.

use aws_lc_rs::rand;
use base64_simd::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::base::config::ConfigError;
use crate::keys::refresh::RefreshKey;
use crate::keys::rotation::document::KeyEntry;
use crate::keys::rotation::plan::NewKey;
use crate::keys::{Algorithm, Key};

/// Length of a key id in bytes: 64 random bits are unique, and short enough to be in every token.
const KEY_ID_LEN: usize = 8;
const REFRESH_KEY_LEN: usize = 32;

fn no_randomness() -> ConfigError {
    ConfigError::new("key", "the operating system returned no random bytes")
}

/// Generates a signing key.
pub(crate) fn new_signing_key(algorithm: Algorithm) -> Result<NewKey, ConfigError> {
    let mut id = [0; KEY_ID_LEN];
    rand::fill(&mut id).map_err(|_| no_randomness())?;
    let id = URL_SAFE_NO_PAD.encode_to_string(id);
    let (_, jwk) = Key::generate(id.as_str(), algorithm)?;
    Ok(NewKey {
        id: id.into(),
        material: Zeroizing::new(jwk.expose().as_bytes().to_vec()),
    })
}

/// Imports a signing key that the app used before.
pub(crate) fn given_signing_key(jwk: &str) -> Result<NewKey, ConfigError> {
    let key = Key::from_jwk(jwk)?;
    if !key.can_sign() {
        return Err(ConfigError::new(
            "first key",
            "must be a private key: it signs until the next key does",
        ));
    }
    Ok(NewKey {
        id: key.id().into(),
        material: Zeroizing::new(jwk.as_bytes().to_vec()),
    })
}

/// Parses the signing key of an entry. Returns `None` if key and entry differ.
pub(crate) fn signing_key(entry: &KeyEntry) -> Option<Key> {
    let jwk = std::str::from_utf8(&entry.material).ok()?;
    Key::from_jwk(jwk).ok().filter(|key| key.id() == &*entry.id)
}

/// The public half of a key with a private half.
pub(crate) fn public_half(entry: &KeyEntry) -> Option<Zeroizing<Vec<u8>>> {
    let key = signing_key(entry).filter(Key::can_sign)?;
    key.public_jwk()
        .map(|jwk| Zeroizing::new(jwk.as_bytes().to_vec()))
}

/// Generates a refresh key. Its id is the next one, so an id is reused only after all others.
pub(crate) fn new_refresh_key(line: &[KeyEntry]) -> Result<NewKey, ConfigError> {
    let last = line.last().and_then(|entry| refresh_id(&entry.id));
    let first = last.map_or(0, |id| id.wrapping_add(1));
    let id = (0..=u8::MAX)
        .map(|step| first.wrapping_add(step))
        .find(|id| line.iter().all(|entry| refresh_id(&entry.id) != Some(*id)))
        .ok_or_else(|| ConfigError::new("refresh_keys", "every key id is in use"))?;
    let mut secret = Zeroizing::new(vec![0; REFRESH_KEY_LEN]);
    rand::fill(&mut secret).map_err(|_| no_randomness())?;
    Ok(NewKey {
        id: id.to_string().into(),
        material: secret,
    })
}

/// Imports a refresh key that the app used before.
pub(crate) fn given_refresh_key(id: u8, secret: &[u8]) -> Result<NewKey, ConfigError> {
    RefreshKey::new(id, secret)?;
    Ok(NewKey {
        id: id.to_string().into(),
        material: Zeroizing::new(secret.to_vec()),
    })
}

/// Parses the refresh key of an entry. Returns `None` if key and entry differ.
pub(crate) fn refresh_key(entry: &KeyEntry) -> Option<RefreshKey> {
    RefreshKey::new(refresh_id(&entry.id)?, &entry.material).ok()
}

fn refresh_id(id: &str) -> Option<u8> {
    id.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::clock::Timestamp;

    fn entry(key: NewKey) -> KeyEntry {
        KeyEntry {
            id: key.id,
            published_at: Timestamp::from_secs(0),
            signs_from: Timestamp::from_secs(0),
            keep: Duration::ZERO,
            material: key.material,
        }
    }

    #[test]
    fn new_keys_load_and_have_ids_of_their_own() {
        let one = entry(new_signing_key(Algorithm::EdDsa).unwrap());
        let two = entry(new_signing_key(Algorithm::Es256).unwrap());
        assert_ne!(one.id, two.id);
        assert!(signing_key(&one).unwrap().can_sign());
        assert_eq!(signing_key(&two).unwrap().algorithm(), Algorithm::Es256);
        let swapped = KeyEntry { id: two.id, ..one };
        assert!(signing_key(&swapped).is_none());
    }

    #[test]
    fn the_public_half_verifies_and_is_all_that_is_left() {
        let mut one = entry(new_signing_key(Algorithm::Es256).unwrap());
        one.material = public_half(&one).unwrap();
        assert!(!signing_key(&one).unwrap().can_sign());
        assert!(public_half(&one).is_none());
        let secret = entry(new_signing_key(Algorithm::Hs256).unwrap());
        assert!(public_half(&secret).is_none());
    }

    #[test]
    fn rule_15_refresh_key_ids_are_not_reused_before_all_others() {
        let mut line = vec![entry(given_refresh_key(254, &[1, 2].repeat(16)).unwrap())];
        let mut seen = vec![254];
        for _ in 0..255 {
            let key = entry(new_refresh_key(&line).unwrap());
            let id = refresh_key(&key).unwrap().id();
            assert!(!seen.contains(&id));
            seen.push(id);
            line = vec![key];
        }
        let again = entry(new_refresh_key(&line).unwrap());
        assert_eq!(refresh_key(&again).unwrap().id(), 254);
    }

    #[test]
    fn given_keys_are_checked() {
        let (key, jwk) = Key::generate("old", Algorithm::Es256).unwrap();
        assert!(given_signing_key(jwk.expose()).is_ok());
        assert!(given_signing_key(key.public_jwk().unwrap()).is_err());
        assert!(given_refresh_key(1, &[1; 31]).is_err());
    }
}
