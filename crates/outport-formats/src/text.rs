//! What CSV and JSON share: how scalars are written as text and read from it.

pub(crate) mod blocks;
pub(crate) mod cell;
pub(crate) mod encoding;
pub(crate) mod fidelity;
pub(crate) mod infer;
pub(crate) mod options;
pub(crate) mod parse;
pub(crate) mod pattern;
pub(crate) mod read;
pub(crate) mod style;
pub(crate) mod types;
pub(crate) mod write;
pub(crate) mod zone;
