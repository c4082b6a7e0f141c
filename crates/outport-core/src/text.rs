//! A door for sources that hold text tables (CSV, JSON) but must not know the formats: dialect, header and types are detected
//! by whoever implements [`TextTables`].

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;

use crate::format::FormatOptions;
use crate::{Batches, Context, Result};

/// Files of one text format that together are one table. The paths are those of the store the table was found in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextTable {
    /// The format's name: `csv`, `tsv`, `json`, `ndjson`.
    pub format: String,
    /// The files in the order of their rows; at least one.
    pub files: Vec<TextFile>,
    /// The options of the format that the user gave; what is absent is detected.
    pub options: FormatOptions,
}

/// One file of a [`TextTable`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextFile {
    /// The path inside the store. A name that ends in `.gz` or `.zst` tells that the file is compressed.
    pub path: String,
    /// The size in bytes as stored.
    pub bytes: u64,
}

/// Detects and decodes text tables.
#[async_trait]
pub trait TextTables: Send + Sync {
    /// The schema that holds the values of every file, detected from more than the first lines.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] naming file, line and column where a file is not of the format.
    async fn schema(&self, table: &TextTable, context: &Context) -> Result<SchemaRef>;

    /// The rows of `table.files[file]` in order, with the columns of `schema`, which may be a projection of what
    /// [`TextTables::schema`] gave. At most `limit` rows are wanted; more may come.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Data`] naming file, line and column where a value does not fit its column.
    async fn read(
        &self,
        table: &TextTable,
        file: usize,
        schema: SchemaRef,
        limit: Option<u64>,
        context: &Context,
    ) -> Result<Batches>;
}
