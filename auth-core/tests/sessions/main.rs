//! Sessions as an app sees them: every rule of the protocol, every fault.

mod devices;
mod exhaustive;
mod faults;
mod kit;
mod login;
mod memory;
mod model;
mod reference;
mod refresh;
mod world;
