//! Sessions that are ended on purpose, and must then be dead.

use crate::base::id::SessionId;
use crate::revocation::Revocation;
use crate::session::{EndedBy, RefreshOutcome};
use crate::testing::store_kit::model::access::FOR_EVER;
use crate::testing::store_kit::model::{Broken, End, History, Token, ensure};
use crate::testing::{Fault, StoreOp};

impl History<'_> {
    pub(super) fn order_end(&mut self, session: SessionId) {
        if let Some(book) = self.books.get_mut(&session) {
            book.ordered_end = true;
        }
    }

    pub(super) async fn end(
        &mut self,
        end: End,
        client: u8,
        node: bool,
        fault: Option<(StoreOp, Fault)>,
    ) -> Result<(), Broken> {
        let failures = self.failures();
        if let Some((op, fault)) = fault {
            self.node(node).store.inject(Some(op), fault, 1);
        }
        let subject = self.subject(client);
        let succeeded = match (end, self.jar(client).cloned()) {
            (End::All, _) => self.end_all(&subject, node).await?,
            (_, None) => true,
            (End::Logout, Some(token)) => self.logout(&token, node).await?,
            (End::Others, Some(token)) => self.end_others(&subject, &token, node).await?,
            (End::App, Some(token)) => self.revoke(&token, node).await?,
        };
        self.node(node).store.forget_faults();
        let failed = self.failures() > failures;
        ensure(succeeded || failed, "I6: sessions can be ended")
    }

    async fn logout(&mut self, token: &Token, node: bool) -> Result<bool, Broken> {
        let logout = self.node(node).sessions.end_by_token(&token.text).await;
        if let Ok(session) = &logout {
            let own = *session == Some(token.session);
            ensure(own, "I6: a logout ends the token's own session")?;
        }
        self.after_end_of(token, node, logout.is_ok()).await
    }

    async fn revoke(&mut self, token: &Token, node: bool) -> Result<bool, Broken> {
        let sessions = &self.node(node).sessions;
        let revoked = sessions.end(token.session, EndedBy::App).await;
        self.after_end_of(token, node, revoked.is_ok()).await
    }

    async fn after_end_of(
        &mut self,
        token: &Token,
        node: bool,
        answered: bool,
    ) -> Result<bool, Broken> {
        let seen = self.look(token.session).await?;
        let dead = seen.as_ref().is_none_or(|seen| !seen.live);
        ensure(dead || !answered, "I4: an ended session is dead")?;
        self.order_end(token.session);
        // Without a row there was nothing to list. Without a response the result is unknown.
        if seen.is_some() || !answered {
            self.note_asked(node, token.session, answered);
        }
        Ok(answered)
    }

    async fn end_others(
        &mut self,
        subject: &str,
        token: &Token,
        node: bool,
    ) -> Result<bool, Broken> {
        let asker = token.session;
        let was_live = self.look(asker).await?.is_some_and(|s| s.live);
        let sessions = &self.node(node).sessions;
        let outcome = sessions.end_others(subject, asker, "").await;
        let seen = self.look(asker).await?;
        let lives = seen.as_ref().is_some_and(|seen| seen.live);
        let ordered = self.books.get(&asker).is_none_or(|book| book.ordered_end);
        ensure(
            lives || !was_live || ordered,
            "I3: the kept session stays live",
        )?;
        match outcome {
            RefreshOutcome::Granted(tokens) => {
                ensure(was_live, "I6: a dead session ends no others")?;
                self.ended_all(subject, Some(asker), node, true).await?;
                self.keep_access(&tokens).await?;
                Ok(true)
            }
            RefreshOutcome::Unavailable(_) => {
                self.ended_all(subject, Some(asker), node, false).await?;
                Ok(false)
            }
            _ => {
                ensure(!was_live || ordered, "I6: a live session ends the others")?;
                Ok(true)
            }
        }
    }

    async fn end_all(&mut self, subject: &str, node: bool) -> Result<bool, Broken> {
        let ended = self
            .node(node)
            .sessions
            .end_all(subject, EndedBy::User(subject))
            .await
            .is_ok();
        self.ended_all(subject, None, node, ended).await?;
        Ok(ended)
    }

    /// Records that all sessions of a subject have ended, or may have ended.
    async fn ended_all(
        &mut self,
        subject: &str,
        keep: Option<SessionId>,
        node: bool,
        answered: bool,
    ) -> Result<(), Broken> {
        let ended: Vec<_> = self
            .books
            .iter()
            .filter(|(session, book)| book.subject == subject && Some(**session) != keep)
            .map(|(session, _)| *session)
            .collect();
        for session in ended {
            self.order_end(session);
            let seen = self.look(session).await?;
            let dead = seen.is_none_or(|seen| !seen.live);
            ensure(dead || !answered, "I4: an ended session is dead")?;
        }
        if answered {
            let lowest_subject_version = self.trial.other.subject_version(subject).await?;
            self.note(
                node,
                Revocation::Subject {
                    subject: subject.into(),
                    lowest_subject_version,
                    until: FOR_EVER,
                },
            );
        }
        Ok(())
    }
}
