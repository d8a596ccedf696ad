//! Issuers whose tokens are accepted, and what is asked of each.
//!
//! 1. Issuer, audience and keys have no default.
//! 2. A token must be an access token by RFC 9068, in its `typ` and its claims, unless the issuer
//!    is configured with another rule. No rule is looser than: `iss`, `aud`, `exp` and `sub`.
//! 3. With several issuers, the token's `iss` chooses among them before anything else; then that
//!    issuer's keys and rules decide, and `iss` is compared again.

use serde::de::DeserializeOwned;

use crate::base::config::ConfigError;
use crate::base::error::Cause;
use crate::base::scope::Scope;
use crate::keys::source::KeySource;
use crate::token::claims::RegisteredClaims;
use crate::token::mapping::{MappedClaims, Mapping};
use crate::token::verify::header::{Header, is_media_type};
use crate::token::verify::peek;

/// An issuer whose access tokens are accepted: its name, our name to it, its keys, and the form of
/// its tokens.
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
/// // One that there is no preset for.
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
///     .also(keycloak)
///     .also(partner)
///     .build()?;
/// # Ok::<(), auth_core::ConfigError>(())
/// ```
///
/// Issuer, audience and keys are required, which the compiler checks:
///
/// ```compile_fail
/// # let key = auth_core::Key::hs256("k1", &[7; 32]).unwrap();
/// auth_core::TrustedIssuer::for_issuer("https://issuer.example").keys(key);
/// ```
///
/// # Security
/// A subject is known by its issuer *and* its name: two issuers may both have an `alice`. Whoever
/// trusts several must look at [`Authenticated::issuer`](crate::Authenticated::issuer) before
/// taking a subject for an account.
#[derive(Clone, Debug)]
#[must_use]
pub struct TrustedIssuer {
    pub(crate) issuer: Box<str>,
    pub(crate) audiences: Vec<Box<str>>,
    pub(crate) keys: KeySource,
    token_type: TokenType,
    required: RequiredClaims,
    scope_form: ScopeForm,
    grants_roles: bool,
    grants_scopes: bool,
    mappings: Vec<Mapping>,
}

/// What the header's `typ` must be (RFC 8725 §3.11).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenType {
    /// `at+jwt` (RFC 9068 §4). The default.
    #[default]
    AccessToken,
    /// This media type, with or without `application/`; case does not matter. Many providers write
    /// `JWT` into all their tokens.
    Named(String),
    /// Anything, even nothing.
    ///
    /// # Security
    /// Then nothing but its claims tells an access token from an ID token or a logout token of the
    /// same issuer. Make sure that none of those has our audience.
    Any,
}

/// What a token must have besides `iss`, `aud` and `exp`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequiredClaims {
    /// `sub`, `client_id`, `jti` and `iat`, as RFC 9068 §2.2 says. The default.
    #[default]
    Rfc9068,
    /// `sub`. The lifetime of a token without `iat` is counted from now.
    Subject,
}

/// How the `scope` claim is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScopeForm {
    /// One string, space-separated, as RFC 8693 §4.2 and RFC 9068 §2.2.3 say. The default: a token
    /// with anything else is refused.
    #[default]
    Text,
    /// That, or an array of strings: Spring Authorization Server, Cloud Foundry UAA. An element
    /// with a space in it is left out.
    TextOrList,
}

impl TrustedIssuer {
    /// Begins with the issuer's name: compared with `iss` byte for byte.
    pub fn for_issuer(issuer: impl Into<String>) -> TrustedIssuerWithoutAudience {
        TrustedIssuerWithoutAudience {
            issuer: issuer.into().into_boxed_str(),
        }
    }

    /// Accepts tokens of this type instead of `at+jwt`.
    pub fn with_token_type(mut self, token_type: TokenType) -> Self {
        self.token_type = token_type;
        self
    }

    /// Asks for these claims instead of RFC 9068's.
    pub fn with_required_claims(mut self, required: RequiredClaims) -> Self {
        self.required = required;
        self
    }

    /// Accepts this form of `scope` instead of RFC 8693's.
    pub fn with_scope_form(mut self, form: ScopeForm) -> Self {
        self.scope_form = form;
        self
    }

    /// Reads claims of the issuer's own into scope, roles or client: see [`mapping`](crate::token::mapping).
    /// Several mappings run in this order, before the required claims are looked for.
    ///
    /// A token whose claims do not deserialize into `F` is refused; make the fields that may be
    /// missing optional.
    ///
    /// A mapping depends on the token alone: what it makes of one is remembered with it (see
    /// [`with_cache_size`](crate::AuthenticatorBuilder::with_cache_size)).
    pub fn with_mapping<F, M>(mut self, map: M) -> Self
    where
        F: DeserializeOwned,
        M: Fn(F, &mut MappedClaims<'_>) + Send + Sync + 'static,
    {
        self.mappings.push(Mapping::new(map));
        self
    }

    /// Leaves out the roles of this issuer's tokens, mapped ones too: where a role of ours is
    /// required, they are refused. For issuers that say who somebody is and not what they may do
    /// here.
    pub fn without_roles(mut self) -> Self {
        self.grants_roles = false;
        self
    }

    /// Leaves out the scopes of this issuer's tokens, mapped ones too: where a scope is required,
    /// they are refused.
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
        if self.token_type == TokenType::Named(String::new()) {
            return Err(ConfigError::new(
                "token type",
                "must not be empty; say `TokenType::Any` if that is meant",
            ));
        }
        match self.keys.remote() {
            Some(remote) if remote.issuer() != &*self.issuer => Err(ConfigError::new(
                "keys",
                format!("these are the keys of {}", remote.issuer()),
            )),
            _ => Ok(()),
        }
    }

    /// Whether our own header, compared as bytes, has a `typ` that is accepted here.
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
        let named = |name: &str| claims.audience().any(|own| own == name);
        if self.audiences.iter().any(|name| named(name)) {
            Ok(())
        } else {
            Err(Cause::Audience)
        }
    }

    /// Reads the issuer's own claims out of `payload`, which has been verified, and leaves out what
    /// it is not to grant.
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
        if claims.scope_is_list && self.scope_form == ScopeForm::Text {
            return Err(Cause::Claims);
        }
        let present = |claim: Option<&str>| claim.is_some_and(|text| !text.is_empty());
        let named = claims
            .subject()
            .is_some_and(|subject| !subject.trim().is_empty());
        let complete = named
            && match self.required {
                RequiredClaims::Subject => true,
                RequiredClaims::Rfc9068 => {
                    present(claims.client_id())
                        && present(claims.token_id())
                        && claims.issued_at().is_some()
                }
            };
        if complete { Ok(()) } else { Err(Cause::Claims) }
    }
}

/// A trusted issuer that has a name. The audience is next.
#[derive(Clone, Debug)]
#[must_use = "name the audience next"]
pub struct TrustedIssuerWithoutAudience {
    issuer: Box<str>,
}

impl TrustedIssuerWithoutAudience {
    /// The name of this service: `aud` must be it or contain it.
    pub fn audience(self, audience: impl Into<String>) -> TrustedIssuerWithoutKeys {
        TrustedIssuerWithoutKeys {
            issuer: self.issuer,
            audiences: vec![audience.into().into_boxed_str()],
        }
    }
}

/// A trusted issuer that has a name and an audience. The keys are next.
#[derive(Clone, Debug)]
#[must_use = "name the keys next"]
pub struct TrustedIssuerWithoutKeys {
    issuer: Box<str>,
    audiences: Vec<Box<str>>,
}

impl TrustedIssuerWithoutKeys {
    /// A further name of this service, e.g. during a move.
    pub fn or_audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into().into_boxed_str());
        self
    }

    /// The keys that verify this issuer's tokens: its
    /// [`RemoteKeys`](crate::keys::remote::RemoteKeys), or keys of ours.
    pub fn keys(self, keys: impl Into<KeySource>) -> TrustedIssuer {
        TrustedIssuer {
            issuer: self.issuer,
            audiences: self.audiences,
            keys: keys.into(),
            token_type: TokenType::default(),
            required: RequiredClaims::default(),
            scope_form: ScopeForm::default(),
            grants_roles: true,
            grants_scopes: true,
            mappings: Vec::new(),
        }
    }
}

/// The issuers of an authenticator: at least one.
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
                    "one is named twice; give it all audiences and keys at once",
                ));
            }
            names.push(&issuer.issuer);
        }
        Ok(Self {
            first,
            others: others.into_boxed_slice(),
        })
    }

    /// Rule 3: the issuer and its number. A single one needs no choice: its name is compared after
    /// the signature.
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

    fn iter(&self) -> impl Iterator<Item = &TrustedIssuer> {
        std::iter::once(&self.first).chain(&self.others)
    }
}
