//! Access tokens of sessions: JWTs and opaque tokens.
//!
//! 1. `iat` and `exp` count from the time just before the session was loaded, so that a token that
//!    is minted late does not outlive the listing of its session's revocation.
//! 2. A token never outlives its session.

use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::id::{Generation, SessionId};
use crate::observe::words::UnavailableKind;
use crate::session::hook::CurrentClaims;
use crate::session::inner::{AccessKind, Inner};
use crate::session::outcome::Unavailable;
use crate::session::reference;
use crate::session::store::LoadedSession;
use crate::session::store::record::{Reference, SessionDetails};
use crate::session::token::SessionSecret;
use crate::token::issuer::{AccessToken, AccessTokenRequest, Draft, MintError};

/// The inputs of an access token, without the app's current claims.
#[derive(Clone, Copy)]
pub(super) struct Minting<'a> {
    pub(super) subject: &'a str,
    pub(super) session: SessionId,
    pub(super) subject_version: u64,
    pub(super) details: &'a SessionDetails,
    /// Time of this node just before the session was loaded.
    pub(super) began: Timestamp,
    pub(super) ends_in: Duration,
    /// Secret of the session, known if the request has a refresh token. Without it only a JWT can
    /// be made.
    pub(super) secret: Option<&'a SessionSecret>,
    /// Generation of the tokens.
    pub(super) generation: Generation,
    pub(super) predecessor: Option<Generation>,
}

impl<'a> Minting<'a> {
    /// The inputs for a row that was loaded at `began` or later.
    pub(super) fn of(
        loaded: &'a LoadedSession,
        began: Timestamp,
        secret: Option<&'a SessionSecret>,
    ) -> Self {
        let record = &loaded.record;
        Self {
            subject: &record.subject,
            session: record.id,
            subject_version: record.subject_version,
            details: &record.details,
            began,
            ends_in: loaded.ends_in(),
            secret,
            generation: record.generation,
            predecessor: record.predecessor,
        }
    }
}

/// An access token, and the part of it that the row keeps.
pub(super) struct Minted {
    pub(super) access: AccessToken,
    pub(super) reference: Option<Reference>,
}

impl Minted {
    fn jwt(access: AccessToken) -> Self {
        Self {
            access,
            reference: None,
        }
    }
}

impl Inner {
    /// Mints an access token of a session. Returns `None` if the session ends within a second.
    pub(super) async fn mint(
        &self,
        minting: &Minting<'_>,
        claims: &CurrentClaims,
    ) -> Result<Option<Minted>, Unavailable> {
        self.announce_lifetime().await?;
        let minted = match (self.access, minting.secret) {
            (AccessKind::Reference, Some(secret)) => self
                .access_request(minting, claims)
                .and_then(|request| self.issuer.draft(&request))
                .map(|draft| self.refer(secret, minting, draft)),
            _ => match self.access_request(minting, claims) {
                Ok(request) => self.issuer.mint(&request).await.map(Minted::jwt),
                Err(error) => Err(error),
            },
        };
        match minted {
            Ok(minted) => Ok(Some(minted)),
            Err(MintError::Ended) => Ok(None),
            Err(error) => {
                tracing::error!(target: "auth::session", "the access token could not be issued: \
                                                          {error}");
                Err(Unavailable::new(UnavailableKind::Mint).with_source(error))
            }
        }
    }

    fn access_request(
        &self,
        minting: &Minting<'_>,
        claims: &CurrentClaims,
    ) -> Result<AccessTokenRequest, MintError> {
        let details = minting.details;
        let mut request = AccessTokenRequest::for_subject(minting.subject)
            .with_session_id(minting.session)
            .with_scope(claims.scope_within(details.scope.as_deref()))
            .with_roles(claims.roles.iter().map(String::as_str))
            .with_amr(details.amr().iter().map(|method| &**method))
            .with_subject_version(minting.subject_version)
            .with_undated(details.undated)
            .with_issued_at(minting.began)
            .with_not_after(minting.began.saturating_add(minting.ends_in));
        if let Some(auth_time) = details.auth_time() {
            request = request.with_auth_time(auth_time);
        }
        if let Some(acr) = details.acr() {
            request = request.with_acr(acr);
        }
        match &claims.claims {
            Some(private) => request.with_claims(private),
            None => Ok(request),
        }
    }

    fn refer(&self, secret: &SessionSecret, minting: &Minting<'_>, draft: Draft) -> Minted {
        let (generation, expires_at) = (minting.generation, draft.expires_at);
        Minted {
            access: reference::issue(&self.codec, secret, generation, draft.issued_at, expires_at),
            reference: Some(reference::reference(
                secret,
                generation,
                minting.predecessor,
                draft.payload,
                expires_at,
            )),
        }
    }
}
