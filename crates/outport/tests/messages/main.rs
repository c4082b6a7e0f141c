//! What a user meets when something is wrong: the messages and exit codes of the program, run as it is.
//!
//! `INSTA_UPDATE=always cargo test -p outport --test messages` writes the snapshots anew; read them before they are committed.

mod configuration;
mod copying;
mod listing;
mod running;
mod support;
