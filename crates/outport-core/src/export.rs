//! What a user defines: connection + extract + layout + destination.

mod check;
mod definition;
mod files;
mod findings;
mod rows;

use std::fmt;

use arrow::datatypes::Schema;
use serde::{Deserialize, Serialize};

pub use check::{ConnectionKind, Vocabulary};
pub use definition::{Definition, ManifestSetting};

use crate::config::node::{Node, Position};
use crate::extract::Relation;
use crate::format::FormatOptions;
use crate::layout::{Compression, Header, IfExists, OnEmpty};
use crate::plan::find_column;
use crate::vars::Vars;
use crate::{Error, Result};

/// The name of an export within its group; unique in a project.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExportKey {
    /// `export_group_name`.
    pub group: String,
    /// `export_name`.
    pub name: String,
}

impl fmt::Display for ExportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group, self.name)
    }
}

/// A definition that was found to be right.
#[derive(Clone, Debug)]
pub struct Export {
    /// Group and name.
    pub key: ExportKey,
    /// Whether it runs.
    pub active: bool,
    /// Groups run in this order.
    pub execution_group: u32,
    /// For people.
    pub description: Option<String>,
    /// For selection.
    pub tags: Vec<String>,
    /// The connection that is read.
    pub source: String,
    /// `lakehouse` or `warehouse`.
    pub source_type: SourceType,
    /// The documented `source_workspace`, for the log.
    pub source_workspace: Option<String>,
    /// What is read; a query still holds its placeholders.
    pub relation: Relation,
    /// The columns that are written.
    pub columns: Option<Vec<String>>,
    /// A predicate of the user's own.
    pub filter: Option<String>,
    /// Which rows of it.
    pub rows: Rows,
    /// The connection that is written to.
    pub target: String,
    /// The folder, with placeholders.
    pub target_path: String,
    /// The name of the data file, with placeholders; `None` for the documented default.
    pub file_name: Option<String>,
    /// The name of the compressed file or bundle, with placeholders.
    pub compressed_name: Option<String>,
    /// The name of the trigger file, with placeholders.
    pub trigger_name: Option<String>,
    /// The manifest, and its name.
    pub manifest: ManifestSetting,
    /// The format's name.
    pub format: String,
    /// The format's options.
    pub options: FormatOptions,
    /// The codec and its level.
    pub compression: Compression,
    /// Rows per file.
    pub max_rows_per_file: Option<u64>,
    /// Bytes per file.
    pub max_bytes_per_file: Option<u64>,
    /// The columns that become folders.
    pub partition_by: Vec<String>,
    /// What happens to a target that exists.
    pub if_exists: IfExists,
    /// What happens when there are no rows.
    pub on_empty: OnEmpty,
    /// Which parts start with a header.
    pub header: Header,
    /// What happens when the source's schema is not the one of the last run.
    pub schema_policy: SchemaPolicy,
    /// The zone of `run_date` and `process_date`.
    pub timezone: Option<String>,
    /// The variables that its texts hold.
    pub vars: Vars,
    /// Where it is defined.
    pub position: Position,
    /// What was written, for the places of its values.
    pub fields: Node,
}

impl Export {
    /// Puts the place of a field's value at an error that has none.
    pub fn locate(&self, error: Error, field: &str) -> Error {
        if error.location().is_some() {
            return error;
        }
        let position = self.fields.get(field).map_or(&self.position, |value| &value.position);
        error.at(position.location())
    }

    /// The column of `schema` that the value of `field` means.
    ///
    /// # Errors
    /// Those of [`find_column`], with the place of the value.
    pub(crate) fn column(&self, schema: &Schema, name: &str, field: &str) -> Result<String> {
        find_column(schema, name, field).map_err(|error| self.locate(error, field))
    }
}

/// The two kinds of source of the export contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SourceType {
    /// Delta Lake, Iceberg and plain files.
    Lakehouse,
    /// A database that runs the SQL itself.
    Warehouse,
}

impl SourceType {
    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lakehouse => "lakehouse",
            Self::Warehouse => "warehouse",
        }
    }
}

/// Which rows an export takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Rows {
    /// All of them.
    Full {
        /// Dates for placeholders, where a query for them is given.
        period_query: Option<String>,
    },
    /// Those behind the watermark.
    Incremental {
        /// The column the watermark is on.
        column: String,
        /// The watermark before the first run.
        initial: Option<String>,
        /// How far behind the watermark rows are read again.
        lookback: Option<String>,
        /// What happens to rows whose column is NULL.
        on_null: NullCursor,
        /// What else than the largest value bounds a run from above.
        cap: IncrementalCap,
        /// Dates for placeholders, where a query for them is given.
        period_query: Option<String>,
    },
    /// Those that the table's versions behind the watermark brought.
    Versions {
        /// The version before the first run.
        initial: Option<i64>,
        /// Whether rows that were deleted come as well.
        tombstones: bool,
        /// Dates for placeholders, where a query for them is given.
        period_query: Option<String>,
    },
    /// Those of a period.
    Period {
        /// The column that is compared; `None` where the query does it.
        column: Option<String>,
        /// The query that gives start and end.
        query: String,
    },
}

impl Rows {
    /// The documented name of the extract type.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Full { .. } => "full",
            Self::Incremental { .. } | Self::Versions { .. } => "incremental",
            Self::Period { .. } => "period",
        }
    }

    /// Whether there is a watermark.
    pub fn is_incremental(&self) -> bool {
        matches!(self, Self::Incremental { .. } | Self::Versions { .. })
    }

    /// What the watermark is on.
    pub fn cursor(&self) -> Option<&str> {
        match self {
            Self::Incremental { column, .. } => Some(column),
            Self::Versions { .. } => Some(IncrementalBy::TableVersion.name()),
            Self::Full { .. } | Self::Period { .. } => None,
        }
    }

    /// The query that gives the dates of a period.
    pub fn period_query(&self) -> Option<&str> {
        match self {
            Self::Full { period_query }
            | Self::Incremental { period_query, .. }
            | Self::Versions { period_query, .. } => period_query.as_deref(),
            Self::Period { query, .. } => Some(query),
        }
    }
}

/// What tells which rows are new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncrementalBy {
    /// The largest value of `incremental_column`.
    #[default]
    Column,
    /// The version of the table: commits of Delta Lake, snapshots of Iceberg.
    TableVersion,
}

impl IncrementalBy {
    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Column => "column",
            Self::TableVersion => "table_version",
        }
    }
}

/// What happens to rows that were deleted since the last run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Deletes {
    /// Nothing: an increment holds what is new.
    #[default]
    Ignore,
    /// They are rows of the increment, which says of every row what happened to it. Needs `incremental_by: table_version` and a
    /// Delta table with a change data feed.
    Tombstones,
    /// They are found by comparing all keys with those of the last run. Not there yet.
    FullKeysDiff,
}

/// What happens to rows whose incremental column is NULL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NullCursor {
    /// The run fails and says how many there are.
    #[default]
    Error,
    /// They are exported, in every run.
    Include,
    /// They are left out and counted.
    Exclude,
}

/// What else than its largest value bounds an incremental export from above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncrementalCap {
    /// Nothing.
    #[default]
    None,
    /// The time at which the oldest transaction began that is open in the database: what it writes with the time of its
    /// beginning comes with a later run. PostgreSQL, with a column of type date, timestamp or timestamptz.
    OpenTransactions,
}

/// What happens when the source's schema is not the one of the last successful run: a column more or less, another type, and for
/// csv and tsv another order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SchemaPolicy {
    /// The new schema is written; the change is a warning.
    #[default]
    Evolve,
    /// Files keep the columns of the last successful run, in its order. A new column is left out, which is a warning; a column that
    /// is gone or has another type refuses the run until the change is accepted.
    Freeze,
    /// Any change refuses the run until it is accepted.
    Fail,
}
