//! The claims of a verified token: the registered ones, and the app's own.
//!
//! 1. The payload is parsed in one pass. Names in [the table](REGISTERED) go to
//!    [`RegisteredClaims`], all others to the app's own type `T`.
//! 2. A name that occurs twice at the top level, in any escaping, makes the token invalid. So does
//!    text that is not valid JSON, even inside a value that `T` skips (RFC 7519 §4, RFC 8725 §3.7).
//! 3. A registered claim of the wrong type is an error, never an absent claim; `null` is a wrong
//!    type. In tokens of other issuers this applies to the claims of identity and validity. Any
//!    other claim in an unknown form is absent and recorded (see [`foreign`]).
//! 4. `exp` is required. The verifier decides about all others, so their absence is represented.
//! 5. A `T` that declares a registered name would never receive it: [`probe`] reports that when an
//!    authenticator is built.

pub(crate) mod authenticated;
pub(crate) mod foreign;
pub(crate) mod names;
pub(crate) mod parse;
pub(crate) mod probe;

use std::fmt;

use serde::de::{Error, MapAccess};
use serde::{Deserialize, Deserializer};

use crate::base::clock::Timestamp;
use crate::base::id::SessionId;
use crate::base::scope::Scope;

pub use self::authenticated::Authenticated;
pub(crate) use self::authenticated::Verified;
use self::names::Name;
pub(crate) use self::parse::{Unfit, check_private, parse};
pub(crate) use self::probe::probe;

/// The one table of registered names. Generates the enum, its lookup and the list.
macro_rules! registered {
    ($($variant:ident = $name:literal,)*) => {
        /// A registered claim.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Registered {
            $($variant,)*
        }

        /// The registered names, which the app's own claims cannot use.
        pub(crate) const REGISTERED: &[&str] = &[$($name,)*];

        impl Registered {
            const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The claim named `name`. Names are case-sensitive (RFC 7519 §4).
            fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name of the claim in the payload.
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
    /// The bit of the claim in a set of claims.
    pub(crate) const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// Whether the claim determines identity or validity, so that only its standard form is
    /// accepted.
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

/// The form in which an issuer writes the registered claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// The form of this crate: one per claim.
    Own,
    /// The forms of other providers: see [`foreign`].
    Foreign {
        /// Whether `epo` is read, which only this crate defines.
        subject_versions: bool,
    },
}

impl Dialect {
    /// The registered claim named `name` in this dialect.
    fn registered(self, name: &str) -> Option<Registered> {
        let claim = Registered::named(name)?;
        let known = claim != Registered::Epoch
            || self
                != Self::Foreign {
                    subject_versions: false,
                };
        known.then_some(claim)
    }
}

/// The registered claims of a token (RFC 7519 §4.1, RFC 9068 §2.2).
///
/// Read them from an [`Authenticated`], where the claims that RFC 9068 requires are present.
/// `Debug` shows the expiry and no other claim.
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
    /// Whether the user logged in again without a time of authentication.
    pub(crate) undated: bool,
    pub(crate) roles: Vec<Box<str>>,
    /// The claims that count as absent because of their form, as bits.
    pub(crate) unread: u32,
}

impl RegisteredClaims {
    /// `iss`: the issuer of the token.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// `sub`: the subject of the token.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// `aud`: the audiences of the token, in their order in the token.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.audience.iter().flat_map(Audience::iter)
    }

    /// `exp`: the expiry of the token.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// `nbf`: the time before which the token is not valid.
    #[must_use]
    pub fn not_before(&self) -> Option<Timestamp> {
        self.not_before
    }

    /// `iat`: the time of issue.
    #[must_use]
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.issued_at
    }

    /// `jti`: the unique identifier of the token.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// The session of the token: `sid` as the identifier of a session of this crate. `None` if it is
    /// absent or has another form.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        SessionId::parse(self.session_id()?)
    }

    /// `sid`: the session of the token, in the form of its issuer. See
    /// [`session`](Self::session).
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    /// `scope`: the scope of the token. Empty if the claim is absent.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// `client_id`: the client that requested the token.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// `auth_time`: the time of the user's last authentication.
    #[must_use]
    pub fn auth_time(&self) -> Option<Timestamp> {
        self.auth_time
    }

    /// `acr`: the class of the user's authentication.
    #[must_use]
    pub fn acr(&self) -> Option<&str> {
        self.acr.as_deref()
    }

    /// `amr`: the methods of the user's authentication (RFC 8176).
    pub fn amr(&self) -> impl Iterator<Item = &str> {
        self.amr.iter().map(AsRef::as_ref)
    }

    /// `roles`: the roles of the subject (RFC 9068 §2.2.3.1).
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(AsRef::as_ref)
    }

    /// The claims that count as absent because of their form.
    pub(crate) fn unread(&self) -> impl Iterator<Item = Registered> {
        let unread = self.unread;
        Registered::ALL
            .iter()
            .copied()
            .filter(move |claim| unread & claim.bit() != 0)
    }

    /// Parses the value of `claim`, whose name `map` has just returned.
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
            Registered::Scope => self.scope = Scope::from_claim(&map.next_value::<Name<'_>>()?.0),
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
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Audience {
    One(Box<str>),
    Many(Vec<Box<str>>),
}

impl Audience {
    fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many.as_slice(),
        }
        .iter()
        .map(AsRef::as_ref)
    }
}

/// 9999-12-31T23:59:59Z in seconds. Later times are a mistake or an attempt at an overflow.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// A `NumericDate` (RFC 7519 §2): seconds since 1970, possibly with a fraction.
struct NumericDate(Timestamp);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let secs = f64::deserialize(deserializer)?;
        // The range also excludes NaN, and makes the cast exact to the millisecond.
        if !(0.0..=LAST_SECOND).contains(&secs) {
            return Err(D::Error::custom("a moment outside 1970 to 9999"));
        }
        let millis = (secs * 1000.0).round() as i64;
        Ok(Self(Timestamp::from_millis(millis)))
    }
}
