//! [`Events`]: what happens to sessions and keys, for audit logs and alarms.
//!
//! 1. An event is told once what it tells of is committed. A client that disconnects at that very
//!    moment may cost the event, never the fact.
//!    The ends of sessions are told of even without an answer of the store, as unconfirmed.
//! 2. Events hold the sid, which is safe to log, and texts of users and clients, which are yours
//!    to judge: their `Debug` leaves those out. Events of keys hold the issuer as it was configured,
//!    and no key.
//! 3. What may be an attack, and every login, comes with what is known of the client: its user
//!    agent, and its address if the app says it or names the field that holds it
//!    ([`with_client_ip_field`](crate::AuthenticatorBuilder::with_client_ip_field)).

use std::fmt;
use std::time::Duration;

use crate::base::client::ClientInfo;
use crate::base::error::Cause;
use crate::base::id::SessionId;
use crate::observe::words::{FetchFault, GrantKind, ReuseCause, RevokeReason};

/// Hears of what happens to sessions, of requests that are refused if it is given to
/// [`AuthenticatorBuilder::with_events`](crate::AuthenticatorBuilder::with_events) too, and of what
/// happens to keys if it is given to
/// [`KeyRotationBuilder::with_events`](crate::keys::rotation::KeyRotationBuilder::with_events) and
/// [`RemoteKeysTask::with_events`](crate::keys::remote::RemoteKeysTask::with_events) too.
///
/// It is called on the request's path: be quick, hand long work to a task of your own.
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
    /// Something happened.
    fn on_event(&self, event: &Event<'_>);
}

/// Something that happened to a session, or to keys.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A token further ahead of the store than the store can have lost: somebody makes tokens, or
    /// the store lost more than it should.
    Ahead {
        /// Its session.
        session: SessionId,
        /// Whose.
        subject: &'a str,
        /// Where from.
        client: &'a ClientInfo,
    },
    /// A session was presented after its end.
    Expired {
        /// Which.
        session: SessionId,
        /// Whose.
        subject: &'a str,
    },
    /// A refresh token that we never issued.
    Forged {
        /// Where from.
        client: &'a ClientInfo,
    },
    /// The keys of an issuer cannot be fetched. Told when that begins, and when its cause changes.
    IssuerFailed {
        /// The issuer, as configured.
        issuer: &'a str,
        /// What is wrong.
        fault: FetchFault,
    },
    /// The keys of an issuer can be fetched again.
    IssuerRecovered {
        /// The issuer, as configured.
        issuer: &'a str,
    },
    /// This node changed our own keys: it published the next one or removed one that is gone.
    KeysChanged {
        /// Whether somebody asked for it, by [`rekey`](crate::keys::rotation::KeyRotation::rekey).
        rekeyed: bool,
    },
    /// Our own keys cannot be read or changed. Told when that begins.
    KeysFailed,
    /// A new session.
    Login {
        /// Which.
        session: SessionId,
        /// Whose.
        subject: &'a str,
        /// Where from.
        client: &'a ClientInfo,
    },
    /// A client came back with its last-but-one token: its answer was lost, or somebody used the
    /// current token in its place. Told besides `Refreshed`.
    Recovered {
        /// Which session.
        session: SessionId,
        /// Whose.
        subject: &'a str,
        /// How long ago the rotation was whose answer the client never used.
        age: Duration,
        /// The user agent of that rotation.
        rotated_by: Option<&'a str>,
        /// The user agent of now.
        user_agent: Option<&'a str>,
    },
    /// A session was granted new tokens.
    Refreshed {
        /// Which.
        session: SessionId,
        /// Whose.
        subject: &'a str,
        /// In which way.
        kind: GrantKind,
    },
    /// A request was refused with 403: it is not proven to come from this site, a scope or role is
    /// missing, or the token is not accepted there.
    Refused {
        /// Who issued the token, if one was accepted.
        issuer: Option<&'a str>,
        /// Whose it is.
        subject: Option<&'a str>,
        /// Of which session.
        session: Option<SessionId>,
        /// Why.
        cause: Cause,
        /// Where from.
        client: &'a ClientInfo,
    },
    /// The store had lost acknowledged writes of a session. Told besides `Refreshed`.
    Resumed {
        /// Which session.
        session: SessionId,
        /// Whose.
        subject: &'a str,
        /// How many rotations were lost.
        lost: u32,
    },
    /// A token was used twice, and its session was ended. Told besides `Revoked`.
    Reuse {
        /// Which session.
        session: SessionId,
        /// Whose.
        subject: &'a str,
        /// How it was noticed.
        cause: ReuseCause,
        /// As that of `Revoked`.
        confirmed: bool,
        /// Where the second use came from.
        client: Option<&'a ClientInfo>,
    },
    /// Sessions were ended before their time.
    Revoked {
        /// Which; `None` for all, or all others, of the subject.
        session: Option<SessionId>,
        /// Whose; `None` where only the session was known.
        subject: Option<&'a str>,
        /// Why.
        reason: RevokeReason,
        /// Whether the store has acknowledged it. `false`: its answer is missing, so it may or may
        /// not have happened; a retry tells of it again only if it had not.
        confirmed: bool,
    },
}

impl Event<'_> {
    /// The kind of event as a short fixed word, for a log field or a metric label.
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

    /// What brought it about, as a short fixed word.
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
            Self::Expired { .. }
            | Self::Forged { .. }
            | Self::IssuerRecovered { .. }
            | Self::KeysFailed
            | Self::Login { .. }
            | Self::Recovered { .. }
            | Self::Resumed { .. } => None,
        }
    }

    /// The session that it is about, if it is about one.
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
            Self::Forged { .. }
            | Self::IssuerFailed { .. }
            | Self::IssuerRecovered { .. }
            | Self::KeysChanged { .. }
            | Self::KeysFailed => None,
        }
    }

    /// The user that it is about, if it is about one.
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
            Self::Forged { .. }
            | Self::IssuerFailed { .. }
            | Self::IssuerRecovered { .. }
            | Self::KeysChanged { .. }
            | Self::KeysFailed => None,
        }
    }

    /// Where the request came from, for those events that tell it.
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

    /// Writes it to `tracing`.
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
