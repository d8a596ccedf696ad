//! The store of an [`Auth`](auth_core::Auth) on one machine: the keys are in a file beside the
//! sessions.

use auth_core::store::{OpenedStore, Store, StoreError};

use super::SqliteStore;
use crate::FileKeys;
use crate::file::beside;

/// The keys are in [`FileKeys`] beside the file: `app.db.keys` for `app.db`, with mode 0600.
impl Store for SqliteStore {
    async fn open_for(self, _issuer: &str) -> Result<OpenedStore, StoreError> {
        let file = self.0.readers.connect_options();
        let keys = FileKeys::new(beside(file.get_filename(), ".keys"));
        Ok(OpenedStore::new(self, keys))
    }
}
