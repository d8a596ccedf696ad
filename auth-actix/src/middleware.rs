//! The middleware: checks a request with the guard, then calls the app or responds in its place.

use std::fmt;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready as try_ready};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::{Error, HttpMessage};
use auth_core::Guard;
use auth_core::adapter::{ResponseEdits, Step, Verdict};
use futures_util::future::LocalBoxFuture;
use pin_project_lite::pin_project;
use serde::de::DeserializeOwned;

use crate::request::RequestHead;
use crate::response::{AuthRejection, edit};

/// Middleware that guards an app, a scope or a resource.
///
/// Build it once, outside the closure of `HttpServer::new`, and clone it into every worker: clones
/// share one [`Guard`], hence one set of keys and one revocation list.
///
/// The [crate documentation](crate) has the rules and the place in the stack.
pub struct AuthMiddleware<T> {
    guard: Arc<Guard<T>>,
}

impl<T> AuthMiddleware<T> {
    /// Creates a middleware that enforces `guard`, or requires a valid token of an authenticator.
    #[must_use]
    pub fn new(guard: impl Into<Guard<T>>) -> Self {
        Self {
            guard: Arc::new(guard.into()),
        }
    }
}

impl<T> Clone for AuthMiddleware<T> {
    fn clone(&self) -> Self {
        Self {
            guard: Arc::clone(&self.guard),
        }
    }
}

impl<T> fmt::Debug for AuthMiddleware<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthMiddleware").finish_non_exhaustive()
    }
}

impl<S, B, T> Transform<S, ServiceRequest> for AuthMiddleware<T>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
    T: DeserializeOwned + Send + Sync + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = AuthMiddlewareService<S, T>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let guard = Arc::clone(&self.guard);
        ready(Ok(AuthMiddlewareService {
            service: Rc::new(service),
            guard,
        }))
    }
}

#[doc(hidden)]
pub struct AuthMiddlewareService<S, T> {
    service: Rc<S>,
    guard: Arc<Guard<T>>,
}

impl<S, T> fmt::Debug for AuthMiddlewareService<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthMiddlewareService")
            .finish_non_exhaustive()
    }
}

impl<S, B, T> Service<ServiceRequest> for AuthMiddlewareService<S, T>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
    T: DeserializeOwned + Send + Sync + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = ResponseFuture<S, B>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        // Cloned, because the app's `Responder` runs inside and the extensions must not stay borrowed.
        let outer = request.extensions().get().cloned();
        let head = RequestHead::from(&request);
        let step = self.guard.check_within(outer.as_ref(), &head);
        enter(&self.service, request, step)
    }
}

/// Applies the guard's verdict, at once or after waiting for it.
fn enter<S, B>(service: &Rc<S>, request: ServiceRequest, step: Step) -> ResponseFuture<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: 'static,
{
    match step {
        Step::Done(verdict) => follow(&**service, request, verdict),
        Step::Wait(verdict) => {
            let service = Rc::clone(service);
            let future = async move { follow(&*service, request, verdict.await).await };
            ResponseFuture {
                state: State::Waiting {
                    future: Box::pin(future),
                },
            }
        }
    }
}

/// Applies a verdict. The request is passed by value and no clone of it is kept: inner services
/// panic when they route a request that has another owner.
fn follow<S, B>(service: &S, request: ServiceRequest, verdict: Verdict) -> ResponseFuture<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    let state = match verdict {
        Verdict::Pass(pass) => {
            let (context, edits) = pass.into_parts();
            request.extensions_mut().insert(context);
            let edits = Some(edits).filter(|edits| !edits.is_empty());
            State::Inner {
                future: service.call(request),
                edits,
            }
        }
        Verdict::Refuse(refusal) => {
            let response = request.error_response(AuthRejection::from(refusal));
            State::Refused {
                response: ready(Ok(response.map_into_right_body())),
            }
        }
    };
    ResponseFuture { state }
}

type Outcome<B> = Result<ServiceResponse<EitherBody<B>>, Error>;

pin_project! {
    /// A future that is boxed only if the guard waits for a store or another server.
    #[doc(hidden)]
    pub struct ResponseFuture<S, B>
    where
        S: Service<ServiceRequest>,
    {
        #[pin]
        state: State<S::Future, B>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, B> {
        // The inner service handles the request.
        Inner { #[pin] future: F, edits: Option<ResponseEdits> },
        // Refused: the inner service is not called.
        Refused { #[pin] response: Ready<Outcome<B>> },
        // Core waits for a store or another server; the request is kept.
        Waiting { future: LocalBoxFuture<'static, Outcome<B>> },
    }
}

impl<S: Service<ServiceRequest>, B> fmt::Debug for ResponseFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<S, B> Future for ResponseFuture<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
{
    type Output = Outcome<B>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Inner { future, edits } => {
                let outcome = try_ready!(future.poll(cx));
                let outcome = match edits.take() {
                    Some(edits) => edited(outcome, edits),
                    None => outcome,
                };
                Poll::Ready(outcome.map(ServiceResponse::map_into_left_body))
            }
            StateProjection::Refused { response } => response.poll(cx),
            StateProjection::Waiting { future } => future.as_mut().poll(cx),
        }
    }
}

/// An error of inner middleware becomes a response further out; the edits are kept in the error, so
/// that the error page sets the cookies too.
fn edited<B>(
    outcome: Result<ServiceResponse<B>, Error>,
    edits: ResponseEdits,
) -> Result<ServiceResponse<B>, Error> {
    match outcome {
        Ok(mut response) => {
            edit(response.headers_mut(), edits);
            Ok(response)
        }
        Err(mut error) => {
            let edits = std::cell::Cell::new(Some(edits));
            error.add_response_mapper(move |mut response| {
                if let Some(edits) = edits.take() {
                    edit(response.headers_mut(), edits);
                }
                response
            });
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::HttpResponse;
    use actix_web::dev::fn_service;
    use actix_web::test::TestRequest;
    use auth_core::{AuthContext, Authenticator, Key};

    use super::*;

    fn guard() -> Guard<()> {
        let auth = Authenticator::for_issuer("https://issuer.example")
            .audience("https://api.example")
            .keys(Key::hs256("k1", &[7; 32]).unwrap())
            .build();
        auth.unwrap().guard()
    }

    /// A step that returns the verdict of `guard` after a wait.
    fn later(guard: &Guard<()>, request: &ServiceRequest) -> Step {
        let Step::Done(verdict) = guard.check(&RequestHead::from(request)) else {
            panic!("a bearer token needs no waiting");
        };
        Step::Wait(Box::pin(async move {
            let mut waited = false;
            std::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                if std::mem::replace(&mut waited, true) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
            verdict
        }))
    }

    async fn app(request: ServiceRequest) -> Result<ServiceResponse, Error> {
        let known = request.extensions().contains::<AuthContext>();
        let response = if known {
            HttpResponse::Ok()
        } else {
            HttpResponse::ImATeapot()
        }
        .finish();
        Ok(request.into_response(response))
    }

    #[actix_web::test]
    async fn a_guard_that_waits_passes_and_refuses_like_one_that_does_not() {
        for (guard, expected) in [(guard().with_anonymous(), 200), (guard(), 401)] {
            let service = Rc::new(fn_service(app));
            let request = TestRequest::get().to_srv_request();
            let step = later(&guard, &request);
            let response = enter(&service, request, step).await.unwrap();
            assert_eq!(response.status(), expected);
        }
    }
}
