//! [`FileKeys`]: the keys of an app on one machine, in a file that only its owner can read.
//!
//! 1. The file has mode 0600 from its first byte on. A file that other users can read is an error and
//!    is not repaired: its keys may have been read already.
//! 2. It is replaced as a whole: written under another name, flushed, renamed, and the directory
//!    flushed. A crash leaves the old file or the new one.
//! 3. An advisory lock on a second file serializes processes that share it; the version in the first
//!    line is compared under that lock. The lock ends with the process.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use auth_core::store::{
    KeyPersistence, KeySet, LoadedKeys, PersistenceError, PersistenceErrorKind, SealedKeySet,
    SealedKeyStore, SealedRow,
};
use zeroize::Zeroizing;

/// The first line of the file, before the version.
const HEAD: &str = "auth-keys ";
/// Maximum size of the file, far more than the keys of any schedule need.
const MAX_BYTES: u64 = 1024 * 1024;
const LOCK_TRIES: u32 = 400;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Keys in a file, for one machine and any number of processes.
///
/// ```
/// use std::time::Duration;
/// use auth_core::rotation::{KeyRotation, KeySchedule};
/// use auth_store::FileKeys;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("keys");
/// let schedule = KeySchedule::for_lifetime(Duration::from_secs(600));
/// let rotation = KeyRotation::builder(FileKeys::new(path), schedule).start().await?;
/// assert!(rotation.keys().load().signing_key().is_some());
/// # Ok(())
/// # }
/// ```
///
/// # Security
/// Read access to the file, or to a backup of it, is enough to sign tokens: exclude it from backups,
/// or encrypt it ([`EncryptedKeys`](auth_core::rotation::EncryptedKeys)). Write access to its
/// directory is enough to replace it. On systems without Unix permissions, nothing is checked.
#[derive(Clone, Debug)]
pub struct FileKeys {
    path: Arc<Path>,
}

impl FileKeys {
    /// Creates the storage for keys in the file at `path`, which is created with the first keys.
    /// Missing directories are created with mode 0700.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into().into(),
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T, PersistenceError> + Send + 'static,
    ) -> Result<T, PersistenceError> {
        let path = Arc::clone(&self.path);
        match tokio::task::spawn_blocking(move || work(&path)).await {
            Ok(done) => done,
            Err(error) => Err(unavailable(error)),
        }
    }
}

#[async_trait]
impl KeyPersistence for FileKeys {
    async fn load(&self) -> Result<LoadedKeys, PersistenceError> {
        let read = self.blocking(read).await?;
        Ok(match read {
            Some((version, bytes)) => {
                LoadedKeys::document(version, KeySet::from_bytes(bytes.to_vec()))
            }
            None => LoadedKeys::nothing(),
        })
    }

    async fn save(
        &self,
        expected: Option<u64>,
        document: &KeySet,
    ) -> Result<bool, PersistenceError> {
        let document = document.clone();
        self.blocking(move |path| replace(path, expected, document.expose()))
            .await
    }
}

#[async_trait]
impl SealedKeyStore for FileKeys {
    async fn load_keys(&self) -> Result<SealedRow, PersistenceError> {
        let read = self.blocking(read).await?;
        Ok(SealedRow {
            sealed: read.map(|(version, bytes)| (version, bytes.to_vec())),
            now: None,
        })
    }

    async fn save_keys(
        &self,
        expected: Option<u64>,
        sealed: &SealedKeySet,
    ) -> Result<bool, PersistenceError> {
        let sealed = sealed.clone();
        self.blocking(move |path| replace(path, expected, sealed.as_bytes()))
            .await
    }
}

/// The version and the bytes after the first line.
type Body = (u64, Zeroizing<Vec<u8>>);

/// Reads the file. `None` if there is none.
fn read(path: &Path) -> Result<Option<Body>, PersistenceError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unavailable(error)),
    };
    let about = file.metadata().map_err(unavailable)?;
    refuse_if_exposed(&about)?;
    if !about.is_file() || about.len() > MAX_BYTES {
        return Err(corrupt());
    }
    // Allocated at full size: growing would leave copies of keys in memory.
    let size = usize::try_from(about.len()).map_err(unavailable)?;
    let mut bytes = Zeroizing::new(vec![0; size]);
    file.read_exact(&mut bytes).map_err(unavailable)?;
    parse(&bytes).map(Some).ok_or_else(corrupt)
}

fn parse(bytes: &[u8]) -> Option<Body> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (head, rest) = bytes.split_at_checked(end)?;
    let version = std::str::from_utf8(head).ok()?.strip_prefix(HEAD)?;
    let (_, body) = rest.split_first()?;
    Some((version.parse().ok()?, Zeroizing::new(body.to_vec())))
}

fn replace(path: &Path, expected: Option<u64>, body: &[u8]) -> Result<bool, PersistenceError> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    make_directory(directory).map_err(unavailable)?;
    let _lock = lock(&beside(path, ".lock"))?;
    let version = read(path)?.map(|(version, _)| version);
    if version != expected {
        return Ok(false);
    }
    let next = version.map_or(1, |version| version.wrapping_add(1));
    write_whole(path, directory, next, body).map_err(unavailable)?;
    Ok(true)
}

/// Runs under the lock, so there is at most one draft. Removes a draft that a crash left behind.
fn write_whole(path: &Path, directory: &Path, version: u64, body: &[u8]) -> io::Result<()> {
    let draft = beside(path, ".new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = owners_alone();
    let mut file = options.write(true).create_new(true).open(&draft)?;
    file.write_all(format!("{HEAD}{version}\n").as_bytes())?;
    file.write_all(body)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    flush_directory(directory)
}

/// Waits a few seconds for the lock.
fn lock(path: &Path) -> Result<File, PersistenceError> {
    let mut options = owners_alone();
    let file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(unavailable)?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(unavailable(error)),
        }
    }
    Err(PersistenceError::new(PersistenceErrorKind::Unavailable))
}

pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn owners_alone() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Creates the directory and its missing parents, with access for this user only.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn refuse_if_exposed(about: &fs::Metadata) -> Result<(), PersistenceError> {
    if is_exposed(about) {
        return Err(PersistenceError::new(PersistenceErrorKind::Exposed));
    }
    Ok(())
}

/// Whether users other than the owner can open the file.
#[cfg(unix)]
pub(crate) fn is_exposed(about: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    about.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
pub(crate) fn is_exposed(_: &fs::Metadata) -> bool {
    false
}

/// Creates an empty file with access for this user only, unless it exists. The file is closed before
/// it gets its name, so concurrent calls do not disturb each other.
#[cfg(feature = "sqlite")]
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    use std::hash::{BuildHasher, RandomState};
    let draft = beside(
        path,
        &format!(".{:016x}.new", RandomState::new().hash_one(0)),
    );
    let file = owners_alone().write(true).create_new(true).open(&draft)?;
    // The umask may have removed rights of the owner too.
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    drop(file);
    let mut made = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    if made
        .as_ref()
        .is_err_and(|error| error.kind() != io::ErrorKind::AlreadyExists)
    {
        // The file system has no hard links.
        made = owners_alone()
            .write(true)
            .create_new(true)
            .open(path)
            .map(drop);
    }
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Flushes the directory: a rename is durable only after that.
#[cfg(unix)]
fn flush_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(not(unix))]
fn flush_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

fn corrupt() -> PersistenceError {
    PersistenceError::new(PersistenceErrorKind::Corrupt)
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> PersistenceError {
    PersistenceError::new(PersistenceErrorKind::Unavailable).with_source(error)
}
