//! The app's own accounts, by the identity at the provider.
//!
//! A user is identified by issuer and subject together, never by an e-mail address. Subjects are
//! unique and never reassigned, addresses are not (OpenID Connect Core §5.7).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use auth_core::Scope;
use auth_core::session::{ClaimsHook, CurrentClaims, UserQuery, UserState, UsersUnavailable};
use serde::{Deserialize, Serialize};

/// The app's own claims in its access tokens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Profile {
    /// The display name.
    pub name: String,
}

/// The identity of a user at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The provider.
    pub issuer: String,
    /// The subject at the provider.
    pub subject: String,
}

/// All accounts. An app would have a table, with `(issuer, subject)` unique.
#[derive(Default)]
pub struct Accounts(Mutex<Tables>);

#[derive(Default)]
struct Tables {
    ids: HashMap<Identity, String>,
    profiles: HashMap<String, Profile>,
}

impl Accounts {
    /// Returns the account of this identity, and creates it at the first login. The provider's
    /// profile is updated at each login.
    pub fn find_or_add(&self, identity: Identity, profile: Profile) -> String {
        let tables = &mut *self.tables();
        let next = tables.ids.len() + 1;
        let id = tables.ids.entry(identity);
        let id = id.or_insert_with(|| format!("user-{next}")).clone();
        tables.profiles.insert(id.clone(), profile);
        id
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ClaimsHook for Accounts {
    async fn current(&self, query: &UserQuery<'_>) -> Result<UserState, UsersUnavailable> {
        let profile = self.tables().profiles.get(query.subject()).cloned();
        let Some(profile) = profile else {
            return Ok(UserState::Disabled);
        };
        let claims = CurrentClaims::new()
            .with_scope(Scope::parse("read")?)
            .with_claims(&profile)?;
        Ok(UserState::Enabled(claims))
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}
