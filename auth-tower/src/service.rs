use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use auth_core::Guard;
use auth_core::adapter::{Step, Verdict};
use http::{Request, Response};
use serde::de::DeserializeOwned;
use tower_service::Service;

use crate::future::{ResponseFuture, admit};
use crate::request::RequestHead;
use crate::response;

/// The guarded service created by [`AuthLayer`](crate::AuthLayer).
///
/// A refusal is an `Ok` response; errors come only from the inner service.
pub struct AuthService<S, T> {
    inner: S,
    guard: Arc<Guard<T>>,
}

impl<S, T> AuthService<S, T> {
    pub(crate) fn new(inner: S, guard: Arc<Guard<T>>) -> Self {
        Self { inner, guard }
    }
}

impl<S, T, ReqBody, ResBody> Service<Request<ReqBody>> for AuthService<S, T>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    T: DeserializeOwned + Send + Sync + 'static,
    ResBody: From<Vec<u8>>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, ResBody>;

    /// Ready when the inner service is; the guard has no queue.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let outer = request.extensions().get();
        let step = self.guard.check_within(outer, &RequestHead::from(&request));
        follow(&mut self.inner, step, request)
    }
}

/// Applies the guard's verdict to a request for `inner`, which was polled ready.
fn follow<S, ReqBody, ResBody>(
    inner: &mut S,
    step: Step,
    request: Request<ReqBody>,
) -> ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: From<Vec<u8>>,
{
    match step {
        Step::Done(Verdict::Pass(pass)) => {
            let (request, edits) = admit(request, pass);
            ResponseFuture::guarded(inner.call(request), edits)
        }
        Step::Done(Verdict::Refuse(refusal)) => ResponseFuture::rejected(response::refuse(refusal)),
        Step::Wait(verdict) => {
            // The clone was never polled ready, so the future takes the service that was:
            // https://docs.rs/tower/latest/tower/trait.Service.html#be-careful-when-cloning-inner-services
            let clone = inner.clone();
            let ready = mem::replace(inner, clone);
            ResponseFuture::waiting(verdict, ready, request)
        }
    }
}

impl<S: Clone, T> Clone for AuthService<S, T> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            guard: Arc::clone(&self.guard),
        }
    }
}

impl<S: fmt::Debug, T> fmt::Debug for AuthService<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use auth_core::adapter::BoxFuture;
    use auth_core::{AuthContext, Authenticator, Key};
    use http::StatusCode;
    use tokio::sync::oneshot;
    use tower::limit::ConcurrencyLimit;
    use tower::{ServiceExt, service_fn};

    use super::*;

    fn guard() -> Guard<()> {
        let auth = Authenticator::for_issuer("https://issuer.example")
            .audience("https://api.example")
            .keys(Key::hs256("k1", &[7; 32]).unwrap())
            .build()
            .unwrap();
        auth.guard()
    }

    fn verdict(guard: &Guard<()>) -> Verdict {
        match guard.check(&RequestHead::from(&Request::new(()))) {
            Step::Done(verdict) => verdict,
            Step::Wait(_) => panic!("nothing to wait for"),
        }
    }

    /// A step that waits for a verdict from the test.
    fn waiting() -> (oneshot::Sender<Verdict>, Step) {
        let (tell, told) = oneshot::channel();
        let verdict: BoxFuture<Verdict> = Box::pin(async { told.await.unwrap() });
        (tell, Step::Wait(verdict))
    }

    async fn known(request: Request<()>) -> Result<Response<Vec<u8>>, Infallible> {
        let known = request.extensions().get::<AuthContext>().is_some();
        Ok(Response::new(known.to_string().into_bytes()))
    }

    #[tokio::test]
    async fn a_request_that_waited_passes_with_its_context() {
        let (tell, step) = waiting();
        let mut response = probe(follow(&mut service_fn(known), step, Request::new(())));
        assert!(response.poll().is_pending());
        tell.send(verdict(&guard().with_anonymous())).unwrap();
        assert_eq!(response.finish().await.unwrap().body(), b"true");
    }

    #[tokio::test]
    async fn a_request_that_waited_may_be_refused() {
        let mut inner = service_fn(|_: Request<()>| async {
            panic!("a refused request reached the app");
            #[allow(unreachable_code, reason = "gives the response its type")]
            Ok::<_, Infallible>(Response::new(Vec::new()))
        });
        let (tell, step) = waiting();
        let response = follow(&mut inner, step, Request::new(()));
        tell.send(verdict(&guard())).unwrap();
        assert_eq!(response.await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn the_service_that_was_polled_ready_waits_with_the_request() {
        let mut limited = ConcurrencyLimit::new(service_fn(known), 1);
        let mut other = limited.clone();
        limited.ready().await.unwrap();
        let (tell, step) = waiting();
        let response = follow(&mut limited, step, Request::new(()));
        // The future holds the only permit: neither the service left behind nor another clone is
        // ready.
        assert!(probe(limited.ready()).poll().is_pending());
        assert!(probe(other.ready()).poll().is_pending());
        tell.send(verdict(&guard().with_anonymous())).unwrap();
        // ConcurrencyLimit panics if it is called without a permit.
        assert_eq!(response.await.unwrap().body(), b"true");
        // It was first in the queue for the permit.
        drop(limited);
        other.ready().await.unwrap();
    }

    #[tokio::test]
    async fn e03_a_dropped_wait_gives_its_permit_back() {
        let mut limited = ConcurrencyLimit::new(service_fn(known), 1);
        let (_tell, step) = waiting();
        limited.ready().await.unwrap();
        drop(follow(&mut limited, step, Request::new(())));
        limited.ready().await.unwrap();
    }

    /// A future that the test may poll before it awaits it.
    fn probe<F: Future>(future: F) -> Probe<F> {
        Probe(Box::pin(future))
    }

    struct Probe<F>(std::pin::Pin<Box<F>>);

    impl<F: Future> Probe<F> {
        fn poll(&mut self) -> Poll<F::Output> {
            self.0
                .as_mut()
                .poll(&mut Context::from_waker(std::task::Waker::noop()))
        }

        async fn finish(self) -> F::Output {
            self.0.await
        }
    }
}
