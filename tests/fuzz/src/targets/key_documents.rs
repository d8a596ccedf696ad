//! The documents that signing keys are kept in, sealed and open.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::rotation::{EncryptedKeys, KeyEncryptionKey, KeyRotation, KeySchedule};
use auth_core::store::{
    KeyPersistence, KeySet, LoadedKeys, PersistenceError, PersistenceErrorKind, SealedKeySet,
    SealedKeyStore, SealedRow,
};
use serde_json::{Value, json};

use crate::edits::{edited, scripts};
use crate::world::{block_on, clock};

/// One document, whatever it is; the last one that was saved.
#[derive(Debug, Default)]
struct Drawer(Mutex<Option<Vec<u8>>>);

impl Drawer {
    fn of(bytes: &[u8]) -> Self {
        Self(Mutex::new(Some(bytes.to_vec())))
    }

    fn get(&self) -> Option<Vec<u8>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, bytes: &[u8]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes.to_vec());
    }
}

#[async_trait]
impl SealedKeyStore for Drawer {
    async fn load_keys(&self) -> Result<SealedRow, PersistenceError> {
        Ok(SealedRow {
            sealed: self.get().map(|bytes| (1, bytes)),
            now: None,
        })
    }

    async fn save_keys(
        &self,
        _: Option<u64>,
        sealed: &SealedKeySet,
    ) -> Result<bool, PersistenceError> {
        self.set(sealed.as_bytes());
        Ok(true)
    }
}

#[async_trait]
impl KeyPersistence for Drawer {
    async fn load(&self) -> Result<LoadedKeys, PersistenceError> {
        Ok(match self.get() {
            Some(bytes) => LoadedKeys::document(1, KeySet::from_bytes(bytes)),
            None => LoadedKeys::nothing(),
        })
    }

    async fn save(&self, _: Option<u64>, document: &KeySet) -> Result<bool, PersistenceError> {
        self.set(document.expose());
        Ok(true)
    }
}

fn encrypted(drawer: Arc<Drawer>) -> EncryptedKeys<Arc<Drawer>> {
    let secret: Vec<u8> = (0..32).collect();
    EncryptedKeys::new(drawer, KeyEncryptionKey::new(&secret).unwrap())
}

/// A sealed document, and what is in it.
fn good() -> &'static (Vec<u8>, Vec<u8>) {
    static GOOD: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    GOOD.get_or_init(|| {
        let drawer = Arc::new(Drawer::default());
        let document = KeySet::from_bytes(first_document());
        block_on(encrypted(drawer.clone()).save(None, &document)).unwrap();
        (drawer.get().unwrap(), document.expose().to_vec())
    })
}

/// A script of edits if the first byte is even, else the sealed bytes themselves. What is not
/// exactly what was sealed is not opened.
pub(super) fn sealed(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else {
        return;
    };
    let (sealed, document) = good();
    let bytes = if how % 2 == 0 {
        edited(sealed, rest)
    } else {
        rest.to_vec()
    };
    match block_on(encrypted(Arc::new(Drawer::of(&bytes))).load()) {
        Ok(kept) => {
            let (_, kept) = kept.into_document().expect("a document");
            assert!(bytes == *sealed && kept.expose() == document.as_slice());
        }
        Err(error) => {
            let kinds = [PersistenceErrorKind::Corrupt, PersistenceErrorKind::Sealed];
            assert!(bytes != *sealed && kinds.contains(&error.kind()));
        }
    }
}

pub(super) fn sealed_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = scripts()
        .into_iter()
        .map(|script| [vec![0], script].concat())
        .collect();
    for length in [0, 1, 8, 9, 20, 21, 36, 37, 38] {
        seeds.push([&[1], &good().0[..length]].concat());
    }
    seeds
}

fn schedule() -> KeySchedule {
    KeySchedule::for_lifetime(Duration::from_secs(600))
}

/// What a first node writes.
fn first_document() -> Vec<u8> {
    let drawer = Arc::new(Drawer::default());
    let start = KeyRotation::builder(drawer.clone(), schedule()).with_clock(clock());
    block_on(start.start()).unwrap();
    drawer.get().unwrap()
}

/// A document that reads gives keys to sign with, and its public half shows no private key.
pub(super) fn document(data: &[u8]) {
    let drawer = Arc::new(Drawer::of(data));
    let start = KeyRotation::builder(drawer.clone(), schedule()).with_clock(clock());
    let Ok(rotation) = block_on(start.start()) else {
        return;
    };
    serde_json::from_slice::<Value>(data).expect("strict JSON");
    let set = rotation.keys().load().jwks();
    let set: Value = serde_json::from_str(&set).expect("a key set");
    for key in set["keys"].as_array().expect("keys") {
        assert!(key["d"].is_null() && key["k"].is_null(), "a private key");
    }
    // What it has made of the document reads again.
    let written = drawer.get().expect("a document");
    let start = KeyRotation::builder(Arc::new(Drawer::of(&written)), schedule());
    assert!(block_on(start.with_clock(clock()).start()).is_ok());
}

pub(super) fn document_seeds() -> Vec<Vec<u8>> {
    let first = first_document();
    let mut two: Value = serde_json::from_slice(&first).unwrap();
    let mut second = two["signing"][0].clone();
    second["id"] = json!("other");
    second["signs_from"] = json!(1_900_000_000_000_i64);
    if let Some(line) = two["signing"].as_array_mut() {
        line.push(second);
    }
    vec![
        first,
        two.to_string().into_bytes(),
        br#"{"format":1,"signing":[],"refresh":[]}"#.to_vec(),
        br#"{"format":2,"signing":[],"refresh":[]}"#.to_vec(),
        Vec::new(),
    ]
}
