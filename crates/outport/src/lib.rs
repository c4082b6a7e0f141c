//! Outport as a library: a project is loaded, its systems are wired, its exports are planned and processed.
//!
//! ```no_run
//! # async fn example() -> outport_core::Result<()> {
//! use outport::{Project, Systems};
//! use outport_core::context::Cancel;
//! use outport_core::environment::Environment;
//!
//! let environment = Environment::from_variables(std::env::vars());
//! let project = Project::load("outport.yml".as_ref(), environment)?;
//! let systems = Systems::new(&project)?;
//! let state = project.open_state().await?;
//! let exports = project.exports(&systems).await?;
//! let summary =
//!     outport_runtime::process_exports(exports, &Default::default(), &systems, &state, &outport::Silent, &Cancel::default()).await?;
//! assert!(summary.success);
//! # Ok(())
//! # }
//! ```

pub mod project;
pub mod select;
pub mod wiring;

pub use project::Project;
pub use wiring::Systems;

/// An observer that says nothing.
#[derive(Debug)]
pub struct Silent;

impl outport_runtime::Observer for Silent {
    fn begun(&self, _: &outport_core::export::Export, _: &outport_core::Context) {}

    fn ended(&self, _: &outport_runtime::execute::Outcome) {}
}
