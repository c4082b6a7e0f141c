//! The definition as it is written: every field of `config_resource_export`, and those that Outport adds.

use std::fmt;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Deletes, IncrementalBy, IncrementalCap, NullCursor, SchemaPolicy};
use crate::layout::{Header, IfExists, OnEmpty};

/// One export as it is written in a file or a row of a definition table.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Export")]
pub struct Definition {
    /// Logical grouping of related exports; in a file usually the part of the key before the slash.
    pub export_group_name: Option<String>,
    /// Unique name within the group; in a file usually the part of the key behind the slash.
    pub export_name: Option<String>,
    /// Human-readable description.
    pub description: Option<String>,
    /// Labels for `--select tag:NAME`.
    #[serde(deserialize_with = "list")]
    pub tags: Option<Vec<String>>,
    /// Whether this export is processed; default true.
    pub is_active: Option<bool>,
    /// Groups run in ascending order; within one, exports run at the same time. Default 1.
    pub execution_group: Option<u32>,

    /// The connection to read from, by name.
    #[serde(alias = "source_connection")]
    pub source: Option<String>,
    /// `lakehouse` or `warehouse`; follows from the connection where it is absent.
    pub source_type: Option<String>,
    /// Workspace of the source; with `source_datastore` it names a connection `workspace/datastore` or `datastore`.
    pub source_workspace: Option<String>,
    /// Lakehouse or warehouse that is read, the name of a connection.
    pub source_datastore: Option<String>,
    /// Schema of the table.
    pub source_schema: Option<String>,
    /// Table to export; excludes `source_query`.
    pub source_table: Option<String>,
    /// SQL of your own with placeholders `{run_date}`, `{period_start_date}`, `{watermark}`, `{var:NAME}` …; excludes `source_table`.
    pub source_query: Option<String>,
    /// Columns to include, in this order; with `source_table` only.
    #[serde(deserialize_with = "list")]
    pub source_columns: Option<Vec<String>>,
    /// An SQL predicate that rows must satisfy, with variables `{var:NAME}`; with `source_table` only.
    pub source_filter: Option<String>,

    /// The connection to write to, by name.
    #[serde(alias = "target_connection")]
    pub target: Option<String>,
    /// Workspace of the target; with `target_lakehouse` it names a connection `workspace/lakehouse` or `lakehouse`.
    pub target_workspace: Option<String>,
    /// Lakehouse whose files are written, the name of a connection.
    pub target_lakehouse: Option<String>,
    /// Folder within the target, with placeholders.
    pub target_path: Option<String>,
    /// Name of the data file, with placeholders; default `{export_name}_{timestamp}.{ext}`.
    pub target_filename_pattern: Option<String>,
    /// Name of the compressed file or of the archive of all parts, with placeholders.
    pub compressed_filename_pattern: Option<String>,
    /// Name of an empty file that is written last, with placeholders.
    pub trigger_file_pattern: Option<String>,
    /// `false` for no manifest, or its name with placeholders; default is the data file's name with `_manifest.json` for its
    /// extension.
    pub manifest: Option<ManifestSetting>,

    /// The format: csv, tsv, json, ndjson, parquet, arrow, …
    pub file_format: Option<String>,
    /// Options of the format by Spark's names: header, sep, quote, escape, nullValue, lineSep, encoding …
    #[serde(deserialize_with = "options")]
    #[schemars(with = "Option<IndexMap<String, serde_json::Value>>")]
    pub file_format_options: Option<IndexMap<String, String>>,
    /// none, gzip, zip (zipdeflate), zstd, snappy, lz4, brotli; default: the format's own.
    pub compression: Option<String>,
    /// Level of the codec: gzip 1-9, zip 0-9, zstd 1-22, brotli 0-11.
    pub compression_level: Option<u32>,
    /// Split into files of exactly so many rows.
    pub max_rows_per_file: Option<i64>,
    /// Split when a file has reached so many bytes before outside compression.
    pub max_bytes_per_file: Option<i64>,
    /// Columns that become folders `column=value`, outermost first.
    #[serde(deserialize_with = "list")]
    pub partition_by: Option<Vec<String>>,
    /// What happens to a target that exists; default overwrite.
    pub if_exists: Option<IfExists>,
    /// What happens when there are no rows; default write.
    pub on_empty: Option<OnEmpty>,
    /// Which parts of a split export start with a header; default each.
    pub header: Option<Header>,

    /// full (default), incremental or period.
    pub extract_type: Option<String>,
    /// What tells which rows are new: `column` (default), or `table_version` for Delta Lake and Iceberg tables.
    pub incremental_by: Option<IncrementalBy>,
    /// Column for watermark tracking.
    pub incremental_column: Option<String>,
    /// Watermark before the first run, a value of the column or a version; rows behind it are exported.
    pub incremental_initial_watermark: Option<String>,
    /// How far behind the watermark rows are read again for late arrivals: `2 days`, `PT6H`, or a number.
    pub incremental_lookback: Option<String>,
    /// What happens to rows whose incremental column is NULL; default error.
    pub on_null_cursor: Option<NullCursor>,
    /// What happens to rows that were deleted since the last run: `ignore` (default) or `tombstones`.
    pub deletes: Option<Deletes>,
    /// What else than the largest value bounds a run from above: with `open_transactions` rows from the beginning of the oldest
    /// open transaction on wait for a later run (PostgreSQL); default none.
    pub incremental_cap: Option<IncrementalCap>,
    /// Column that the period is compared with; with `source_table` only.
    pub period_filter_column: Option<String>,
    /// Query that returns `start_date` and `end_date`.
    pub period_date_query: Option<String>,
    /// What happens when the schema differs from that of the last successful run: evolve (default), freeze or fail.
    pub schema_policy: Option<SchemaPolicy>,
    /// Zone of `run_date` and `process_date`, such as `Australia/Sydney`; default UTC.
    pub timezone: Option<String>,

    /// Kept by definition tables; not used.
    pub created_at: Option<String>,
    /// Kept by definition tables; not used.
    pub updated_at: Option<String>,
    /// Kept by definition tables; not used.
    pub created_by: Option<String>,
    /// Kept by definition tables; not used.
    pub updated_by: Option<String>,
}

/// `false`, `true`, or a name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ManifestSetting {
    /// Whether a manifest is written.
    Written(bool),
    /// Its name.
    Named(String),
}

/// A list, or the JSON or comma-separated text of one as definition tables hold it.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let Some(items) = Option::<Vec<String>>::deserialize(deserializer)? else { return Ok(None) };
    let [text] = items.as_slice() else { return Ok(Some(items)) };
    Ok(Some(match serde_json::from_str::<Vec<String>>(text) {
        Ok(parsed) => parsed,
        Err(_) => text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect(),
    }))
}

/// A mapping of scalars, or the JSON text of one as definition tables hold it.
fn options<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IndexMap<String, String>>, D::Error> {
    struct Options;

    impl<'de> Visitor<'de> for Options {
        type Value = Option<IndexMap<String, String>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("options as a mapping or its JSON")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut options = IndexMap::new();
            // A key without a value is the empty text: `nullValue:`.
            while let Some((name, value)) = map.next_entry::<String, Option<String>>()? {
                options.insert(name, value.unwrap_or_default());
            }
            Ok(Some(options))
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            if text.trim().is_empty() {
                return Ok(None);
            }
            let json: IndexMap<String, serde_json::Value> = serde_json::from_str(text).map_err(|e| {
                E::custom(format!("expected {}, found \"{text}\" ({e})", "options as a mapping or its JSON"))
            })?;
            let plain = |value| match value {
                serde_json::Value::String(text) => text,
                serde_json::Value::Null => String::new(),
                other => other.to_string(),
            };
            Ok(Some(json.into_iter().map(|(name, value)| (name, plain(value))).collect()))
        }
    }

    deserializer.deserialize_any(Options)
}
