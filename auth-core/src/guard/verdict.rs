//! [`Step`] and [`Verdict`]: the results of a guard, for adapters.

use std::fmt;
use std::pin::Pin;

use crate::guard::context::AuthContext;
use crate::guard::refusal::Refusal;
use crate::http::edits::ResponseEdits;

/// A boxed future, as in [`Step::Wait`].
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// The result of a guard: immediate on the usual path, later if it needs a store or another server
/// (an unknown key, a reference token, a silent refresh).
#[allow(clippy::exhaustive_enums, reason = "adapters must handle every way on")]
pub enum Step {
    /// The verdict, decided without waiting.
    Done(Verdict),
    /// A future of the verdict. Dropping it is safe.
    Wait(BoxFuture<Verdict>),
}

impl Step {
    /// Awaits the verdict, for adapters to frameworks in which every handler is async. Dropping the
    /// future is safe.
    ///
    /// ```
    /// use auth_core::adapter::{RequestView, Verdict};
    /// use auth_core::Guard;
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

/// The decision about a request: pass or refuse.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "adapters must handle every way on")]
pub enum Verdict {
    /// Pass the request to the app.
    Pass(Pass),
    /// Send this response instead of the app's: a refusal, or a redirect after which the browser
    /// repeats the request. The app must not see the request.
    Refuse(Refusal),
}

/// The context and the response edits of a request that passes.
#[derive(Debug)]
pub struct Pass {
    context: AuthContext,
    edits: ResponseEdits,
}

impl Pass {
    pub(crate) fn new(context: AuthContext, edits: ResponseEdits) -> Self {
        Self { context, edits }
    }

    /// The context for the request's extensions, where it replaces any other, and the edits for the
    /// response.
    #[must_use]
    pub fn into_parts(self) -> (AuthContext, ResponseEdits) {
        (self.context, self.edits)
    }
}
