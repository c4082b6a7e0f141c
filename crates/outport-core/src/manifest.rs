//! `_manifest.json`, version 1: what an export published, for whoever wants to check or to load it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::destination::FileReceipt;
use crate::{Error, ErrorKind, Result};

/// The version that is written.
pub const VERSION: u32 = 1;

/// The content of a manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this format, [`VERSION`].
    pub manifest_version: u32,
    /// Tool and version: `outport 0.1.0`.
    pub generator: String,
    /// Who and what was exported.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// When publication ended, UTC.
    pub published_at: jiff::Timestamp,
    /// The format's name.
    pub file_format: String,
    /// The codec's name.
    pub compression: String,
    /// All rows.
    pub rows: u64,
    /// All bytes.
    pub bytes: u64,
    /// The files; paths are relative to the manifest's folder.
    pub files: Vec<FileReceipt>,
    /// The columns in order.
    pub columns: Vec<ColumnSummary>,
    /// The types that the format could not keep.
    pub type_losses: Vec<TypeLoss>,
    /// What was clamped, dropped or lost, with counts.
    #[serde(default)]
    pub warnings: Vec<CountedWarning>,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ErrorKind::Data`] if it is not one, [`ErrorKind::Unsupported`] if it is of a newer version.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            manifest_version: u32,
        }
        let wrong = |e: serde_json::Error| Error::new(ErrorKind::Data, format!("{name} is not a manifest: {e}"));
        let head: Head = serde_json::from_slice(bytes).map_err(wrong)?;
        if head.manifest_version != VERSION {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{name} has manifest_version {}, expected {VERSION}", head.manifest_version),
            )
            .hint("use the outport version that wrote it, or a newer one"));
        }
        serde_json::from_slice(bytes).map_err(wrong)
    }
}

/// Who and what was exported; known before the first row is read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The run.
    pub run_id: Uuid,
    /// `group/name` of the export; `copy` where there was none.
    pub export: String,
    /// The logical date.
    pub run_date: Option<String>,
    /// The bounds of the extract, as text.
    #[serde(default)]
    pub bounds: Bounds,
    /// A hash of the query and its schema.
    pub fingerprint: Option<String>,
    /// What the source read: table version, snapshot.
    pub source_snapshot: Option<String>,
}

/// The bounds of an extract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// The column they are on.
    pub column: Option<String>,
    /// Exclusive lower end of an incremental extract.
    pub watermark_old: Option<String>,
    /// Inclusive upper end of an incremental extract; the watermark after the run.
    pub watermark_new: Option<String>,
    /// Start of a period.
    pub period_start: Option<String>,
    /// End of a period.
    pub period_end: Option<String>,
}

/// What is known of a column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnSummary {
    /// Its name.
    pub name: String,
    /// Its Arrow type.
    pub data_type: String,
    /// Whether the schema admits NULL.
    pub nullable: bool,
    /// The number of NULLs written.
    pub nulls: u64,
    /// The smallest value, as text, for types with an order.
    pub min: Option<String>,
    /// The largest value.
    pub max: Option<String>,
}

/// A type that the format could not keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeLoss {
    /// The column.
    pub column: String,
    /// Its Arrow type.
    pub data_type: String,
    /// What is lost.
    pub loss: String,
}

/// A warning with its count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedWarning {
    /// The warning.
    #[serde(flatten)]
    pub warning: crate::context::Warning,
    /// How often.
    pub count: u64,
}
