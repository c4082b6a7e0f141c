//! The lakehouse on real tables, compared with readers that are not ours.

mod conformance;
mod delta;
mod files;
mod iceberg;
mod names;
mod queries;
mod support;
mod text;
mod versions;
