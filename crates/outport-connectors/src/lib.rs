//! The systems that Outport reads from and writes to, a room each.

pub mod postgres;
