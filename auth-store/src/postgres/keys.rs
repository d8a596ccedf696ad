//! The sealed keys of the app, in a row that one statement replaces if its version is the expected
//! one.

use async_trait::async_trait;
use auth_core::Timestamp;
use auth_core::store::{PersistenceError, SealedKeySet, SealedKeyStore, SealedRow};

use super::{Again, PostgresStore, statements, unavailable};
use crate::sql::{corrupt, signed, unsigned};

/// A row as loaded: the server's time, and the document if there is one.
type KeysRow = (i64, Option<i64>, Option<Vec<u8>>);

#[async_trait]
impl SealedKeyStore for PostgresStore {
    async fn load_keys(&self) -> Result<SealedRow, PersistenceError> {
        let row: Option<KeysRow> = self
            .row(Again::IfBroken, || {
                sqlx::query_as(self.timed(statements::LOAD_KEYS))
            })
            .await?;
        let (now, version, sealed) = row.ok_or_else(unavailable)?;
        let sealed = match (version, sealed) {
            (Some(version), Some(sealed)) => Some((unsigned(version)?, sealed)),
            (None, None) => None,
            _ => return Err(corrupt().into()),
        };
        Ok(SealedRow {
            sealed,
            now: Some(Timestamp::from_millis(now)),
        })
    }

    async fn save_keys(
        &self,
        expected: Option<u64>,
        sealed: &SealedKeySet,
    ) -> Result<bool, PersistenceError> {
        let expected = expected.map(signed).transpose()?;
        // A second attempt finds another version and returns `false`: the caller loads again and
        // finds its own document.
        let saved = match expected {
            Some(version) => {
                self.execute(Again::IfBroken, || {
                    sqlx::query(statements::REPLACE_KEYS)
                        .bind(sealed.as_bytes())
                        .bind(version)
                })
                .await?
            }
            None => {
                self.execute(Again::IfBroken, || {
                    sqlx::query(statements::FIRST_KEYS).bind(sealed.as_bytes())
                })
                .await?
            }
        };
        Ok(saved == 1)
    }
}
