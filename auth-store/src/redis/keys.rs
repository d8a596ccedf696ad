//! The sealed keys of the app, in a hash that one script replaces if its version is the expected
//! one.

use async_trait::async_trait;
use auth_core::store::{PersistenceError, SealedKeySet, SealedKeyStore, SealedRow};

use super::error::corrupt;
use super::link::Retry;
use super::{RedisStore, reply};

const KEYS: &str = "auth:keys";

#[async_trait]
impl SealedKeyStore for RedisStore {
    async fn load_keys(&self) -> Result<SealedRow, PersistenceError> {
        let call = self.call(&self.0.scripts.load_keys).key(KEYS);
        let answer = self.run(call, Retry::Harmless).await?;
        let [version, sealed, now] = reply::tuple(answer)?;
        let (version, sealed) = (reply::text(version)?, reply::bytes(sealed)?);
        let sealed = match (version.is_empty(), sealed.is_empty()) {
            (true, true) => None,
            (false, false) => Some((version.parse().map_err(|_| corrupt())?, sealed)),
            _ => return Err(corrupt().into()),
        };
        Ok(SealedRow {
            sealed,
            now: Some(reply::time(now)?),
        })
    }

    async fn save_keys(
        &self,
        expected: Option<u64>,
        sealed: &SealedKeySet,
    ) -> Result<bool, PersistenceError> {
        let expected = expected.map(|version| version.to_string());
        let call = self
            .call(&self.0.scripts.save_keys)
            .key(KEYS)
            .arg(expected.unwrap_or_default())
            .arg(sealed.as_bytes());
        // A second attempt after a lost reply finds another version and returns `false`: the caller
        // loads again and finds its own document.
        let answer = self.run(call, Retry::Harmless).await?;
        Ok(reply::integer(&answer)? == 1)
    }
}
