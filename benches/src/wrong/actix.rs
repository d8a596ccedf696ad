//! Contenders that are actix-web middleware.

use std::future::{Ready, ready};

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, always_ready};
use actix_web::test::TestRequest;
use actix_web::{Error, HttpResponse};

use super::ask::{Ask, Told};
use crate::world::now;

pub(super) struct ActixApp;

impl Service<ServiceRequest> for ActixApp {
    type Response = ServiceResponse;
    type Error = Error;
    type Future = Ready<Result<ServiceResponse, Error>>;

    always_ready!();

    fn call(&self, request: ServiceRequest) -> Self::Future {
        ready(Ok(request.into_response(HttpResponse::Ok().finish())))
    }
}

pub(super) fn actix<M, F, B>(middleware: impl Fn() -> M) -> impl Fn(&Ask) -> Option<Told>
where
    M: Transform<
            ActixApp,
            ServiceRequest,
            Response = ServiceResponse<B>,
            Error = Error,
            InitError = (),
            Future = F,
        >,
    F: Future<Output = Result<M::Transform, ()>>,
{
    move |ask| {
        let Ok(service) = now(middleware().new_transform(ActixApp)) else {
            panic!("no middleware")
        };
        Some(match now(service.call(actix_request(ask)?)) {
            Ok(response) => told(response.response()),
            Err(error) => told(&error.error_response()),
        })
    }
}

fn told<B>(response: &HttpResponse<B>) -> Told {
    let challenge = response.headers().get("www-authenticate");
    let challenge = challenge.map(|value| value.as_bytes());
    Told::new(response.status().as_u16(), challenge)
}

fn actix_request(ask: &Ask) -> Option<ServiceRequest> {
    use actix_web::http::header::{HeaderName, HeaderValue};
    let method = actix_web::http::Method::from_bytes(ask.method().as_bytes()).ok()?;
    // A target that does not parse ends it there.
    ask.target().parse::<http::Uri>().ok()?;
    let mut request = TestRequest::default()
        .method(method)
        .uri(&ask.target())
        .insert_header(("host", "api.example"));
    for (name, value) in &ask.lines {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(value).ok()?;
        request = request.append_header((name, value));
    }
    Some(request.to_srv_request())
}
