use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use auth_core::adapter::{BoxFuture, Pass, ResponseEdits, Verdict};
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::response;

pin_project! {
    /// The response of an [`AuthService`](crate::AuthService).
    ///
    /// It boxes nothing if the guard decides without waiting.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        state: State<S, S::Future, ReqBody, ResBody>,
    }
}

pin_project! {
    #[project = StateProj]
    #[project_replace = StateOwned]
    enum State<S, F, ReqBody, ResBody> {
        // The inner service handles the request.
        Inner {
            #[pin]
            future: F,
            edits: ResponseEdits,
        },
        // Refused: the inner service is not called.
        Rejected {
            response: Response<ResBody>,
        },
        // Core waits for a store or another server. The future keeps the service that was polled
        // ready.
        Waiting {
            verdict: BoxFuture<Verdict>,
            ready: S,
            request: Request<ReqBody>,
        },
        Done,
    }
}

impl<S, ReqBody, ResBody> ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>>,
{
    pub(crate) fn guarded(future: S::Future, edits: ResponseEdits) -> Self {
        Self {
            state: State::Inner { future, edits },
        }
    }

    pub(crate) fn rejected(response: Response<ResBody>) -> Self {
        Self {
            state: State::Rejected { response },
        }
    }

    pub(crate) fn waiting(
        verdict: BoxFuture<Verdict>,
        ready: S,
        request: Request<ReqBody>,
    ) -> Self {
        Self {
            state: State::Waiting {
                verdict,
                ready,
                request,
            },
        }
    }
}

impl<S, ReqBody, ResBody> Future for ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: From<Vec<u8>>,
{
    type Output = Result<Response<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let verdict = match state.as_mut().project() {
                StateProj::Inner { future, edits } => {
                    let mut response = ready!(future.poll(cx))?;
                    if !edits.is_empty() {
                        response::edit(response.headers_mut(), std::mem::take(edits));
                    }
                    return Poll::Ready(Ok(response));
                }
                StateProj::Waiting { verdict, .. } => Some(ready!(verdict.as_mut().poll(cx))),
                StateProj::Rejected { .. } => None,
                // Polled after completion, which is outside the contract of `Future`.
                StateProj::Done => return Poll::Pending,
            };
            match (state.as_mut().project_replace(State::Done), verdict) {
                (StateOwned::Rejected { response }, _) => return Poll::Ready(Ok(response)),
                (StateOwned::Waiting { .. }, Some(Verdict::Refuse(refusal))) => {
                    return Poll::Ready(Ok(response::refuse(refusal)));
                }
                (
                    StateOwned::Waiting {
                        mut ready, request, ..
                    },
                    Some(Verdict::Pass(pass)),
                ) => {
                    let (request, edits) = admit(request, pass);
                    state.set(State::Inner {
                        future: ready.call(request),
                        edits,
                    });
                }
                _ => return Poll::Pending,
            }
        }
    }
}

/// Inserts the context into the request, in place of any other: that of an outer layer, or one
/// inserted by other code.
pub(crate) fn admit<B>(mut request: Request<B>, pass: Pass) -> (Request<B>, ResponseEdits) {
    let (context, edits) = pass.into_parts();
    request.extensions_mut().insert(context);
    (request, edits)
}

impl<S, ReqBody, ResBody> fmt::Debug for ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
