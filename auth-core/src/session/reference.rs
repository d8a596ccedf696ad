//! Opaque access tokens, for apps with classic server sessions or with claims that stay secret.
//!
//! `at1_` + base64url( key id 1 ‖ secret 32 ‖ mac 16 )
//!
//! 1. `secret` = session id 16 ‖ HMAC-SHA256(the session's secret, "auth access v1" ‖ generation 4,
//!    big-endian)[..16]. The first half is the primary key of the row: one load per request. The
//!    second half can be computed only with the refresh token, and differs per generation, so that
//!    a retry gets the same token without a write.
//! 2. `mac` is computed like a refresh token's, under the label "auth access v1": a forged token is
//!    refused without a load, and neither kind is accepted as the other.
//! 3. The row keeps a digest of the secret and the claims that a JWT would have carried. A request
//!    is judged by those claims like one with a JWT; the subject version is that of the row.
//! 4. Requests in flight during a rotation are accepted for the minimum rotation interval, and at
//!    least for the request deadline: the row keeps the predecessor's digest too.
//! 5. The app's claims are written on rotation. Until the next one they stay unchanged.

use aws_lc_rs::{constant_time, digest, hmac};
use zeroize::Zeroizing;

use crate::base::clock::Timestamp;
use crate::base::error::{AuthError, Cause};
use crate::base::id::{Generation, SessionId};
use crate::session::inner::Inner;
use crate::session::sessions::Sessions;
use crate::session::store::LoadedSession;
use crate::session::store::record::{Reference, SessionRecord};
use crate::session::token::{RefreshCodec, SessionSecret};
use crate::token::issuer::AccessToken;

const PREFIX: &str = "at1_";
const LABEL: &[u8] = b"auth access v1";
const HALF: usize = 16;

/// The secret of one generation's access token.
struct AccessSecret(Zeroizing<Vec<u8>>);

impl AccessSecret {
    fn of(secret: &SessionSecret, generation: Generation) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.bytes());
        let mut context = hmac::Context::with_key(&key);
        context.update(LABEL);
        context.update(&generation.get().to_be_bytes());
        let own = context.sign();
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * HALF));
        bytes.extend_from_slice(secret.session().as_bytes());
        bytes.extend(own.as_ref().iter().take(HALF));
        Self(bytes)
    }

    fn session(&self) -> Option<SessionId> {
        let bytes = self.0.get(..HALF)?.try_into().ok()?;
        Some(SessionId::from_bytes(bytes))
    }

    fn digest(&self) -> Box<str> {
        let digest = digest::digest(&digest::SHA256, &self.0);
        let half = digest.as_ref().get(..HALF).unwrap_or_default();
        base64_simd::URL_SAFE_NO_PAD
            .encode_to_string(half)
            .into_boxed_str()
    }

    fn is(&self, kept: &str) -> bool {
        constant_time::verify_slices_are_equal(self.digest().as_bytes(), kept.as_bytes()).is_ok()
    }
}

/// The data that a row keeps of the access token of `generation`, and of its predecessor's.
pub(super) fn reference(
    secret: &SessionSecret,
    generation: Generation,
    predecessor: Option<Generation>,
    claims: String,
    expires_at: Timestamp,
) -> Reference {
    Reference {
        current: AccessSecret::of(secret, generation).digest(),
        previous: predecessor.map(|before| AccessSecret::of(secret, before).digest()),
        claims: claims.into_boxed_str(),
        expires_at: expires_at.as_secs(),
    }
}

/// The access token of a generation, as sent to the client.
pub(super) fn issue(
    codec: &RefreshCodec,
    secret: &SessionSecret,
    generation: Generation,
    issued_at: Timestamp,
    expires_at: Timestamp,
) -> AccessToken {
    let access = AccessSecret::of(secret, generation);
    let text = codec.seal(PREFIX, LABEL, &[&access.0]);
    AccessToken::new(text, issued_at, expires_at)
}

/// Whether a token has the form of an opaque access token.
pub(crate) fn is_reference(token: &str) -> bool {
    token.starts_with(PREFIX)
}

/// The claims behind an opaque access token.
pub(crate) struct Resolved {
    /// Payload that a JWT would have.
    pub(crate) payload: Box<str>,
    /// Current subject version of the session.
    pub(crate) subject_version: u64,
}

impl Sessions {
    /// Loads the claims of an opaque access token: one load, none for a forged one.
    ///
    /// The caller must check whether its claims have expired.
    pub(crate) async fn resolve(&self, token: &str) -> Result<Resolved, AuthError> {
        let inner = &*self.0;
        let refuse = |cause| Err(AuthError::invalid_token(cause));
        let opened = inner.codec.open(PREFIX, LABEL, 2 * HALF, token);
        let Some(access) = opened.map(AccessSecret) else {
            return refuse(Cause::Signature);
        };
        let Some(session) = access.session() else {
            return refuse(Cause::Signature);
        };
        let loaded = inner
            .within_deadline(async { Ok(inner.store.load(&session).await?) })
            .await
            .map_err(AuthError::store_unavailable)?;
        let Some(loaded) = loaded else {
            return refuse(Cause::Revoked);
        };
        if let Some(cause) = inner.why_not(&access, &loaded) {
            return refuse(cause);
        }
        let SessionRecord {
            details,
            subject_version,
            ..
        } = loaded.record;
        match details.reference {
            Some(reference) => Ok(Resolved {
                payload: reference.claims,
                subject_version,
            }),
            None => refuse(Cause::Expired),
        }
    }
}

impl Inner {
    fn why_not(&self, access: &AccessSecret, loaded: &LoadedSession) -> Option<Cause> {
        let record = &loaded.record;
        if record.revoked.is_some() || record.subject_version != loaded.current_subject_version {
            return Some(Cause::Revoked);
        }
        let Some(reference) = &record.details.reference else {
            return Some(Cause::Expired);
        };
        if loaded.now >= record.ends_at() {
            return Some(Cause::Expired);
        }
        if access.is(&reference.current) {
            return None;
        }
        let overlap = self
            .policy
            .min_rotation_interval()
            .max(self.policy.request_deadline());
        let age = loaded.now.saturating_since(record.rotated_at);
        let previous = reference.previous.as_deref();
        if age <= overlap && previous.is_some_and(|kept| access.is(kept)) {
            return None;
        }
        Some(Cause::Expired)
    }
}
