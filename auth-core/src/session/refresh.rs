//! The refresh of a session.
//!
//! 1. A token that was not issued here is refused before any other step.
//! 2. Reuse never waits for the app's hook: the session is revoked at once.
//! 3. The hook is called only if tokens would be made, and before any write. For a disabled user the
//!    session is revoked; without an answer the response is 503, and the same token works again.
//! 4. The response is complete before any write: the access token is minted, and any cookies are
//!    built and measured. A response that cannot be delivered consumes nothing.
//! 5. The staleness of this node's list has no effect: row and subject version come from the store.
//! 6. A session that this node's list has as revoked, but its row does not, is treated as revoked,
//!    and the write is completed.

use crate::base::client::ClientInfo;
use crate::base::clock::Timestamp;
use crate::observe::events::Event;
use crate::observe::metrics;
use crate::observe::words::{GrantKind, RevokeReason, UnavailableKind};
use crate::session::cookies::CookieHead;
use crate::session::decide::{Decision, Grant, RefreshRefusal, RotationStep, decide};
use crate::session::ending::EndCause;
use crate::session::flight::{FlightRecord, FlightTurn};
use crate::session::inner::{AccessKind, Inner};
use crate::session::minting::Minting;
use crate::session::outcome::{RefreshOutcome, SessionEnded, TokenRejected, Tokens, Unavailable};
use crate::session::reference;
use crate::session::replays::Replay;
use crate::session::sessions::Sessions;
use crate::session::store::record::SessionRecord;
use crate::session::store::{LoadedSession, RotateSession};
use crate::session::token::Presented;
use crate::token::issuer::AccessToken;

/// Number of decisions per request. Each repetition follows a lost write.
const ATTEMPTS: usize = 5;

impl Sessions {
    /// Refreshes a session with its refresh token.
    ///
    /// `client` is the client that sent the token.
    ///
    /// # Cancel safety
    /// The future may be dropped at any await: the rotation has happened as a whole or not at all,
    /// and the retry gets the same tokens as the lost response.
    pub async fn refresh(&self, refresh_token: &str, client: &ClientInfo) -> RefreshOutcome {
        self.refresh_into(refresh_token, client, None).await
    }

    /// Refreshes like [`refresh`](Self::refresh), for a response with cookies, which the tokens
    /// include.
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

/// The source of a refresh, and the carrier of its response.
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

    /// Decides on a row that was loaded for this request. `None` if another request wrote first.
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
            self.revoke(record.id, EndCause::of(&record.subject, RevokeReason::App))
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

    /// The grant by the row of another request, if it needs no write.
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

    /// Grants without a write: Fresh, Replayed, Held.
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
        // An opaque token belongs to its generation: it is the one in the row.
        let access = match (self.access, &record.details.reference) {
            (AccessKind::Reference, Some(kept)) => {
                let end = Timestamp::from_secs(kept.expires_at);
                let secret = &asking.presented.secret;
                reference::issue(&self.codec, secret, record.generation, seen.began, end)
            }
            _ => match self
                .mint(&Minting::of(&seen.loaded, seen.began, None), &claims)
                .await?
            {
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

    /// Grants with a write: Rotated, Recovered, Resumed.
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
        let minting = Minting::of(&next.loaded, next.began, Some(&asking.presented.secret));
        let Some(minted) = self.mint(&minting, &claims).await? else {
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

    /// Handles all decisions without tokens.
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
                let end = EndCause {
                    client: Some(client),
                    ..EndCause::of(subject, cause.reason())
                };
                if self.revoke(session, end).await? {
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

    pub(super) async fn disable(
        &self,
        record: &SessionRecord,
    ) -> Result<RefreshOutcome, Unavailable> {
        self.revoke(
            record.id,
            EndCause::of(&record.subject, RevokeReason::Disabled),
        )
        .await?;
        Ok(RefreshOutcome::SessionEnded(SessionEnded::Disabled))
    }

    /// Builds the whole response of rule 4, for the current or the next state of a row.
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
        Tokens::of(&seen.loaded, kind, access, refresh).with_cookies(asking.head)
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
    /// Records that the row was written at `now` for its client.
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
