//! [`TrustedIssuer`]: an accepted issuer, and the requirements for its tokens.
//!
//! 1. Issuer, audience and keys have no default.
//! 2. A token must be an access token by RFC 9068, in its `typ` and its claims, unless the issuer is
//!    configured otherwise. Every configuration requires `iss`, `aud`, `exp` and `sub`.
//! 3. If an issuer writes the audience or the subject into other claims than RFC 7519 and RFC 9068
//!    define, a configured claim replaces `aud` or `sub`. It is required as strictly.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use serde::de::DeserializeOwned;

use crate::base::config::ConfigError;
use crate::keys::source::KeySource;
use crate::token::claims::Dialect;
use crate::token::mapping::{MappedClaims, Mapping};
use crate::token::needs::{NeedsAudience, NeedsKeys};
use crate::token::verify::MAX_TOKEN_BYTES;

/// Upper bound of an issuer's maximum token length, in bytes.
const MOST_TOKEN_BYTES: usize = 32 * 1024;

/// An issuer whose access tokens are accepted: its identifier, the expected audience, its keys, and
/// the form of its tokens.
///
/// ```
/// use auth_core::{Authenticator, Key, Provider, RequiredClaims, TokenType, TrustedIssuer, mapping};
/// use std::sync::Arc;
///
/// # fn keys(kid: &str) -> Key { Key::hs256(kid, kid.repeat(32).as_bytes()).unwrap() }
/// let keycloak = TrustedIssuer::for_issuer("https://id.example/realms/main")
///     .audience("api")
///     .keys(keys("k"))
///     .with_provider(Provider::Keycloak);
/// // A provider without a preset.
/// let partner = TrustedIssuer::for_issuer("https://partner.example")
///     .audience("https://api.example")
///     .keys(keys("p"))
///     .with_token_type(TokenType::Named("JWT".into()))
///     .with_required_claims(RequiredClaims::Subject)
///     .with_mapping(mapping::scp);
///
/// let auth: Arc<Authenticator<()>> = Authenticator::for_issuer("https://issuer.example")
///     .audience("https://api.example")
///     .keys(keys("o"))
///     .with_issuer(keycloak)
///     .with_issuer(partner)
///     .build()?;
/// # Ok::<(), auth_core::ConfigError>(())
/// ```
///
/// Issuer, audience and keys are required. The compiler checks that:
///
/// ```compile_fail
/// # let key = auth_core::Key::hs256("k1", &[7; 32]).unwrap();
/// auth_core::TrustedIssuer::for_issuer("https://issuer.example").keys(key);
/// ```
///
/// # Claims in unusual forms
/// The tokens come from another party. `iss`, `sub`, `aud`, `exp`, `nbf` and `iat` must have the
/// form of RFC 7519. An optional claim (`jti`, `sid`, `scope`, `client_id`, `auth_time`, `acr`,
/// `amr`, `roles`) in an unknown form counts as absent, and a guard that requires it refuses. The
/// log names it once, at level warn with the target `auth::token`.
///
/// # Security
/// A subject is identified by issuer *and* `sub`: two issuers may both have an `alice`. With
/// several issuers, check [`Authenticated::issuer`](crate::Authenticated::issuer) before you map a
/// subject to an account.
#[derive(Clone, Debug)]
#[must_use]
pub struct TrustedIssuer {
    pub(crate) issuer: Box<str>,
    pub(crate) audiences: Vec<Box<str>>,
    pub(crate) keys: KeySource,
    pub(super) audience_claim: Option<Box<str>>,
    pub(super) subject_claims: Option<Box<[Box<str>]>>,
    pub(super) token_type: TokenType,
    pub(super) required: RequiredClaims,
    pub(super) grants_roles: bool,
    pub(super) grants_scopes: bool,
    pub(super) max_token_bytes: usize,
    pub(super) mappings: Vec<Mapping>,
    dialect: Dialect,
    /// The claims with an unknown form that are already logged, as bits.
    pub(super) reported: Arc<AtomicU32>,
}

/// The required `typ` of the header (RFC 8725 §3.11).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenType {
    /// `at+jwt` (RFC 9068 §4). The default.
    #[default]
    AccessToken,
    /// This media type, with or without `application/`, case-insensitive. Many providers write
    /// `JWT` into all their tokens.
    Named(String),
    /// Any type, or none.
    ///
    /// # Security
    /// Only its claims then distinguish an access token from an ID token or a logout token of the
    /// same issuer. Make sure that none of those has this API as its audience.
    Any,
}

/// The required claims of a token, in addition to `iss`, `aud` and `exp`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequiredClaims {
    /// `sub`, `client_id`, `jti` and `iat` (RFC 9068 §2.2). The default.
    #[default]
    Rfc9068,
    /// `sub`. The lifetime of a token without `iat` is measured from the current time.
    Subject,
}

impl TrustedIssuer {
    /// Starts with the issuer identifier, which is compared with `iss` byte for byte.
    pub fn for_issuer(issuer: impl Into<String>) -> NeedsAudience<Self> {
        NeedsAudience::new(issuer)
    }

    /// Sets the required `typ`. Default: `at+jwt`.
    pub fn with_token_type(mut self, token_type: TokenType) -> Self {
        self.token_type = token_type;
        self
    }

    /// Sets the required claims. Default: those of RFC 9068.
    pub fn with_required_claims(mut self, required: RequiredClaims) -> Self {
        self.required = required;
        self
    }

    /// Sets the claims that may hold the subject: the first one present is used. Default: `sub`
    /// only.
    ///
    /// An example is `["sub", "client_id"]`, for a provider whose client credentials have no `sub`,
    /// which RFC 9068 §2.2 requires. An empty string counts as absent.
    ///
    /// # Security
    /// A client then is a subject like a user. If the provider lets clients choose their ids, a
    /// client could choose that of a user. In a token of a client, subject and
    /// [`client_id`](crate::Authenticated::client_id) are equal.
    pub fn with_subject_claims<I>(mut self, claims: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let claims = claims.into_iter().map(|name| name.into().into_boxed_str());
        self.subject_claims = Some(claims.collect());
        self
    }

    /// Sets the maximum length of a token, in bytes: at most 32 KiB. Default: 8 KiB, more than any
    /// cookie holds. An Entra token for a user in 150 groups needs 10 KiB.
    pub fn with_max_token_bytes(mut self, bytes: usize) -> Self {
        self.max_token_bytes = bytes;
        self
    }

    /// Reads `epo`, the claim in which issuers built on this crate write the version of a subject.
    /// Use it for such an issuer if this app follows its revocations. Without it, all tokens of a
    /// subject whose sessions were all ended are refused until that entry expires.
    pub fn with_subject_versions(mut self) -> Self {
        self.dialect = Dialect::Foreign {
            subject_versions: true,
        };
        self
    }

    /// Adds a mapping from claims of the issuer to scope, roles or client: see
    /// [`mapping`](crate::token::mapping). Several mappings run in the order of the calls, before
    /// the check for required claims.
    ///
    /// A token whose claims do not deserialize into `F` is refused; make optional fields `Option`.
    ///
    /// A mapping must depend on the token alone: its result is cached with the token (see
    /// [`with_cache_size`](crate::AuthenticatorBuilder::with_cache_size)).
    pub fn with_mapping<F, M>(mut self, map: M) -> Self
    where
        F: DeserializeOwned,
        M: Fn(F, &mut MappedClaims<'_>) + Send + Sync + 'static,
    {
        self.mappings.push(Mapping::new(map));
        self
    }

    /// Removes all roles from this issuer's tokens, mapped ones included, so that guards which
    /// require a role refuse them. Use it for issuers that identify users and must not decide about
    /// permissions.
    pub fn without_roles(mut self) -> Self {
        self.grants_roles = false;
        self
    }

    /// Removes all scopes from this issuer's tokens, mapped ones included, so that guards which
    /// require a scope refuse them.
    pub fn without_scopes(mut self) -> Self {
        self.grants_scopes = false;
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.issuer.is_empty() {
            return Err(ConfigError::new(
                "issuer",
                "must not be empty; it is compared with `iss`",
            ));
        }
        if self.audiences.is_empty() || self.audiences.iter().any(|name| name.is_empty()) {
            return Err(ConfigError::new(
                "audience",
                "must not be empty; it is compared with `aud`",
            ));
        }
        let unnamed = |claims: &[Box<str>]| claims.iter().any(|name| name.is_empty());
        if self.audience_claim.as_deref() == Some("") {
            return Err(ConfigError::new(
                "audience_in",
                "must not be empty: set the claim that holds the audience",
            ));
        }
        if let Some(claims) = &self.subject_claims
            && (claims.is_empty() || unnamed(claims))
        {
            return Err(ConfigError::new(
                "subject_claims",
                "must not be empty: set the claims that may hold the subject",
            ));
        }
        if !(1..=MOST_TOKEN_BYTES).contains(&self.max_token_bytes) {
            return Err(ConfigError::new(
                "max_token_bytes",
                "must be at most 32 KiB",
            ));
        }
        if self.token_type == TokenType::Named(String::new()) {
            return Err(ConfigError::new(
                "token type",
                "must not be empty; use `TokenType::Any` to accept every type",
            ));
        }
        match self.keys.remote() {
            Some(remote) if remote.issuer() != &*self.issuer => Err(ConfigError::new(
                "keys",
                format!("the keys belong to the issuer {}", remote.issuer()),
            )),
            _ => Ok(()),
        }
    }

    /// Marks this issuer as possibly built on this crate: its tokens have a subject version. If its
    /// keys are local, its claims have only the form of this crate.
    pub(crate) fn into_own(mut self) -> Self {
        self.dialect = match self.keys.remote() {
            Some(_) => Dialect::Foreign {
                subject_versions: true,
            },
            None => Dialect::Own,
        };
        self
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }
}

impl NeedsAudience<TrustedIssuer> {
    /// Sets the claim that holds the audience, instead of `aud`, and the audience of this API.
    ///
    /// Examples are `audience_in("client_id", "…")` for Amazon Cognito and `audience_in("azp",
    /// "…")` for Clerk, whose tokens have no other. RFC 7519 §4.1.3 and RFC 9068 §2.2 define `aud`
    /// for it. The claim must be or contain the audience, and so must `aud` if the token has one.
    ///
    /// # Security
    /// A `client_id` identifies the client that requested the token, not its audience: every
    /// service that accepts this client's tokens can use them at all the others.
    pub fn audience_in(
        self,
        claim: impl Into<String>,
        audience: impl Into<String>,
    ) -> NeedsKeys<TrustedIssuer> {
        let mut named = self.audience(audience);
        named.audience_claim = Some(claim.into().into_boxed_str());
        named
    }
}

impl NeedsKeys<TrustedIssuer> {
    /// Adds an audience of this API, e.g. during a migration.
    pub fn with_audience(self, audience: impl Into<String>) -> Self {
        self.and_audience(audience)
    }

    /// Sets the keys that verify this issuer's tokens: its
    /// [`RemoteKeys`](crate::keys::remote::RemoteKeys), or local keys.
    pub fn keys(self, keys: impl Into<KeySource>) -> TrustedIssuer {
        self.trusted(keys)
    }
}

impl<B> NeedsKeys<B> {
    /// Builds the issuer as one whose tokens are accepted.
    pub(crate) fn trusted(self, keys: impl Into<KeySource>) -> TrustedIssuer {
        let mut audiences = vec![self.audience];
        audiences.extend(self.audiences);
        TrustedIssuer {
            issuer: self.issuer,
            audiences,
            keys: keys.into(),
            audience_claim: self.audience_claim,
            subject_claims: None,
            token_type: TokenType::default(),
            required: RequiredClaims::default(),
            grants_roles: true,
            grants_scopes: true,
            max_token_bytes: MAX_TOKEN_BYTES,
            mappings: Vec::new(),
            dialect: Dialect::Foreign {
                subject_versions: false,
            },
            reported: Arc::default(),
        }
    }
}
