//! [`SessionRecord`]: the row of a session.
//!
//! 1. A row contains no credentials, at most digests.
//! 2. The fields of the record are those that stores compare, stamp or search. The rest is
//!    [`SessionDetails`], which stores keep as one opaque text.
//! 3. Texts chosen by a client are cut to a maximum length first.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::client::ClientInfo;
use crate::base::clock::Timestamp;
use crate::base::id::{Generation, SessionId};
use crate::base::opaque::opaque_debug;
use crate::observe::words::{RevokeReason, StoreErrorKind};
use crate::session::store::error::StoreError;

const LONGEST_LABEL: usize = 64;
const LONGEST_USER_AGENT: usize = 120;
const LONGEST_IP: usize = 45;

/// The row of a session in a store.
#[derive(Clone, PartialEq)]
pub struct SessionRecord {
    /// The id of the session: the primary key.
    pub id: SessionId,
    /// The subject: any text, compared byte by byte.
    pub subject: Box<str>,
    /// The subject's version at the beginning of the login. The session is dead if the subject has
    /// another one.
    pub subject_version: u64,
    /// The current generation of the refresh token.
    pub generation: Generation,
    /// The generation that was replaced by the current one. `None` until the first rotation.
    pub predecessor: Option<Generation>,
    /// Number of consecutive late recoveries.
    pub recovered: u8,
    /// Time of the login.
    pub created_at: Timestamp,
    /// Time at which the current generation was made.
    pub rotated_at: Timestamp,
    /// Time of the last write for the client.
    pub last_used_at: Timestamp,
    /// Time at which the session ends without a refresh.
    pub idle_expires_at: Timestamp,
    /// Time at which the session ends in any case.
    pub absolute_expires_at: Timestamp,
    /// The revocation. Never unset.
    pub revoked: Option<SessionRevocation>,
    /// Details, opaque to stores.
    pub details: SessionDetails,
}

impl SessionRecord {
    /// The time at which the session expires.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        self.idle_expires_at.min(self.absolute_expires_at)
    }

    /// Whether the session is live: it is not revoked, has its subject's version, and has not
    /// expired. Stores that filter in SQL or Lua must use exactly this condition.
    #[must_use]
    pub fn is_live(&self, current_subject_version: u64, now: Timestamp) -> bool {
        self.revoked.is_none()
            && self.subject_version == current_subject_version
            && now < self.ends_at()
    }
}

impl fmt::Debug for SessionRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRecord")
            .field("id", &self.id)
            .field("epoch", &self.subject_version)
            .field("generation", &self.generation.get())
            .field("predecessor", &self.predecessor.map(Generation::get))
            .field("recovered", &self.recovered)
            .field("created_at", &self.created_at)
            .field("rotated_at", &self.rotated_at)
            .field("last_used_at", &self.last_used_at)
            .field("idle_expires_at", &self.idle_expires_at)
            .field("absolute_expires_at", &self.absolute_expires_at)
            .field("revoked", &self.revoked)
            .finish_non_exhaustive()
    }
}

/// The time of and reason for a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRevocation {
    /// The store's time of the revocation.
    pub at: Timestamp,
    /// The reason.
    pub reason: RevokeReason,
}

/// The data of a session that is opaque to stores.
///
/// [`SessionDetails::encode`] and [`SessionDetails::decode`] convert it to one text and back.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionDetails {
    /// The idle time chosen at login, in milliseconds.
    #[serde(rename = "i")]
    pub(crate) idle_ms: u64,
    /// The authentication time, in seconds.
    #[serde(rename = "at", default, skip_serializing_if = "Option::is_none")]
    pub(crate) auth_time: Option<i64>,
    /// Whether this login replaced a live session of the same user, and has no authentication time
    /// either.
    #[serde(rename = "un", default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) undated: bool,
    #[serde(rename = "am", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) amr: Vec<Box<str>>,
    #[serde(rename = "ac", default, skip_serializing_if = "Option::is_none")]
    pub(crate) acr: Option<Box<str>>,
    /// The maximum scope of the session. `None` leaves the decision to the app's hook.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<Box<str>>,
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<Box<str>>,
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub(crate) user_agent: Option<Box<str>>,
    #[serde(rename = "ip", default, skip_serializing_if = "Option::is_none")]
    pub(crate) ip: Option<Box<str>>,
    /// Whether the cookies end with the browser session instead of this session.
    #[serde(rename = "t", default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) transient: bool,
    /// Reserved: the thumbprint of a key to which the session is bound.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub(crate) binding: Option<Box<str>>,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<serde_json::Value>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub(crate) reference: Option<Reference>,
}

impl SessionDetails {
    /// Encodes the details as one text, to be stored unchanged.
    ///
    /// # Errors
    /// [`StoreErrorKind::Corrupt`] if they cannot be serialized, which would be a bug of this
    /// crate.
    pub fn encode(&self) -> Result<String, StoreError> {
        serde_json::to_string(self)
            .map_err(|error| StoreError::new(StoreErrorKind::Corrupt).with_source(error))
    }

    /// Decodes the text of [`SessionDetails::encode`]. Members of a newer version are skipped.
    ///
    /// # Errors
    /// [`StoreErrorKind::Corrupt`] for any other text.
    pub fn decode(text: &str) -> Result<Self, StoreError> {
        // The source is dropped: its text would quote the input.
        serde_json::from_str(text).map_err(|_| StoreError::new(StoreErrorKind::Corrupt))
    }

    /// The idle time of the session.
    #[must_use]
    pub fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms)
    }

    /// The authentication time of the user, if known.
    #[must_use]
    pub fn auth_time(&self) -> Option<Timestamp> {
        self.auth_time.map(Timestamp::from_secs)
    }

    /// The authentication methods (RFC 8176).
    #[must_use]
    pub fn amr(&self) -> &[Box<str>] {
        &self.amr
    }

    /// The authentication context class.
    #[must_use]
    pub fn acr(&self) -> Option<&str> {
        self.acr.as_deref()
    }

    /// The label of the session in the list of devices, from its login.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// The user agent of the last rotation, cut to 120 bytes.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }

    /// The address of the last rotation, as passed by the app.
    #[must_use]
    pub fn ip(&self) -> Option<&str> {
        self.ip.as_deref()
    }

    /// The data that the app stored at login.
    #[must_use]
    pub fn data(&self) -> Option<&serde_json::Value> {
        self.data.as_ref()
    }

    pub(crate) fn set_label(&mut self, label: &str) {
        self.label = Some(cut(label, LONGEST_LABEL));
    }

    pub(crate) fn set_user_agent(&mut self, user_agent: &str) {
        self.user_agent = Some(cut(user_agent, LONGEST_USER_AGENT));
    }

    pub(crate) fn set_ip(&mut self, ip: &str) {
        self.ip = Some(cut(ip, LONGEST_IP));
    }
}

impl ClientInfo {
    pub(crate) fn note_in(&self, details: &mut SessionDetails) {
        if let Some(user_agent) = &self.user_agent {
            details.set_user_agent(user_agent);
        }
        if let Some(ip) = &self.ip {
            details.set_ip(ip);
        }
    }
}

/// The first `longest` bytes of a text, without cutting a character in half.
fn cut(text: &str, longest: usize) -> Box<str> {
    let mut end = text.len().min(longest);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().into()
}

opaque_debug!(SessionDetails);

/// The data that a row with opaque access tokens keeps: digests, and the claims that a JWT would
/// have.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reference {
    /// Digest of the current token.
    #[serde(rename = "c")]
    pub(crate) current: Box<str>,
    /// Digest of the previous token, for requests in flight.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub(crate) previous: Option<Box<str>>,
    /// The claims, as the payload of a JWT.
    #[serde(rename = "j")]
    pub(crate) claims: Box<str>,
    /// The `exp` of the claims, in seconds.
    #[serde(rename = "e")]
    pub(crate) expires_at: i64,
}

opaque_debug!(Reference);

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> SessionDetails {
        let mut details = SessionDetails {
            idle_ms: 14 * 24 * 60 * 60 * 1000,
            auth_time: Some(1_800_000_000),
            amr: vec!["pwd".into(), "otp".into()],
            acr: Some("aal2".into()),
            ..SessionDetails::default()
        };
        details.set_label("Ada's phone");
        details.set_user_agent(&"Mozilla/5.0 ".repeat(30));
        details.set_ip("2001:db8:85a3:8d3:1319:8a2e:370:7348");
        details
    }

    #[test]
    fn a_record_without_app_data_takes_at_most_400_bytes() {
        let subject = "0b0f3a39-2f2e-4c3b-9a53-3f5a2d9d2f10".len();
        // id, subject version, generation, predecessor, recovered, six times, reason
        let fields = 16 + 8 + 4 + 4 + 1 + 6 * 8 + 18;
        let details = full().encode().unwrap().len();
        assert!(
            subject + fields + details <= 400,
            "{subject} + {fields} + {details}"
        );
    }

    #[test]
    fn details_survive_a_round_trip() {
        let mut details = full();
        details.data = Some(serde_json::json!({"tenant": "ü\u{0}\"", "n": [1, 2]}));
        details.scope = Some("a b".into());
        details.reference = Some(Reference {
            current: "x".into(),
            previous: None,
            claims: "{}".into(),
            expires_at: 5,
        });
        let text = details.encode().unwrap();
        assert_eq!(SessionDetails::decode(&text).unwrap(), details);
        let newer = text.replacen('{', r#"{"zz":[1],"#, 1);
        assert_eq!(SessionDetails::decode(&newer).unwrap(), details);
    }

    #[test]
    fn numbers_of_the_app_do_not_drift_from_rotation_to_rotation() {
        let texts = [
            "118446744073709551616",
            "0.1",
            "1e-300",
            "9007199254740993.5",
        ];
        for text in texts {
            let number: f64 = text.parse().unwrap();
            let mut details = SessionDetails::decode(&format!(r#"{{"i":1,"d":{text}}}"#)).unwrap();
            for _ in 0..10 {
                assert_eq!(details.data().unwrap().as_f64(), Some(number), "{text}");
                details = SessionDetails::decode(&details.encode().unwrap()).unwrap();
            }
        }
    }

    #[test]
    fn unreadable_details_are_an_error_that_quotes_nothing() {
        let error = SessionDetails::decode("{\"i\":\"marked\"}").unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Corrupt);
        assert!(!format!("{error} {error:?}").contains("marked"));
    }

    #[test]
    fn texts_of_clients_are_cut_between_characters() {
        let mut details = SessionDetails::default();
        details.set_label(&"ü".repeat(100));
        assert_eq!(details.label(), Some("ü".repeat(32).as_str()));
        details.set_user_agent(&format!("x{}", "€".repeat(100)));
        assert_eq!(details.user_agent().map(str::len), Some(118));
    }

    #[test]
    fn reasons_survive_a_round_trip() {
        for reason in RevokeReason::ALL {
            assert_eq!(RevokeReason::parse(reason.as_str()).unwrap(), reason);
        }
        assert!(RevokeReason::parse("").is_err());
    }

    #[test]
    fn d21_debug_shows_nothing_from_outside() {
        let record = SessionRecord {
            id: SessionId::from_bytes([1; 16]),
            subject: "marked".into(),
            subject_version: 0,
            generation: Generation::FIRST,
            predecessor: None,
            recovered: 0,
            created_at: Timestamp::from_secs(0),
            rotated_at: Timestamp::from_secs(0),
            last_used_at: Timestamp::from_secs(0),
            idle_expires_at: Timestamp::from_secs(9),
            absolute_expires_at: Timestamp::from_secs(9),
            revoked: None,
            details: SessionDetails {
                label: Some("marked".into()),
                ..SessionDetails::default()
            },
        };
        assert!(!format!("{record:?} {:?}", record.details).contains("marked"));
    }
}
