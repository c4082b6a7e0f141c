//! End to end: the real program, real servers, files read back by readers that are not ours.
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

#[path = "../support/mod.rs"]
mod support;

mod kill;
