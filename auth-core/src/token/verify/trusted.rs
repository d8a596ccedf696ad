//! [`TrustedIssuer`]: an accepted issuer, and the requirements for its tokens.
//!
//! 1. Issuer, audience and keys have no default.
//! 2. A token must be an access token by RFC 9068, in its `typ` and its claims, unless the issuer is
//!    configured otherwise. Every configuration requires `iss`, `aud`, `exp` and `sub`.
//! 3. If an issuer writes the audience or the subject into other claims than RFC 7519 and RFC 9068
//!    define, a configured claim replaces `aud` or `sub`. It is required as strictly.
//! 4. With several issuers, the token's `iss` selects one of them first; then the keys and rules of
//!    that issuer apply, and `iss` is compared again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::base::config::ConfigError;
use crate::base::error::Cause;
use crate::base::scope::Scope;
use crate::keys::source::KeySource;
use crate::token::claims::{Audience, Dialect, RegisteredClaims};
use crate::token::mapping::{MappedClaims, Mapping};
use crate::token::needs::{NeedsAudience, NeedsKeys};
use crate::token::verify::header::{Header, is_media_type};
use crate::token::verify::{MAX_TOKEN_BYTES, peek};

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
    audience_claim: Option<Box<str>>,
    subject_claims: Option<Box<[Box<str>]>>,
    token_type: TokenType,
    required: RequiredClaims,
    grants_roles: bool,
    grants_scopes: bool,
    max_token_bytes: usize,
    mappings: Vec<Mapping>,
    dialect: Dialect,
    /// The claims with an unknown form that are already logged, as bits.
    reported: Arc<AtomicU32>,
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

    pub(crate) fn check_length(&self, token: &str) -> Result<(), Cause> {
        if token.len() > self.max_token_bytes {
            Err(Cause::TooLong)
        } else {
            Ok(())
        }
    }

    /// Logs each claim, once, that counts as absent because of its form.
    pub(crate) fn report_unread(&self, claims: &RegisteredClaims) {
        if claims.unread == 0 {
            return;
        }
        let before = self.reported.fetch_or(claims.unread, Ordering::Relaxed);
        for claim in claims.unread() {
            if before & claim.bit() == 0 {
                tracing::warn!(
                    target: "auth::token",
                    issuer = &*self.issuer,
                    claim = claim.name(),
                    "a claim in an unknown form counts as absent"
                );
            }
        }
    }

    /// Reads audience and subject from the claims that replace `aud` and `sub`.
    pub(crate) fn take_named(
        &self,
        payload: &[u8],
        claims: &mut RegisteredClaims,
    ) -> Result<(), Cause> {
        if self.audience_claim.is_none() && self.subject_claims.is_none() {
            return Ok(());
        }
        let all: Map<String, Value> =
            serde_json::from_slice(payload).map_err(|_| Cause::Malformed)?;
        if let Some(name) = self.audience_claim.as_deref() {
            // A token with a different `aud` is not meant for this API, regardless of the client.
            if claims.audience.is_some() {
                self.check_audience(claims)?;
            }
            claims.audience = match all.get(name) {
                None | Some(Value::Null) => None,
                Some(value) => Some(Audience::of(value).ok_or(Cause::Audience)?),
            };
        }
        if let Some(names) = &self.subject_claims {
            claims.subject = first_text(names, &all)?;
        }
        Ok(())
    }

    /// Whether the `typ` of this crate's own header, compared as bytes, is accepted.
    pub(crate) fn takes_own_header(&self) -> bool {
        match &self.token_type {
            TokenType::AccessToken | TokenType::Any => true,
            TokenType::Named(name) => is_media_type(name, "at+jwt"),
        }
    }

    pub(crate) fn check_type(&self, header: &Header) -> Result<(), Cause> {
        let named = |name: &str| {
            header
                .typ
                .as_deref()
                .is_some_and(|typ| is_media_type(typ, name))
        };
        let fits = match &self.token_type {
            TokenType::AccessToken => named("at+jwt"),
            TokenType::Named(name) => named(name.strip_prefix("application/").unwrap_or(name)),
            TokenType::Any => true,
        };
        if fits { Ok(()) } else { Err(Cause::Type) }
    }

    pub(crate) fn check_names(&self, claims: &RegisteredClaims) -> Result<(), Cause> {
        if claims.issuer() != Some(&*self.issuer) {
            return Err(Cause::Issuer);
        }
        if claims.audience.is_none() {
            return Err(Cause::MissingAudience);
        }
        self.check_audience(claims)
    }

    fn check_audience(&self, claims: &RegisteredClaims) -> Result<(), Cause> {
        let named = |name: &str| claims.audience().any(|own| own == name);
        if self.audiences.iter().any(|name| named(name)) {
            Ok(())
        } else {
            Err(Cause::Audience)
        }
    }

    /// Maps the issuer's own claims from `payload`, which has been verified, and removes the roles
    /// and scopes that it may not grant.
    pub(crate) fn map(&self, payload: &[u8], claims: &mut RegisteredClaims) -> Result<(), Cause> {
        self.mappings
            .iter()
            .try_for_each(|mapping| mapping.apply(payload, claims))?;
        if !self.grants_roles {
            claims.roles = Vec::new();
        }
        if !self.grants_scopes {
            claims.scope = Scope::empty();
        }
        Ok(())
    }

    pub(crate) fn check_required(&self, claims: &RegisteredClaims) -> Result<(), Cause> {
        let present = |claim: Option<&str>, missing: Cause| match claim {
            Some(text) if !text.trim().is_empty() => Ok(()),
            _ => Err(missing),
        };
        present(claims.subject(), Cause::MissingSubject)?;
        if self.required == RequiredClaims::Subject {
            return Ok(());
        }
        present(claims.client_id(), Cause::MissingClientId)?;
        present(claims.token_id(), Cause::MissingTokenId)?;
        claims.issued_at().map(|_| ()).ok_or(Cause::MissingIssuedAt)
    }
}

/// The first of these claims that is present and not empty.
fn first_text(names: &[Box<str>], all: &Map<String, Value>) -> Result<Option<Box<str>>, Cause> {
    for name in names {
        match all.get(&**name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.trim().is_empty() => {}
            Some(Value::String(text)) => return Ok(Some(text.as_str().into())),
            Some(_) => return Err(Cause::Claims),
        }
    }
    Ok(None)
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

/// The issuers of an authenticator, at least one.
#[derive(Debug)]
pub(crate) struct TrustedIssuers {
    first: TrustedIssuer,
    others: Box<[TrustedIssuer]>,
}

impl TrustedIssuers {
    pub(crate) fn new(
        first: TrustedIssuer,
        others: Vec<TrustedIssuer>,
    ) -> Result<Self, ConfigError> {
        let mut names: Vec<&str> = Vec::with_capacity(others.len() + 1);
        for issuer in std::iter::once(&first).chain(&others) {
            issuer.check()?;
            if names.contains(&&*issuer.issuer) {
                return Err(ConfigError::new(
                    "issuer",
                    "an issuer is configured twice; set all its audiences and keys at once",
                ));
            }
            names.push(&issuer.issuer);
        }
        Ok(Self {
            first,
            others: others.into_boxed_slice(),
        })
    }

    /// The maximum token length over all issuers, in bytes.
    pub(crate) fn longest_token(&self) -> usize {
        let longest = self.others.iter().map(|issuer| issuer.max_token_bytes);
        longest.fold(self.first.max_token_bytes, usize::max)
    }

    /// Applies rule 4: returns the issuer and its number. A single issuer needs no choice: its
    /// identifier is compared after the signature.
    pub(crate) fn choose(&self, payload: &str) -> Result<(usize, &TrustedIssuer), Cause> {
        if self.others.is_empty() {
            return Ok((0, &self.first));
        }
        let name = peek::issuer(payload)?;
        let mut numbered = self.iter().enumerate();
        numbered
            .find(|(_, issuer)| *issuer.issuer == *name)
            .ok_or(Cause::Issuer)
    }

    pub(crate) fn named(&self, name: &str) -> Option<&TrustedIssuer> {
        self.iter().find(|issuer| *issuer.issuer == *name)
    }

    pub(crate) fn get(&self, number: usize) -> Option<&TrustedIssuer> {
        match number.checked_sub(1) {
            None => Some(&self.first),
            Some(other) => self.others.get(other),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &TrustedIssuer> {
        std::iter::once(&self.first).chain(&self.others)
    }
}
