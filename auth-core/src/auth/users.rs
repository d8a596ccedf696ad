//! [`Users`]: the current state, roles and claims of users, supplied by the app.
//!
//! 1. The lookup runs at login and at every refresh, before any write. A change in the app's database
//!    takes effect when the current access token expires, at the latest.
//! 2. `None` is a disabled user: the login is refused, and the session ends.
//! 3. After an error the response is 503, and no session ends.

use std::fmt;
use std::marker::PhantomData;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::base::id::SessionId;
use crate::base::scope::Scope;
use crate::session::store::record::SessionDetails;
use crate::session::{ClaimsHook, CurrentClaims, UserQuery, UserState, UsersUnavailable};
use crate::token::issuer::MintError;

/// The users of an app.
///
/// ```
/// use auth_core::session::{UserQuery, UsersUnavailable};
/// use auth_core::{Access, Users};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct User {
///     tenant: String,
/// }
///
/// # #[derive(Clone)]
/// # struct Db;
/// # struct Row { tenant: String, roles: Vec<String> }
/// # impl Db {
/// #     async fn user(&self, id: &str) -> Result<Option<Row>, std::io::Error> { Ok(None) }
/// # }
/// impl Users for Db {
///     type Claims = User;
///
///     async fn access(
///         &self,
///         user: &UserQuery<'_>,
///     ) -> Result<Option<Access<User>>, UsersUnavailable> {
///         let row = self.user(user.subject()).await?;
///         Ok(row.map(|row| Access::new(User { tenant: row.tenant }).with_roles(row.roles)))
///     }
/// }
/// ```
///
/// # Security
/// Query the primary: a lagging replica returns disabled users as enabled.
pub trait Users: Send + Sync + 'static {
    /// The app's own claims in access tokens: a struct or a map, or `()` for none.
    type Claims: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Looks up the current access of a user. `None` if the user is disabled or deleted.
    ///
    /// # Errors
    /// [`UsersUnavailable`] if the lookup failed.
    ///
    /// # Cancel safety
    /// The future may be dropped at any await.
    fn access(
        &self,
        user: &UserQuery<'_>,
    ) -> impl Future<Output = Result<Option<Access<Self::Claims>>, UsersUnavailable>> + Send;
}

/// The claims, roles and scope of a user, for the next access token.
#[derive(Clone)]
#[must_use]
pub struct Access<C> {
    pub(crate) claims: C,
    pub(crate) roles: Vec<String>,
    pub(crate) scope: Option<Scope>,
}

impl<C> Access<C> {
    /// Creates access with these claims of the app, without roles, with the scope of the login.
    pub fn new(claims: C) -> Self {
        Self {
            claims,
            roles: Vec::new(),
            scope: None,
        }
    }

    /// Sets the roles.
    pub fn with_roles<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        self.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the scope. A session with a scope from its login gets the intersection of both.
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }
}

impl<C: Serialize> Access<C> {
    /// Converts to the claims of the session layer.
    pub(crate) fn into_current(self) -> Result<CurrentClaims, MintError> {
        let mut current = CurrentClaims::new().with_roles(self.roles);
        if let Some(scope) = self.scope {
            current = current.with_scope(scope);
        }
        // `()` is written as null: no claims.
        match serde_json::to_value(&self.claims) {
            Ok(serde_json::Value::Null) => Ok(current),
            _ => current.with_claims(&self.claims),
        }
    }
}

impl<C> fmt::Debug for Access<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

/// [`UserQuery`] with owned values, for [`with_users_fn`](crate::AuthBuilder::with_users_fn).
#[derive(Clone)]
#[non_exhaustive]
pub struct OwnedUserQuery {
    /// Subject of the session.
    pub subject: String,
    /// Session of the tokens.
    pub session: SessionId,
    /// Details of the session, including the data that the app stored at login.
    pub details: SessionDetails,
}

impl fmt::Debug for OwnedUserQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedUserQuery")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// A closure as [`Users`].
pub(super) struct UsersFn<F, C> {
    access: F,
    claims: PhantomData<fn() -> C>,
}

impl<F, C> UsersFn<F, C> {
    pub(super) fn new(access: F) -> Self {
        Self {
            access,
            claims: PhantomData,
        }
    }
}

impl<F, A, C> Users for UsersFn<F, C>
where
    F: Fn(OwnedUserQuery) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Option<Access<C>>, UsersUnavailable>> + Send + 'static,
    C: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    type Claims = C;

    fn access(
        &self,
        user: &UserQuery<'_>,
    ) -> impl Future<Output = Result<Option<Access<C>>, UsersUnavailable>> + Send {
        (self.access)(OwnedUserQuery {
            subject: user.subject().to_owned(),
            session: user.session(),
            details: user.details().clone(),
        })
    }
}

/// The hook of the sessions that asks [`Users`].
pub(super) struct UsersHook<U>(pub(super) U);

impl<U> fmt::Debug for UsersHook<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Users")
    }
}

#[async_trait]
impl<U: Users> ClaimsHook for UsersHook<U> {
    async fn current(&self, user: &UserQuery<'_>) -> Result<UserState, UsersUnavailable> {
        let Some(access) = self.0.access(user).await? else {
            return Ok(UserState::Disabled);
        };
        let current = access.into_current().inspect_err(|error| {
            tracing::error!(target: "auth::setup", "the claims of a user do not fit: {error}");
        })?;
        Ok(UserState::Enabled(current))
    }
}
