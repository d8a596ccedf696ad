//! The purge of keys before their expiry: earlier than a day after their end, or by the clock of a
//! test.

use std::time::Duration;

use auth_core::session::StoreError;
use redis::Value;

use super::error::corrupt;
use super::link::Retry;
use super::row::EVERY_ROW;
use super::{RedisStore, Topology, millis, reply};

/// Approximate number of keys per step of the scan.
const AT_ONCE: usize = 200;

impl RedisStore {
    pub(super) async fn sweep(&self, kept: Duration, batch: u32) -> Result<u32, StoreError> {
        let mut removed = 0;
        for node in self.nodes().await? {
            let mut cursor = "0".to_owned();
            while removed < batch {
                let (next, keys) = self.scan(&node, &cursor).await?;
                let left = batch.saturating_sub(removed);
                removed = removed.saturating_add(self.sweep_keys(keys, kept, left).await?);
                cursor = next;
                if cursor == "0" {
                    break;
                }
            }
        }
        Ok(removed)
    }

    async fn scan(
        &self,
        (host, port): &(String, u16),
        cursor: &str,
    ) -> Result<(String, Vec<Vec<u8>>), StoreError> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor)
            .arg("MATCH")
            .arg(EVERY_ROW)
            .arg("COUNT")
            .arg(AT_ONCE);
        let answer = self.0.link.send_to(&scan, host, *port).await?;
        let [next, keys] = reply::tuple(answer)?;
        let keys: Result<_, _> = reply::array(keys)?.into_iter().map(reply::bytes).collect();
        Ok((reply::text(next)?, keys?))
    }

    async fn sweep_keys(
        &self,
        keys: Vec<Vec<u8>>,
        kept: Duration,
        most: u32,
    ) -> Result<u32, StoreError> {
        if self.reach() == Topology::Whole {
            return self.sweep_within_reach(keys, kept, most).await;
        }
        let mut removed = 0_u32;
        for key in keys {
            let left = most.saturating_sub(removed);
            let more = self.sweep_within_reach(vec![key], kept, left).await?;
            removed = removed.saturating_add(more);
        }
        Ok(removed)
    }

    async fn sweep_within_reach(
        &self,
        keys: Vec<Vec<u8>>,
        kept: Duration,
        most: u32,
    ) -> Result<u32, StoreError> {
        let mut call = self
            .call(&self.0.scripts.sweep)
            .number(millis(kept))
            .number(most)
            .number(u8::from(self.reach() == Topology::Whole));
        for key in keys {
            call = call.key(key);
        }
        let answer = self.run(call, Retry::Harmless).await?;
        u32::try_from(reply::integer(&answer)?).map_err(|_| corrupt())
    }

    /// The masters of a cluster. A single server is one master without a name.
    async fn nodes(&self) -> Result<Vec<(String, u16)>, StoreError> {
        if self.reach() == Topology::Whole {
            return Ok(vec![(String::new(), 0)]);
        }
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
