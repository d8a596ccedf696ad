//! The acts of a history.

use crate::testing::{Fault, StoreOp};

/// One act. Its numbers select among the existing clients, requests and tokens, so every sequence
/// is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a tool for tests")]
pub enum Act {
    /// A client logs in, and its jar has the new session.
    Login(u8),
    /// A tab sends the contents of its client's jar.
    Send(u8),
    /// A node responds to a request in flight. Its store may fail meanwhile.
    Serve {
        /// The request.
        request: u8,
        /// The node.
        node: bool,
        /// Fault of the node's store.
        fault: Option<(StoreOp, Fault)>,
    },
    /// A response arrives.
    Deliver(u8),
    /// A request or a response is lost.
    Lose(u8),
    /// Time passes: one of the significant durations.
    Wait(u8),
    /// A thief copies the contents of a client's jar.
    Steal(u8),
    /// A thief uses a stolen token.
    UseStolen(u8),
    /// Sessions are ended. The store may fail meanwhile.
    End {
        /// The kind of end.
        end: End,
        /// The client whose session is meant.
        client: u8,
        /// The node that receives the call.
        node: bool,
        /// Fault of the node's store.
        fault: Option<(StoreOp, Fault)>,
    },
    /// The next end takes the first of its two steps, in row and feed, and then fails.
    StopHalfWay,
    /// A node follows the feed.
    Follow(bool),
    /// A node is restarted, with an access token lifetime of ten minutes or an hour.
    Redeploy {
        /// The node.
        node: bool,
        /// Whether the lifetime is an hour.
        long: bool,
    },
    /// The wall clock is set back by this number of minutes.
    StepBack(u8),
    /// The wall clock is set forward by this number of minutes.
    StepForward(u8),
    /// A backup is made.
    BackUp,
    /// The last backup is restored.
    Restore,
}

/// The sessions that an act ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a tool for tests")]
pub enum End {
    /// The client logs out.
    Logout,
    /// The client ends all other sessions of its user.
    Others,
    /// The client ends all sessions of its user.
    All,
    /// The app ends the client's session.
    App,
}

/// An act from three random bytes. Requests, responses and time are more frequent than the rest.
pub(super) fn act(bytes: &[u8]) -> Option<Act> {
    let &[kind, a, b] = bytes else {
        return None;
    };
    Some(match kind % 36 {
        0..8 => Act::Send(a),
        8..16 => Act::Serve {
            request: a,
            node: b.is_multiple_of(2),
            fault: match b / 2 % 16 {
                0 => Some((StoreOp::Load, Fault::Down)),
                1 => Some((StoreOp::Write, Fault::Down)),
                2 => Some((StoreOp::Write, Fault::LostAnswer)),
                3 => Some((StoreOp::Revoke, Fault::LostAnswer)),
                4 => Some((StoreOp::Raise, Fault::Down)),
                _ => None,
            },
        },
        16..21 => Act::Deliver(a),
        21 => Act::Lose(a),
        22..26 => Act::Wait(a),
        26 => Act::Login(a),
        27 => Act::Steal(a),
        28 => Act::UseStolen(a),
        29 | 30 => Act::End {
            end: match a % 4 {
                0 => End::Logout,
                1 => End::Others,
                2 => End::All,
                _ => End::App,
            },
            client: a / 4,
            node: b.is_multiple_of(2),
            fault: match b / 2 % 4 {
                0 => Some((StoreOp::Revoke, Fault::Down)),
                1 => Some((StoreOp::Revoke, Fault::LostAnswer)),
                _ => None,
            },
        },
        31 => Act::StopHalfWay,
        32 => Act::Follow(a.is_multiple_of(2)),
        33 => Act::Redeploy {
            node: a.is_multiple_of(2),
            long: b.is_multiple_of(2),
        },
        34 if a < 128 => Act::StepBack(b),
        34 => Act::StepForward(b),
        _ if a % 2 == 0 => Act::BackUp,
        _ => Act::Restore,
    })
}
