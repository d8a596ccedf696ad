//! The purge of keys before their expiry: earlier than a day after their end, or by the clock of a
//! test.

use std::time::Duration;

use auth_core::store::StoreError;
use redis::{Cmd, Value};

use super::endpoint::Topology;
use super::error::corrupt;
use super::link::Retry;
use super::row::EVERY_ROW;
use super::{RedisStore, millis, reply};

/// Approximate number of keys per step of the scan.
const AT_ONCE: usize = 200;

/// The cursor at the start and at the end of a scan.
pub(super) const START: &str = "0";

impl RedisStore {
    pub(super) async fn single_purge_rows(
        &self,
        kept: Duration,
        batch: u32,
    ) -> Result<u32, StoreError> {
        let mut removed = 0_u32;
        let mut cursor = START.to_owned();
        while removed < batch {
            let (next, keys) = scanned(self.0.link.send(&scan(&cursor)).await?)?;
            let left = batch.saturating_sub(removed);
            removed = removed.saturating_add(self.purge_keys(keys, kept, left).await?);
            cursor = next;
            if cursor == START {
                break;
            }
        }
        Ok(removed)
    }

    /// Removes at most `most` of these rows, which one script can reach.
    pub(super) async fn purge_keys(
        &self,
        keys: Vec<Vec<u8>>,
        kept: Duration,
        most: u32,
    ) -> Result<u32, StoreError> {
        let mut call = self
            .call(&self.0.scripts.purge_rows)
            .number(millis(kept))
            .number(most)
            .number(u8::from(self.topology() == Topology::Single));
        for key in keys {
            call = call.key(key);
        }
        let answer = self.run(call, Retry::Harmless).await?;
        u32::try_from(reply::integer(&answer)?).map_err(|_| corrupt())
    }
}

pub(super) fn scan(cursor: &str) -> Cmd {
    let mut scan = redis::cmd("SCAN");
    scan.arg(cursor)
        .arg("MATCH")
        .arg(EVERY_ROW)
        .arg("COUNT")
        .arg(AT_ONCE);
    scan
}

/// The next cursor and the keys that a scan answered with.
pub(super) fn scanned(answer: Value) -> Result<(String, Vec<Vec<u8>>), StoreError> {
    let [next, keys] = reply::tuple(answer)?;
    let keys: Result<_, _> = reply::array(keys)?.into_iter().map(reply::bytes).collect();
    Ok((reply::text(next)?, keys?))
}
