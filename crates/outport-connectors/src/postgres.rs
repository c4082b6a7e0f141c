//! PostgreSQL: a source and an SQL engine.
//!
//! Rows are read by `COPY … TO STDOUT (FORMAT binary)` and decoded straight into Arrow. The wire protocol is spoken here,
//! over a blocking socket with a buffer of its own: asynchronous clients hand over one allocation a row, which costs more
//! than decoding it. A thread a connection reads and decodes; [`Batches`](outport_core::Batches) come over a short queue.
//!
//! | PostgreSQL | Arrow |
//! |---|---|
//! | boolean, smallint, integer, bigint, real, double precision | Boolean, Int16, Int32, Int64, Float32, Float64 |
//! | numeric(p,s) | Decimal128 or Decimal256(p,s); over 76 digits Utf8 |
//! | numeric | as [`PostgresConfig::numeric`] says |
//! | text, varchar, char, name, citext, enums | Utf8 |
//! | json, jsonb | Utf8 with the extension `arrow.json` |
//! | uuid | FixedSizeBinary(16) with the extension `arrow.uuid` |
//! | bytea | Binary |
//! | date, time, timestamp, timestamptz | Date32, Time64(µs), Timestamp(µs), Timestamp(µs, UTC) |
//! | interval | as [`PostgresConfig::interval`] says |
//! | oid, xid, cid | UInt32 |
//! | arrays | List, as [`PostgresConfig::arrays`] says |
//! | composite types | Struct |
//! | domains | their base type |
//! | all other built-in types (ranges, network, geometry, bits, money, xml, text search, timetz …) | Utf8, as PostgreSQL writes them |
//! | types of extensions | as [`PostgresConfig::unknown_types`] says |

mod catalog;
mod config;
mod copy;
mod decode;
mod describe;
mod error;
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
