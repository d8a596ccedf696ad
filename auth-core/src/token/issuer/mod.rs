//! Issuing access tokens (RFC 9068).
//!
//! 1. Every token has RFC 9068's required claims: `iss`, `exp`, `aud`, `sub`, `client_id`, `iat`,
//!    `jti`. Its header is `{"alg":…,"typ":"at+jwt","kid":…}` and nothing else.
//! 2. Tokens are short: 10 minutes, minus a random part of up to 5 % so that the tokens of many
//!    clients do not all expire, and refresh, at the same moment.
//! 3. A token never outlives [`not_after`](AccessTokenRequest::not_after), the end of its session.
//! 4. The app's own claims cannot take the place of a registered one: that is an error, which
//!    names the claim.
//! 5. What no verifier would accept is not issued: an empty subject, a token that is too long or
//!    dead on arrival.

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
use crate::keys::source::KeySource;
use crate::token::verify::{MAX_TOKEN_BYTES, TrustedIssuer};

pub use self::error::MintError;
pub use self::request::AccessTokenRequest;
pub use self::token::AccessToken;
use crate::keys::rotation::task::KeyRotation;

/// How long an access token lives before jitter.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// Longer than this, and the verifiers' default cap would refuse it.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_JITTER_PERCENT: u8 = 5;
const DEFAULT_CLIENT: &str = "first-party";
/// 128 random bits: no two tokens share a `jti`.
const TOKEN_ID_LEN: usize = 16;

/// Issues access tokens.
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
///     .scope(Scope::parse("read write")?)
///     .claims(&User { name: "Alice".to_owned() })?;
/// let token = issuer.mint(&request).await?;
/// println!("expires in {} s", token.expires_in().as_secs());
/// # Ok(())
/// # }
/// ```
///
/// Issuer, audience and keys are required, which the compiler checks:
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
}

/// A token before it is signed.
pub(crate) struct Draft {
    pub(crate) payload: String,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl Issuer {
    /// Begins with the issuer's name: the `iss` of its tokens, by convention its `https` address.
    pub fn for_issuer(issuer: impl Into<String>) -> IssuerWithoutAudience {
        IssuerWithoutAudience {
            issuer: issuer.into().into_boxed_str(),
        }
    }

    /// Tokens that live for `lifetime`, less the jitter. The default is 10 minutes.
    ///
    /// # Errors
    /// If it is shorter than a second or longer than a day.
    ///
    /// # Security
    /// Without a revocation list a stolen access token works until it expires.
    pub fn with_lifetime(mut self, lifetime: Duration) -> Result<Self, ConfigError> {
        if lifetime < Duration::from_secs(1) || lifetime > MAX_LIFETIME {
            return Err(ConfigError::new(
                "lifetime",
                "must be at least a second and at most a day; sessions are kept alive by refresh",
            ));
        }
        self.lifetime = lifetime;
        Ok(self)
    }

    /// By how much the lifetime is randomly shortened, at most: 0 to 5 per cent. The default is 5.
    ///
    /// # Errors
    /// If it is more than 5.
    pub fn with_jitter(mut self, percent: u8) -> Result<Self, ConfigError> {
        if percent > MAX_JITTER_PERCENT {
            return Err(ConfigError::new("jitter", "at most 5 per cent"));
        }
        self.jitter_percent = percent;
        Ok(self)
    }

    /// The `client_id` of tokens whose request names none. The default is `first-party`.
    ///
    /// # Errors
    /// If it is empty.
    pub fn with_client_id(mut self, client_id: impl Into<String>) -> Result<Self, ConfigError> {
        self.client_id = client_id.into().into_boxed_str();
        if self.client_id.is_empty() {
            return Err(ConfigError::new("client_id", "must not be empty"));
        }
        Ok(self)
    }

    /// Takes the time from `clock` instead of the operating system.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The name of this issuer.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.own.issuer
    }

    /// For whom its tokens are meant.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The public keys that verify its tokens, as a JWKS document (RFC 7517 §5). Secrets and
    /// private keys are never in it.
    #[must_use]
    pub fn jwks(&self) -> String {
        self.own.keys.load().jwks()
    }

    /// How long tokens live at most.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// The client that tokens are issued to whose request names none: that of every session.
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

        // Sized before it is filled: growing would leave copies of the token in memory.
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

    /// What a token would say: its payload, unsigned.
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

    /// When a token issued at `now` dies, in whole seconds.
    fn expiry(&self, now: Timestamp, end: Option<Timestamp>) -> Result<Timestamp, MintError> {
        let full = now.saturating_add(self.lifetime.saturating_sub(self.jitter()?));
        let expires_at = Timestamp::from_secs(end.map_or(full, |end| end.min(full)).as_secs());
        if expires_at > now {
            Ok(expires_at)
        } else {
            Err(MintError::Ended)
        }
    }

    /// A random part of the lifetime, at most the configured percentage.
    fn jitter(&self) -> Result<Duration, MintError> {
        let most = self.lifetime * u32::from(self.jitter_percent) / 100;
        let part = f64::from(u32::from_le_bytes(random()?)) / f64::from(u32::MAX);
        Ok(most.mul_f64(part))
    }
}

/// An issuer that has a name. The audience is next.
#[derive(Clone, Debug)]
#[must_use]
pub struct IssuerWithoutAudience {
    issuer: Box<str>,
}

impl IssuerWithoutAudience {
    /// For whom the tokens are meant: the `aud` that the service checks.
    pub fn audience(self, audience: impl Into<String>) -> IssuerWithoutKeys {
        IssuerWithoutKeys {
            issuer: self.issuer,
            audience: audience.into().into_boxed_str(),
        }
    }
}

/// An issuer that has a name and an audience. The keys are next.
#[derive(Clone, Debug)]
#[must_use]
pub struct IssuerWithoutKeys {
    issuer: Box<str>,
    audience: Box<str>,
}

impl IssuerWithoutKeys {
    /// The keys: a [`Key`](crate::Key), a [`KeyRing`](crate::KeyRing), or a [`KeySource`] whose
    /// keys can be replaced while the app runs.
    ///
    /// # Errors
    /// If the issuer or the audience is empty, or if none of the keys is chosen to sign.
    pub fn keys(self, keys: impl Into<KeySource>) -> Result<Issuer, ConfigError> {
        let own = TrustedIssuer::for_issuer(self.issuer)
            .audience(&*self.audience)
            .keys(keys)
            .into_own();
        own.check()?;
        if own.keys.load().signing_key().is_none() {
            return Err(ConfigError::new(
                "keys",
                "none is chosen to sign: call `KeyRing::with_signing_key`, or give one that can",
            ));
        }
        Ok(Issuer {
            own,
            audience: self.audience,
            client_id: DEFAULT_CLIENT.into(),
            lifetime: DEFAULT_LIFETIME,
            jitter_percent: MAX_JITTER_PERCENT,
            clock: Arc::new(SystemClock),
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
    /// Checks that the tokens of `issuer` do not live longer than the schedule counts on.
    ///
    /// # Errors
    /// [`ConfigError`] if they do: keys would go before their tokens.
    pub fn check(&self, issuer: &Issuer) -> Result<(), ConfigError> {
        if issuer.lifetime() <= self.rules.schedule.lifetime() {
            return Ok(());
        }
        Err(ConfigError::new(
            "key schedule",
            "the issuer's tokens live longer than the schedule says",
        ))
    }
}

#[cfg(test)]
mod tests;
