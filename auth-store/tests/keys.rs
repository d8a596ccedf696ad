//! The keys of an app in a file and, sealed, in the stores.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "functions that tests share may fail a test"
)]

#[cfg(any(feature = "postgres", feature = "redis"))]
mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use auth_core::rotation::{
    EncryptedKeys, KeyEncryptionKey, KeyRotation, KeySchedule, RefreshKeySchedule, RotationError,
};
use auth_core::store::{KeyPersistence, KeySet, PersistenceErrorKind};
use auth_core::testing::ManualClock;
use auth_core::{Key, Timestamp};
use auth_store::FileKeys;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn schedule() -> KeySchedule {
    KeySchedule::for_lifetime(Duration::from_secs(600))
}

async fn start(
    keys: impl KeyPersistence + 'static,
    clock: &Arc<ManualClock>,
) -> Result<KeyRotation, RotationError> {
    let idle = Duration::from_secs(14 * 24 * 60 * 60);
    KeyRotation::builder(keys, schedule())
        .with_refresh_keys(RefreshKeySchedule::for_longest_idle(idle))
        .with_clock(clock.clone())
        .start()
        .await
}

fn ids(rotation: &KeyRotation) -> Vec<String> {
    let ring = rotation.keys().load();
    ring.iter().map(Key::id).map(str::to_owned).collect()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW))
}

/// Nodes with the same keys start together, publish one key together and follow each other.
async fn nodes_share_keys<P: KeyPersistence + 'static>(keys: impl Fn() -> P) {
    let clock = clock();
    let (one, two) = tokio::join!(start(keys(), &clock), start(keys(), &clock));
    let (mut one, mut two) = (one.unwrap(), two.unwrap());
    assert_eq!(ids(&one), ids(&two));
    let (version, document) = version(&keys()).await;
    assert_eq!(version, 1);
    assert!(!keys().save(None, &document).await.unwrap());
    assert!(!keys().save(Some(2), &document).await.unwrap());

    clock.advance(Duration::from_secs(30 * 24 * 60 * 60));
    let (done_one, done_two) = tokio::join!(one.step(), two.step());
    done_one.unwrap();
    done_two.unwrap();
    assert_eq!(ids(&one).len(), 2);
    assert_eq!(ids(&one), ids(&two));
    assert_eq!(self::version(&keys()).await.0, 2);
    let third = start(keys(), &clock).await.unwrap();
    assert_eq!(ids(&third), ids(&one));
}

async fn version(keys: &impl KeyPersistence) -> (u64, KeySet) {
    keys.load().await.unwrap().into_document().unwrap()
}

#[tokio::test]
async fn nodes_share_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/keys");
    nodes_share_keys(|| FileKeys::new(&path)).await;
}

fn key_encryption_key() -> KeyEncryptionKey {
    KeyEncryptionKey::new(&[1, 2].repeat(16)).unwrap()
}

#[tokio::test]
async fn nodes_share_a_sealed_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    nodes_share_keys(|| EncryptedKeys::new(FileKeys::new(&path), key_encryption_key())).await;
    let bytes = fs::read(&path).unwrap();
    assert!(!bytes.windows(9).any(|part| part == b"\"signing\""));
    let error = FileKeys::new(&path).load().await.unwrap();
    assert!(error.into_document().is_some());
    let unsealed = start(FileKeys::new(&path), &clock()).await.unwrap_err();
    assert_eq!(kind(unsealed), PersistenceErrorKind::Corrupt);
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn nodes_share_a_sqlite_file() {
    use auth_store::SqliteStore;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let one = SqliteStore::open(&path).await.unwrap();
    nodes_share_keys(|| EncryptedKeys::new(one.clone(), key_encryption_key())).await;
    let other = SqliteStore::open(&path).await.unwrap();
    let keys = EncryptedKeys::new(other, key_encryption_key());
    assert_eq!(version(&keys).await.0, 2);
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn nodes_share_a_postgres_database() {
    use auth_store::PostgresStore;
    let Some(server) = common::server("AUTH_TEST_POSTGRES_URL") else {
        return;
    };
    use sqlx::{AssertSqlSafe, Connection, Executor};
    let mut admin = sqlx::PgConnection::connect(&server).await.unwrap();
    let name = format!("auth_test_keys_{}", std::process::id());
    for statement in [
        format!("DROP DATABASE IF EXISTS {name}"),
        format!("CREATE DATABASE {name}"),
    ] {
        admin.execute(AssertSqlSafe(statement)).await.unwrap();
    }
    let (base, _) = server.rsplit_once('/').unwrap();
    let url = format!("{base}/{name}");
    let driven = clock();
    let store = PostgresStore::connect_with(&url, driven_by(&driven))
        .await
        .unwrap();
    nodes_keep_the_stores_time(&store, &driven).await;
    let real = PostgresStore::connect(&url).await.unwrap();
    let real = EncryptedKeys::new(real, key_encryption_key());
    assert_eq!(version(&real).await.0, 2);
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn nodes_share_a_redis_server() {
    use auth_store::RedisStore;
    let Some(url) = common::server("AUTH_TEST_REDIS_URL") else {
        return;
    };
    let client = redis::Client::open(url.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let _: u64 = redis::cmd("DEL")
        .arg("auth:keys")
        .query_async(&mut connection)
        .await
        .unwrap();
    let driven = clock();
    let store = RedisStore::connect_with(&url, driven_by(&driven))
        .await
        .unwrap();
    nodes_keep_the_stores_time(&store, &driven).await;
    let real = RedisStore::connect(&url).await.unwrap();
    let real = EncryptedKeys::new(real, key_encryption_key());
    assert_eq!(version(&real).await.0, 2);
}

#[cfg(any(feature = "postgres", feature = "redis"))]
fn driven_by(clock: &Arc<ManualClock>) -> auth_store::StoreOptions {
    let clock = auth_core::store::StoreClock::driven(clock.clone());
    auth_store::StoreOptions::new().with_clock(clock)
}

/// Nodes whose clocks differ by decades rotate by the store's clock.
#[cfg(any(feature = "postgres", feature = "redis"))]
async fn nodes_keep_the_stores_time<S>(store: &S, driven: &ManualClock)
where
    S: auth_core::store::SealedKeyStore + Clone + 'static,
{
    let keys = || EncryptedKeys::new(store.clone(), key_encryption_key());
    let (right, wrong) = (clock(), Arc::new(ManualClock::at(Timestamp::from_secs(5))));
    let (one, two) = tokio::join!(start(keys(), &right), start(keys(), &wrong));
    let (mut one, mut two) = (one.unwrap(), two.unwrap());
    driven.advance(Duration::from_secs(30 * 24 * 60 * 60));
    let (done_one, done_two) = tokio::join!(one.step(), two.step());
    done_one.unwrap();
    done_two.unwrap();
    assert_eq!(ids(&one).len(), 2);
    assert_eq!(ids(&one), ids(&two));
    let (version, document) = version(&keys()).await;
    assert_eq!(version, 2);
    assert!(!keys().save(None, &document).await.unwrap());
    assert!(!keys().save(Some(1), &document).await.unwrap());
}

fn kind(error: RotationError) -> PersistenceErrorKind {
    match error {
        RotationError::Persistence(error) => error.kind(),
        error => panic!("{error}"),
    }
}

#[cfg(unix)]
mod permissions {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn a_key_file_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own/keys");
        let clock = clock();
        let mut node = start(FileKeys::new(&path), &clock).await.unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        clock.advance(Duration::from_secs(30 * 24 * 60 * 60));
        node.step().await.unwrap();
        assert_eq!(mode(&path), 0o600);
        for entry in fs::read_dir(path.parent().unwrap()).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600);
        }
    }

    #[tokio::test]
    async fn a_key_file_that_others_can_reach_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let mut node = start(FileKeys::new(&path), &clock()).await.unwrap();
        for bits in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666] {
            fs::set_permissions(&path, PermissionsExt::from_mode(bits)).unwrap();
            let error = start(FileKeys::new(&path), &clock()).await.unwrap_err();
            assert_eq!(kind(error), PersistenceErrorKind::Exposed, "{bits:o}");
            assert!(node.step().await.is_err());
            assert_eq!(mode(&path), bits);
        }
        fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
        node.step().await.unwrap();
    }
}

#[tokio::test]
async fn what_a_crash_leaves_behind_is_not_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let clock = clock();
    let before = ids(&start(FileKeys::new(&path), &clock).await.unwrap());
    // Drafts of a crash while writing and before renaming.
    for left in ["", "auth-keys 2\n{\"form"] {
        fs::write(folder.path().join("keys.new"), left).unwrap();
        clock.advance(Duration::from_secs(31 * 24 * 60 * 60));
        let after = ids(&start(FileKeys::new(&path), &clock).await.unwrap());
        assert_eq!(after.len(), 2);
        assert_ne!(after, before);
        assert!(!folder.path().join("keys.new").exists());
    }
}

#[tokio::test]
async fn a_file_that_is_no_key_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    start(FileKeys::new(&path), &clock()).await.unwrap();
    let good = fs::read_to_string(&path).unwrap();
    for broken in [
        String::new(),
        "auth-keys".to_owned(),
        "auth-keys \n".to_owned(),
        good.replace("auth-keys 1", "auth-keys x"),
        good.replace("auth-keys 1", "auth-keys -1"),
        good[..good.len() - 1].to_owned(),
        format!("{good} and more"),
    ] {
        fs::write(&path, &broken).unwrap();
        let error = start(FileKeys::new(&path), &clock()).await.unwrap_err();
        assert_eq!(kind(error), PersistenceErrorKind::Corrupt);
        assert_eq!(fs::read_to_string(&path).unwrap(), broken);
    }
}

const RACED_FILE: &str = "AUTH_TEST_RACED_KEY_FILE";
const WINS: u64 = 15;

/// The body of the child processes of the test below.
#[tokio::test]
async fn one_process_of_a_race() {
    let Some(path) = std::env::var_os(RACED_FILE) else {
        return;
    };
    let keys = FileKeys::new(path);
    let mut won = 0;
    while won < WINS {
        let (version, document) = version(&keys).await;
        won += u64::from(keys.save(Some(version), &document).await.unwrap());
    }
}

#[tokio::test]
async fn of_racing_processes_exactly_one_replaces_each_version() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    start(FileKeys::new(&path), &clock()).await.unwrap();
    let racers: Vec<_> = (0..4)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "one_process_of_a_race"])
                .env(RACED_FILE, &path)
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut racer in racers {
        assert!(racer.wait().unwrap().success());
    }
    // Two processes that replaced the same version would both count a success for one increment.
    assert_eq!(version(&FileKeys::new(&path)).await.0, 1 + 4 * WINS);
}

/// Only a missing file means that there are no keys yet. Any other obstacle must not make a node
/// create new keys.
#[cfg(unix)]
#[tokio::test]
async fn f09_what_cannot_be_read_is_not_an_absent_file() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let absent = FileKeys::new(folder.path().join("keys"));
    assert!(absent.load().await.unwrap().into_document().is_none());

    let file = folder.path().join("file");
    fs::write(&file, "text").unwrap();
    let within = FileKeys::new(file.join("keys")).load().await.unwrap_err();
    assert_eq!(within.kind(), PersistenceErrorKind::Unavailable);

    let directory = folder.path().join("directory");
    fs::create_dir(&directory).unwrap();
    let owners = fs::Permissions::from_mode(0o700);
    fs::set_permissions(&directory, owners).unwrap();
    let error = FileKeys::new(&directory).load().await.unwrap_err();
    assert_eq!(error.kind(), PersistenceErrorKind::Corrupt);

    let large = folder.path().join("large");
    fs::write(&large, vec![b' '; 1024 * 1024 + 1]).unwrap();
    fs::set_permissions(&large, fs::Permissions::from_mode(0o600)).unwrap();
    let error = FileKeys::new(&large).load().await.unwrap_err();
    assert_eq!(error.kind(), PersistenceErrorKind::Corrupt);
    assert_eq!(
        error.to_string(),
        "the stored keys are unreadable or were altered"
    );
}

#[test]
fn f09_an_unreadable_row_of_keys_is_corrupt_and_a_slow_store_is_not() {
    use auth_core::store::StoreErrorKind;
    let corrupt = auth_core::store::StoreError::new(StoreErrorKind::Corrupt);
    let corrupt = auth_core::store::PersistenceError::from(corrupt);
    assert_eq!(corrupt.kind(), PersistenceErrorKind::Corrupt);
    let slow = auth_core::store::StoreError::new(StoreErrorKind::Timeout);
    let slow = auth_core::store::PersistenceError::from(slow);
    assert_eq!(slow.kind(), PersistenceErrorKind::Unavailable);
    let source = std::error::Error::source(&slow).unwrap();
    assert_eq!(
        source.to_string(),
        "the session store did not respond in time"
    );
}
