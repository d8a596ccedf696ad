//! Documents sealed for a store.

use crate::keys::rotation::tests::*;

const ONE: [u8; 2] = [1, 2];
const TWO: [u8; 2] = [3, 4];

fn kek(pattern: [u8; 2]) -> KeyEncryptionKey {
    KeyEncryptionKey::new(&pattern.repeat(16)).unwrap()
}

#[derive(Clone, Debug, Default)]
struct Store(Arc<Mutex<SealedRow>>);

impl Store {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().sealed.clone().unwrap().1
    }

    fn put(&self, bytes: Vec<u8>) {
        self.0.lock().unwrap().sealed = Some((1, bytes));
    }
}

#[async_trait]
impl SealedKeyStore for Store {
    async fn load_keys(&self) -> Result<SealedRow, PersistenceError> {
        Ok(self.0.lock().unwrap().clone())
    }

    async fn save_keys(
        &self,
        expected: Option<u64>,
        sealed: &SealedKeySet,
    ) -> Result<bool, PersistenceError> {
        let mut stored = self.0.lock().unwrap();
        if stored.sealed.as_ref().map(|(version, _)| *version) != expected {
            return Ok(false);
        }
        stored.sealed = Some((expected.unwrap_or(0) + 1, sealed.as_bytes().to_vec()));
        Ok(true)
    }
}

async fn kind(keys: &impl KeyPersistence) -> PersistenceErrorKind {
    keys.load().await.unwrap_err().kind()
}

#[tokio::test]
async fn a_dump_of_the_store_holds_no_key() {
    let store = Store::default();
    let keys = EncryptedKeys::new(store.clone(), kek(ONE));
    let document = KeySet::from_bytes(b"marked-secret".to_vec());
    assert!(keys.save(None, &document).await.unwrap());
    let once = store.bytes();
    assert!(!once.windows(6).any(|part| part == b"marked"));
    assert!(keys.save(Some(1), &document).await.unwrap());
    assert_ne!(store.bytes(), once, "each write has a nonce of its own");
    assert!(!keys.save(Some(1), &document).await.unwrap());
    let (version, opened) = keys.load().await.unwrap().document.unwrap();
    assert_eq!((version, opened.expose()), (2, document.expose()));
}

#[tokio::test]
async fn sealed_keys_open_with_their_key_and_unaltered_only() {
    let store = Store::default();
    let keys = EncryptedKeys::new(store.clone(), kek(ONE));
    let document = KeySet::from_bytes(b"secret".to_vec());
    keys.save(None, &document).await.unwrap();
    let other = EncryptedKeys::new(store.clone(), kek(TWO));
    assert_eq!(kind(&other).await, PersistenceErrorKind::Sealed);

    let sealed = store.bytes();
    for at in 9..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        store.put(altered);
        assert_eq!(kind(&keys).await, PersistenceErrorKind::Corrupt, "{at}");
    }
    for length in 0..sealed.len() {
        store.put(sealed[..length].to_vec());
        assert_eq!(kind(&keys).await, PersistenceErrorKind::Corrupt, "{length}");
    }
}

#[tokio::test]
async fn a_document_under_the_previous_key_is_opened_and_sealed_anew() {
    let store = Store::default();
    let start = async |keys| {
        KeyRotation::builder(keys, schedule())
            .with_clock(clock())
            .start()
            .await
    };
    let first = start(EncryptedKeys::new(store.clone(), kek(ONE))).await;
    let keys = EncryptedKeys::new(store.clone(), kek(TWO));
    assert!(start(keys.clone()).await.is_err());
    let second = start(keys.clone().with_previous(kek(ONE))).await.unwrap();
    assert_eq!(ids(&second), ids(&first.unwrap()));
    assert_eq!(ids(&start(keys).await.unwrap()), ids(&second));
}

#[test]
fn key_encryption_keys_are_32_random_bytes_and_never_shown() {
    assert!(KeyEncryptionKey::new(b"").is_err());
    assert!(KeyEncryptionKey::new(&[0; 32]).is_err());
    assert!(KeyEncryptionKey::new(&ONE.repeat(15)).is_err());
    assert!(KeyEncryptionKey::new(&ONE.repeat(17)).is_err());
    assert!(KeyEncryptionKey::from_base64url("not base64url!").is_err());
    assert_eq!(format!("{:?}", kek(ONE)), "KeyEncryptionKey([redacted])");
}
