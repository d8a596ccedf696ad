//! Races and faults: many clients, two server processes, one store, and somebody who pulls plugs.
//!
//! 1. What is under test is the real thing: the session routes behind axum, in processes of their
//!    own ([`node`]), over stores that this program starts, stops, freezes and kills itself.
//! 2. Clients are honest: each has one cookie jar, presents what is in it, and tries again when it
//!    got no answer or 503. For them no session may be lost and no answer may be wrong
//!    ([`load`]).
//! 3. What happened is judged by what clients saw and by what the servers counted, never by what
//!    the protocol's own code thinks of it ([`history`]).
//! 4. Every violation is counted and told; a program that counted one exits with an error.

#![allow(
    clippy::disallowed_methods,
    reason = "these programs run, and are measured, in real time"
)]

pub mod app;
pub mod args;
pub mod backend;
pub mod client;
pub mod crash;
pub mod cut;
pub mod disk;
pub mod history;
pub mod load;
pub mod node;
pub mod plug;
pub mod polls;
pub mod proxy;
pub mod race;
pub mod random;
pub mod rate;
pub mod report;
pub mod servers;
pub mod signal;
pub mod sqlstate;
pub mod stall;

/// What kept a program from finding out: not a verdict on the code under test.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a program or a scenario comes to.
pub type Outcome<T> = Result<T, Failure>;
