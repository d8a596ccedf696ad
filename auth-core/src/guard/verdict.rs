//! What an adapter is told to do with a request.

use std::fmt;
use std::pin::Pin;

use crate::guard::context::AuthContext;
use crate::guard::refusal::Refusal;
use crate::http::edits::ResponseEdits;

/// A boxed future, as [`Step::Wait`] holds it.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// The answer of a guard: at once on the usual path, later if a store or another server must be
/// asked (an unknown key, a reference token, a silent refresh).
#[allow(clippy::exhaustive_enums, reason = "adapters must handle every way on")]
pub enum Step {
    /// Decided without waiting.
    Done(Verdict),
    /// Decided when the future ends. Dropping it is safe.
    Wait(BoxFuture<Verdict>),
}

impl Step {
    /// The verdict, whichever way it comes: for adapters to frameworks in which every handler is
    /// async anyway. Dropping the future is safe.
    ///
    /// ```
    /// use auth_core::{Guard, RequestView, Verdict};
    /// # async fn example(guard: Guard<()>, head: &dyn RequestView) {
    /// match guard.check(head).verdict().await {
    ///     Verdict::Pass(pass) => { /* let the app answer */ }
    ///     Verdict::Refuse(refusal) => { /* send refusal.response() */ }
    /// }
    /// # }
    /// ```
    pub async fn verdict(self) -> Verdict {
        match self {
            Self::Done(verdict) => verdict,
            Self::Wait(verdict) => verdict.await,
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(verdict) => f.debug_tuple("Done").field(verdict).finish(),
            Self::Wait(_) => f.write_str("Wait(..)"),
        }
    }
}

/// Let the request through, or refuse it.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "adapters must handle every way on")]
pub enum Verdict {
    /// Hand the request to the app.
    Pass(Pass),
    /// Answer in the app's stead: a refusal, or what the browser needs before it may ask again.
    /// The app must not see the request.
    Refuse(Refusal),
}

/// What to do when a request passes.
#[derive(Debug)]
pub struct Pass {
    context: AuthContext,
    edits: ResponseEdits,
}

impl Pass {
    pub(crate) fn new(context: AuthContext, edits: ResponseEdits) -> Self {
        Self { context, edits }
    }

    /// The context to put into the request's extensions, replacing any, and the edits to make on
    /// the response.
    #[must_use]
    pub fn into_parts(self) -> (AuthContext, ResponseEdits) {
        (self.context, self.edits)
    }
}
