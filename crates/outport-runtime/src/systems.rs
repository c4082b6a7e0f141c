//! What the runtime is given: sources, destinations and formats by name.

use std::sync::Arc;

use async_trait::async_trait;
use outport_core::destination::{Destination, Intent, Recovery};
use outport_core::format::Format;
use outport_core::manifest::Provenance;
use outport_core::plan::Plan;
use outport_core::source::Source;
use outport_core::{Context, Result};

/// Opens what a configuration names. The program implements it once; the runtime sees nothing but traits.
#[async_trait]
pub trait Systems: Send + Sync {
    /// The source behind a connection. Opening it twice gives the same one or an equal one.
    async fn source(&self, connection: &str, context: &Context) -> Result<Arc<dyn Source>>;

    /// The format of that name.
    fn format(&self, name: &str) -> Result<Arc<dyn Format>>;

    /// The destination that a plan names, for one run.
    async fn destination(&self, plan: &Plan, provenance: Provenance) -> Result<Arc<dyn Destination>>;

    /// Finishes or undoes on a connection what a run that died had begun, as [`Destination::recover`] does.
    async fn recover(&self, connection: &str, intent: &Intent, context: &Context) -> Result<Recovery>;
}
