//! The document that nodes share: every key that is not gone yet, with its times.
//!
//! 1. The whole document is a secret: zeroized on drop and never shown.
//! 2. A document that does not parse exactly is corrupt; nothing is guessed or skipped.
//! 3. `format` is 1. A node does not change a document with an unknown format.

use std::fmt;
use std::time::Duration;

use base64_simd::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::base::clock::Timestamp;
use crate::base::opaque::opaque_debug;

const FORMAT: u8 = 1;
/// Maximum number of entries, more than any schedule produces.
const MOST_ENTRIES: usize = 64;

/// The serialized keys of a deployment: secret bytes.
///
/// `Debug` does not show them, and they are zeroized on drop.
#[derive(Clone)]
pub struct KeySet(Zeroizing<Vec<u8>>);

impl KeySet {
    /// Creates the document from its stored bytes.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes to store.
    ///
    /// # Security
    /// Every reader of the bytes can sign tokens. Store them in a place for secrets, or sealed
    /// ([`EncryptedKeys`](crate::keys::rotation::EncryptedKeys)).
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

opaque_debug!(KeySet);

/// The parsed document.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Keys {
    pub(crate) signing: Vec<KeyEntry>,
    pub(crate) refresh: Vec<KeyEntry>,
}

/// One key and its times. A line of entries is sorted by `signs_from`.
#[derive(Clone, PartialEq)]
pub(crate) struct KeyEntry {
    pub(crate) id: Box<str>,
    pub(crate) published_at: Timestamp,
    pub(crate) signs_from: Timestamp,
    /// Time that the key stays after the next key starts to sign.
    pub(crate) keep: Duration,
    /// A JWK, or the bytes of a refresh key.
    pub(crate) material: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for KeyEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyEntry")
            .field("id", &self.id)
            .field("published_at", &self.published_at)
            .field("signs_from", &self.signs_from)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireKeys<'a> {
    format: u8,
    #[serde(borrow)]
    signing: Vec<WireEntry<'a>>,
    refresh: Vec<WireEntry<'a>>,
}

/// The serialized form. Texts are borrowed, so that parsing leaves no copy of a secret: `key` is
/// base64url, which needs no unescaping.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEntry<'a> {
    id: &'a str,
    published_at: i64,
    signs_from: i64,
    keep: u64,
    key: &'a str,
}

impl Keys {
    /// Parses a document. Returns `None` if it is invalid.
    pub(crate) fn decode(document: &KeySet) -> Option<Self> {
        let wire: WireKeys<'_> = serde_json::from_slice(document.expose()).ok()?;
        if wire.format != FORMAT {
            return None;
        }
        Some(Self {
            signing: decode_line(&wire.signing)?,
            refresh: decode_line(&wire.refresh)?,
        })
    }

    pub(crate) fn encode(&self) -> Option<KeySet> {
        let texts: Vec<Zeroizing<String>> = self.entries().map(KeyEntry::text).collect();
        let (signing, refresh) = texts.split_at_checked(self.signing.len())?;
        let wire = WireKeys {
            format: FORMAT,
            signing: encode_line(&self.signing, signing),
            refresh: encode_line(&self.refresh, refresh),
        };
        // Allocated at full size: growing would leave copies of secrets in memory.
        let size: usize = self
            .entries()
            .zip(&texts)
            .map(|(entry, text)| entry.id.len() + text.len() + 160)
            .sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(size + 64));
        serde_json::to_writer(&mut *bytes, &wire).ok()?;
        Some(KeySet(bytes))
    }

    fn entries(&self) -> impl Iterator<Item = &KeyEntry> {
        self.signing.iter().chain(&self.refresh)
    }
}

impl KeyEntry {
    fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode_to_string(&*self.material))
    }
}

fn encode_line<'a>(entries: &'a [KeyEntry], texts: &'a [Zeroizing<String>]) -> Vec<WireEntry<'a>> {
    entries
        .iter()
        .zip(texts)
        .map(|(entry, text)| WireEntry {
            id: &entry.id,
            published_at: entry.published_at.as_millis(),
            signs_from: entry.signs_from.as_millis(),
            keep: u64::try_from(entry.keep.as_millis()).unwrap_or(u64::MAX),
            key: text,
        })
        .collect()
}

fn decode_line(entries: &[WireEntry<'_>]) -> Option<Vec<KeyEntry>> {
    if entries.len() > MOST_ENTRIES {
        return None;
    }
    let line: Vec<KeyEntry> = entries
        .iter()
        .map(|entry| {
            Some(KeyEntry {
                id: entry.id.into(),
                published_at: Timestamp::from_millis(entry.published_at),
                signs_from: Timestamp::from_millis(entry.signs_from),
                keep: Duration::from_millis(entry.keep),
                material: Zeroizing::new(URL_SAFE_NO_PAD.decode_to_vec(entry.key).ok()?),
            })
        })
        .collect::<Option<_>>()?;
    line.is_sorted_by(|one, next| one.signs_from < next.signs_from)
        .then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        let entry = |id: &str, at: i64| KeyEntry {
            id: id.into(),
            published_at: Timestamp::from_millis(at),
            signs_from: Timestamp::from_millis(at + 5),
            keep: Duration::from_millis(7),
            material: Zeroizing::new(b"marked-secret".to_vec()),
        };
        Keys {
            signing: vec![entry("a", -10), entry("b", 20)],
            refresh: vec![entry("7", 1)],
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let document = keys().encode().unwrap();
        assert_eq!(Keys::decode(&document).unwrap(), keys());
        let empty = Keys::default().encode().unwrap();
        assert_eq!(Keys::decode(&empty).unwrap(), Keys::default());
    }

    #[test]
    fn what_is_not_ours_is_corrupt() {
        let text = String::from_utf8(keys().encode().unwrap().expose().to_vec()).unwrap();
        for broken in [
            String::new(),
            text.replace("\"format\":1", "\"format\":2"),
            text.replace("\"id\":\"a\"", "\"id\":\"a\",\"more\":1"),
            text.replace("\"signs_from\":25", "\"signs_from\":-5"),
            text.replacen("\"key\":\"", "\"key\":\"=", 1),
            format!("{text}{text}"),
        ] {
            assert_ne!(broken, text);
            assert!(Keys::decode(&KeySet::from_bytes(broken.into())).is_none());
        }
    }

    #[test]
    fn d21_debug_shows_no_key() {
        let document = keys().encode().unwrap();
        let debug = format!("{document:?} {:?}", keys());
        assert!(!debug.contains("marked"), "{debug}");
        assert!(!debug.contains("bWFya2Vk"), "{debug}");
    }
}
