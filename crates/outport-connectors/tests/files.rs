//! Files in real stores.

#[path = "files/clouds.rs"]
mod clouds;
#[path = "files/local.rs"]
mod local;
#[path = "files/s3.rs"]
mod s3;
#[path = "files/server.rs"]
mod server;
#[path = "files/support.rs"]
mod support;
