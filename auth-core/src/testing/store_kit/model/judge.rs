//! The invariants, checked with the row before and after a response.

use crate::observe::words::GrantKind;
use crate::session::store::record::SessionRecord;
use crate::session::{RefreshOutcome, SessionEnded, Tokens};
use crate::testing::store_kit::model::{History, Observed, Token};
use crate::testing::store_kit::{Broken, ensure};

impl History<'_> {
    pub(super) fn judge(
        &self,
        token: &Token,
        before: Option<&Observed>,
        after: Option<&Observed>,
        outcome: &RefreshOutcome,
        failed: bool,
    ) -> Result<(), Broken> {
        let book = self.books.get(&token.session);
        let honest = book.is_some_and(|book| book.honest);
        // Its end was requested, possibly without a response.
        let ordered_end = book.is_none_or(|book| book.ordered_end);
        let was_live = before.is_some_and(|seen| seen.live);
        match outcome {
            RefreshOutcome::Granted(tokens) => {
                let (Some(before), Some(after)) = (before, after) else {
                    return Err(Broken::Promise("I6: no tokens without a row".into()));
                };
                ensure(
                    was_live && after.live,
                    "I4, I6: no tokens from a dead session",
                )?;
                self.judge_grant(token, &before.row, &after.row, tokens)
            }
            RefreshOutcome::SessionEnded(SessionEnded::Reuse(cause)) => {
                ensure(!honest, &format!("I3: an honest client met {cause:?}"))?;
                let dead = after.is_none_or(|seen| !seen.live);
                ensure(dead, "a reused session is dead")
            }
            RefreshOutcome::SessionEnded(terminal) => ensure(
                !was_live || ordered_end,
                &format!("I6: {terminal:?} from a live session"),
            ),
            RefreshOutcome::TokenRejected(refused) => {
                let ended = before.is_some_and(|seen| seen.row.revoked.is_some());
                ensure(
                    ended || (self.restored && !honest),
                    &format!("I6: {refused:?} for a valid token"),
                )
            }
            RefreshOutcome::Unavailable(error) => ensure(
                failed,
                &format!("I6: 503 without a fault: {:?}", error.kind()),
            ),
        }
    }

    fn judge_grant(
        &self,
        token: &Token,
        before: &SessionRecord,
        after: &SessionRecord,
        tokens: &Tokens,
    ) -> Result<(), Broken> {
        let numbers = |row: &SessionRecord| {
            (
                row.generation.get(),
                row.predecessor.map(|p| p.get()),
                row.recovered,
            )
        };
        let (g, p, recovered) = numbers(before);
        let (n, kind) = (token.generation, tokens.kind());
        let expected = match kind {
            GrantKind::Fresh => n == g && numbers(after) == numbers(before),
            GrantKind::Rotated => n == g && numbers(after) == (g + 1, Some(g), 0),
            GrantKind::Replayed | GrantKind::Held => {
                Some(n) == p && numbers(after) == numbers(before)
            }
            GrantKind::Recovered => {
                Some(n) == p && recovered < 3 && numbers(after) == (g + 1, p, recovered + 1)
            }
            GrantKind::Resumed => self.restored && n > g && numbers(after) == (n, Some(n - 1), 0),
            GrantKind::Login | GrantKind::Others => false,
        };
        ensure(
            expected,
            &format!(
                "I1, I2: {kind:?} of {n} takes {:?} to {:?}",
                numbers(before),
                numbers(after)
            ),
        )?;
        let refresh = tokens.refresh().is_some();
        ensure(
            refresh != (kind == GrantKind::Held) && tokens.generation() == after.generation,
            "I1: a grant has the row's generation, or none",
        )
    }
}
