//! Parsing of a JWKS document (RFC 7517 §5).
//!
//! 1. A document is strict JSON with an array `keys` exactly once. Anything else is refused, even in
//!    parts that are skipped.
//! 2. An entry that is not an object, or repeats a member (RFC 7517 §4), is an unusable key. The other
//!    entries stay usable.
//! 3. Entries with the same numbers, id and algorithm are one key. Different keys may share an id if
//!    their algorithms differ: no token can be meant for both. Otherwise none of them is used.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use crate::base::config::ConfigError;
use crate::base::strict_json::{Object, is_strict};
use crate::keys::fault::KeyFault;
use crate::keys::{Algorithm, JwkSkip, Key, remote_jwk};
use crate::observe::words::FetchFault;

/// Limits of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) bytes: usize,
    pub(crate) keys: usize,
}

impl Limits {
    /// Upper bound of the limits, so that parsing takes milliseconds.
    const MOST: Self = Self {
        bytes: 1024 * 1024,
        keys: 1024,
    };

    pub(crate) fn check(self) -> Result<Self, ConfigError> {
        let fits = (1..=Self::MOST.bytes).contains(&self.bytes)
            && (1..=Self::MOST.keys).contains(&self.keys);
        if fits {
            Ok(self)
        } else {
            Err(ConfigError::new(
                "key_set_limits",
                "must be at most 1 MiB and 1024 keys",
            ))
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 64 * 1024,
            keys: 64,
        }
    }
}

/// The usable keys of a document. No two have the same id and algorithm.
#[derive(Debug)]
pub(crate) struct Usable {
    pub(crate) keys: Vec<Key>,
    pub(crate) skipped: Vec<Skipped>,
}

/// An unused entry. Contains nothing of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) index: usize,
    pub(crate) member: Option<&'static str>,
    pub(crate) reason: &'static str,
}

impl Skipped {
    fn new(index: usize, fault: JwkSkip) -> Self {
        Self {
            index,
            member: fault.member(),
            reason: fault.as_str(),
        }
    }
}

pub(crate) fn read(
    body: &[u8],
    allowed: &[Algorithm],
    limits: Limits,
) -> Result<Usable, FetchFault> {
    if body.len() > limits.bytes {
        return Err(FetchFault::TooLarge);
    }
    let document = parse(body).ok_or(FetchFault::Malformed)?;
    if document.keys.len() > limits.keys {
        return Err(FetchFault::TooManyKeys);
    }
    let mut keys = Vec::with_capacity(document.keys.len());
    let mut skipped = Vec::new();
    for (index, entry) in document.keys.into_iter().enumerate() {
        match entry.key(allowed) {
            Ok(key) => keys.push((index, key)),
            Err(fault) => skipped.push(Skipped::new(index, fault)),
        }
    }
    let keys = distinct(keys, &mut skipped);
    Ok(Usable { keys, skipped })
}

fn parse(body: &[u8]) -> Option<KeySetDocument> {
    let text = std::str::from_utf8(body).ok()?;
    // Serde would accept an array for the members in order.
    let is_object = text.trim_start().starts_with('{');
    // The error is dropped: it quotes the document.
    let document = serde_json::from_str(text).ok()?;
    (is_object && is_strict(text)).then_some(document)
}

/// Applies rule 3.
fn distinct(read: Vec<(usize, Key)>, skipped: &mut Vec<Skipped>) -> Vec<Key> {
    const AMBIGUOUS: KeyFault =
        KeyFault::jwk("another key has the same id and algorithm, so neither is used").at("kid");
    let mut groups: HashMap<(String, Algorithm), Vec<(usize, Key)>> = HashMap::new();
    for (index, key) in read {
        let name = (key.id().to_owned(), key.algorithm());
        groups.entry(name).or_default().push((index, key));
    }
    let mut kept = Vec::with_capacity(groups.len());
    for group in groups.into_values() {
        let one = |first: &Key| group.iter().all(|(_, key)| key.has_numbers_of(first));
        if group.first().is_some_and(|(_, first)| one(first)) {
            // The entry with the most information is kept.
            let certified = |(_, key): &&(usize, Key)| !key.certificate().is_empty();
            kept.extend(group.iter().find(certified).or(group.first()).cloned());
        } else {
            let ambiguous = group
                .iter()
                .map(|(index, _)| Skipped::new(*index, AMBIGUOUS));
            skipped.extend(ambiguous);
        }
    }
    kept.sort_unstable_by_key(|(index, _)| *index);
    skipped.sort_unstable_by_key(|entry| entry.index);
    kept.into_iter().map(|(_, key)| key).collect()
}

/// The one member of a document that is read. Serde refuses a second one.
#[derive(Deserialize)]
struct KeySetDocument {
    keys: Vec<JwkEntry>,
}

/// The members of one entry, or another value.
#[derive(Deserialize)]
#[serde(untagged)]
enum JwkEntry {
    Key(Object),
    Other(Value),
}

impl JwkEntry {
    fn key(self, allowed: &[Algorithm]) -> Result<Key, JwkSkip> {
        match self {
            Self::Key(Object(members)) => remote_jwk(&Value::Object(members), allowed),
            Self::Other(Value::Object(_)) => Err(KeyFault::jwk("a member is repeated")),
            Self::Other(_) => Err(KeyFault::jwk("this is not an object")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::keys::{KeyRing, Thumbprints};

    fn key(kid: &str) -> String {
        let (key, _) = Key::generate(kid, Algorithm::Es256).unwrap();
        key.public_jwk().unwrap().to_owned()
    }

    fn read_es256(body: &[u8]) -> Result<Usable, FetchFault> {
        read(body, &[Algorithm::Es256], Limits::default())
    }

    fn usable(entries: &[String]) -> Vec<String> {
        let document = format!(r#"{{"keys":[{}]}}"#, entries.join(","));
        let usable = read_es256(document.as_bytes()).unwrap();
        assert_eq!(usable.keys.len() + usable.skipped.len(), entries.len());
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
        // An unusable entry does not occupy its id.
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
            let fault = read_es256(body.as_bytes()).unwrap_err();
            assert_eq!(fault, FetchFault::Malformed, "{body}");
        }
        let not_utf8 = read_es256(b"{\"keys\":[],\"x\":\"\xff\"}").unwrap_err();
        assert_eq!(not_utf8, FetchFault::Malformed);
    }

    #[test]
    fn i03_a_document_is_as_large_as_its_limits() {
        let padded = |length: usize| format!(r#"{{"keys":[]{}}}"#, " ".repeat(length - 11));
        let many = |count: usize| format!(r#"{{"keys":[{}]}}"#, vec!["1"; count].join(","));
        let raised = Limits {
            bytes: 100_000,
            keys: 100,
        };
        for limits in [Limits::default(), raised.check().unwrap()] {
            let read = |body: String| read(body.as_bytes(), &[], limits).map(|_| ());
            assert_eq!(read(padded(limits.bytes)), Ok(()));
            let fault = read(padded(limits.bytes + 1));
            assert_eq!(fault, Err(FetchFault::TooLarge));
            assert_eq!(read(many(limits.keys)), Ok(()));
            let fault = read(many(limits.keys + 1));
            assert_eq!(fault, Err(FetchFault::TooManyKeys));
        }
        let Limits { bytes, keys } = Limits::MOST;
        for (bytes, keys) in [(bytes + 1, keys), (bytes, keys + 1), (0, keys), (bytes, 0)] {
            assert!(Limits { bytes, keys }.check().is_err(), "{bytes} {keys}");
        }
    }

    fn kept(entries: &[Value], allowed: &[Algorithm]) -> (Vec<Key>, Vec<Skipped>) {
        let document = serde_json::json!({ "keys": entries }).to_string();
        let usable = read(document.as_bytes(), allowed, Limits::default()).unwrap();
        (usable.keys, usable.skipped)
    }

    fn entry(kid: &str, algorithm: Algorithm, changes: Value) -> Value {
        let (key, _) = Key::generate(kid, algorithm).unwrap();
        changed(
            &serde_json::from_str(key.public_jwk().unwrap()).unwrap(),
            changes,
        )
    }

    fn changed(entry: &Value, changes: Value) -> Value {
        let mut entry = entry.clone();
        for (name, value) in changes.as_object().unwrap() {
            entry[name] = value.clone();
        }
        entry
    }

    #[test]
    fn i04_the_same_key_twice_is_one_key() {
        let key = entry("a", Algorithm::Rs256, json!({}));
        let certified = changed(&key, json!({"x5t": "thumb", "x5c": ["AAAA"]}));
        for pair in [[&key, &certified], [&certified, &key]] {
            let (keys, skipped) = kept(&pair.map(Value::clone), &[Algorithm::Rs256]);
            assert_eq!((keys.len(), skipped.len()), (1, 0));
            assert_eq!(keys[0].certificate().sha1.as_deref(), Some("thumb"));
        }
        // Under another id both keys can be named; a token without id means either.
        let (keys, skipped) = kept(
            &[key.clone(), changed(&key, json!({"kid": "b"}))],
            &[Algorithm::Rs256],
        );
        assert_eq!((keys.len(), skipped.len()), (2, 0));
        assert!(KeyRing::of_remote(keys).only(Algorithm::Rs256).is_some());
    }

    #[test]
    fn i04_keys_of_one_id_are_told_apart_by_their_algorithm() {
        let allowed = [Algorithm::Rs256, Algorithm::Es256];
        let rsa = entry("a", Algorithm::Rs256, json!({}));
        let ec = entry("a", Algorithm::Es256, json!({}));
        let (keys, skipped) = kept(&[rsa.clone(), ec.clone()], &allowed);
        assert_eq!((keys.len(), skipped.len()), (2, 0));
        let ring = KeyRing::of_remote(keys);
        for algorithm in allowed {
            let key = ring.named("a", algorithm).unwrap();
            assert_eq!(key.algorithm(), algorithm);
        }
        // A third key that could verify the same tokens as the first.
        let twin = entry("a", Algorithm::Rs256, json!({}));
        let (keys, skipped) = kept(&[rsa, ec, twin], &allowed);
        assert_eq!(keys.len(), 1);
        let told: Vec<_> = skipped.iter().map(|s| (s.index, s.member)).collect();
        assert_eq!(told, [(0, Some("kid")), (2, Some("kid"))]);
    }

    #[test]
    fn i04_members_that_are_null_are_absent_and_numbers_may_be_padded() {
        let allowed = [Algorithm::Rs256];
        let key = entry("a", Algorithm::Rs256, json!({}));
        let nulls = json!({
            "alg": null, "use": null, "key_ops": null, "crv": null, "d": null, "p": null,
            "q": null, "dp": null, "dq": null, "qi": null, "oth": null, "k": null, "x5t": null,
        });
        let n = key["n"].as_str().unwrap();
        for changes in [
            nulls,
            json!({ "kid": null }),
            json!({ "n": format!("{n}==") }),
            json!({ "e": "AQAB" }),
        ] {
            let (keys, skipped) = kept(&[changed(&key, changes.clone())], &allowed);
            assert_eq!((keys.len(), skipped), (1, vec![]), "{changes}");
        }
        for (changes, member) in [
            (json!({ "n": format!("{n}=") }), "n"),
            (json!({ "n": format!("{n}======") }), "n"),
            (json!({ "n": format!("={n}=") }), "n"),
            (json!({ "n": null }), "n"),
            (json!({ "n": 7 }), "n"),
            (json!({ "e": "AQ" }), "e"),
            (json!({ "kty": null }), "kty"),
            (json!({ "kty": "EC" }), "alg"),
            (json!({ "alg": "RS512" }), "alg"),
            (json!({ "alg": 256 }), "alg"),
            (json!({ "use": "enc" }), "use"),
            (json!({ "key_ops": "verify" }), "key_ops"),
            (json!({ "key_ops": ["sign"] }), "key_ops"),
            (json!({ "d": "AQAB" }), "d"),
            (json!({ "kid": "" }), "kid"),
        ] {
            let (keys, skipped) = kept(&[changed(&key, changes.clone())], &allowed);
            assert_eq!(keys.len(), 0, "{changes}");
            assert_eq!(skipped[0].member, Some(member), "{changes}");
        }
    }

    #[test]
    fn i05_a_key_is_known_by_its_certificate() {
        let named = entry("a", Algorithm::Rs256, json!({ "x5t": "one" }));
        let bare = entry("b", Algorithm::Rs256, json!({ "x5c": ["AAAA"] }));
        let (keys, _) = kept(&[named, bare], &[Algorithm::Rs256]);
        let ring = KeyRing::of_remote(keys);
        let find = |sha1: Option<&str>, sha256: Option<&str>| {
            let certificate = Thumbprints {
                sha1: sha1.map(Box::from),
                sha256: sha256.map(Box::from),
            };
            let key = ring.certified(&certificate, Algorithm::Rs256);
            key.map(|key| key.id().to_owned())
        };
        assert_eq!(find(Some("one"), None).as_deref(), Some("a"));
        // SHA-1 and SHA-256 of three zero bytes.
        let sha1 = "KeLc-7FvY7sCVN91haFbtvtekn0";
        let sha256 = "cJ6AyISHokEeHuTfufIqhhSS0gxHZRUMDHlKvXD4FHw";
        assert_eq!(find(Some(sha1), None).as_deref(), Some("b"));
        assert_eq!(find(None, Some(sha256)).as_deref(), Some("b"));
        assert_eq!(find(Some("x"), Some(sha256)).as_deref(), Some("b"));
        assert_eq!(find(Some("x"), None), None);
        assert_eq!(find(None, None), None);
    }

    #[test]
    fn i06_a_key_may_have_the_fully_specified_name() {
        let allowed = [Algorithm::EdDsa];
        for name in ["Ed25519", "EdDSA"] {
            let key = entry("a", Algorithm::EdDsa, json!({ "alg": name }));
            let (keys, skipped) = kept(&[key], &allowed);
            assert_eq!((keys.len(), skipped), (1, vec![]), "{name}");
            assert_eq!(keys[0].algorithm(), Algorithm::EdDsa);
        }
    }
}
