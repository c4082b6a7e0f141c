//! The lakehouse on real tables, compared with readers that are not ours.

mod delta;
mod support;
