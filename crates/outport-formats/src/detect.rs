//! Not merged yet.
