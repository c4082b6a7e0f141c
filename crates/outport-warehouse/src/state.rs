//! The books of the warehouse, in the schema `meta` of the warehouse file itself.

use outport_core::destination::FileReceipt;
use outport_core::manifest::ColumnSummary;
use serde::{Deserialize, Serialize};

/// The last export of a model, as `meta.model_exports` has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExportRecord {
    /// The run that wrote it.
    pub run_id: String,
    /// `layer.name`.
    pub model: String,
    /// The file, or the folder of a partitioned export, relative to `export_dir`.
    pub path: String,
    /// The format's name.
    pub format: String,
    /// The codec's name.
    pub compression: String,
    /// The columns that became folders.
    pub partition_by: Vec<String>,
    /// All rows.
    pub rows: u64,
    /// All bytes.
    pub bytes: u64,
    /// The SHA-256 of a single file; of several the SHA-256 of their paths and hashes.
    pub sha256: String,
    /// What is known of the columns in the files.
    pub columns: Vec<ColumnSummary>,
    /// The files; paths are relative to `export_dir`.
    pub files: Vec<FileReceipt>,
    /// When, UTC, RFC 3339.
    pub exported_at: String,
}
