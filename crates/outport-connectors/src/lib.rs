//! Systems that Outport reads from and writes to, one room a system.

pub mod files;
pub mod postgres;
