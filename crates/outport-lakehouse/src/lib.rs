//! Lakehouses: Delta Lake tables, Iceberg tables, and folders or files of Parquet, CSV, JSON, NDJSON, Avro and Arrow, by name
//! in SQL across tables.
//!
//! This is the only crate that knows DataFusion, Delta Lake and Iceberg; none of their types is in its signatures.
//!
//! - **Names.** `orders` is the folder, or the file without its extension, of that name below the root, below `Tables/`, or
//!   what the configuration says. Names of tables and columns are case-sensitive in double quotes; without quotes they are found
//!   in any case, as long as only one name matches.
//! - **State.** A table is opened when a run first names it; every later read of that run sees the same version.
//! - **Order.** A plain read yields rows in the order of the files (by path), although several threads decode.
//! - **What cannot be read right is refused**, naming the feature: readers of ours must not skip a deletion vector.

mod cancel;
mod changes;
mod config;
mod discover;
mod error;
mod named;
mod names;
mod overlay;
mod root;
mod scan;
mod session;
mod source;
mod stream;
mod table;

pub use config::{LakehouseConfig, TableConfig, TableFormat};
pub use source::Lakehouse;
