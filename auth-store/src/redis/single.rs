//! One server: every operation is one script over all keys.

use auth_core::session::SessionId;
use auth_core::store::{
    InsertOutcome, LoadedSession, NewSession, RaisedSubjectVersion, RevokeSession, RevokeSubject,
    Revoked, SessionRecord, StoreError,
};
use redis::Value;

use super::error::corrupt;
use super::link::Retry;
use super::row::{self, FEED, LIFETIMES, index_key, row_key, subject_version_key};
use super::{RedisStore, millis, reply};

impl RedisStore {
    pub(super) async fn single_insert(
        &self,
        session: &NewSession<'_>,
    ) -> Result<InsertOutcome, StoreError> {
        let limit = session.limit.map_or(0, std::num::NonZeroU32::get);
        let mut call = self
            .call(&self.0.scripts.insert)
            .key(row_key(&session.id))
            .key(subject_version_key(session.subject))
            .key(index_key(session.subject))
            .key(FEED)
            .key(LIFETIMES)
            .number(session.subject_version)
            .number(millis(session.idle))
            .number(millis(session.absolute))
            .number(limit)
            .mark(&session.mark)
            .listing(&session.listing)
            .arg(session.id.as_bytes().as_slice())
            .arg(session.subject)
            .arg(session.details.encode()?);
        if let Some(replaced) = &session.replaces {
            call = call
                .key(row_key(replaced))
                .arg(replaced.as_bytes().as_slice());
        }
        // A second attempt could not distinguish its own row from another's.
        inserted(reply::array(self.run(call, Retry::Never).await?)?)
    }

    pub(super) async fn single_load(
        &self,
        id: &SessionId,
    ) -> Result<Option<LoadedSession>, StoreError> {
        let call = self.call(&self.0.scripts.load).key(row_key(id));
        let answer = self.run(call, Retry::Harmless).await?;
        if answer == Value::Nil {
            return Ok(None);
        }
        let [row, subject_version, now] = reply::tuple(answer)?;
        Ok(Some(LoadedSession {
            record: row::decode(*id, &reply::bytes(row)?)?,
            current_subject_version: reply::number(subject_version)?,
            now: reply::time(now)?,
        }))
    }

    pub(super) async fn single_revoke(
        &self,
        revoke: &RevokeSession,
    ) -> Result<Option<Revoked>, StoreError> {
        let call = self
            .call(&self.0.scripts.revoke)
            .key(row_key(&revoke.id))
            .key(FEED)
            .key(LIFETIMES)
            .arg(revoke.reason.as_str())
            .mark(&revoke.mark)
            .listing(&revoke.listing)
            .arg(revoke.id.as_bytes().as_slice());
        // A second attempt finds the mark of the first.
        reply::revoked(self.run(call, Retry::Harmless).await?)
    }

    pub(super) async fn single_end_all(
        &self,
        end: &RevokeSubject<'_>,
    ) -> Result<Option<RaisedSubjectVersion>, StoreError> {
        let mut call = self
            .call(&self.0.scripts.end_all)
            .key(subject_version_key(end.subject))
            .key(index_key(end.subject))
            .key(FEED)
            .key(LIFETIMES)
            .arg(end.subject)
            .arg(end.reason.as_str())
            .listing(&end.listing);
        if let Some(keep) = &end.keep {
            call = call.key(row_key(keep)).arg(keep.as_bytes().as_slice());
        }
        // A second attempt would also end a login that has begun since the first.
        let answer = self.run(call, Retry::Never).await?;
        if answer == Value::Nil {
            return Ok(None);
        }
        let [subject_version, listed_until] = reply::tuple(answer)?;
        Ok(Some(RaisedSubjectVersion {
            subject_version: reply::number(subject_version)?,
            listed_until: reply::time(listed_until)?,
        }))
    }

    pub(super) async fn single_list(
        &self,
        subject: &str,
        limit: u32,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let call = self
            .call(&self.0.scripts.list)
            .key(subject_version_key(subject))
            .key(index_key(subject))
            .number(limit);
        let answer = reply::array(self.run(call, Retry::Harmless).await?)?;
        answer
            .into_iter()
            .map(|entry| {
                let [id, row] = reply::tuple(entry)?;
                row::decode(reply::session_id(id)?, &reply::bytes(row)?)
            })
            .collect()
    }
}

fn inserted(answer: Vec<Value>) -> Result<InsertOutcome, StoreError> {
    let (word, rest) = answer.split_first().ok_or_else(corrupt)?;
    match reply::bytes(word.clone())?.as_slice() {
        b"done" => {}
        b"moved" => return Ok(InsertOutcome::SubjectVersionChanged),
        // A row with this id exists, so the id was not new.
        _ => return Err(corrupt()),
    }
    let [now, listed_until, replaced, evicted] = reply::tuple(Value::Array(rest.to_vec()))?;
    let evicted: Result<_, _> = reply::array(evicted)?
        .into_iter()
        .map(reply::session_id)
        .collect();
    Ok(InsertOutcome::Done {
        now: reply::time(now)?,
        replaced: reply::revoked(replaced)?,
        evicted: evicted?,
        listed_until: reply::time(listed_until)?,
    })
}
