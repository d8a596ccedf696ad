//! Reading a JWKS document (RFC 7517 §5).

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::fetch::FetchFault;
use crate::keys::{Algorithm, Key, remote_jwk};

const MAX_BYTES: usize = 64 * 1024;
const MAX_KEYS: usize = 64;

/// The usable keys of a document, with distinct ids, and how many others it has.
#[derive(Debug)]
pub(super) struct Usable {
    pub(super) keys: Vec<Key>,
    pub(super) skipped: usize,
}

pub(super) fn read(body: &[u8], allowed: &[Algorithm]) -> Result<Usable, FetchFault> {
    if body.len() > MAX_BYTES {
        return Err(FetchFault::TooLarge);
    }
    // The error is dropped: it quotes the document.
    let document: Document = serde_json::from_slice(body).map_err(|_| FetchFault::Malformed)?;
    let entries = document.keys.ok_or(FetchFault::TooManyKeys)?;
    let mut keys = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        match remote_jwk(entry, allowed) {
            Ok(key) => keys.push(key),
            Err(reason) => {
                tracing::debug!(target: "auth::keys", index, reason = reason.as_str(), "key skipped");
            }
        }
    }
    let keys = distinct(keys);
    let skipped = entries.len().saturating_sub(keys.len());
    Ok(Usable { keys, skipped })
}

/// Drops every key whose id another one has: which is meant would depend on their order.
fn distinct(keys: Vec<Key>) -> Vec<Key> {
    let mut uses: HashMap<String, usize> = HashMap::new();
    for key in &keys {
        *uses.entry(key.id().to_owned()).or_default() += 1;
    }
    let before = keys.len();
    let keys: Vec<Key> = keys
        .into_iter()
        .filter(|key| uses.get(key.id()) == Some(&1))
        .collect();
    let dropped = before.saturating_sub(keys.len());
    if dropped > 0 {
        tracing::warn!(target: "auth::keys", dropped, "keys with the same id are not used");
    }
    keys
}

/// `keys` is `None` if there are too many.
struct Document {
    keys: Option<Vec<Value>>,
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON Web Key Set")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let mut keys = None;
        while let Some(name) = map.next_key::<String>()? {
            if name != "keys" {
                map.next_value::<IgnoredAny>()?;
            } else if keys.is_some() {
                return Err(A::Error::custom("keys twice"));
            } else {
                keys = Some(map.next_value::<Entries>()?.0);
            }
        }
        match keys {
            Some(keys) => Ok(Document { keys }),
            None => Err(A::Error::custom("no keys")),
        }
    }
}

/// At most as many entries as a set may have; what comes after them is read and forgotten.
struct Entries(Option<Vec<Value>>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of keys")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Entries, A::Error> {
        let mut entries = Vec::new();
        while entries.len() < MAX_KEYS {
            match seq.next_element()? {
                Some(entry) => entries.push(entry),
                None => return Ok(Entries(Some(entries))),
            }
        }
        let mut more = false;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            more = true;
        }
        Ok(Entries((!more).then_some(entries)))
    }
}
