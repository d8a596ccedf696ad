//! Logins in a cluster: rule 5.

use std::time::Duration;

use auth_core::Timestamp;
use auth_core::session::{RevokeReason, SessionId};
use auth_core::store::{InsertOutcome, NewSession, RevokeSession, StoreError, StoreErrorKind};
use redis::Value;

use super::{ATTEMPTS, order};
use crate::redis::error::corrupt;
use crate::redis::link::Retry;
use crate::redis::row::{FOREVER, index_key, row_key, subject_version_key};
use crate::redis::{RedisStore, millis, reply};

/// The sessions that a login replaces.
struct Plan {
    /// Sessions to condemn, the most recently used first.
    go: Vec<SessionId>,
    /// Sessions condemned by a login that did not finish.
    condemned: Vec<SessionId>,
    /// Ids of rows that can never be live again.
    dead: Vec<SessionId>,
}

impl RedisStore {
    pub(in crate::redis) async fn cluster_insert(
        &self,
        session: &NewSession<'_>,
    ) -> Result<InsertOutcome, StoreError> {
        let Some(plan) = self.insert_reserve(session).await? else {
            return Ok(InsertOutcome::SubjectVersionChanged);
        };
        let (now, absolute) = self.insert_row(session).await?;
        let revoke = |id, reason| RevokeSession {
            id,
            reason,
            mark: session.mark,
            listing: session.listing,
        };
        match self.insert_confirm(session, now, absolute).await?.as_str() {
            "done" => {}
            "moved" => return Ok(InsertOutcome::SubjectVersionChanged),
            // A later login had no place for this one.
            _ => {
                let own = revoke(session.id, RevokeReason::Limit);
                self.cluster_revoke(&own).await?;
            }
        }
        let replaced = match session.replaces {
            Some(old) => {
                self.cluster_revoke(&revoke(old, RevokeReason::Replaced))
                    .await?
            }
            None => None,
        };
        let listed_until = now.saturating_add(session.listing.beside(Duration::ZERO));
        let mut listed_until = replaced.map_or(listed_until, |old| old.listed_until);
        let mut evicted = Vec::new();
        for id in plan.go.into_iter().chain(plan.condemned) {
            let revoked = self
                .cluster_revoke(&revoke(id, RevokeReason::Limit))
                .await?;
            self.forget(session.subject, &id).await?;
            let own = revoked.filter(|revoked| revoked.mark == Some(session.mark));
            if let Some(own) = own {
                evicted.push(id);
                listed_until = listed_until.max(own.listed_until);
            }
        }
        Ok(InsertOutcome::Done {
            now,
            replaced,
            evicted,
            listed_until,
        })
    }

    /// Adds the login to the index. `None` if its subject version is not the current one.
    async fn insert_reserve(&self, session: &NewSession<'_>) -> Result<Option<Plan>, StoreError> {
        for _ in 0..ATTEMPTS {
            let (seen, plan) = self.plan(session).await?;
            // The maximum duration of this login.
            let row_may_take = self.0.options.timeout.saturating_mul(2);
            let mut call = self
                .call(&self.0.scripts.cluster.insert_reserve)
                .key(subject_version_key(session.subject))
                .key(index_key(session.subject))
                .number(session.subject_version)
                .arg(session.id.as_bytes().as_slice())
                .number(millis(row_may_take))
                .number(u8::from(session.limit.is_some()))
                .number(seen.len())
                .number(plan.go.len());
            for id in seen.iter().chain(&plan.go).chain(&plan.dead) {
                call = call.arg(id.as_bytes().as_slice());
            }
            match reply::text(self.run(call, Retry::Harmless).await?)?.as_str() {
                "done" => return Ok(Some(plan)),
                "moved" => return Ok(None),
                "changed" => {}
                // A row with this id exists, so the id was not new.
                _ => return Err(corrupt()),
            }
        }
        Err(StoreError::new(StoreErrorKind::Unavailable))
    }

    /// The subject's sessions, and those beyond the limit.
    async fn plan(&self, session: &NewSession<'_>) -> Result<(Vec<SessionId>, Plan), StoreError> {
        let mut plan = Plan {
            go: Vec::new(),
            condemned: Vec::new(),
            dead: Vec::new(),
        };
        let Some(limit) = session.limit else {
            return Ok((Vec::new(), plan));
        };
        let subject = self.load_subject(session.subject).await?;
        let rows = self.rows(&subject).await?;
        let mut staying = Vec::new();
        for (member, row) in subject.members.iter().zip(rows) {
            // A second attempt finds its own entry.
            if member.id == session.id {
                continue;
            }
            if member.is_condemned() {
                plan.condemned.push(member.id);
                continue;
            }
            match row {
                None if member.is_pending(subject.now) => staying.push((None, member.id)),
                None => plan.dead.push(member.id),
                // An unreadable row does not count, so that it cannot lock the user out.
                Some(Err(_)) => {}
                Some(Ok((record, now))) => {
                    let record = subject.at_kept_version(record);
                    if record.is_live(subject.subject_version, now) {
                        if session.replaces != Some(member.id) {
                            staying.push((Some(order(&record)), member.id));
                        }
                    } else if record.revoked.is_some() || now >= record.absolute_expires_at {
                        plan.dead.push(member.id);
                    }
                }
            }
        }
        // Pending logins first, then the most recently used sessions.
        staying.sort_unstable_by_key(|(used, id)| std::cmp::Reverse((used.is_none(), *used, *id)));
        let others =
            usize::try_from(limit.get()).map_or(usize::MAX, |limit| limit.saturating_sub(1));
        plan.go = staying.into_iter().skip(others).map(|(_, id)| id).collect();
        let seen = subject.members.iter().map(|member| member.id).collect();
        Ok((seen, plan))
    }

    /// Creates the row. Returns its time and its absolute end.
    async fn insert_row(
        &self,
        session: &NewSession<'_>,
    ) -> Result<(Timestamp, Timestamp), StoreError> {
        let call = self
            .call(&self.0.scripts.cluster.insert_row)
            .key(row_key(&session.id))
            .number(session.subject_version)
            .number(millis(session.idle))
            .number(millis(session.absolute))
            .listing(&session.listing)
            .arg(session.subject)
            .arg(session.details.encode()?);
        let answer = self.run(call, Retry::Harmless).await?;
        if answer == Value::Nil {
            self.forget(session.subject, &session.id).await?;
            return Err(corrupt());
        }
        let [now, absolute] = reply::tuple(answer)?;
        Ok((reply::time(now)?, reply::time(absolute)?))
    }

    async fn insert_confirm(
        &self,
        session: &NewSession<'_>,
        now: Timestamp,
        absolute: Timestamp,
    ) -> Result<String, StoreError> {
        let lives = absolute.saturating_since(now);
        let call = self
            .call(&self.0.scripts.cluster.insert_confirm)
            .key(subject_version_key(session.subject))
            .key(index_key(session.subject))
            .number(session.subject_version)
            .arg(session.id.as_bytes().as_slice())
            .number(absolute.as_millis().min(FOREVER))
            .number(millis(lives))
            .listing(&session.listing);
        reply::text(self.run(call, Retry::Harmless).await?)
    }
}
