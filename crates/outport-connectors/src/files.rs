//! Files in a local folder or an object store, as a destination and as a source.
//!
//! A [`Store`] is where files are: a local folder, S3 (and what speaks its protocol: R2, MinIO), Google Cloud Storage, Azure Blob
//! Storage, ADLS and OneLake. A [`FileDestination`] is a format, a layout and a store; a [`FileSource`] reads the same files back.
//! [`verify`](verify::verify) checks what a manifest says against a store, and [`gc`](gc::leftovers) finds what dead runs left.

pub mod destination;
pub mod gc;
pub mod source;
pub mod store;
mod text_tables;
pub mod verify;
mod whole;

pub use destination::FileDestination;
pub use source::FileSource;
pub use store::{Credentials, Store};
pub use text_tables::TextReader;
