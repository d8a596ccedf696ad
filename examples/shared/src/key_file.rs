//! The secret keys, made on first start and kept in files that only their owner can read.
//!
//! A key file appears whole and is never replaced: two apps that start at the same moment end up
//! with the same key.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use auth_core::session::RefreshKey;
use auth_core::{Algorithm, Key};

/// The key that signs access tokens.
///
/// # Errors
/// If the file cannot be read or written, holds no usable key, or can be read by others.
pub fn signing_key(data_dir: &Path) -> Result<Key, Box<dyn std::error::Error>> {
    let jwk = secret_file(&data_dir.join("signing-key.json"), || {
        // The key's id only tells keys apart; whoever rotates keys gives the next one another.
        let (_, jwk) = Key::generate("example-1", Algorithm::Es256)?;
        Ok(jwk.expose().as_bytes().to_vec())
    })?;
    Ok(Key::from_jwk(&String::from_utf8(jwk)?)?)
}

/// The key that refresh tokens are made with.
///
/// # Errors
/// As [`signing_key`].
pub fn refresh_key(data_dir: &Path) -> Result<RefreshKey, Box<dyn std::error::Error>> {
    let secret = secret_file(&data_dir.join("refresh-key.bin"), || {
        let mut secret = vec![0; 32];
        getrandom::fill(&mut secret)?;
        Ok(secret)
    })?;
    Ok(RefreshKey::new(1, &secret)?)
}

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn secret_file(path: &Path, generate: impl FnOnce() -> Fallible<Vec<u8>>) -> Fallible<Vec<u8>> {
    if !path.exists() {
        create_data_dir(path.parent().unwrap_or(Path::new(".")))?;
        create_secret_file(path, &generate()?)?;
    }
    refuse_if_others_can_read(path)?;
    Ok(fs::read(path)?)
}

fn create_data_dir(dir: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Writes beside the final place, then links: the file is there whole or not at all, with mode
/// 0600 from its first byte on, and an existing one stays as it is.
fn create_secret_file(path: &Path, secret: &[u8]) -> io::Result<()> {
    let draft = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&draft).and_then(|mut file: File| {
        file.write_all(secret)?;
        file.sync_all()
    });
    let linked = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    });
    fs::remove_file(&draft)?;
    linked
}

#[cfg(unix)]
fn refuse_if_others_can_read(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let path = path.display();
    Err(io::Error::other(format!(
        "{path} can be read by others: delete it (everybody signs in again), or chmod 600 it"
    )))
}

#[cfg(not(unix))]
fn refuse_if_others_can_read(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_is_the_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("new/data");
        let first = signing_key(&data).unwrap();
        let second = signing_key(&data).unwrap();
        assert_eq!(first.public_jwk(), second.public_jwk());
        let names: Vec<_> = fs::read_dir(&data)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names, ["signing-key.json"], "no draft stays behind");
    }

    #[test]
    fn the_refresh_key_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        refresh_key(dir.path()).unwrap();
        let path = dir.path().join("refresh-key.bin");
        let first = fs::read(&path).unwrap();
        refresh_key(dir.path()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
        assert_eq!(first.len(), 32);
    }

    #[test]
    fn apps_that_start_together_agree_on_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        create_secret_file(&path, b"first").unwrap();
        create_secret_file(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        signing_key(dir.path()).unwrap();
        let path = dir.path().join("signing-key.json");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        assert!(signing_key(dir.path()).is_err());
    }
}
