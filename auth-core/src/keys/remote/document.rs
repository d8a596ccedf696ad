//! Reading a JWKS document (RFC 7517 §5).
//!
//! 1. It is strict JSON with `keys` exactly once, an array. Anything else is no document, even where
//!    nobody looks.
//! 2. An entry that is no object, or names a member twice (RFC 7517 §4), is a key that cannot be
//!    used. It does not spoil the others.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::base::strict_json::is_strict;
use crate::keys::{Algorithm, JwkSkip, Key, remote_jwk};
use crate::observe::words::FetchFault;

const MAX_BYTES: usize = 64 * 1024;
const MAX_KEYS: usize = 64;

/// The usable keys of a document, with distinct ids, and how many others it has.
#[derive(Debug)]
pub(crate) struct Usable {
    pub(crate) keys: Vec<Key>,
    pub(crate) skipped: usize,
}

pub(crate) fn read(body: &[u8], allowed: &[Algorithm]) -> Result<Usable, FetchFault> {
    if body.len() > MAX_BYTES {
        return Err(FetchFault::TooLarge);
    }
    let text = std::str::from_utf8(body).map_err(|_| FetchFault::Malformed)?;
    // The error is dropped: it quotes the document.
    let document: Document = serde_json::from_str(text).map_err(|_| FetchFault::Malformed)?;
    if !is_strict(text) {
        return Err(FetchFault::Malformed);
    }
    let entries = document.keys.ok_or(FetchFault::TooManyKeys)?;
    let mut keys = Vec::with_capacity(entries.len());
    for (index, Entry(entry)) in entries.iter().enumerate() {
        let read = match entry {
            Some(entry) => remote_jwk(entry, allowed).map_err(JwkSkip::as_str),
            None => Err("this is no object, or one with a member twice"),
        };
        match read {
            Ok(key) => keys.push(key),
            Err(reason) => {
                tracing::debug!(target: "auth::keys", index, reason, "key skipped");
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
    keys: Option<Vec<Entry>>,
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
struct Entries(Option<Vec<Entry>>);

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

/// One key; `None` if it can be none.
struct Entry(Option<Value>);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON Web Key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let (mut members, mut repeated) = (Map::new(), false);
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            repeated |= members.insert(name, value).is_some();
        }
        Ok(Entry((!repeated).then_some(Value::Object(members))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Entry, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Entry(None))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Entry, E> {
        Ok(Entry(None))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Entry, E> {
        Ok(Entry(None))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Entry, E> {
        Ok(Entry(None))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Entry, E> {
        Ok(Entry(None))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Entry, E> {
        Ok(Entry(None))
    }

    fn visit_unit<E: Error>(self) -> Result<Entry, E> {
        Ok(Entry(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kid: &str) -> String {
        let (key, _) = Key::generate(kid, Algorithm::Es256).unwrap();
        key.public_jwk().unwrap().to_owned()
    }

    fn usable(entries: &[String]) -> Vec<String> {
        let document = format!(r#"{{"keys":[{}]}}"#, entries.join(","));
        let usable = read(document.as_bytes(), &[Algorithm::Es256]).unwrap();
        assert_eq!(usable.keys.len() + usable.skipped, entries.len());
        let ids = usable.keys.iter().map(|key| key.id().to_owned());
        ids.collect()
    }

    #[test]
    fn a31_a_key_with_a_member_twice_is_not_used_and_spoils_no_other() {
        let twice = |member: &str| format!("{},{member}}}", key("twice").trim_end_matches('}'));
        for member in [
            r#""kid":"good""#,
            r#""kid":"twice""#,
            r#""\u006bid":"x""#,
            r#""use":"sig""#,
            r#""alg":"ES256""#,
        ] {
            assert_eq!(usable(&[twice(member), key("good")]), ["good"], "{member}");
        }
        assert_eq!(usable(&[twice(r#""x5t":"-""#), key("good")]).len(), 2);
    }

    #[test]
    fn a33_of_two_keys_with_one_id_neither_is_used_wherever_they_stand() {
        let (one, other, good) = (key("same"), key("same"), key("good"));
        assert_eq!(
            usable(&[one.clone(), good.clone(), other.clone()]),
            ["good"]
        );
        assert_eq!(usable(&[other, one, good]), ["good"]);
        // One that cannot be used anyway takes nobody's name.
        let unusable = key("same").replace("ES256", "ES512");
        assert_eq!(usable(&[unusable, key("same")]), ["same"]);
    }

    #[test]
    fn entries_that_are_no_objects_spoil_no_other() {
        for entry in [
            "null", "true", "-1", "1", "1.5", r#""EC""#, "[]", "[{}]", "{}",
        ] {
            assert_eq!(
                usable(&[entry.to_owned(), key("good")]),
                ["good"],
                "{entry}"
            );
        }
    }

    #[test]
    fn what_is_no_key_set_is_no_document() {
        for body in [
            "",
            "[]",
            "null",
            "{}",
            r#"{"keys":{}}"#,
            r#"{"keys":[],"keys":[]}"#,
            r#"{"keys":[],"x":"\ud800"}"#,
            r#"{"keys":[],"x":1e400}"#,
        ] {
            let fault = read(body.as_bytes(), &[Algorithm::Es256]).unwrap_err();
            assert_eq!(fault, FetchFault::Malformed, "{body}");
        }
        let not_utf8 = read(b"{\"keys\":[],\"x\":\"\xff\"}", &[]).unwrap_err();
        assert_eq!(not_utf8, FetchFault::Malformed);
        let padded = |length: usize| format!(r#"{{"keys":[]{}}}"#, " ".repeat(length - 11));
        assert!(read(padded(MAX_BYTES).as_bytes(), &[]).is_ok());
        let fault = read(padded(MAX_BYTES + 1).as_bytes(), &[]).unwrap_err();
        assert_eq!(fault, FetchFault::TooLarge);
        let many = |count: usize| format!(r#"{{"keys":[{}]}}"#, vec!["1"; count].join(","));
        assert!(read(many(MAX_KEYS).as_bytes(), &[]).is_ok());
        let fault = read(many(MAX_KEYS + 1).as_bytes(), &[]).unwrap_err();
        assert_eq!(fault, FetchFault::TooManyKeys);
    }
}
