//! [`Events`]: session and key events, for audit logs and alarms.
//!
//! 1. An event is emitted once, after its change is committed. A client that disconnects at that
//!    moment may suppress the event, never the change. Revocations are emitted even if the store
//!    does not respond, as unconfirmed.
//! 2. Events hold the session id, which is safe to log, and texts of users and clients, which the app
//!    must judge: their `Debug` omits those texts. Key events hold the issuer as configured, and no
//!    key.
//! 3. Logins and possible attacks include the client: its user agent, and its address if the app
//!    passes it or names the field that holds it
//!    ([`with_client_ip_field`](crate::AuthenticatorBuilder::with_client_ip_field)).

use std::fmt;
use std::time::Duration;

use crate::base::client::ClientInfo;
use crate::base::error::Cause;
use crate::base::id::SessionId;
use crate::observe::words::{FetchFault, GrantKind, ReuseCause, RevokeReason};

/// A listener for session events. It also receives refused requests if it is given to
/// [`AuthenticatorBuilder::with_events`](crate::AuthenticatorBuilder::with_events), and key events
/// if it is given to
/// [`KeyRotationBuilder::with_events`](crate::keys::rotation::KeyRotationBuilder::with_events) and
/// [`RemoteKeysTask::with_events`](crate::keys::remote::RemoteKeysTask::with_events).
///
/// The call is synchronous and on the path of the request: return quickly, and move long work to a
/// separate task.
///
/// ```
/// use auth_core::session::{Event, Events};
///
/// #[derive(Debug)]
/// struct Audit;
///
/// impl Events for Audit {
///     fn on_event(&self, event: &Event<'_>) {
///         if let Event::Reuse { session, cause, .. } = event {
///             eprintln!("session {session} was ended: {}", cause.as_str());
///         }
///     }
/// }
/// ```
pub trait Events: Send + Sync + fmt::Debug {
    /// Receives one event.
    fn on_event(&self, event: &Event<'_>);
}

/// A session, request or key event.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A refresh token was further ahead of the store than lost writes explain: either tokens are
    /// forged, or the store lost more writes than it may.
    Ahead {
        /// Session of the token.
        session: SessionId,
        /// Subject of the session.
        subject: &'a str,
        /// Client that sent the token.
        client: &'a ClientInfo,
    },
    /// A refresh token was presented after its session had expired.
    Expired {
        /// Expired session.
        session: SessionId,
        /// Subject of the session.
        subject: &'a str,
    },
    /// A presented refresh token was not issued by this app.
    Forged {
        /// Client that sent the token.
        client: &'a ClientInfo,
    },
    /// The keys of an issuer cannot be fetched. Emitted on the first failure and when the fault
    /// changes.
    IssuerFailed {
        /// Issuer, as configured.
        issuer: &'a str,
        /// Fault of the last fetch.
        fault: FetchFault,
    },
    /// The keys of an issuer can be fetched again.
    IssuerRecovered {
        /// Issuer, as configured.
        issuer: &'a str,
    },
    /// This node changed the app's own keys: it published the next key, or removed a retired one.
    KeysChanged {
        /// Whether the change was requested by
        /// [`rekey`](crate::keys::rotation::KeyRotation::rekey).
        rekeyed: bool,
    },
    /// The app's own keys cannot be read or changed. Emitted on the first failure.
    KeysFailed,
    /// A login created a session.
    Login {
        /// New session.
        session: SessionId,
        /// Subject of the session.
        subject: &'a str,
        /// Client that logged in.
        client: &'a ClientInfo,
    },
    /// A client recovered with its previous refresh token. Either a response was lost, or another
    /// party used the current token. Emitted in addition to `Refreshed`.
    Recovered {
        /// Recovered session.
        session: SessionId,
        /// Subject of the session.
        subject: &'a str,
        /// Time since the rotation whose response the client never used.
        age: Duration,
        /// User agent of that rotation.
        rotated_by: Option<&'a str>,
        /// User agent of the current request.
        user_agent: Option<&'a str>,
    },
    /// A session was granted new tokens.
    Refreshed {
        /// Refreshed session.
        session: SessionId,
        /// Subject of the session.
        subject: &'a str,
        /// Kind of the grant.
        kind: GrantKind,
    },
    /// A request was refused with 403. It has no proof of origin, lacks a scope or role, or its
    /// token is not accepted on the route.
    Refused {
        /// Issuer of the token, if one was accepted.
        issuer: Option<&'a str>,
        /// Subject of the token.
        subject: Option<&'a str>,
        /// Session of the token.
        session: Option<SessionId>,
        /// Check that failed.
        cause: Cause,
        /// Client that sent the request.
        client: &'a ClientInfo,
    },
    /// The store had lost acknowledged writes of a session. Emitted in addition to `Refreshed`.
    Resumed {
        /// Resumed session.
        session: SessionId,
        /// Subject of the session.
        subject: &'a str,
        /// Number of lost rotations.
        lost: u32,
    },
    /// A refresh token was reused, which ended its session. Emitted in addition to `Revoked`.
    Reuse {
        /// Ended session.
        session: SessionId,
        /// Subject of the session.
        subject: &'a str,
        /// Check that detected the reuse.
        cause: ReuseCause,
        /// Whether the store has acknowledged the end, as in `Revoked`.
        confirmed: bool,
        /// Client that reused the token.
        client: Option<&'a ClientInfo>,
    },
    /// One or more sessions were ended before their expiry.
    Revoked {
        /// Ended session. `None` for all, or all other, sessions of the subject.
        session: Option<SessionId>,
        /// Subject of the sessions. `None` if only the session was known.
        subject: Option<&'a str>,
        /// Reason for the end.
        reason: RevokeReason,
        /// Whether the store has acknowledged the end. `false`: its response is missing, so the end
        /// may or may not have happened. A retry emits the event again only if it had not.
        confirmed: bool,
    },
}

impl Event<'_> {
    /// The kind of the event as a short fixed word, for a log field or a metric label.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ahead { .. } | Self::Forged { .. } => "forged",
            Self::Expired { .. } => "expired",
            Self::IssuerFailed { .. } => "issuer_failed",
            Self::IssuerRecovered { .. } => "issuer_recovered",
            Self::KeysChanged { .. } => "keys_changed",
            Self::KeysFailed => "keys_failed",
            Self::Login { .. } => "login",
            Self::Recovered { .. } => "recovered",
            Self::Refreshed { .. } => "refreshed",
            Self::Refused { .. } => "refused",
            Self::Resumed { .. } => "resumed",
            Self::Reuse { .. } => "reuse",
            Self::Revoked { .. } => "revoked",
        }
    }

    /// The cause of the event as a short fixed word.
    #[must_use]
    pub fn cause(&self) -> Option<&'static str> {
        match self {
            Self::Ahead { .. } => Some("ahead"),
            Self::IssuerFailed { fault, .. } => Some(fault.as_str()),
            Self::KeysChanged { rekeyed: true } => Some("rekey"),
            Self::KeysChanged { rekeyed: false } => Some("schedule"),
            Self::Refreshed { kind, .. } => Some(kind.as_str()),
            Self::Refused { cause, .. } => Some(cause.as_str()),
            Self::Reuse { cause, .. } => Some(cause.as_str()),
            Self::Revoked { reason, .. } => Some(match reason {
                RevokeReason::Orphan | RevokeReason::RecentPredecessor | RevokeReason::Stale => {
                    "reuse"
                }
                other => other.as_str(),
            }),
            _ => None,
        }
    }

    /// The session of the event, if it has one.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        match self {
            Self::Ahead { session, .. }
            | Self::Expired { session, .. }
            | Self::Login { session, .. }
            | Self::Recovered { session, .. }
            | Self::Refreshed { session, .. }
            | Self::Resumed { session, .. }
            | Self::Reuse { session, .. } => Some(*session),
            Self::Refused { session, .. } | Self::Revoked { session, .. } => *session,
            _ => None,
        }
    }

    /// The subject of the event, if it has one.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Ahead { subject, .. }
            | Self::Expired { subject, .. }
            | Self::Login { subject, .. }
            | Self::Recovered { subject, .. }
            | Self::Refreshed { subject, .. }
            | Self::Resumed { subject, .. }
            | Self::Reuse { subject, .. } => Some(subject),
            Self::Refused { subject, .. } | Self::Revoked { subject, .. } => *subject,
            _ => None,
        }
    }

    /// The client that sent the request, for the events that include it.
    #[must_use]
    pub fn client(&self) -> Option<&ClientInfo> {
        match self {
            Self::Ahead { client, .. }
            | Self::Forged { client }
            | Self::Login { client, .. }
            | Self::Refused { client, .. } => Some(client),
            Self::Reuse { client, .. } => *client,
            _ => None,
        }
    }

    /// Writes the event to `tracing`.
    pub(crate) fn trace(&self) {
        let (kind, cause) = (self.kind(), self.cause());
        let sid = self.session().map(|session| session.to_string());
        match self {
            Self::Reuse { confirmed, .. } => {
                tracing::warn!(target: "auth::session", kind, cause, sid, confirmed);
            }
            Self::Ahead { .. } | Self::Resumed { .. } => {
                tracing::warn!(target: "auth::session", kind, cause, sid);
            }
            Self::Revoked { confirmed, .. } => {
                tracing::info!(target: "auth::session", kind, cause, sid, confirmed);
            }
            Self::Recovered { .. } => {
                tracing::info!(target: "auth::session", kind, cause, sid);
            }
            _ => tracing::debug!(target: "auth::session", kind, cause, sid),
        }
    }
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("kind", &self.kind())
            .field("session", &self.session())
            .field("cause", &self.cause())
            .finish_non_exhaustive()
    }
}
