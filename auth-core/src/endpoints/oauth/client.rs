//! [`AuthenticateClient`] and [`ClientCredentials`]: client authentication (RFC 6749 §2.3).

use std::error::Error;
use std::fmt;

use async_trait::async_trait;
use aws_lc_rs::constant_time;
use base64_simd::STANDARD;
use zeroize::Zeroizing;

use crate::base::opaque::opaque_debug;
use crate::endpoints::oauth::form::{BadForm, Form, decode};
use crate::http::request::{RequestView, SingleField, single_field};
use crate::observe::words::UnavailableKind;
use crate::session::Unavailable;

/// The credentials of a client. `Debug` shows neither name nor secret.
pub struct ClientCredentials {
    id: Option<Zeroizing<String>>,
    secret: Option<Zeroizing<String>>,
    in_header: bool,
}

impl ClientCredentials {
    /// Reads one method (RFC 6749 §2.3): the `Basic` header, or parameters of the form.
    pub(crate) fn read(request: &dyn RequestView, form: &mut Form) -> Result<Self, BadForm> {
        let (id, secret) = (form.take("client_id")?, form.take("client_secret")?);
        let header = match single_field(request, "authorization") {
            SingleField::Absent => None,
            SingleField::One(value) => Some(basic(value)),
            SingleField::Repeated => return Err(BadForm),
        };
        match header {
            None => Ok(Self {
                id,
                secret,
                in_header: false,
            }),
            Some(_) if secret.is_some() => Err(BadForm),
            Some(Some((own, secret))) if id.as_ref().is_none_or(|id| *id == own) => Ok(Self {
                id: Some(own),
                secret: Some(secret),
                in_header: true,
            }),
            Some(Some(_)) => Err(BadForm),
            // Unreadable credentials are those of an unknown client.
            Some(None) => Ok(Self {
                id: None,
                secret: Some(Zeroizing::default()),
                in_header: true,
            }),
        }
    }

    /// Whether the client used the header, whose scheme the refusal then names.
    pub(crate) fn in_header(&self) -> bool {
        self.in_header
    }

    /// The `client_id`, if it was sent.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref().map(String::as_str)
    }

    /// Whether a secret was sent, right or wrong.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        self.secret.is_some()
    }

    /// Compares the secret in constant time. False for an empty secret.
    #[must_use]
    pub fn secret_is(&self, secret: &[u8]) -> bool {
        self.secret.as_ref().is_some_and(|own| {
            !own.is_empty()
                && constant_time::verify_slices_are_equal(own.as_bytes(), secret).is_ok()
        })
    }

    /// The secret, for comparison with a hash.
    ///
    /// # Security
    /// The secret is a credential: do not log it.
    #[must_use]
    pub fn expose_secret(&self) -> Option<&str> {
        self.secret.as_deref().map(String::as_str)
    }
}

opaque_debug!(ClientCredentials);

/// Parses form-encoded name and secret (RFC 6749 §2.3.1) inside Basic credentials (RFC 7617).
fn basic(value: &[u8]) -> Option<(Zeroizing<String>, Zeroizing<String>)> {
    let (scheme, rest) = value.split_at_checked(5)?;
    if !scheme.eq_ignore_ascii_case(b"basic") || rest.first() != Some(&b' ') {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode_to_vec(rest.trim_ascii_start()).ok()?);
    let at = decoded.iter().position(|byte| *byte == b':')?;
    let (id, secret) = decoded.split_at(at);
    let id = decode(id).ok()?;
    let secret = decode(secret.get(1..)?).ok()?;
    (!id.is_empty()).then_some((id, secret))
}

/// Client authentication, implemented by the app. These crates have no client registry.
///
/// ```
/// use async_trait::async_trait;
/// use auth_core::oauth::{AuthenticateClient, ClientCredentials, ClientsUnavailable};
///
/// /// A service with a secret from the environment.
/// #[derive(Debug)]
/// struct Gateway;
///
/// #[async_trait]
/// impl AuthenticateClient for Gateway {
///     async fn authenticate(
///         &self,
///         credentials: &ClientCredentials,
///     ) -> Result<Option<String>, ClientsUnavailable> {
///         let secret = std::env::var("GATEWAY_SECRET")?;
///         let known = credentials.id() == Some("gateway") && credentials.secret_is(secret.as_bytes());
///         Ok(known.then(|| "gateway".to_owned()))
///     }
/// }
/// ```
#[async_trait]
pub trait AuthenticateClient: Send + Sync + fmt::Debug {
    /// Returns the `client_id` for these credentials, or `None` if they are wrong or missing.
    ///
    /// # Errors
    /// [`ClientsUnavailable`] if the credentials cannot be checked: the response is 503.
    ///
    /// # Security
    /// A client that has a secret must not be accepted without it.
    async fn authenticate(
        &self,
        credentials: &ClientCredentials,
    ) -> Result<Option<String>, ClientsUnavailable>;
}

#[async_trait]
impl<C: AuthenticateClient + ?Sized> AuthenticateClient for Box<C> {
    async fn authenticate(
        &self,
        credentials: &ClientCredentials,
    ) -> Result<Option<String>, ClientsUnavailable> {
        (**self).authenticate(credentials).await
    }
}

/// The error for credentials that cannot be checked now. Any error in an [`AuthenticateClient`]
/// converts into it with `?`.
pub struct ClientsUnavailable(Box<dyn Error + Send + Sync>);

impl ClientsUnavailable {
    /// Creates an error with its source.
    #[must_use]
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(source.into())
    }

    pub(crate) fn into_unavailable(self) -> Unavailable {
        Unavailable::new(UnavailableKind::Claims).with_source(self.0)
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for ClientsUnavailable {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

opaque_debug!(ClientsUnavailable);

/// The app's own front ends, which are public clients: every holder of a token may revoke it.
///
/// They send their name as `client_id` in the form, or none; credentials with a secret are refused.
#[derive(Clone, Debug)]
pub struct PublicClient(Box<str>);

impl PublicClient {
    /// Creates the client of this name. The default of issuers is `first-party`.
    #[must_use]
    pub fn new(client_id: &str) -> Self {
        Self(client_id.into())
    }
}

#[async_trait]
impl AuthenticateClient for PublicClient {
    async fn authenticate(
        &self,
        credentials: &ClientCredentials,
    ) -> Result<Option<String>, ClientsUnavailable> {
        let own = credentials.id().is_none_or(|id| *id == *self.0);
        Ok((own && !credentials.has_secret()).then(|| self.0.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<(String, String)> {
        let (id, secret) = basic(value.as_bytes())?;
        Some((id.to_string(), secret.to_string()))
    }

    #[test]
    fn basic_is_decoded_twice() {
        let header = |text: &str| format!("Basic {}", STANDARD.encode_to_string(text));
        let both = |id: &str, secret: &str| Some((id.to_owned(), secret.to_owned()));
        assert_eq!(read(&header("id:secret")), both("id", "secret"));
        assert_eq!(read(&header("a%3Ab:c%2B+d:e")), both("a:b", "c+ d:e"));
        assert_eq!(read("bAsIc aTo="), both("i", ""));
        for bad in ["Basic", "Basic!", "Basicx aTo=", "Basic ***", "Bearer aTo="] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read(&header("no colon")), None);
        assert_eq!(read(&header(":secret")), None);
        assert_eq!(read(&header("a%:secret")), None);
    }

    #[test]
    fn an_empty_secret_is_never_right_and_debug_shows_nothing() {
        let credentials = ClientCredentials {
            id: Some(Zeroizing::new("S3CRET".into())),
            secret: Some(Zeroizing::default()),
            in_header: true,
        };
        assert!(credentials.has_secret() && !credentials.secret_is(b""));
        assert!(!format!("{credentials:?}").contains("S3CRET"));
    }
}
