//! Access tokens: a node must refuse those of ended sessions until they expire, and accept those of
//! live sessions.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::id::SessionId;
use crate::revocation::Revocation;
use crate::session::Tokens;
use crate::testing::store_kit::model::nodes::{KnownEnd, LEEWAY, Node, SHORT};
use crate::testing::store_kit::model::{History, Observed};
use crate::testing::store_kit::{Broken, ensure};

const MOST_KEPT: usize = 12;
/// Time for which a node refuses the tokens of an end without a response: the access token lifetime
/// that it knows, plus leeway. The feed uses the longest lifetime of all nodes.
const WITHOUT_AN_ANSWER: Duration = SHORT.saturating_add(LEEWAY);
pub(super) const FOR_EVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// An access token: the one with the latest expiry of its session and subject version.
#[derive(Clone)]
pub(super) struct IssuedAccess {
    text: String,
    subject: String,
    session: SessionId,
    subject_version: u64,
    issued_at: Timestamp,
    expires_at: Timestamp,
    /// Number of the token in the history.
    number: u64,
}

impl IssuedAccess {
    fn is_known_to_end(&self, known: &KnownEnd) -> bool {
        self.number <= known.made && self.is_ended_by(&known.revocation)
    }

    fn is_ended_by(&self, revocation: &Revocation) -> bool {
        match revocation {
            Revocation::Session { id, .. } => *id == self.session,
            Revocation::Subject {
                subject,
                lowest_subject_version,
                ..
            } => **subject == *self.subject && self.subject_version < *lowest_subject_version,
        }
    }
}

impl History<'_> {
    /// Records a new access token, and tries it on both nodes.
    pub(super) async fn keep_access(&mut self, tokens: &Tokens) -> Result<(), Broken> {
        let Some(seen) = self.look(tokens.session()).await? else {
            return Ok(());
        };
        self.made += 1;
        let access = IssuedAccess {
            number: self.made,
            text: tokens.access().expose().to_owned(),
            subject: tokens.subject().to_owned(),
            session: tokens.session(),
            subject_version: seen.row.subject_version,
            issued_at: self.now(),
            expires_at: tokens.access().expires_at(),
        };
        self.try_access(&access, Some(&seen))?;
        let same = |kept: &IssuedAccess| {
            kept.session == access.session && kept.subject_version == access.subject_version
        };
        match self.access.iter().position(same) {
            Some(at) => {
                if let Some(kept) = self.access.get_mut(at)
                    && kept.expires_at < access.expires_at
                {
                    *kept = access;
                }
            }
            None => self.access.push(access),
        }
        let surplus = self.access.len().saturating_sub(MOST_KEPT);
        self.access.drain(..surplus);
        Ok(())
    }

    /// Tries every access token on both nodes, except those that have expired by every clock.
    pub(super) async fn try_all_access(&mut self) -> Result<(), Broken> {
        let now = self.now().min(self.true_time);
        self.access
            .retain(|access| now <= access.expires_at.saturating_add(LEEWAY));
        for access in self.access.clone() {
            let seen = match self.books.get(&access.session) {
                Some(book) if !book.ordered_end => self.look(access.session).await?,
                _ => None,
            };
            self.try_access(&access, seen.as_ref())?;
        }
        Ok(())
    }

    /// Tries an access token on both nodes. `seen` is the row of a session that may have to be
    /// live.
    fn try_access(&self, access: &IssuedAccess, seen: Option<&Observed>) -> Result<(), Broken> {
        let now = self.now();
        let ordered = self
            .books
            .get(&access.session)
            .is_none_or(|book| book.ordered_end);
        let lives = !ordered
            && seen.is_some_and(|seen| {
                seen.live && seen.row.subject_version == access.subject_version
            })
            && access.issued_at <= now
            && now < access.expires_at;
        for node in &self.nodes {
            let accepted = node.authenticator.verifier.verify(&access.text).is_ok();
            ensure(
                !(accepted && self.must_refuse(node, access, now)),
                "I4: a revoked access token is accepted",
            )?;
            ensure(
                accepted || !lives,
                "I6: an access token of a live session is refused",
            )?;
        }
        Ok(())
    }

    /// Whether a node must refuse this token because it knows, or must know, the end of its
    /// session.
    fn must_refuse(&self, node: &Node, access: &IssuedAccess, now: Timestamp) -> bool {
        let heard = self.published.get(self.durable_from..node.heard);
        let asked = node.asked.iter();
        let asked = asked.filter(|asked| now < asked.revocation.until());
        heard
            .unwrap_or_default()
            .iter()
            .chain(asked)
            .any(|known| access.is_known_to_end(known))
    }

    /// Records a requested end: the node knows it, with or without a response.
    pub(super) fn note_asked(&mut self, node: bool, id: SessionId, answered: bool) {
        self.order_end(id);
        let until = match answered {
            true => FOR_EVER,
            false => self.now().saturating_add(WITHOUT_AN_ANSWER),
        };
        self.note(node, Revocation::Session { id, until });
    }

    /// Records a revocation that a node knows without the feed.
    pub(super) fn note(&mut self, node: bool, revocation: Revocation) {
        let known = self.know(revocation);
        self.node_mut(node).asked.push(known);
    }

    /// Records the published entries.
    pub(super) fn read_feed(&mut self) {
        let feed = self.deployment.feed.clone();
        for revocation in feed.entries().iter().skip(self.published.len()) {
            let known = self.know(revocation.clone());
            self.published.push(known);
        }
    }

    /// Records a known revocation. It does not cover tokens that the clock dates later than now,
    /// issued before the clock was set back: their lifetime exceeds the listing.
    fn know(&mut self, revocation: Revocation) -> KnownEnd {
        let now = self.now();
        self.access
            .retain(|access| !access.is_ended_by(&revocation) || access.issued_at <= now);
        KnownEnd {
            revocation,
            made: self.made,
        }
    }
}
