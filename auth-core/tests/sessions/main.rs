//! Sessions as an app sees them: every rule of the protocol, every fault.

mod devices;
mod faults;
mod login;
mod refresh;
mod world;
