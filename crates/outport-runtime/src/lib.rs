//! Executes plans: retry, cancellation, concurrency, state, leases.

pub mod state;
