//! Code that the example shares with the tests of clusters: a database server for one run.

pub mod server;
