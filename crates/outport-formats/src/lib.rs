//! File formats, and the packaging around them.
//!
//! Encoders and decoders over bytes, synchronous, without network or async runtime: see [`outport_core::format`] for the
//! contract that each format implements and for how the work is spread over threads.

pub mod packaging;
