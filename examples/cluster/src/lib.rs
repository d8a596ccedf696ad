//! What the example shares with the tests of clusters: a database server of our own.

pub mod server;
