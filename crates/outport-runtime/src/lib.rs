//! Executes plans: retry, cancellation, concurrency, state, leases.
//!
//! The runtime sees sources and destinations only as traits, given to it by [`systems::Systems`]. It alone retries, cancels
//! and moves watermarks.

pub mod execute;
pub mod prepare;
pub mod process;
pub mod recover;
pub mod state;
pub mod systems;

pub use process::{Observer, Parameters, Summary, process_exports};
pub use recover::clean_up;
