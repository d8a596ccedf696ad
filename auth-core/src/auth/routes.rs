//! [`AuthRoutes`]: the paths that an app mounts.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::auth::Auth;
use crate::auth::response::AuthResponse;
use crate::base::config::ConfigError;
use crate::endpoints::endpoint::{Endpoint, checked_path};
use crate::endpoints::health::HealthEndpoint;
use crate::endpoints::jwks::JwksEndpoint;
use crate::endpoints::routes::endpoint::SessionEndpoint;
use crate::endpoints::routes::{SessionRoute, SessionRoutes};
use crate::guard::Guard;
use crate::guard::verdict::BoxFuture;
use crate::http::browser;
use crate::http::request::RequestView;

/// The ready-made paths of an [`Auth`].
///
/// | route | input | response |
/// |---|---|---|
/// | `POST /auth/refresh` | the refresh token, in its cookie, in `{"refresh_token": "…"}`, or in the form of RFC 6749 §6 | new tokens, by the same carrier |
/// | `POST /auth/logout` | the same, or nothing | 204, cookies cleared; a form gets 303 |
/// | `GET /auth/sessions` | an access token | the user's live sessions |
/// | `DELETE /auth/sessions/{sid}` | an access token | 204; 404 for a session of another user |
/// | `POST /auth/logout-others` | an access token | a new access token |
/// | `POST /auth/logout-all` | an access token | 204, cookies cleared; a form gets 303 |
/// | `GET /.well-known/jwks.json` | | the public keys |
///
/// The adapters mount them with `auth_routes(&auth)`. Every route can be left out, moved or guarded
/// further:
///
/// ```
/// use std::time::Duration;
/// use auth_core::{Auth, AuthRoutes, ConfigError, SessionRoute};
///
/// fn routes(auth: &Auth) -> Result<AuthRoutes<()>, ConfigError> {
///     let routes = auth.routes().with_prefix("/account")?.with_path(SessionRoute::Logout, "/logout")?;
///     let recent = auth.require_max_age(Duration::from_secs(600));
///     Ok(routes.with_guard(recent)?.without(SessionRoute::LogoutAll).without_jwks())
/// }
/// ```
#[must_use = "mount them"]
pub struct AuthRoutes<T = ()> {
    auth: Auth<T>,
    routes: SessionRoutes<T>,
    /// Paths of their own, and the routes that are left out.
    changes: Vec<(SessionRoute, Option<Box<str>>)>,
    jwks: Option<JwksEndpoint>,
}

impl<T: DeserializeOwned + Send + Sync + 'static> Auth<T> {
    /// The ready-made paths: refresh, logout, the list of sessions, and the public keys.
    pub fn routes(&self) -> AuthRoutes<T> {
        AuthRoutes {
            auth: self.clone(),
            routes: self.0.routes.clone(),
            changes: Vec::new(),
            jwks: Some(self.0.jwks.clone()),
        }
    }

    /// Logs out the session of a request, like `POST /auth/logout`, for a handler of the app. The
    /// request must pass the CSRF rule.
    #[must_use]
    pub fn logout(&self, request: &dyn RequestView) -> BoxFuture<AuthResponse> {
        let response = self.0.routes.respond(SessionRoute::Logout, request, b"");
        let navigates = browser::navigates(request);
        Box::pin(async move {
            let response = response.await;
            let done = response.status() < 400;
            AuthResponse::new(response, None, done && navigates)
        })
    }

    /// The health check of this node at `path`, such as `/ready`.
    ///
    /// # Security
    /// Every check pings the session store: do not expose the path publicly.
    ///
    /// # Errors
    /// [`ConfigError`] if it is not a plain path.
    pub fn health_endpoint(&self, path: &str) -> Result<HealthEndpoint, ConfigError> {
        HealthEndpoint::new(path, self.health().clone())
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> AuthRoutes<T> {
    /// The `Auth` of the routes.
    #[must_use]
    pub fn auth(&self) -> &Auth<T> {
        &self.auth
    }

    /// Sets the prefix of the session routes. Default: `/auth`. An empty prefix mounts them at the
    /// root.
    ///
    /// # Errors
    /// [`ConfigError`] if it is neither empty nor a plain path.
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self, ConfigError> {
        self.routes = self.routes.with_prefix(prefix)?;
        Ok(self)
    }

    /// Moves one session route to a path of its own. For [`SessionRoute::Session`] the session id
    /// follows as the last segment.
    ///
    /// # Errors
    /// [`ConfigError`] if it is not a plain path.
    pub fn with_path(mut self, route: SessionRoute, path: &str) -> Result<Self, ConfigError> {
        let path = checked_path(path)?;
        let path = match route {
            SessionRoute::Session => format!("{path}/{{sid}}").into_boxed_str(),
            _ => path,
        };
        self.changes.push((route, Some(path)));
        Ok(self)
    }

    /// Leaves out one session route.
    pub fn without(mut self, route: SessionRoute) -> Self {
        self.changes.push((route, None));
        self
    }

    /// Moves the public keys. Default: [`JwksEndpoint::PATH`].
    ///
    /// # Errors
    /// [`ConfigError`] if it is not a plain path.
    pub fn with_jwks_path(mut self, path: &str) -> Result<Self, ConfigError> {
        self.jwks = Some(self.auth.0.jwks.clone().with_path(path)?);
        Ok(self)
    }

    /// Leaves out the public keys, if no other service verifies the tokens.
    pub fn without_jwks(mut self) -> Self {
        self.jwks = None;
        self
    }

    /// Sets a guard for the routes that list sessions or end other sessions. Default: a valid access
    /// token of a session suffices.
    ///
    /// # Errors
    /// [`ConfigError`] if it is not a guard of this `Auth`.
    pub fn with_guard(mut self, guard: Guard<T>) -> Result<Self, ConfigError> {
        self.routes = self.routes.with_guard(guard)?;
        Ok(self)
    }

    /// Sets the page to which a logout by a form leads. Default: the [login
    /// page](crate::AuthBuilder::with_login_page), or `/` without one.
    ///
    /// # Errors
    /// [`ConfigError`] if it is not a path of this site.
    pub fn with_logout_page(mut self, path: &str) -> Result<Self, ConfigError> {
        self.routes = self.routes.with_logout_page(path)?;
        Ok(self)
    }

    fn path_of(&self, route: SessionRoute, usual: String) -> Option<Box<str>> {
        let mut changes = self.changes.iter().rev();
        match changes.find(|(changed, _)| *changed == route) {
            Some((_, path)) => path.clone(),
            None => Some(usual.into_boxed_str()),
        }
    }

    /// The endpoints to mount.
    fn endpoints(self) -> Vec<Arc<dyn Endpoint>> {
        let sessions = self.routes.paths().filter_map(|(usual, route)| {
            let path = self.path_of(route, usual)?;
            let endpoint = SessionEndpoint::new(self.routes.clone(), route, path);
            Some(Arc::new(endpoint) as Arc<dyn Endpoint>)
        });
        let mut endpoints: Vec<_> = sessions.collect();
        endpoints.extend(self.jwks.map(|jwks| Arc::new(jwks) as _));
        endpoints
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> From<&Auth<T>> for AuthRoutes<T> {
    fn from(auth: &Auth<T>) -> Self {
        auth.routes()
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> IntoIterator for AuthRoutes<T> {
    type Item = Arc<dyn Endpoint>;
    type IntoIter = std::vec::IntoIter<Arc<dyn Endpoint>>;

    fn into_iter(self) -> Self::IntoIter {
        self.endpoints().into_iter()
    }
}

impl<T> Clone for AuthRoutes<T> {
    fn clone(&self) -> Self {
        Self {
            auth: self.auth.clone(),
            routes: self.routes.clone(),
            changes: self.changes.clone(),
            jwks: self.jwks.clone(),
        }
    }
}

impl<T> fmt::Debug for AuthRoutes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRoutes")
            .field("routes", &self.routes)
            .finish_non_exhaustive()
    }
}
