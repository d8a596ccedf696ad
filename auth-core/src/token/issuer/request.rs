//! [`AccessTokenRequest`]: the claims of a token to be issued.

use serde::Serialize;

use crate::base::clock::Timestamp;
use crate::base::id::SessionId;
use crate::base::opaque::opaque_debug;
use crate::base::scope::Scope;
use crate::token::claims;
use crate::token::claims::Unfit;
use crate::token::issuer::MintError;

/// The claims of an access token to be issued.
///
/// ```
/// use auth_core::{AccessTokenRequest, MintError, Scope};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let request = AccessTokenRequest::for_subject("user-1")
///     .with_scope(Scope::parse("read")?)
///     .with_roles(["editor"]);
///
/// // Registered claims are set by their own methods only.
/// #[derive(serde::Serialize)]
/// struct Own {
///     roles: Vec<String>,
/// }
/// let refused = request.with_claims(&Own { roles: vec!["admin".into()] });
/// assert!(matches!(refused, Err(MintError::Collision("roles"))));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct AccessTokenRequest {
    subject: Box<str>,
    session_id: Option<SessionId>,
    client_id: Option<Box<str>>,
    scope: Scope,
    roles: Vec<String>,
    auth_time: Option<Timestamp>,
    acr: Option<Box<str>>,
    amr: Vec<String>,
    subject_version: u64,
    undated: bool,
    issued_at: Option<Timestamp>,
    not_after: Option<Timestamp>,
    /// The members of a JSON object, without its braces.
    private: Box<str>,
}

impl AccessTokenRequest {
    /// Starts a request with `subject`, the `sub` claim: the id of a user or a service, never
    /// reassigned.
    pub fn for_subject(subject: impl Into<String>) -> Self {
        Self {
            subject: subject.into().into_boxed_str(),
            session_id: None,
            client_id: None,
            scope: Scope::empty(),
            roles: Vec::new(),
            auth_time: None,
            acr: None,
            amr: Vec::new(),
            subject_version: 0,
            undated: false,
            issued_at: None,
            not_after: None,
            private: Box::default(),
        }
    }

    /// Sets `sid`, the session of the token. Revoking the session also revokes the token.
    pub fn with_session_id(mut self, session_id: SessionId) -> Self {
        self.session_id = Some(session_id);
        self
    }

    /// Sets `client_id` (RFC 9068 §2.2). Default: that of the issuer.
    pub fn with_client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into().into_boxed_str());
        self
    }

    /// Sets `scope`. Default: none.
    pub fn with_scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Sets `roles`, the roles of the subject. Default: none.
    pub fn with_roles<R: Into<String>>(mut self, roles: impl IntoIterator<Item = R>) -> Self {
        self.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// Sets `auth_time`, the time of the user's last authentication, for routes that require a
    /// recent one (RFC 9470).
    pub fn with_auth_time(mut self, auth_time: Timestamp) -> Self {
        self.auth_time = Some(auth_time);
        self
    }

    /// Sets `acr`, the class of the user's authentication.
    pub fn with_acr(mut self, acr: impl Into<String>) -> Self {
        self.acr = Some(acr.into().into_boxed_str());
        self
    }

    /// Sets `amr`, the methods of the user's authentication (RFC 8176).
    pub fn with_amr<M: Into<String>>(mut self, methods: impl IntoIterator<Item = M>) -> Self {
        self.amr = methods.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the version of the subject. Raising it in the store revokes every token with a lower
    /// one.
    pub fn with_subject_version(mut self, subject_version: u64) -> Self {
        self.subject_version = subject_version;
        self
    }

    /// Sets whether the session comes from a repeated login without a time of authentication.
    pub(crate) fn with_undated(mut self, undated: bool) -> Self {
        self.undated = undated;
        self
    }

    /// Sets the end of the session, which the token must not outlive.
    pub fn with_not_after(mut self, end: Timestamp) -> Self {
        self.not_after = Some(end);
        self
    }

    /// Sets the app's own claims, replacing any set before: a struct, a map, or `()` for none. The
    /// authenticator's claims type reads them back.
    ///
    /// # Errors
    /// - [`MintError::Collision`] if they contain a registered claim,
    /// - [`MintError::ClaimsShape`] if they are not an object, or a name occurs twice,
    /// - [`MintError::Claims`] if they do not serialize.
    ///
    /// # Security
    /// The claims are not encrypted: every holder of the token can read them.
    pub fn with_claims<T: Serialize + ?Sized>(mut self, claims: &T) -> Result<Self, MintError> {
        let json =
            serde_json::to_string(claims).map_err(|error| MintError::Claims(error.into()))?;
        if json == "null" {
            self.private = Box::default();
            return Ok(self);
        }
        claims::check_private(&json).map_err(|unfit| match unfit {
            Unfit::Registered(name) => MintError::Collision(name),
            Unfit::Shape => MintError::ClaimsShape,
        })?;
        self.private = inside_braces(&json).ok_or(MintError::ClaimsShape)?.into();
        Ok(self)
    }

    /// Sets `iat` to a time before minting. Tokens of a session count from the load of the session,
    /// so that one minted late does not outlive the session's revocation.
    pub(crate) fn with_issued_at(mut self, issued_at: Timestamp) -> Self {
        self.issued_at = Some(issued_at);
        self
    }

    pub(crate) fn issued(&self) -> Option<Timestamp> {
        self.issued_at
    }

    pub(crate) fn end(&self) -> Option<Timestamp> {
        self.not_after
    }

    /// Builds the payload: the registered claims, then the app's own.
    pub(crate) fn payload(&self, frame: &Frame<'_>) -> Result<String, MintError> {
        let claims = AccessClaims {
            iss: frame.issuer,
            aud: frame.audience,
            sub: named(&self.subject)?,
            client_id: filled(
                "client_id",
                self.client_id.as_deref().unwrap_or(frame.client_id),
            )?,
            iat: frame.issued_at.as_secs(),
            exp: frame.expires_at.as_secs(),
            jti: frame.token_id,
            sid: self.session_id.map(|id| id.to_string()),
            scope: Some(self.scope.as_str()).filter(|scope| !scope.is_empty()),
            roles: &self.roles,
            auth_time: self.auth_time.map(Timestamp::as_secs),
            acr: self.acr.as_deref(),
            amr: &self.amr,
            epo: Some(self.subject_version).filter(|subject_version| *subject_version != 0),
            und: self.undated,
        };
        let json =
            serde_json::to_string(&claims).map_err(|error| MintError::Claims(error.into()))?;
        match inside_braces(&json) {
            Some(registered) if !self.private.is_empty() => {
                Ok(format!("{{{registered},{}}}", self.private))
            }
            _ => Ok(json),
        }
    }
}

opaque_debug!(AccessTokenRequest);

/// The claims that the issuer adds to every token.
pub(crate) struct Frame<'i> {
    pub(crate) issuer: &'i str,
    pub(crate) audience: &'i str,
    pub(crate) client_id: &'i str,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) token_id: &'i str,
}

/// The registered claims in their serialized form. Empty optional claims are omitted.
#[derive(Serialize)]
struct AccessClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    client_id: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    roles: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    amr: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    epo: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    und: bool,
}

fn filled<'t>(claim: &'static str, text: &'t str) -> Result<&'t str, MintError> {
    if text.is_empty() {
        Err(MintError::Empty(claim))
    } else {
        Ok(text)
    }
}

/// Rejects a subject of only white space: it could be mistaken for another, or for an anonymous
/// one.
fn named(subject: &str) -> Result<&str, MintError> {
    if subject.trim().is_empty() {
        Err(MintError::Empty("sub"))
    } else {
        Ok(subject)
    }
}

fn inside_braces(json: &str) -> Option<&str> {
    json.strip_prefix('{')?.strip_suffix('}')
}
