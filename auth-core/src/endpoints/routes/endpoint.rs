//! A session route as an [`Endpoint`].

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::endpoints::endpoint::Endpoint;
use crate::endpoints::routes::body::MAX_BODY_BYTES;
use crate::endpoints::routes::{SessionRoute, SessionRoutes};
use crate::guard::verdict::BoxFuture;
use crate::http::request::RequestView;
use crate::http::response::Response;

/// One session route at its path.
pub(crate) struct SessionEndpoint<T> {
    routes: SessionRoutes<T>,
    route: SessionRoute,
    path: Box<str>,
}

impl<T> SessionEndpoint<T> {
    pub(crate) fn new(routes: SessionRoutes<T>, route: SessionRoute, path: Box<str>) -> Self {
        Self {
            routes,
            route,
            path,
        }
    }
}

impl<T> fmt::Debug for SessionEndpoint<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionEndpoint")
            .field("route", &self.route)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> SessionRoutes<T> {
    /// The routes as endpoints, for adapters to mount.
    pub fn endpoints(&self) -> impl Iterator<Item = Arc<dyn Endpoint>> {
        self.paths().map(|(path, route)| {
            let endpoint = SessionEndpoint::new(self.clone(), route, path.into_boxed_str());
            Arc::new(endpoint) as Arc<dyn Endpoint>
        })
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Endpoint for SessionEndpoint<T> {
    fn path(&self) -> &str {
        &self.path
    }

    fn methods(&self) -> &'static str {
        self.route.method()
    }

    fn respond(&self, request: &dyn RequestView, body: &[u8]) -> BoxFuture<Response> {
        self.routes.respond(self.route, request, body)
    }

    fn max_body_bytes(&self) -> usize {
        MAX_BODY_BYTES
    }
}
