//! Where batches go, and what is known about them afterwards.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::manifest::{ColumnSummary, TypeLoss};
use crate::{Batches, Context, Result};

/// Takes one stream of batches and either makes all of it visible or nothing.
#[async_trait]
pub trait Destination: Send + Sync {
    /// What this destination can do.
    fn caps(&self) -> DestinationCaps;

    /// Writes everything and publishes it, or leaves nothing visible and returns the error.
    ///
    /// The intent goes to [`Context::journal`] before the first byte becomes visible.
    async fn write(&self, batches: Batches, context: &Context) -> Result<Receipt>;

    /// Deals with what a run that died had begun: tells whether it was published whole, and removes what is left of it if not.
    async fn recover(&self, intent: &Intent, context: &Context) -> Result<Recovery>;
}

/// What a [`Destination`] can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DestinationCaps {
    /// The name of the system: `file`, `s3`, `gs`, `az`, `postgres`.
    pub system: &'static str,
    /// Whether an existing object can be protected by a conditional put.
    pub conditional_put: bool,
    /// Whether rows and the run's state can be committed in one transaction.
    pub transactional: bool,
}

/// What a run is about to make visible; written down before it does.
///
/// It is recorded when the writing begins (temporary names and uploads alone), again when all data is complete but not yet
/// visible (`receipt` and everything that is needed to finish the work), and once more when it is published.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The run.
    pub run_id: Uuid,
    /// The final paths, in the order in which they become visible.
    pub paths: Vec<String>,
    /// Temporary files that belong to the run; once there is a receipt, one for each path and in their order.
    pub temporary: Vec<String>,
    /// Multipart uploads that are open.
    pub uploads: Vec<Upload>,
    /// The path for which an upload was just asked for: the store may have opened it, and its id may never have come back.
    #[serde(default)]
    pub opening: Option<String>,
    /// What stood at each path before the run, as the store's tag of it; `None` where there was nothing.
    #[serde(default)]
    pub previous: Vec<Option<String>>,
    /// Files of the previous run of the same export that this run makes superfluous.
    #[serde(default)]
    pub obsolete: Vec<String>,
    /// The manifest that marks the run as published; its path.
    pub manifest: Option<String>,
    /// The bytes of that manifest.
    #[serde(default)]
    pub manifest_body: Option<String>,
    /// The run whose manifest stood there before.
    #[serde(default)]
    pub replaces: Option<Uuid>,
    /// The trigger file that comes last; its path.
    #[serde(default)]
    pub trigger: Option<String>,
    /// Whether every path holds its final content, so that only the trigger and the books are left.
    pub published: bool,
    /// The receipt, once all data is complete.
    pub receipt: Option<Receipt>,
}

/// A multipart upload: nothing of it is visible until it is completed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// The final path.
    pub path: String,
    /// The store's id of the upload.
    pub id: String,
    /// The store's tags of its parts in order, once all are there; empty while it is being written.
    #[serde(default)]
    pub parts: Vec<String>,
}

/// What became of a run that died.
#[derive(Clone, Debug, PartialEq)]
pub enum Recovery {
    /// Everything had been published: the books can be closed with this receipt.
    Published(Box<Receipt>),
    /// It had not, and what was left of it is gone; says what was removed.
    RolledBack(Vec<String>),
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The files, in the order of their rows; empty for tables.
    pub files: Vec<FileReceipt>,
    /// All rows.
    pub rows: u64,
    /// All bytes as they stand in the store.
    pub bytes: u64,
    /// The path of the manifest.
    pub manifest: Option<String>,
    /// The path of the trigger file; `None` also where writing it failed.
    pub trigger: Option<String>,
    /// What is known of each column.
    #[serde(default)]
    pub columns: Vec<ColumnSummary>,
    /// The types that the format could not keep.
    #[serde(default)]
    pub type_losses: Vec<TypeLoss>,
}

/// One file that was written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileReceipt {
    /// The path inside the store.
    pub path: String,
    /// The rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// The SHA-256 of its bytes, lowercase hexadecimal; empty where the destination was told to leave it out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
    /// The names inside it, for archives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<String>,
    /// The partition it belongs to: column and value, NULL as `None`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition: Vec<(String, Option<String>)>,
}
