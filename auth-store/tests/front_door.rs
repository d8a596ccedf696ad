//! A store of this crate as the store of an `Auth`.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a broken expectation fails the test")]

use std::fs;

use auth_core::session::LoginRequest;
use auth_core::{Auth, StartError};
use auth_store::SqliteStore;

async fn start(path: &std::path::Path) -> Result<Auth, StartError> {
    let store = SqliteStore::open(path).await.unwrap();
    Auth::for_issuer("https://app.example")
        .audience("https://app.example/api")
        .store(store)
        .start()
        .await
}

#[tokio::test]
async fn g06_sqlite_keeps_the_keys_beside_its_file_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/app.db");
    let auth = start(&path).await.unwrap();
    let login = LoginRequest::for_subject("alice");
    let tokens = auth.sessions().login(login).await.unwrap();
    let keys = folder.path().join("data/app.db.keys");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&keys).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    auth.stop().await;
    drop(auth);

    // After a restart, sessions go on, with the same keys.
    let before = fs::read(&keys).unwrap();
    let auth = start(&path).await.unwrap();
    assert_eq!(fs::read(&keys).unwrap(), before);
    let client = auth_core::session::ClientInfo::new();
    let refreshed = auth
        .sessions()
        .refresh(tokens.refresh().unwrap().expose(), &client);
    assert_eq!(refreshed.await.as_str(), "rotated");
}

#[cfg(unix)]
#[tokio::test]
async fn keys_that_others_can_read_do_not_start() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    start(&path).await.unwrap();
    let keys = folder.path().join("app.db.keys");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
    let error = start(&path).await.unwrap_err();
    assert!(matches!(error, StartError::Keys(_)), "{error}");
    assert!(
        error
            .to_string()
            .contains("other users can read the stored keys"),
        "{error}"
    );
}
