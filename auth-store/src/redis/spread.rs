//! A cluster: a session, its subject and the feed live in different slots, and no script reaches
//! two of them.
//!
//! 1. What decides is always one write in one slot. What was decided on elsewhere is read again
//!    afterwards, and a change counts (rule 2 of the protocol).
//! 2. The entry of a session comes before its row (rule 14): a crash in between leaves an entry too
//!    many, and the next refresh finishes the write. Afterwards the longest access lifetime is read
//!    again: a node that has raised it meanwhile may have made a token from the row as it was.
//! 3. The entry of a subject comes after its epoch was raised: one too many would lock the user out.
//!    What is between the two does not end with the caller. If the entry fails, so does the call,
//!    and its retry raises the epoch once more.
//! 4. "End all but one" is decided on the subject: the epoch is raised and the one to keep is noted
//!    beside it, at once. Who loads the row later takes it along to the new epoch.
//! 5. A login enters the subject's index before its row is made, and looks again afterwards. Who
//!    must go for the limit is decided with that entry, so logins at once decide one after the
//!    other. Until their rows are marked they stay condemned, and the next login finishes it.
//! 6. A caller who goes away half-way leaves what a crash would leave; the next call mends it.

use std::time::Duration;

use auth_core::Timestamp;
use auth_core::session::{
    EndAll, Inserted, Listing, Loaded, NewSession, RaisedEpoch, RevocationMark, Revoke,
    RevokeReason, Revoked, SessionId, SessionRecord, StoreError, StoreErrorKind,
};
use futures_util::future::{try_join, try_join_all};
use redis::Value;

use super::link::{Twice, corrupt};
use super::row::{
    self, FEED, FOREVER, LIFETIMES, epoch_key, index_key, kept_key, raiser_key, row_key,
};
use super::{RedisStore, millis, reply};

/// How often a decision is made again because somebody else has decided meanwhile.
const ATTEMPTS: u32 = 100;
/// For how long a revocation is listed that is not listed.
const NOT_YET: i64 = -1;
/// Scores of the index beyond every moment: see `reserve.lua`.
const PENDING: f64 = 1e16;

/// A subject, as of one moment.
struct Subject {
    epoch: u64,
    kept: Option<SessionId>,
    /// Milliseconds by the clock of its node, never a driven one.
    now: i64,
    members: Vec<Member>,
}

struct Member {
    id: SessionId,
    score: f64,
}

impl Member {
    fn is_condemned(&self) -> bool {
        self.score == f64::NEG_INFINITY
    }

    /// A login whose row may come yet.
    fn is_pending(&self, now: i64) -> bool {
        !self.is_condemned() && self.score < -PENDING && now as f64 <= -self.score - PENDING
    }
}

impl Subject {
    /// The record, in the epoch that it was taken along to.
    fn at_its_epoch(&self, record: SessionRecord) -> SessionRecord {
        at_its_epoch(record, self.epoch, self.kept)
    }
}

fn at_its_epoch(mut record: SessionRecord, epoch: u64, kept: Option<SessionId>) -> SessionRecord {
    if kept == Some(record.id) {
        record.epoch = epoch;
    }
    record
}

/// Whose revocation is listed.
#[derive(Clone, Copy)]
enum Entry<'a> {
    Session(&'a SessionId),
    /// With the lowest epoch that is accepted.
    Subject(&'a str, u64),
}

/// For how long it is listed.
struct Listed {
    now: Timestamp,
    millis: i64,
}

impl Listed {
    fn until(&self) -> Timestamp {
        let millis = u64::try_from(self.millis).unwrap_or_default();
        self.now.saturating_add(Duration::from_millis(millis))
    }
}

/// Whose place a login takes.
struct Plan {
    /// To be condemned, the most recently used first.
    go: Vec<SessionId>,
    /// Condemned by a login that did not finish.
    condemned: Vec<SessionId>,
    /// Names of nothing that could live again.
    dead: Vec<SessionId>,
}

impl RedisStore {
    pub(super) async fn spread_load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        let Some((record, now)) = self.row(id).await? else {
            return Ok(None);
        };
        let (subject_epoch, kept) = self.peek(&record.subject).await?;
        let moves = kept == Some(*id) && record.epoch < subject_epoch;
        if moves {
            self.take_along(id, subject_epoch).await?;
        }
        Ok(Some(Loaded {
            record: at_its_epoch(record, subject_epoch, kept),
            subject_epoch,
            now,
        }))
    }

    /// The row and the time of its node.
    async fn row(&self, id: &SessionId) -> Result<Option<(SessionRecord, Timestamp)>, StoreError> {
        let call = self.call(&self.0.scripts.read).key(row_key(id));
        let answer = self.run(call, Twice::Harmless).await?;
        if answer == Value::Nil {
            return Ok(None);
        }
        let [row, now] = reply::tuple(answer)?;
        let record = row::decode(*id, &reply::bytes(row)?)?;
        Ok(Some((record, reply::time(now)?)))
    }

    /// The subject's epoch, and the session that was taken along to it.
    async fn peek(&self, subject: &str) -> Result<(u64, Option<SessionId>), StoreError> {
        let call = self
            .call(&self.0.scripts.peek)
            .key(epoch_key(subject))
            .key(kept_key(subject));
        let [epoch, kept] = reply::tuple(self.run(call, Twice::Harmless).await?)?;
        Ok((reply::number(epoch)?, kept_id(kept)?))
    }

    async fn survey(&self, subject: &str) -> Result<Subject, StoreError> {
        let call = self
            .call(&self.0.scripts.survey)
            .key(epoch_key(subject))
            .key(kept_key(subject))
            .key(index_key(subject));
        let answer = self.run(call, Twice::Harmless).await?;
        let [epoch, kept, now, members] = reply::tuple(answer)?;
        let mut members = reply::array(members)?.into_iter();
        let mut found = Vec::new();
        while let (Some(id), Some(score)) = (members.next(), members.next()) {
            found.push(Member {
                id: reply::session_id(id)?,
                score: reply::number(score)?,
            });
        }
        Ok(Subject {
            epoch: reply::number(epoch)?,
            kept: kept_id(kept)?,
            now: reply::number(now)?,
            members: found,
        })
    }

    async fn take_along(&self, id: &SessionId, epoch: u64) -> Result<(), StoreError> {
        let call = self
            .call(&self.0.scripts.move_row)
            .key(row_key(id))
            .number(epoch);
        self.run(call, Twice::Harmless).await.map(drop)
    }

    async fn forget(&self, subject: &str, id: &SessionId) -> Result<(), StoreError> {
        let mut forget = redis::cmd("ZREM");
        forget.arg(index_key(subject)).arg(id.as_bytes());
        self.0.link.send(&forget).await.map(drop)
    }

    pub(super) async fn spread_revoke(
        &self,
        revoke: &Revoke,
    ) -> Result<Option<Revoked>, StoreError> {
        let Some((record, _)) = self.row(&revoke.id).await? else {
            return Ok(None);
        };
        let entry = Entry::Session(&revoke.id);
        // One that was revoked before has its entry: only the time is asked for.
        let already = record.revoked.map_or(NOT_YET, |_| FOREVER);
        let listed = self.publish(entry, &revoke.listing, already).await?;
        let call = self
            .call(&self.0.scripts.revoke)
            .key(row_key(&revoke.id))
            .arg(revoke.reason.as_str())
            .mark(&revoke.mark)
            .number(listed.millis)
            .number(0);
        let answer = reply::revoked(self.run(call, Twice::Harmless).await?)?;
        let already = already.max(listed.millis);
        let ((), listed) = try_join(
            self.forget(&record.subject, &revoke.id),
            self.publish(entry, &revoke.listing, already),
        )
        .await?;
        Ok(answer.map(|revoked| Revoked {
            listed_until: listed.until(),
            ..revoked
        }))
    }

    /// Lists a revocation, unless it is listed for as long `already`; answers how long that is.
    async fn publish(
        &self,
        entry: Entry<'_>,
        listing: &Listing,
        already: i64,
    ) -> Result<Listed, StoreError> {
        let call = self
            .call(&self.0.scripts.publish)
            .key(FEED)
            .key(LIFETIMES)
            .listing(listing)
            .number(already);
        let call = match entry {
            Entry::Session(id) => call.arg("s").arg(id.as_bytes().as_slice()),
            Entry::Subject(subject, lowest_epoch) => {
                call.arg("j").arg(subject).arg("e").number(lowest_epoch)
            }
        };
        let [now, millis] = reply::tuple(self.run(call, Twice::Harmless).await?)?;
        Ok(Listed {
            now: reply::time(now)?,
            millis: reply::number(millis)?,
        })
    }

    pub(super) async fn spread_end_all(
        &self,
        end: &EndAll<'_>,
    ) -> Result<Option<RaisedEpoch>, StoreError> {
        let (store, subject) = (self.clone(), end.subject.to_owned());
        let EndAll {
            keep,
            reason,
            listing,
            ..
        } = *end;
        // A caller who goes away does not take the second half with him.
        let ending = tokio::spawn(async move {
            let subject = subject.as_str();
            let end = EndAll {
                subject,
                keep,
                reason,
                listing,
            };
            let Some(epoch) = store.bounded(store.raise(&end)).await? else {
                return Ok(None);
            };
            let entry = Entry::Subject(subject, epoch);
            let listed = store.publish(entry, &listing, NOT_YET).await?;
            Ok(Some(RaisedEpoch {
                epoch,
                listed_until: listed.until(),
            }))
        });
        let ended = ending.await;
        // The runtime is shutting down.
        ended.unwrap_or_else(|_| Err(StoreError::new(StoreErrorKind::Unavailable)))
    }

    /// Raises the epoch by one; `None` if the session to keep is none, or has ended.
    async fn raise(&self, end: &EndAll<'_>) -> Result<Option<u64>, StoreError> {
        let mark = RevocationMark::random()?;
        let keep = end.keep.map(|id| id.as_bytes().to_vec());
        for _ in 0..ATTEMPTS {
            let subject = self.survey(end.subject).await?;
            if let Some(keep) = &end.keep
                && !self.is_live(keep, end.subject, &subject).await?
            {
                return Ok(None);
            }
            let call = self
                .call(&self.0.scripts.raise)
                .key(epoch_key(end.subject))
                .key(kept_key(end.subject))
                .key(index_key(end.subject))
                .key(raiser_key(end.subject))
                .number(subject.epoch)
                .listing(&end.listing)
                .mark(&mark)
                .arg(keep.clone().unwrap_or_default());
            let answer = self.run(call, Twice::Harmless).await?;
            if answer != Value::Nil {
                return reply::number(answer).map(Some);
            }
        }
        Err(StoreError::new(StoreErrorKind::Unavailable))
    }

    /// Whether the row is there, the subject's and live.
    async fn is_live(
        &self,
        id: &SessionId,
        of: &str,
        subject: &Subject,
    ) -> Result<bool, StoreError> {
        let Some((record, now)) = self.row(id).await? else {
            return Ok(false);
        };
        let is_its = *record.subject == *of;
        Ok(is_its && subject.at_its_epoch(record).is_live(subject.epoch, now))
    }

    pub(super) async fn spread_list(
        &self,
        subject: &str,
        limit: u32,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let surveyed = self.survey(subject).await?;
        let mut live = Vec::new();
        for row in self.rows(&surveyed).await?.into_iter().flatten() {
            let (record, now) = row?;
            let record = surveyed.at_its_epoch(record);
            if record.is_live(surveyed.epoch, now) {
                live.push(record);
            }
        }
        live.sort_unstable_by_key(|record| std::cmp::Reverse(order(record)));
        live.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(live)
    }

    /// The rows of all members, in their order; unreadable ones as such.
    async fn rows(
        &self,
        subject: &Subject,
    ) -> Result<Vec<Option<Result<(SessionRecord, Timestamp), StoreError>>>, StoreError> {
        let rows = subject
            .members
            .iter()
            .map(async |member| match self.row(&member.id).await {
                Ok(row) => Ok(row.map(Ok)),
                Err(error) if error.kind() == StoreErrorKind::Corrupt => Ok(Some(Err(error))),
                Err(error) => Err(error),
            });
        try_join_all(rows).await
    }

    pub(super) async fn spread_insert(
        &self,
        session: &NewSession<'_>,
    ) -> Result<Inserted, StoreError> {
        let Some(plan) = self.reserve(session).await? else {
            return Ok(Inserted::EpochMoved);
        };
        let (now, absolute) = self.plant(session).await?;
        let revoke = |id, reason| Revoke {
            id,
            reason,
            mark: session.mark,
            listing: session.listing,
        };
        match self.confirm(session, now, absolute).await?.as_str() {
            "done" => {}
            "moved" => return Ok(Inserted::EpochMoved),
            // A login that came later had no place for this one.
            _ => {
                let own = revoke(session.id, RevokeReason::Limit);
                self.spread_revoke(&own).await?;
            }
        }
        let replaced = match session.replaces {
            Some(old) => {
                self.spread_revoke(&revoke(old, RevokeReason::Replaced))
                    .await?
            }
            None => None,
        };
        let listed_until = now.saturating_add(session.listing.beside(Duration::ZERO));
        let mut listed_until = replaced.map_or(listed_until, |old| old.listed_until);
        let mut evicted = Vec::new();
        for id in plan.go.into_iter().chain(plan.condemned) {
            let revoked = self.spread_revoke(&revoke(id, RevokeReason::Limit)).await?;
            self.forget(session.subject, &id).await?;
            let own = revoked.filter(|revoked| revoked.mark == Some(session.mark));
            if let Some(own) = own {
                evicted.push(id);
                listed_until = listed_until.max(own.listed_until);
            }
        }
        Ok(Inserted::Done {
            now,
            replaced,
            evicted,
            listed_until,
        })
    }

    /// Enters the login into the index; `None` if its epoch is not the subject's.
    async fn reserve(&self, session: &NewSession<'_>) -> Result<Option<Plan>, StoreError> {
        for _ in 0..ATTEMPTS {
            let (seen, plan) = self.plan(session).await?;
            // As long as all that this login may take.
            let row_may_take = self.0.options.timeout.saturating_mul(2);
            let mut call = self
                .call(&self.0.scripts.reserve)
                .key(epoch_key(session.subject))
                .key(index_key(session.subject))
                .number(session.epoch)
                .arg(session.id.as_bytes().as_slice())
                .number(millis(row_may_take))
                .number(u8::from(session.limit.is_some()))
                .number(seen.len())
                .number(plan.go.len());
            for id in seen.iter().chain(&plan.go).chain(&plan.dead) {
                call = call.arg(id.as_bytes().as_slice());
            }
            match reply::text(self.run(call, Twice::Harmless).await?)?.as_str() {
                "done" => return Ok(Some(plan)),
                "moved" => return Ok(None),
                "changed" => {}
                // The id is there already: it was not new.
                _ => return Err(corrupt()),
            }
        }
        Err(StoreError::new(StoreErrorKind::Unavailable))
    }

    /// Who is there, and who of them must go.
    async fn plan(&self, session: &NewSession<'_>) -> Result<(Vec<SessionId>, Plan), StoreError> {
        let mut plan = Plan {
            go: Vec::new(),
            condemned: Vec::new(),
            dead: Vec::new(),
        };
        let Some(limit) = session.limit else {
            return Ok((Vec::new(), plan));
        };
        let subject = self.survey(session.subject).await?;
        let rows = self.rows(&subject).await?;
        let mut staying = Vec::new();
        for (member, row) in subject.members.iter().zip(rows) {
            // A second try finds its own entry.
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
                // An unreadable row is nobody's session, and no reason to keep its owner out.
                Some(Err(_)) => {}
                Some(Ok((record, now))) => {
                    let record = subject.at_its_epoch(record);
                    if record.is_live(subject.epoch, now) {
                        if session.replaces != Some(member.id) {
                            staying.push((Some(order(&record)), member.id));
                        }
                    } else if record.revoked.is_some() || now >= record.absolute_expires_at {
                        plan.dead.push(member.id);
                    }
                }
            }
        }
        // The last used first, and before them those who are on their way.
        staying.sort_unstable_by_key(|(used, id)| std::cmp::Reverse((used.is_none(), *used, *id)));
        let others =
            usize::try_from(limit.get()).map_or(usize::MAX, |limit| limit.saturating_sub(1));
        plan.go = staying.into_iter().skip(others).map(|(_, id)| id).collect();
        let seen = subject.members.iter().map(|member| member.id).collect();
        Ok((seen, plan))
    }

    /// Makes the row; answers when that was and when the session ends in any case.
    async fn plant(&self, session: &NewSession<'_>) -> Result<(Timestamp, Timestamp), StoreError> {
        let call = self
            .call(&self.0.scripts.plant)
            .key(row_key(&session.id))
            .number(session.epoch)
            .number(millis(session.idle))
            .number(millis(session.absolute))
            .listing(&session.listing)
            .arg(session.subject)
            .arg(session.details.encode()?);
        let answer = self.run(call, Twice::Harmless).await?;
        if answer == Value::Nil {
            self.forget(session.subject, &session.id).await?;
            return Err(corrupt());
        }
        let [now, absolute] = reply::tuple(answer)?;
        Ok((reply::time(now)?, reply::time(absolute)?))
    }

    async fn confirm(
        &self,
        session: &NewSession<'_>,
        now: Timestamp,
        absolute: Timestamp,
    ) -> Result<String, StoreError> {
        let lives = absolute.saturating_since(now);
        let call = self
            .call(&self.0.scripts.confirm)
            .key(epoch_key(session.subject))
            .key(index_key(session.subject))
            .number(session.epoch)
            .arg(session.id.as_bytes().as_slice())
            .number(absolute.as_millis().min(FOREVER))
            .number(millis(lives))
            .listing(&session.listing);
        reply::text(self.run(call, Twice::Harmless).await?)
    }
}

fn order(record: &SessionRecord) -> (Timestamp, Timestamp, SessionId) {
    (record.last_used_at, record.created_at, record.id)
}

fn kept_id(value: Value) -> Result<Option<SessionId>, StoreError> {
    match value {
        Value::BulkString(bytes) if bytes.is_empty() => Ok(None),
        value => reply::session_id(value).map(Some),
    }
}
