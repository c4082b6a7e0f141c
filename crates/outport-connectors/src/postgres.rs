#![doc = include_str!("postgres/docs.md")]
//!
//! ## How rows travel
//!
//! They come by `COPY … TO STDOUT (FORMAT binary)` and are decoded straight into Arrow. The wire protocol is spoken here,
//! over a blocking socket with a buffer of its own: asynchronous clients hand over one allocation a row, which costs more
//! than decoding it. A thread a connection reads and decodes; [`Batches`](outport_core::Batches) come over a short queue.

mod catalog;
mod config;
mod copy;
mod decode;
mod describe;
mod error;
mod horizon;
mod numeric;
mod session;
mod settings;
mod slices;
mod socket;
mod source;
mod tls;
mod types;

pub use config::{Arrays, Consistency, Interval, Numeric, OutOfRange, PostgresConfig, SslMode, UnknownTypes};
pub use source::Postgres;
