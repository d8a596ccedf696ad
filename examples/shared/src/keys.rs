//! The key-encryption key, which encrypts the keys in a shared store.
//!
//! 1. It is `KEY_ENCRYPTION_KEY`, or it is generated on first start and kept in a file that only its
//!    owner can read. Apps that share the store must share one or the other.
//! 2. The file is created as a whole and never replaced, so two apps that start at the same time
//!    use the same secret.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use auth_core::rotation::KeyEncryptionKey;

use crate::config::Config;

/// Loads or generates the key-encryption key.
///
/// # Errors
/// If `KEY_ENCRYPTION_KEY` is not 32 bytes in base64url. Also if the file cannot be read or
/// written, has no usable key, or can be read by other users.
pub fn key_encryption_key(config: &Config) -> Result<KeyEncryptionKey, Box<dyn std::error::Error>> {
    if let Some(text) = &config.key_encryption_key {
        return Ok(KeyEncryptionKey::from_base64url(text)?);
    }
    let secret = secret_file(&config.data_dir.join("key-encryption-key"))?;
    Ok(KeyEncryptionKey::new(&secret)?)
}

fn secret_file(path: &Path) -> io::Result<Vec<u8>> {
    if !path.exists() {
        create_data_dir(path.parent().unwrap_or(Path::new(".")))?;
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        create_secret_file(path, &secret)?;
    }
    refuse_if_others_can_read(path)?;
    fs::read(path)
}

fn create_data_dir(dir: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Creates the file under another name, then links it. The file exists as a whole or not, with mode
/// 0600 from its first byte on. An existing one stays.
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
        "other users can read {path}, and may have done so already"
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
    fn the_secret_is_made_once_and_is_the_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("new/data");
        let path = data.join("secret");
        let first = secret_file(&path).unwrap();
        assert_eq!(first.len(), 32);
        assert_eq!(secret_file(&path).unwrap(), first);
        let names: Vec<_> = fs::read_dir(&data)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names, ["secret"], "no draft stays behind");
    }

    #[test]
    fn apps_that_start_together_agree_on_one_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        create_secret_file(&path, b"first").unwrap();
        create_secret_file(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        secret_file(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        assert!(secret_file(&path).is_err());
    }

    #[test]
    fn a_configured_key_is_taken_instead_and_no_file_made() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::for_tests(dir.path());
        config.key_encryption_key = Some("c2VhbHMgdGhlIGtleXMgb2YgdGhlIGV4YW1wbGUgLi4".to_owned());
        key_encryption_key(&config).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        config.key_encryption_key = Some("a password".to_owned());
        assert!(key_encryption_key(&config).is_err());
    }
}
