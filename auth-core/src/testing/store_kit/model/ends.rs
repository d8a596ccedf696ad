//! Sessions that somebody ends on purpose, and that must then be dead.

use crate::base::id::SessionId;
use crate::session::RefreshOutcome;
use crate::testing::store_kit::model::{Broken, History, ensure};

impl History<'_> {
    pub(super) fn order_end(&mut self, session: SessionId) {
        if let Some(book) = self.books.get_mut(&session) {
            book.ordered_end = true;
        }
    }

    pub(super) async fn logout(&mut self, client: u8) -> Result<(), Broken> {
        let Some(token) = self.jar(client).cloned() else {
            return Ok(());
        };
        self.order_end(token.session);
        let logout = self.node(true).logout(&token.text).await;
        ensure(
            matches!(logout, Ok(Some(session)) if session == token.session),
            "I6: signing out succeeds",
        )?;
        let seen = self.look(token.session).await?;
        ensure(seen.is_none_or(|seen| !seen.live), "I4: signed out is dead")
    }

    pub(super) async fn end_others(&mut self, client: u8) -> Result<(), Broken> {
        let Some(token) = self.jar(client).cloned() else {
            return Ok(());
        };
        let subject = self.subject(client);
        let was_live = self.look(token.session).await?.is_some_and(|s| s.live);
        let outcome = self
            .node(false)
            .end_others(&subject, token.session, "")
            .await;
        let ended = matches!(outcome, RefreshOutcome::Granted(_));
        ensure(ended == was_live, "I6: a live session may end the others")?;
        if ended {
            self.order_end_of(&subject, Some(token.session)).await?;
            let seen = self.look(token.session).await?;
            ensure(seen.is_some_and(|s| s.live), "I3: the asker goes on")?;
        }
        Ok(())
    }

    pub(super) async fn end_all(&mut self, client: u8) -> Result<(), Broken> {
        let subject = self.subject(client);
        let ended = self.node(true).end_all(&subject).await;
        ensure(ended.is_ok(), "I6: all can be ended")?;
        self.order_end_of(&subject, None).await
    }

    pub(super) async fn order_end_of(
        &mut self,
        subject: &str,
        keep: Option<SessionId>,
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
            ensure(seen.is_none_or(|seen| !seen.live), "I4: ended is dead")?;
        }
        Ok(())
    }

    pub(super) async fn revoke(&mut self, client: u8) -> Result<(), Broken> {
        let Some(session) = self.jar(client).map(|token| token.session) else {
            return Ok(());
        };
        self.order_end(session);
        let revoked = self.node(false).revoke_session(session).await;
        ensure(revoked.is_ok(), "I6: a session can be revoked")?;
        let seen = self.look(session).await?;
        ensure(seen.is_none_or(|seen| !seen.live), "I4: revoked is dead")
    }
}
