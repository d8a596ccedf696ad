//! What happens in a history.

use crate::testing::{Fault, StoreOp};

/// One thing that happens. Numbers choose among what there is, so every sequence makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a tool for tests")]
pub enum Act {
    /// A client signs in, and its jar has the new session.
    Login(u8),
    /// A tab sends what is in its client's jar.
    Send(u8),
    /// A node answers a request that is on its way; perhaps its store fails meanwhile.
    Serve {
        /// Which request.
        request: u8,
        /// Which node.
        node: bool,
        /// How its store fails.
        fault: Option<(StoreOp, Fault)>,
    },
    /// An answer arrives.
    Deliver(u8),
    /// A request or an answer is lost.
    Lose(u8),
    /// Time passes: one of some telling durations.
    Wait(u8),
    /// A thief copies what is in a client's jar.
    Steal(u8),
    /// A thief uses something of what they have.
    UseStolen(u8),
    /// Somebody ends sessions; perhaps the store fails meanwhile.
    End {
        /// Which sessions.
        end: End,
        /// Seen from which client.
        client: u8,
        /// Which node is asked.
        node: bool,
        /// How its store fails.
        fault: Option<(StoreOp, Fault)>,
    },
    /// The next end takes the first of its two steps, the row's and the feed's, and then fails.
    StopHalfWay,
    /// A node hears what was revoked on the others.
    Follow(bool),
    /// A node is started anew, with access tokens that live for ten minutes or an hour.
    Redeploy {
        /// Which node.
        node: bool,
        /// Whether it is an hour.
        long: bool,
    },
    /// The wall clock is set back by so many minutes.
    StepBack(u8),
    /// The wall clock is set forward by so many minutes.
    StepForward(u8),
    /// A backup is made.
    BackUp,
    /// The last backup is restored.
    Restore,
}

/// Which sessions somebody ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a tool for tests")]
pub enum End {
    /// The client signs out.
    Logout,
    /// The client ends all other sessions of its user.
    Others,
    /// The client ends all sessions of its user.
    All,
    /// The app ends the client's session.
    App,
}

/// An act out of three random bytes; requests, answers and time more often than the rest.
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
