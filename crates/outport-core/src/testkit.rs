//! Conformance suites: what every format, source and destination must do, called in a few lines by each implementation.

pub mod destination;
pub mod format;
pub mod sample;
pub mod source;
