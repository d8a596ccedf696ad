//! Users and their passwords.
//!
//! 1. Passwords are kept as argon2id hashes with the parameters of the `argon2` crate's default
//!    (19 MiB, two passes).
//! 2. An unknown user costs the same hash as a known one, so the response time does not
//!    reveal which accounts exist.
//! 3. Hashing runs on the blocking pool, at most one per processor at a time: it is slow by
//!    design, and each takes 19 MiB.
//!
//! An app would load users from its database instead, and limit attempts per account and address.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use async_trait::async_trait;
use auth_core::Scope;
use auth_core::session::{ClaimsHook, CurrentClaims, UserQuery, UserState, UsersUnavailable};
use tokio::sync::Semaphore;

use crate::Profile;
use crate::config::Config;

/// A user of the apps.
#[derive(Clone, Debug)]
pub struct User {
    /// The user name; `sub` in tokens.
    pub username: String,
    /// The display name.
    pub name: String,
    /// The granted scopes.
    pub scope: Scope,
}

/// A user whose password may be shown at start-up.
pub struct DemoUser {
    /// The user.
    pub user: User,
    /// The password, printed to the terminal.
    pub password: String,
}

/// All users.
pub struct Users {
    by_name: HashMap<String, (User, PasswordHash)>,
    /// The hash that is verified for an unknown user.
    nobody: PasswordHash,
    at_a_time: Arc<Semaphore>,
}

impl Users {
    /// The demo users and their passwords: `alice`, and `admin` with the scope `admin`.
    ///
    /// # Errors
    /// If the system returns no random bytes.
    pub fn seeded(
        config: &Config,
    ) -> Result<(Arc<Self>, Vec<DemoUser>), Box<dyn std::error::Error>> {
        let demo = vec![
            demo_user("alice", "Alice Example", "read", config)?,
            demo_user("admin", "Ada Administrator", "read admin", config)?,
        ];
        let mut by_name = HashMap::new();
        for DemoUser { user, password } in &demo {
            by_name.insert(user.username.clone(), (user.clone(), hash(password)?));
        }
        let processors = std::thread::available_parallelism().map_or(1, Into::into);
        let users = Self {
            by_name,
            nobody: hash(&random_word()?)?,
            at_a_time: Arc::new(Semaphore::new(processors)),
        };
        Ok((Arc::new(users), demo))
    }

    /// Checks the password of a user.
    pub async fn check(self: &Arc<Self>, username: &str, password: &str) -> bool {
        let Ok(turn) = Arc::clone(&self.at_a_time).acquire_owned().await else {
            return false;
        };
        let users = Arc::clone(self);
        let (username, password) = (username.to_owned(), password.to_owned());
        let hashing = tokio::task::spawn_blocking(move || {
            // Held until the hash is done; a client that disconnects does not end the work.
            let _turn = turn;
            users.check_blocking(&username, &password)
        });
        hashing.await.unwrap_or(false)
    }

    fn check_blocking(&self, username: &str, password: &str) -> bool {
        let found = self.by_name.get(username);
        let hash = found.map_or(&self.nobody, |(_, hash)| hash);
        let fits = Argon2::default()
            .verify_password(password.as_bytes(), hash)
            .is_ok();
        found.is_some() && fits
    }
}

/// The hook for logins and refreshes. A deleted user is logged out, and changed scopes take effect
/// with the next access token.
#[async_trait]
impl ClaimsHook for Users {
    async fn current(&self, query: &UserQuery<'_>) -> Result<UserState, UsersUnavailable> {
        let Some((user, _)) = self.by_name.get(query.subject()) else {
            return Ok(UserState::Disabled);
        };
        let claims = CurrentClaims::new()
            .with_scope(user.scope.clone())
            .with_claims(&Profile {
                name: user.name.clone(),
            })?;
        Ok(UserState::Enabled(claims))
    }
}

/// Omits the hashes.
impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Users")
            .field("count", &self.by_name.len())
            .finish_non_exhaustive()
    }
}

fn demo_user(
    username: &str,
    name: &str,
    scope: &str,
    config: &Config,
) -> Result<DemoUser, Box<dyn std::error::Error>> {
    let password = match &config.demo_password {
        Some(password) => password.clone(),
        None => format!("{username}-{}", random_word()?),
    };
    let user = User {
        username: username.to_owned(),
        name: name.to_owned(),
        scope: Scope::parse(scope)?,
    };
    Ok(DemoUser { user, password })
}

fn hash(password: &str) -> Result<PasswordHash, argon2::password_hash::Error> {
    Argon2::default().hash_password(password.as_bytes())
}

/// Twelve letters and digits that cannot be confused with each other: 60 random bits.
fn random_word() -> Result<String, getrandom::Error> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes)?;
    Ok(bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config() -> Config {
        Config::for_tests(Path::new("unused"))
    }

    #[tokio::test]
    async fn only_the_right_password_of_the_right_user_fits() {
        let (users, demo) = Users::seeded(&config()).unwrap();
        let [alice, admin] = &demo[..] else {
            panic!("two demo users")
        };
        assert_ne!(alice.password, admin.password);

        assert!(users.check("admin", &admin.password).await);
        assert!(users.check("alice", &alice.password).await);
        for (username, password) in [
            ("alice", admin.password.as_str()),
            ("alice", ""),
            ("Alice", &alice.password),
            ("nobody", &alice.password),
            ("", ""),
        ] {
            assert!(!users.check(username, password).await, "{username}");
        }
    }

    #[tokio::test]
    async fn a_client_that_goes_away_makes_no_room_for_more_hashing() {
        let (users, _) = Users::seeded(&config()).unwrap();
        let all = users.at_a_time.available_permits();
        let mut seen_busy = false;
        // Repeated, because on a busy machine the hash may be complete too early.
        for _ in 0..20 {
            tokio::select! {
                biased;
                _ = users.check("alice", "wrong") => {}
                () = std::future::ready(()) => {}
            }
            seen_busy |= users.at_a_time.available_permits() < all;
        }
        assert!(seen_busy);
    }

    #[test]
    fn an_unknown_user_costs_the_same_hash() {
        let (users, _) = Users::seeded(&config()).unwrap();
        let (_, known) = &users.by_name["alice"];
        assert_eq!(users.nobody.params, known.params);
        assert_eq!(users.nobody.algorithm, known.algorithm);
    }
}
