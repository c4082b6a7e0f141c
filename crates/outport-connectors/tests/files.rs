//! Files in real stores.

#[path = "files/local.rs"]
mod local;
#[path = "files/support.rs"]
mod support;
