use std::fmt;
use std::sync::Arc;

use auth_core::Guard;
use tower_layer::Layer;

use crate::service::AuthService;

/// A layer that guards services. The [crate documentation](crate) has the rules and the place in the
/// stack.
///
/// Cloning is cheap; all clones share one guard.
pub struct AuthLayer<T> {
    guard: Arc<Guard<T>>,
}

impl<T> AuthLayer<T> {
    /// Creates a layer that enforces `guard`.
    ///
    /// An `Arc<Authenticator<T>>` (or a reference to one) is a guard that requires only a valid
    /// token.
    ///
    /// ```
    /// use auth_core::{Authenticator, Key};
    /// use auth_tower::AuthLayer;
    /// use std::sync::Arc;
    ///
    /// let auth: Arc<Authenticator<()>> = Authenticator::for_issuer("https://issuer.example")
    ///     .audience("https://api.example")
    ///     .keys(Key::hs256("k1", &[7; 32])?)
    ///     .build()?;
    /// let users = AuthLayer::new(&auth);
    /// let admins = AuthLayer::new(auth.guard().require_scope("admin")?);
    /// # Ok::<(), auth_core::ConfigError>(())
    /// ```
    #[must_use]
    pub fn new(guard: impl Into<Guard<T>>) -> Self {
        Self {
            guard: Arc::new(guard.into()),
        }
    }
}

impl<S, T> Layer<S> for AuthLayer<T> {
    type Service = AuthService<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthService::new(inner, Arc::clone(&self.guard))
    }
}

impl<T> Clone for AuthLayer<T> {
    fn clone(&self) -> Self {
        Self {
            guard: Arc::clone(&self.guard),
        }
    }
}

impl<T> fmt::Debug for AuthLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer").finish_non_exhaustive()
    }
}
