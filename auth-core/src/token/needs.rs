//! [`NeedsAudience`] and [`NeedsKeys`]: the required settings of issuers and authenticators, as
//! successive types.

use std::marker::PhantomData;

/// A builder of `B` that still needs its audience.
///
/// `B` is an [`Issuer`](crate::Issuer), a [`TrustedIssuer`](crate::TrustedIssuer) or an
/// [`AuthenticatorBuilder`](crate::AuthenticatorBuilder). An audience that is left out does not
/// compile.
#[derive(Clone, Debug)]
#[must_use = "set the audience next"]
pub struct NeedsAudience<B> {
    issuer: Box<str>,
    builds: PhantomData<fn() -> B>,
}

/// A builder of `B` that still needs its keys. See [`NeedsAudience`].
#[derive(Clone, Debug)]
#[must_use = "set the keys next"]
pub struct NeedsKeys<B> {
    pub(crate) issuer: Box<str>,
    pub(crate) audience: Box<str>,
    /// Further audiences.
    pub(crate) audiences: Vec<Box<str>>,
    pub(crate) audience_claim: Option<Box<str>>,
    builds: PhantomData<fn() -> B>,
}

impl<B> NeedsAudience<B> {
    pub(crate) fn new(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into().into_boxed_str(),
            builds: PhantomData,
        }
    }

    /// Sets the audience: `aud` of the tokens that an [`Issuer`](crate::Issuer) issues. Everywhere
    /// else, the audience of this API, which `aud` must be or contain.
    pub fn audience(self, audience: impl Into<String>) -> NeedsKeys<B> {
        NeedsKeys {
            issuer: self.issuer,
            audience: audience.into().into_boxed_str(),
            audiences: Vec::new(),
            audience_claim: None,
            builds: PhantomData,
        }
    }
}

impl<B> NeedsKeys<B> {
    pub(crate) fn and_audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into().into_boxed_str());
        self
    }
}
