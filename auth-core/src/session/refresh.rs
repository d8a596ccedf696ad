//! The refresh of a session.
//!
//! 1. A token that we did not issue is refused before anything else happens.
//! 2. Reuse never waits for the app: the session is revoked at once.
//! 3. The app is asked only when tokens would be made, and before anything is written: disabled →
//!    the session is revoked; no answer → 503, and the same token works again.
//! 4. The answer is whole before anything is written: the access token is made, and the cookies, if
//!    it comes in cookies, are written and measured. What cannot be delivered consumes nothing.
//! 5. How stale this node's list is makes no difference: row and epoch come from the store.
//! 6. A session that this node's list has as revoked, while its row does not say so, is treated as
//!    revoked, and the write is finished.

use crate::base::client::ClientInfo;
use crate::base::clock::Timestamp;
use crate::observe::events::Event;
use crate::observe::metrics;
use crate::observe::words::{GrantKind, RevokeReason, UnavailableKind};
use crate::session::cookies::CookieHead;
use crate::session::decide::{Decision, Grant, RefreshRefusal, RotationStep, decide};
use crate::session::flight::{FlightRecord, FlightTurn};
use crate::session::hook::CurrentClaims;
use crate::session::inner::{AccessKind, Inner};
use crate::session::minting::{Minted, Minting};
use crate::session::outcome::{RefreshOutcome, SessionEnded, TokenRejected, Tokens, Unavailable};
use crate::session::reference;
use crate::session::replays::Replay;
use crate::session::sessions::Sessions;
use crate::session::store::record::SessionRecord;
use crate::session::store::{LoadedSession, RotateSession};
use crate::session::token::{Presented, SessionSecret};
use crate::token::issuer::AccessToken;

/// How often a request decides anew because others wrote first.
const ATTEMPTS: usize = 5;

impl Sessions {
    /// Answers a refresh token.
    ///
    /// `client` is what is known about who sent it.
    ///
    /// # Cancel safety
    /// May be dropped at any await: the session has moved on whole or not at all, and the retry
    /// gets the same tokens that the lost answer had.
    pub async fn refresh(&self, refresh_token: &str, client: &ClientInfo) -> RefreshOutcome {
        self.refresh_into(refresh_token, client, None).await
    }

    /// As [`refresh`](Self::refresh), for an answer with cookies, which the tokens bring along.
    pub(crate) async fn refresh_into(
        &self,
        refresh_token: &str,
        client: &ClientInfo,
        head: Option<CookieHead<'_>>,
    ) -> RefreshOutcome {
        let outcome = self.0.refresh_any(refresh_token, client, head).await;
        metrics::refreshed(outcome.as_str());
        outcome
    }
}

/// Who asks for a refresh, and how the answer goes back.
#[derive(Clone, Copy)]
struct Asking<'a> {
    presented: &'a Presented,
    client: &'a ClientInfo,
    head: Option<CookieHead<'a>>,
}

impl Inner {
    async fn refresh_any(
        &self,
        refresh_token: &str,
        client: &ClientInfo,
        head: Option<CookieHead<'_>>,
    ) -> RefreshOutcome {
        let Some(presented) = self.codec.verify(refresh_token) else {
            self.emit(&Event::Forged { client });
            return RefreshOutcome::TokenRejected(TokenRejected::Forged);
        };
        let asking = Asking {
            presented: &presented,
            client,
            head,
        };
        self.within_deadline(self.refresh(asking))
            .await
            .unwrap_or_else(RefreshOutcome::Unavailable)
    }

    async fn refresh(&self, asking: Asking<'_>) -> Result<RefreshOutcome, Unavailable> {
        let presented = asking.presented;
        let ticket = self.flights.join(presented.session);
        for _ in 0..ATTEMPTS {
            let turn = ticket.turn().await;
            if let Some(seen) = turn.shared()
                && let Some(kind) = self.shared_grant(seen, presented)
            {
                let seen = seen.clone();
                drop(turn);
                metrics::joined();
                return self.grant_unwritten(&seen, kind, asking).await;
            }
            let covers = turn.arrivals();
            let began = self.issuer.clock().now();
            let Some(loaded) = self.load(&presented.session).await? else {
                return Ok(RefreshOutcome::SessionEnded(SessionEnded::Unknown));
            };
            let seen = FlightRecord { loaded, began };
            if let Some(outcome) = self.lead(turn, covers, seen, asking).await? {
                return Ok(outcome);
            }
        }
        Err(Unavailable::new(UnavailableKind::Contention))
    }

    /// Decides on a row that was loaded for this request; `None` if somebody else wrote first.
    async fn lead(
        &self,
        turn: FlightTurn<'_>,
        covers: u64,
        seen: FlightRecord,
        asking: Asking<'_>,
    ) -> Result<Option<RefreshOutcome>, Unavailable> {
        let Grant { kind, write } = match self.decide(&seen, asking.presented) {
            Decision::Grant(grant) => grant,
            Decision::Refuse(refusal) => {
                let refused = self.refuse(&seen.loaded, refusal, asking.client).await;
                return refused.map(Some);
            }
        };
        let record = &seen.loaded.record;
        if self.is_listed(record.id) {
            self.revoke(record.id, Some(&record.subject), RevokeReason::App)
                .await?;
            return Ok(Some(RefreshOutcome::SessionEnded(SessionEnded::Revoked(
                RevokeReason::App,
            ))));
        }
        if let Some(step) = write {
            return self.write(turn, seen, kind, step, asking).await;
        }
        turn.publish(covers, seen.clone());
        self.grant_unwritten(&seen, kind, asking).await.map(Some)
    }

    fn decide(&self, seen: &FlightRecord, presented: &Presented) -> Decision {
        decide(Some(&seen.loaded), presented.generation, &self.policy)
    }

    /// The grant by what another request has loaded, if it needs no write.
    fn shared_grant(&self, seen: &FlightRecord, presented: &Presented) -> Option<GrantKind> {
        let Decision::Grant(Grant { kind, write: None }) = self.decide(seen, presented) else {
            return None;
        };
        let record = &seen.loaded.record;
        let ended = self.is_listed(record.id)
            || self
                .subject_version_ahead_of(record.subject_version, &record.subject)
                .is_some();
        (!ended).then_some(kind)
    }

    /// Fresh, Replayed, Held.
    async fn grant_unwritten(
        &self,
        seen: &FlightRecord,
        kind: GrantKind,
        asking: Asking<'_>,
    ) -> Result<RefreshOutcome, Unavailable> {
        let record = &seen.loaded.record;
        let Some(claims) = self
            .current_claims(&record.subject, record.id, &record.details)
            .await?
        else {
            return self.disable(record).await;
        };
        // An opaque token belongs to its generation: it is the one that the row knows.
        let access = match (self.access, &record.details.reference) {
            (AccessKind::Reference, Some(kept)) => {
                let end = Timestamp::from_secs(kept.expires_at);
                let secret = &asking.presented.secret;
                reference::issue(&self.codec, secret, record.generation, seen.began, end)
            }
            _ => match self.mint_for(seen, &claims, None).await? {
                Some(minted) => minted.access,
                None => return Ok(RefreshOutcome::SessionEnded(SessionEnded::Expired)),
            },
        };
        let tokens = self.tokens(seen, kind, asking, access)?;
        match kind {
            GrantKind::Held => self.note_replay(&seen.loaded, Replay::Held),
            GrantKind::Replayed => self.note_replay(&seen.loaded, Replay::Replayed),
            _ => {}
        }
        Ok(self.granted(tokens))
    }

    /// Rotated, Recovered, Resumed.
    async fn write(
        &self,
        turn: FlightTurn<'_>,
        seen: FlightRecord,
        kind: GrantKind,
        step: RotationStep,
        asking: Asking<'_>,
    ) -> Result<Option<RefreshOutcome>, Unavailable> {
        let record = &seen.loaded.record;
        let Some(claims) = self
            .current_claims(&record.subject, record.id, &record.details)
            .await?
        else {
            return self.disable(record).await.map(Some);
        };
        let mut next = seen.clone();
        asking.client.note_in(&mut next.loaded.record.details);
        next.loaded.record.generation = step.generation;
        next.loaded.record.predecessor = step.predecessor;
        next.loaded.record.recovered = step.recovered;
        next.stamp(seen.loaded.now, None);
        let secret = Some(&asking.presented.secret);
        let Some(minted) = self.mint_for(&next, &claims, secret).await? else {
            return Ok(Some(RefreshOutcome::SessionEnded(SessionEnded::Expired)));
        };
        next.loaded.record.details.reference = minted.reference;
        let tokens = self.tokens(&next, kind, asking, minted.access)?;
        let covers = turn.arrivals();
        let advance = RotateSession {
            id: record.id,
            subject: &record.subject,
            from_generation: record.generation,
            from_predecessor: record.predecessor,
            subject_version: record.subject_version,
            generation: step.generation,
            predecessor: step.predecessor,
            recovered: step.recovered,
            idle: record.details.idle(),
            details: &next.loaded.record.details,
        };
        let Some(advanced) = self.store.advance(&advance).await? else {
            return Ok(None);
        };
        next.stamp(advanced.now, Some(advanced.idle_expires_at));
        turn.publish(covers, next.clone());
        let outcome = self.granted(tokens);
        self.tell_of_step(&seen.loaded, kind, asking);
        Ok(Some(outcome))
    }

    /// Everything that is answered without tokens.
    async fn refuse(
        &self,
        loaded: &LoadedSession,
        refusal: RefreshRefusal,
        client: &ClientInfo,
    ) -> Result<RefreshOutcome, Unavailable> {
        let record = &loaded.record;
        let (session, subject) = (record.id, &*record.subject);
        Ok(match refusal {
            RefreshRefusal::Reuse(cause) => {
                if self
                    .revoke_for(session, Some(subject), cause.reason(), Some(client))
                    .await?
                {
                    self.note_replay(loaded, Replay::Reuse(cause));
                }
                RefreshOutcome::SessionEnded(SessionEnded::Reuse(cause))
            }
            RefreshRefusal::Ahead => {
                self.emit(&Event::Ahead {
                    session,
                    subject,
                    client,
                });
                RefreshOutcome::TokenRejected(TokenRejected::Ahead)
            }
            RefreshRefusal::Expired => {
                self.emit(&Event::Expired { session, subject });
                RefreshOutcome::SessionEnded(SessionEnded::Expired)
            }
            RefreshRefusal::Revoked { reason, ago } => {
                let just_now = ago.is_some_and(|ago| ago < self.policy.min_rotation_interval());
                match reason {
                    RevokeReason::Logout | RevokeReason::Replaced if just_now => {
                        RefreshOutcome::TokenRejected(TokenRejected::JustEnded(reason))
                    }
                    _ => RefreshOutcome::SessionEnded(SessionEnded::Revoked(reason)),
                }
            }
            RefreshRefusal::Unknown => RefreshOutcome::SessionEnded(SessionEnded::Unknown),
        })
    }

    async fn disable(&self, record: &SessionRecord) -> Result<RefreshOutcome, Unavailable> {
        self.revoke(record.id, Some(&record.subject), RevokeReason::Disabled)
            .await?;
        Ok(RefreshOutcome::SessionEnded(SessionEnded::Disabled))
    }

    async fn mint_for(
        &self,
        seen: &FlightRecord,
        claims: &CurrentClaims,
        secret: Option<&SessionSecret>,
    ) -> Result<Option<Minted>, Unavailable> {
        let record = &seen.loaded.record;
        let minting = Minting {
            subject: &record.subject,
            session: record.id,
            subject_version: record.subject_version,
            details: &record.details,
            began: seen.began,
            ends_in: record.ends_at().saturating_since(seen.loaded.now),
            secret,
            generation: record.generation,
            predecessor: record.predecessor,
        };
        self.mint(&minting, claims).await
    }

    /// Rule 4: the whole answer, for a row as it is or is about to be.
    fn tokens(
        &self,
        seen: &FlightRecord,
        kind: GrantKind,
        asking: Asking<'_>,
        access: AccessToken,
    ) -> Result<Tokens, Unavailable> {
        let record = &seen.loaded.record;
        let secret = &asking.presented.secret;
        let refresh =
            (kind != GrantKind::Held).then(|| self.codec.issue(secret, record.generation));
        Tokens {
            kind,
            subject: record.subject.clone(),
            session: record.id,
            generation: record.generation,
            access,
            refresh,
            ends_in: record.ends_at().saturating_since(seen.loaded.now),
            transient: record.details.transient,
            lines: Vec::new(),
        }
        .with_cookies(asking.head)
    }

    fn granted(&self, tokens: Tokens) -> RefreshOutcome {
        self.emit(&Event::Refreshed {
            session: tokens.session,
            subject: &tokens.subject,
            kind: tokens.kind,
        });
        RefreshOutcome::Granted(tokens)
    }

    fn note_replay(&self, loaded: &LoadedSession, replay: Replay) {
        let age = loaded.now.saturating_since(loaded.record.rotated_at);
        let now = self.issuer.clock().now();
        self.replays.note(replay, age, now);
    }

    fn tell_of_step(&self, before: &LoadedSession, kind: GrantKind, asking: Asking<'_>) {
        let Asking {
            presented, client, ..
        } = asking;
        let record = &before.record;
        let (session, subject) = (record.id, &*record.subject);
        match kind {
            GrantKind::Recovered => {
                self.note_replay(before, Replay::Recovered);
                self.emit(&Event::Recovered {
                    session,
                    subject,
                    age: before.now.saturating_since(record.rotated_at),
                    rotated_by: record.details.user_agent(),
                    user_agent: client.user_agent.as_deref(),
                });
            }
            GrantKind::Resumed => self.emit(&Event::Resumed {
                session,
                subject,
                lost: presented
                    .generation
                    .get()
                    .saturating_sub(record.generation.get()),
            }),
            _ => {}
        }
    }
}

impl FlightRecord {
    /// Notes that the row was written at `now` for its client.
    fn stamp(&mut self, now: Timestamp, idle_expires_at: Option<Timestamp>) {
        let record = &mut self.loaded.record;
        self.loaded.now = now;
        record.rotated_at = now;
        record.last_used_at = now;
        record.idle_expires_at = idle_expires_at.unwrap_or_else(|| {
            now.saturating_add(record.details.idle())
                .min(record.absolute_expires_at)
        });
    }
}
