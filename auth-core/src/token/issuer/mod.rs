//! [`Issuer`]: access tokens by RFC 9068.
//!
//! 1. Every token has RFC 9068's required claims: `iss`, `exp`, `aud`, `sub`, `client_id`, `iat`,
//!    `jti`. Its header is `{"alg":…,"typ":"at+jwt","kid":…}` and nothing else.
//! 2. The default lifetime is 10 minutes, minus a random jitter of up to 5 %. The jitter spreads
//!    the refreshes of many clients over time.
//! 3. A token never outlives [`not_after`](AccessTokenRequest::not_after), the end of its session.
//! 4. The app's own claims cannot replace a registered claim. The attempt is an error that names the
//!    claim.
//! 5. Tokens that no verifier would accept are not issued: those with an empty subject, and tokens
//!    that are too long or already expired.

pub(crate) mod error;
pub(crate) mod request;
pub(crate) mod token;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use base64_simd::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::base::clock::{Clock, SystemClock, Timestamp};
use crate::base::config::ConfigError;
use crate::base::keep_alive::KeepAlive;
use crate::keys::source::KeySource;
use crate::token::needs::{NeedsAudience, NeedsKeys};
use crate::token::verify::{MAX_TOKEN_BYTES, TrustedIssuer};

pub use self::error::MintError;
pub use self::request::AccessTokenRequest;
pub use self::token::AccessToken;
use crate::keys::rotation::task::KeyRotation;

/// Default lifetime of an access token, before jitter.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// Maximum lifetime: the default limit of verifiers.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_JITTER_PERCENT: u8 = 5;
const DEFAULT_CLIENT: &str = "first-party";
/// Length of a `jti` in bytes: 128 random bits, so that no two tokens share one.
const TOKEN_ID_LEN: usize = 16;

/// An issuer of access tokens.
///
/// ```
/// use auth_core::{AccessTokenRequest, Algorithm, Issuer, Key, Scope};
///
/// #[derive(serde::Serialize)]
/// struct User {
///     name: String,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (key, _store_this) = Key::generate("2030-01", Algorithm::Es256)?;
/// let issuer = Issuer::for_issuer("https://issuer.example")
///     .audience("https://api.example")
///     .keys(key)?;
///
/// let request = AccessTokenRequest::for_subject("user-1")
///     .with_scope(Scope::parse("read write")?)
///     .with_claims(&User { name: "Alice".to_owned() })?;
/// let token = issuer.mint(&request).await?;
/// println!("expires in {} s", token.expires_in().as_secs());
/// # Ok(())
/// # }
/// ```
///
/// Issuer, audience and keys are required. The compiler checks that:
///
/// ```compile_fail
/// # let key = auth_core::Key::hs256("k1", &[7; 32]).unwrap();
/// auth_core::Issuer::for_issuer("https://issuer.example").keys(key);
/// ```
#[derive(Clone, Debug)]
pub struct Issuer {
    pub(crate) own: TrustedIssuer,
    audience: Box<str>,
    client_id: Box<str>,
    lifetime: Duration,
    jitter_percent: u8,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keep_alive: Option<KeepAlive>,
}

/// The content of a token before signing.
pub(crate) struct Draft {
    pub(crate) payload: String,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl Issuer {
    /// Starts with the issuer identifier: the `iss` of its tokens, by convention an `https` URL.
    pub fn for_issuer(issuer: impl Into<String>) -> NeedsAudience<Self> {
        NeedsAudience::new(issuer)
    }

    /// Sets the lifetime of tokens, before jitter. Default: 10 minutes.
    ///
    /// # Errors
    /// [`ConfigError`] if it is shorter than a second or longer than a day.
    ///
    /// # Security
    /// Without a revocation list a stolen access token works until it expires.
    pub fn with_lifetime(mut self, lifetime: Duration) -> Result<Self, ConfigError> {
        if lifetime < Duration::from_secs(1) || lifetime > MAX_LIFETIME {
            return Err(ConfigError::new(
                "lifetime",
                "must be at least a second and at most a day; longer sessions need refresh tokens",
            ));
        }
        self.lifetime = lifetime;
        Ok(self)
    }

    /// Sets the jitter, the maximum random reduction of the lifetime in percent: 0 to 5. Default:
    /// 5.
    ///
    /// # Errors
    /// [`ConfigError`] if it is more than 5.
    pub fn with_jitter(mut self, percent: u8) -> Result<Self, ConfigError> {
        if percent > MAX_JITTER_PERCENT {
            return Err(ConfigError::new("jitter", "must be at most 5 percent"));
        }
        self.jitter_percent = percent;
        Ok(self)
    }

    /// Sets the `client_id` of tokens whose request has none. Default: `first-party`.
    ///
    /// # Errors
    /// [`ConfigError`] if it is empty.
    pub fn with_client_id(mut self, client_id: impl Into<String>) -> Result<Self, ConfigError> {
        self.client_id = client_id.into().into_boxed_str();
        if self.client_id.is_empty() {
            return Err(ConfigError::new("client_id", "must not be empty"));
        }
        Ok(self)
    }

    /// Reads the time from `clock`. Default: the system clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Keeps the tasks that rotate its keys running, as does everything built on this issuer.
    pub(crate) fn with_keep_alive(mut self, tasks: KeepAlive) -> Self {
        self.keep_alive = Some(tasks);
        self
    }

    /// The issuer identifier, the `iss` of its tokens.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.own.issuer
    }

    /// The audience of its tokens, their `aud`.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The public keys that verify its tokens, as a JWKS document (RFC 7517 §5). It never contains
    /// secrets or private keys.
    #[must_use]
    pub fn jwks(&self) -> String {
        self.own.keys.load().jwks()
    }

    /// The maximum lifetime of its tokens.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// The `client_id` of tokens whose request has none, such as those of sessions.
    pub(crate) fn client_id(&self) -> &str {
        &self.client_id
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(crate) fn key_source(&self) -> &KeySource {
        &self.own.keys
    }

    /// Issues an access token.
    ///
    /// # Errors
    /// See [`MintError`]. None of them is the client's fault.
    ///
    /// # Cancel safety
    /// Nothing is stored; a dropped call leaves no trace.
    pub async fn mint(&self, request: &AccessTokenRequest) -> Result<AccessToken, MintError> {
        let ring = self.own.keys.load();
        let key = ring.signing_key().ok_or(MintError::NoSigningKey)?;
        let Draft {
            payload,
            issued_at,
            expires_at,
        } = self.draft(request)?;

        let mut message = String::with_capacity(
            key.header_segment().len() + 1 + URL_SAFE_NO_PAD.encoded_length(payload.len()),
        );
        message.push_str(key.header_segment());
        message.push('.');
        URL_SAFE_NO_PAD.encode_append(payload.as_bytes(), &mut message);
        let signature = key.sign(message.as_bytes()).await?;

        // Allocated at full size: growing would leave copies of the token in memory.
        let bytes = message.len() + 1 + URL_SAFE_NO_PAD.encoded_length(signature.len());
        if bytes > MAX_TOKEN_BYTES {
            return Err(MintError::TooLong { bytes });
        }
        let mut text = Zeroizing::new(String::with_capacity(bytes));
        text.push_str(&message);
        text.push('.');
        URL_SAFE_NO_PAD.encode_append(&signature, &mut *text);
        Ok(AccessToken::new(text, issued_at, expires_at))
    }

    /// Builds the unsigned payload of a token.
    pub(crate) fn draft(&self, request: &AccessTokenRequest) -> Result<Draft, MintError> {
        let issued_at = request.issued().unwrap_or_else(|| self.clock.now());
        let expires_at = self.expiry(issued_at, request.end())?;
        let payload = request.payload(&request::Frame {
            issuer: &self.own.issuer,
            audience: &self.audience,
            client_id: &self.client_id,
            issued_at,
            expires_at,
            token_id: &token_id()?,
        })?;
        Ok(Draft {
            payload,
            issued_at,
            expires_at,
        })
    }

    /// The expiry of a token issued at `now`, in whole seconds.
    fn expiry(&self, now: Timestamp, end: Option<Timestamp>) -> Result<Timestamp, MintError> {
        let full = now.saturating_add(self.lifetime.saturating_sub(self.jitter()?));
        let expires_at = Timestamp::from_secs(end.map_or(full, |end| end.min(full)).as_secs());
        if expires_at > now {
            Ok(expires_at)
        } else {
            Err(MintError::Ended)
        }
    }

    /// A random part of the lifetime, up to the configured percentage.
    fn jitter(&self) -> Result<Duration, MintError> {
        let most = self.lifetime * u32::from(self.jitter_percent) / 100;
        let part = f64::from(u32::from_le_bytes(random()?)) / f64::from(u32::MAX);
        Ok(most.mul_f64(part))
    }
}

impl NeedsKeys<Issuer> {
    /// Sets the keys: a [`Key`](crate::Key), a [`KeyRing`](crate::KeyRing), or a [`KeySource`]
    /// whose keys can be replaced at run time.
    ///
    /// # Errors
    /// [`ConfigError`] if the issuer or the audience is empty, or if there is no signing key.
    pub fn keys(self, keys: impl Into<KeySource>) -> Result<Issuer, ConfigError> {
        let audience = self.audience.clone();
        let own = self.trusted(keys).into_own();
        own.check()?;
        if own.keys.load().signing_key().is_none() {
            return Err(ConfigError::new(
                "keys",
                "there is no signing key: call `KeyRing::with_signing_key`, or pass a key that \
                 can sign",
            ));
        }
        Ok(Issuer {
            own,
            audience,
            client_id: DEFAULT_CLIENT.into(),
            lifetime: DEFAULT_LIFETIME,
            jitter_percent: MAX_JITTER_PERCENT,
            clock: Arc::new(SystemClock),
            keep_alive: None,
        })
    }
}

fn token_id() -> Result<String, MintError> {
    Ok(URL_SAFE_NO_PAD.encode_to_string(random::<TOKEN_ID_LEN>()?))
}

fn random<const N: usize>() -> Result<[u8; N], MintError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| MintError::Random)?;
    Ok(bytes)
}

impl KeyRotation {
    /// Checks the lifetime of the tokens of `issuer` against the rotation schedule.
    ///
    /// # Errors
    /// [`ConfigError`] if tokens outlive it: their keys would be removed before they expire.
    pub fn check(&self, issuer: &Issuer) -> Result<(), ConfigError> {
        let (lifetime, longest) = (issuer.lifetime(), self.rules.schedule.lifetime());
        if lifetime <= longest {
            return Ok(());
        }
        Err(ConfigError::new(
            "key schedule",
            format!(
                "the issuer's tokens live {} s, the keys are kept for tokens of at most {} s: raise \
                 `KeySchedule::for_lifetime(…)`, or lower `Issuer::with_lifetime`",
                lifetime.as_secs_f64(),
                longest.as_secs_f64()
            ),
        ))
    }
}

#[cfg(test)]
mod tests;
