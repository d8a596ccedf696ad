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
    /// A client signs out.
    Logout(u8),
    /// A client ends all other sessions of its user.
    EndOthers(u8),
    /// A client ends all sessions of its user.
    RevokeSubject(u8),
    /// The app ends a client's session.
    Revoke(u8),
    /// The store's clock steps back by so many minutes.
    StepBack(u8),
    /// A backup is made.
    BackUp,
    /// The last backup is restored.
    Restore,
}

/// An act out of three random bytes; requests, answers and time more often than the rest.
pub(super) fn act(bytes: &[u8]) -> Option<Act> {
    let &[kind, a, b] = bytes else {
        return None;
    };
    Some(match kind % 32 {
        0..8 => Act::Send(a),
        8..16 => Act::Serve {
            request: a,
            node: b.is_multiple_of(2),
            fault: match b / 2 % 16 {
                0 => Some((StoreOp::Load, Fault::Down)),
                1 => Some((StoreOp::Write, Fault::Down)),
                2 => Some((StoreOp::Write, Fault::LostAnswer)),
                3 => Some((StoreOp::Revoke, Fault::LostAnswer)),
                _ => None,
            },
        },
        16..21 => Act::Deliver(a),
        21 => Act::Lose(a),
        22..26 => Act::Wait(a),
        26 => Act::Login(a),
        27 => Act::Steal(a),
        28 => Act::UseStolen(a),
        29 => match a % 4 {
            0 => Act::Logout(b),
            1 => Act::EndOthers(b),
            2 => Act::RevokeSubject(b),
            _ => Act::Revoke(b),
        },
        30 => Act::StepBack(a),
        _ if a % 2 == 0 => Act::BackUp,
        _ => Act::Restore,
    })
}
