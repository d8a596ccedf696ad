//! What a verified token says: the registered claims, and the app's own.
//!
//! 1. The payload is read in one pass. Names of [the one table](REGISTERED) go to
//!    [`RegisteredClaims`], everything else goes to the app's own type `T`.
//! 2. A name that appears twice at the top level, however it is escaped, spoils the token, and so
//!    does text that is not valid JSON, even inside a value that `T` skips (RFC 7519 §4, RFC 8725
//!    §3.7).
//! 3. A registered claim of the wrong type is an error, never an absent claim; `null` is a wrong
//!    type. In tokens of other issuers that holds for what decides; of the rest, what is not in a
//!    known form is absent and noted (see [`foreign`]).
//! 4. `exp` must be there. Whether the others must be is for the verifier to say, so they tell
//!    absent from present.
//! 5. A `T` that declares a registered name would never see it: [`probe`] reports that when an
//!    authenticator is built.

pub(crate) mod authenticated;
pub(crate) mod foreign;
pub(crate) mod names;
pub(crate) mod parse;
pub(crate) mod probe;

use std::fmt;

use serde::Deserialize;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};

use crate::base::clock::Timestamp;
use crate::base::scope::Scope;

pub use self::authenticated::Authenticated;
pub(crate) use self::authenticated::Verified;
pub(crate) use self::parse::{Unfit, check_private, parse};
pub(crate) use self::probe::probe;

/// The one table of the names that are ours. It makes the enum, its lookup and the list.
macro_rules! registered {
    ($($variant:ident = $name:literal,)*) => {
        /// A registered claim.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Registered {
            $($variant,)*
        }

        /// The names that the app's own claims cannot use.
        pub(crate) const REGISTERED: &[&str] = &[$($name,)*];

        impl Registered {
            const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The claim called `name`; names are case-sensitive (RFC 7519 §4).
            fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Its name in the payload.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

registered! {
    Issuer = "iss",
    Subject = "sub",
    Audience = "aud",
    Expires = "exp",
    NotBefore = "nbf",
    IssuedAt = "iat",
    TokenId = "jti",
    SessionId = "sid",
    Scope = "scope",
    ClientId = "client_id",
    AuthTime = "auth_time",
    Acr = "acr",
    Amr = "amr",
    Epoch = "epo",
    Undated = "und",
    Roles = "roles",
}

impl Registered {
    /// Its bit in a set of claims.
    pub(crate) const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// Whether it says who may do what until when, so that no form but its own is taken.
    const fn decides(self) -> bool {
        matches!(
            self,
            Self::Issuer
                | Self::Subject
                | Self::Audience
                | Self::Expires
                | Self::NotBefore
                | Self::IssuedAt
                | Self::Epoch
        )
    }
}

/// How an issuer writes the registered claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// As this crate does: every claim has one form.
    Own,
    /// As providers do: see [`foreign`].
    Foreign {
        /// Whether there may be an `epo`, which only this crate defines.
        epochs: bool,
    },
}

impl Dialect {
    /// The registered claim called `name` in this dialect.
    fn registered(self, name: &str) -> Option<Registered> {
        let claim = Registered::named(name)?;
        let known = claim != Registered::Epoch || self != Self::Foreign { epochs: false };
        known.then_some(claim)
    }
}

/// The claims that this crate understands (RFC 7519 §4.1, RFC 9068 §2.2).
///
/// Read them from an [`Authenticated`]: those that RFC 9068 requires are then known to be there.
/// `Debug` shows when the token expires and nothing of what it says.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RegisteredClaims {
    pub(crate) issuer: Option<Box<str>>,
    pub(crate) subject: Option<Box<str>>,
    pub(crate) audience: Option<Audience>,
    pub(crate) expires_at: Timestamp,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) issued_at: Option<Timestamp>,
    pub(crate) token_id: Option<Box<str>>,
    pub(crate) session_id: Option<Box<str>>,
    pub(crate) scope: Scope,
    pub(crate) client_id: Option<Box<str>>,
    pub(crate) auth_time: Option<Timestamp>,
    pub(crate) acr: Option<Box<str>>,
    pub(crate) amr: Vec<Box<str>>,
    pub(crate) subject_version: u64,
    /// Whether the user signed in again without it becoming known when they proved who they are.
    pub(crate) undated: bool,
    pub(crate) roles: Vec<Box<str>>,
    /// Which claims are taken for absent because of their form, as bits.
    pub(crate) unread: u32,
}

impl RegisteredClaims {
    /// `iss`: who issued the token.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// `sub`: whom the token is about.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// `aud`: for whom the token is meant, in the order of the token.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.audience.iter().flat_map(Audience::iter)
    }

    /// `exp`: from when on the token is dead.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// `nbf`: before when the token is not yet valid.
    #[must_use]
    pub fn not_before(&self) -> Option<Timestamp> {
        self.not_before
    }

    /// `iat`: when the token was issued.
    #[must_use]
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.issued_at
    }

    /// `jti`: the token's own name.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// `sid`: the session that the token belongs to.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    /// `scope`: what the token may be used for; empty if it does not say.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// `client_id`: the client that asked for the token.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// `auth_time`: when the person last authenticated.
    #[must_use]
    pub fn auth_time(&self) -> Option<Timestamp> {
        self.auth_time
    }

    /// `acr`: how strongly the person authenticated.
    #[must_use]
    pub fn acr(&self) -> Option<&str> {
        self.acr.as_deref()
    }

    /// `amr`: by which methods the person authenticated (RFC 8176).
    pub fn amr(&self) -> impl Iterator<Item = &str> {
        self.amr.iter().map(AsRef::as_ref)
    }

    /// `roles`: the subject's roles (RFC 9068 §2.2.3.1).
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(AsRef::as_ref)
    }

    /// Those that are taken for absent because of their form.
    pub(crate) fn unread(&self) -> impl Iterator<Item = Registered> {
        let unread = self.unread;
        Registered::ALL
            .iter()
            .copied()
            .filter(move |claim| unread & claim.bit() != 0)
    }

    /// Reads the value of `claim`, whose name was the last that `map` gave.
    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        claim: Registered,
        dialect: Dialect,
        map: &mut A,
    ) -> Result<(), A::Error> {
        if dialect != Dialect::Own && !claim.decides() {
            self.read_foreign(claim, &map.next_value()?);
            return Ok(());
        }
        match claim {
            Registered::Issuer => self.issuer = Some(map.next_value()?),
            Registered::Subject => self.subject = Some(map.next_value()?),
            Registered::Audience => self.audience = Some(map.next_value()?),
            Registered::Expires => self.expires_at = map.next_value::<NumericDate>()?.0,
            Registered::NotBefore => self.not_before = Some(map.next_value::<NumericDate>()?.0),
            Registered::IssuedAt => self.issued_at = Some(map.next_value::<NumericDate>()?.0),
            Registered::TokenId => self.token_id = Some(map.next_value()?),
            Registered::SessionId => self.session_id = Some(map.next_value()?),
            Registered::Scope => self.scope = map.next_value::<ScopeClaim>()?.0,
            Registered::ClientId => self.client_id = Some(map.next_value()?),
            Registered::AuthTime => self.auth_time = Some(map.next_value::<NumericDate>()?.0),
            Registered::Acr => self.acr = Some(map.next_value()?),
            Registered::Amr => self.amr = map.next_value()?,
            Registered::Epoch => self.subject_version = map.next_value()?,
            Registered::Undated => self.undated = map.next_value()?,
            Registered::Roles => self.roles = map.next_value()?,
        }
        Ok(())
    }
}

impl fmt::Debug for RegisteredClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisteredClaims")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// `aud`: one string or an array of strings (RFC 7519 §4.1.3).
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Audience {
    One(Box<str>),
    Many(Vec<Box<str>>),
}

impl Audience {
    /// The audience in the value of another claim.
    pub(crate) fn of(value: &serde_json::Value) -> Option<Self> {
        Self::deserialize(value).ok()
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many.as_slice(),
        }
        .iter()
        .map(AsRef::as_ref)
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Audience;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Audience, E> {
                Ok(Audience::One(text.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Audience, A::Error> {
                let mut many = Vec::new();
                while let Some(text) = seq.next_element()? {
                    many.push(text);
                }
                Ok(Audience::Many(many))
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}

/// 9999-12-31T23:59:59Z. Later moments are a mistake or an attempt at an overflow.
const LAST_SECOND: u64 = 253_402_300_799;

/// A moment as RFC 7519 §2 writes it: seconds since 1970, possibly with a fraction.
struct NumericDate(Timestamp);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seconds;

        impl Visitor<'_> for Seconds {
            type Value = NumericDate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds from 1970 to 9999")
            }

            fn visit_u64<E: Error>(self, secs: u64) -> Result<NumericDate, E> {
                match i64::try_from(secs) {
                    Ok(signed) if secs <= LAST_SECOND => {
                        Ok(NumericDate(Timestamp::from_secs(signed)))
                    }
                    _ => Err(E::custom("a moment after the year 9999")),
                }
            }

            fn visit_i64<E: Error>(self, secs: i64) -> Result<NumericDate, E> {
                match u64::try_from(secs) {
                    Ok(secs) => self.visit_u64(secs),
                    Err(_) => Err(E::custom("a moment before 1970")),
                }
            }

            fn visit_f64<E: Error>(self, secs: f64) -> Result<NumericDate, E> {
                // The range also excludes NaN, and makes the cast exact to the millisecond.
                if (0.0..=LAST_SECOND as f64).contains(&secs) {
                    let millis = (secs * 1000.0).round() as i64;
                    Ok(NumericDate(Timestamp::from_millis(millis)))
                } else {
                    Err(E::custom("a moment outside 1970 to 9999"))
                }
            }
        }

        // Not `deserialize_any`: if an app turns on serde_json's arbitrary precision, numbers
        // would come as maps.
        deserializer.deserialize_f64(Seconds)
    }
}

/// Space-separated scope tokens (RFC 8693 §4.2).
struct ScopeClaim(Scope);

impl<'de> Deserialize<'de> for ScopeClaim {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tokens;

        impl Visitor<'_> for Tokens {
            type Value = ScopeClaim;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("space-separated scope tokens")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ScopeClaim, E> {
                Ok(ScopeClaim(Scope::from_claim(text)))
            }
        }

        deserializer.deserialize_str(Tokens)
    }
}
