//! Tables as the engine sees them, one module a way of storing.

pub(crate) mod delta;
pub(crate) mod files;
pub(crate) mod iceberg;
pub(crate) mod partitions;
pub(crate) mod storage;
pub(crate) mod text;

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::execution::SessionState;
use outport_core::text::TextTables;
use outport_core::{Context, Result};

use crate::discover::{Found, Kind};
use crate::root::Root;

/// A table that is ready to be planned with.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) provider: Arc<dyn TableProvider>,
    /// The state that is read: `delta:orders@12`; `None` for files, which have no versions.
    pub(crate) snapshot: Option<String>,
    /// The stored bytes, where they are known before the scan; tells how finely the scan should be cut.
    pub(crate) bytes: u64,
}

/// What opening a table may need.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) root: Root,
    pub(crate) text: Option<Arc<dyn TextTables>>,
    pub(crate) context: Context,
}

/// Opens a table that was found.
pub(crate) async fn open(found: &Found, state: &SessionState, around: &Surroundings) -> Result<Opened> {
    match &found.kind {
        Kind::Delta => delta::open(found, state, &around.root).await,
        Kind::Iceberg => iceberg::open(found, &around.root).await,
        Kind::Files(format, files) => match &around.text {
            Some(text) if format.is_text() => text::open(found, *format, files, text, around).await,
            _ => files::open(found, *format, files, state, &around.root).await,
        },
    }
}
