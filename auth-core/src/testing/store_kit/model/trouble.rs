//! Trouble in a deployment: clock steps, restarted nodes, restored backups.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Clock;
use crate::session::store::record::SessionRecord;
use crate::testing::store_kit::model::nodes::{LONG, SHORT};
use crate::testing::store_kit::model::published::ISSUER;
use crate::testing::store_kit::model::{Broken, History};

impl History<'_> {
    /// Exempts sessions with requests in flight from I3.
    fn unsettle(&mut self) {
        for request in &self.requests {
            if let Some(book) = self.books.get_mut(&request.token.session) {
                book.honest = false;
            }
        }
    }

    /// Sets the wall clock of every node and of the store.
    pub(super) fn step_clock(&mut self, minutes: u8, forward: bool) {
        let by = Duration::from_secs(60 * u64::from(minutes % 90));
        if let Some(clock) = self.trial.fixture.clock() {
            match forward {
                true => clock.set(clock.now().saturating_add(by)),
                false => clock.step_back(by),
            }
            self.clock_stepped = true;
            self.unsettle();
        }
    }

    /// Restarts a node with another access token lifetime. (Not while the clock is ahead: the node
    /// would rely on it.)
    pub(super) fn redeploy(&mut self, node: bool, long: bool) -> Result<(), Broken> {
        if self.now() > self.true_time {
            return Ok(());
        }
        let lifetime = if long { LONG } else { SHORT };
        self.longest = self.longest.max(lifetime);
        let store = match node {
            true => self.trial.store.clone(),
            false => self.trial.other.clone(),
        };
        *self.node_mut(node) = self.deployment.start(store, lifetime)?;
        Ok(())
    }

    pub(super) async fn restore(&mut self) -> Result<(), Broken> {
        if !self.backed_up || !self.trial.fixture.restore().await {
            return Ok(());
        }
        self.restored = true;
        self.unsettle();
        // No invariant applies to tokens whose revocation the store has lost.
        let feed = Arc::clone(&self.deployment.feed);
        self.durable_from = feed.entries().len();
        self.access.clear();
        self.deployment.told.take();
        for node in &mut self.nodes {
            node.asked.clear();
            node.follow(&feed);
        }
        // Every node repeats this when it purges.
        let store = &self.trial.store;
        store.raise_access_lifetime(ISSUER, self.longest).await?;
        let sessions: Vec<_> = self.books.keys().copied().collect();
        for session in sessions {
            let Some(book) = self.books.get_mut(&session) else {
                continue;
            };
            book.row = None;
            // Writes since the backup are lost: revocations, and whole sessions.
            book.honest &= !self.clock_stepped;
            let seen = self.look(session).await?;
            // The feed proves that all sessions were ended.
            let ended = seen
                .as_ref()
                .is_some_and(|seen| self.is_ended_with_all(&seen.row));
            if let Some(book) = self.books.get_mut(&session) {
                book.honest &= seen.is_some() && !ended;
                book.ordered_end |= ended;
            }
        }
        Ok(())
    }

    fn is_ended_with_all(&self, row: &SessionRecord) -> bool {
        let now = self.now();
        self.nodes.iter().any(|node| {
            node.lowest_subject_version(&row.subject, now)
                .is_some_and(|lowest| row.subject_version < lowest)
        })
    }
}
