//! End to end: the real program, real servers, files read back by readers that are not ours.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

#[path = "../support/mod.rs"]
mod support;

#[path = "../../../outport-connectors/tests/support/postgres_server.rs"]
#[allow(dead_code, reason = "its other tests use all of it")]
mod postgres_server;

mod books;
mod cleaning;
mod concurrency;
mod cut;
mod deploy;
mod groups;
mod incremental;
mod kill;
mod lakes;
mod late;
mod layouts;
mod period;
mod refused;
mod schema_policy;
mod secrets;
mod systems;
mod variables;
mod versions;
mod warehouse;
