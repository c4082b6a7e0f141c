//! Versions of tables: what an increment goes by where a table keeps a log of its own, and no column tells what is new.

use serde::{Deserialize, Serialize};

/// What happened to the row: `insert`, `update_postimage` or `delete`.
pub const CHANGE_TYPE: &str = "_change_type";
/// The version that brought the change.
pub const COMMIT_VERSION: &str = "_commit_version";
/// When that version was committed.
pub const COMMIT_TIMESTAMP: &str = "_commit_timestamp";
/// The columns that an increment with tombstones has behind those of the table, by Delta Lake's own names.
pub const CHANGE_COLUMNS: [&str; 3] = [CHANGE_TYPE, COMMIT_VERSION, COMMIT_TIMESTAMP];

/// One version of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableVersion {
    /// The commit of a Delta table, the snapshot of an Iceberg table.
    pub number: i64,
    /// The table's own id, which one that was made anew under the same name does not share; `None` where nobody looked.
    pub table: Option<String>,
}

/// The rows that a span of a table's versions brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// The version behind which it begins; `None` for the whole table as it was at `to`.
    pub after: Option<TableVersion>,
    /// The last version of it.
    pub to: TableVersion,
    /// Whether deleted rows come too, and every row with the [`CHANGE_COLUMNS`].
    pub tombstones: bool,
}

/// What a source says of the versions behind a watermark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The version that is read: the upper bound, frozen.
    pub to: TableVersion,
    /// Whether no version behind the watermark brought or took a row.
    pub empty: bool,
}
