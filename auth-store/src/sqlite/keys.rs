//! The sealed keys of the app, in a row that the writer replaces if its version is the expected
//! one.

use async_trait::async_trait;
use auth_core::store::{PersistenceError, SealedKeySet, SealedKeyStore, SealedRow, StoreError};
use sqlx::SqliteConnection;

use super::SqliteStore;
use super::job::{Write, Written, gone};
use crate::sql::{signed, store_error, unsigned};

#[async_trait]
impl SealedKeyStore for SqliteStore {
    async fn load_keys(&self) -> Result<SealedRow, PersistenceError> {
        let row: Option<(i64, Vec<u8>)> = self
            .bounded(async {
                sqlx::query_as("SELECT version, sealed FROM auth_keys")
                    .fetch_optional(&self.0.readers)
                    .await
                    .map_err(store_error)
            })
            .await?;
        let sealed = match row {
            Some((version, sealed)) => Some((unsigned(version)?, sealed)),
            None => None,
        };
        // One machine has one clock.
        Ok(SealedRow { sealed, now: None })
    }

    async fn save_keys(
        &self,
        expected: Option<u64>,
        sealed: &SealedKeySet,
    ) -> Result<bool, PersistenceError> {
        let expected = expected.map(signed).transpose()?;
        let write = Write::SaveKeys {
            expected,
            sealed: sealed.as_bytes().into(),
        };
        match self.write(write).await? {
            Written::KeysSaved(saved) => Ok(saved),
            _ => Err(gone().into()),
        }
    }
}

pub(super) async fn save(
    connection: &mut SqliteConnection,
    expected: Option<i64>,
    sealed: &[u8],
) -> Result<bool, StoreError> {
    let saving = match expected {
        Some(version) => {
            sqlx::query("UPDATE auth_keys SET version = version + 1, sealed = ? WHERE version = ?")
                .bind(sealed)
                .bind(version)
        }
        None => sqlx::query(
            "INSERT INTO auth_keys (one, version, sealed) VALUES (1, 1, ?) ON CONFLICT DO NOTHING",
        )
        .bind(sealed),
    };
    let saved = saving.execute(connection).await.map_err(store_error)?;
    Ok(saved.rows_affected() == 1)
}
