//! Batches to test with.
