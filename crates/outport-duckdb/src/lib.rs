//! DuckDB: a database file as a source of exports, and an engine that runs SQL.
//!
//! This is the only crate that links `libduckdb`; no type of it appears in a public signature. A source opens the file
//! read-only and streams: DuckDB's own threads scan, one thread of ours per query turns its chunks into record batches, and a
//! channel bounded in bytes keeps memory flat however large the table is.

mod config;
mod database;
mod error;
mod source;
mod stream;
mod types;

pub use config::{AccessMode, DuckDbConfig, Setting};
pub use source::DuckDb;
