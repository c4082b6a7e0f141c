//! The contracts and the pure logic of Outport.
//!
//! > a **Source** yields Arrow batches, a **Destination** takes them, a **Plan** says beforehand what will happen, and a
//! > **Run** records what did.
//!
//! This crate knows no network, no async runtime and no engine: systems are reached through the traits [`source::Source`],
//! [`engine::Engine`], [`format::Format`] and [`destination::Destination`]; everything else in here is a value or a pure
//! function over values.

pub mod batches;
pub mod config;
pub mod context;
pub mod destination;
pub mod engine;
pub mod environment;
pub mod error;
pub mod export;
pub mod extract;
pub mod files;
pub mod format;
pub mod layout;
pub mod manifest;
pub mod placeholder;
pub mod plan;
pub mod run;
pub mod secret;
pub mod source;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod text;
pub mod value;
pub mod vars;
pub mod version;

pub use batches::Batches;
pub use context::Context;
pub use environment::Environment;
pub use error::{Error, ErrorKind, Result};
