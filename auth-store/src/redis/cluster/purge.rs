//! The purge in a cluster: a scan of every master, and a script for each row.

use std::time::Duration;

use auth_core::store::StoreError;
use redis::Value;

use crate::redis::error::corrupt;
use crate::redis::purge::{START, scan, scanned};
use crate::redis::{RedisStore, reply};

impl RedisStore {
    pub(in crate::redis) async fn cluster_purge_rows(
        &self,
        kept: Duration,
        batch: u32,
    ) -> Result<u32, StoreError> {
        let mut removed = 0_u32;
        for (host, port) in self.masters().await? {
            let mut cursor = START.to_owned();
            while removed < batch {
                let answer = self.0.link.send_to(&scan(&cursor), &host, port).await?;
                let (next, keys) = scanned(answer)?;
                for key in keys {
                    let left = batch.saturating_sub(removed);
                    let more = self.purge_keys(vec![key], kept, left).await?;
                    removed = removed.saturating_add(more);
                }
                cursor = next;
                if cursor == START {
                    break;
                }
            }
        }
        Ok(removed)
    }

    async fn masters(&self) -> Result<Vec<(String, u16)>, StoreError> {
        let mut slots = redis::cmd("CLUSTER");
        slots.arg("SLOTS");
        let ranges = reply::array(self.0.link.send(&slots).await?)?;
        let mut nodes = Vec::new();
        for range in ranges {
            let mut range = reply::array(range)?.into_iter().skip(2);
            let mut master = reply::array(range.next().ok_or_else(corrupt)?)?.into_iter();
            let (Some(host), Some(Value::Int(port))) = (master.next(), master.next()) else {
                return Err(corrupt());
            };
            let port = u16::try_from(port).map_err(|_| corrupt())?;
            nodes.push((reply::text(host)?, port));
        }
        nodes.sort_unstable();
        nodes.dedup();
        Ok(nodes)
    }
}
