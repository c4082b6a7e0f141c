//! What a lakehouse connection is configured with.

use std::collections::BTreeMap;

use outport_core::format::FormatOptions;
use outport_core::secret::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A folder or bucket of tables: Delta Lake, Iceberg, and files of Parquet, CSV, JSON, NDJSON, Avro or Arrow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LakehouseConfig {
    /// The folder that holds the tables: a local path, `file://`, `s3://bucket/path`, `gs://bucket/path`,
    /// `az://container/path` or `abfss://container@account.dfs.core.windows.net/path` (OneLake included). A single table or
    /// file may be named too.
    pub url: String,
    /// Tables whose place or format cannot be told from their name, and versions to read instead of the latest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<String, TableConfig>,
    /// Options of the store, such as `region`, `endpoint` or `access_key_id`; what is absent comes from the environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub options: BTreeMap<String, Secret>,
}

/// One table of a lakehouse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableConfig {
    /// The folder or file of the table, relative to the connection's `url`; the table's name where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The format of the table; found out from its files where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<TableFormat>,
    /// Options of a text format, such as `sep` or `header`; what is absent is detected.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// The version of a Delta table to read; the latest where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Read a Delta or Iceberg table as it was at this instant, in RFC 3339: `2025-01-31T12:00:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// The snapshot of an Iceberg table to read; the current one where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<i64>,
}

impl TableConfig {
    pub(crate) fn format_options(&self) -> FormatOptions {
        FormatOptions::from_pairs(self.options.iter().map(|(k, v)| (k.as_str(), v.as_str())))
    }
}

/// How a table is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TableFormat {
    /// A Delta Lake table.
    Delta,
    /// An Iceberg table.
    Iceberg,
    /// Parquet files.
    Parquet,
    /// Text with separated fields.
    Csv,
    /// Text with fields separated by tabs.
    Tsv,
    /// A JSON array of objects a file, or one object a line.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// Avro object container files.
    Avro,
    /// Arrow IPC files.
    Arrow,
}

impl TableFormat {
    /// The name as it stands in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delta => "delta",
            Self::Iceberg => "iceberg",
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Avro => "avro",
            Self::Arrow => "arrow",
        }
    }

    /// Whether dialect and types are not in the files and have to be detected.
    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Csv | Self::Tsv | Self::Json | Self::Ndjson)
    }

    /// The format that a file name tells; a compression suffix counts for text only.
    pub(crate) fn of_file(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let (stem, compressed) = match lower.rsplit_once('.') {
            Some((stem, "gz" | "zst" | "bz2" | "xz")) => (stem, true),
            _ => (lower.as_str(), false),
        };
        let format = match stem.rsplit_once('.')?.1 {
            "parquet" | "parq" => Self::Parquet,
            "csv" => Self::Csv,
            "tsv" => Self::Tsv,
            "json" => Self::Json,
            "ndjson" | "jsonl" => Self::Ndjson,
            "avro" => Self::Avro,
            "arrow" | "feather" | "ipc" => Self::Arrow,
            _ => return None,
        };
        (format.is_text() || !compressed).then_some(format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_tell_formats() {
        for (name, format) in [
            ("orders.parquet", Some(TableFormat::Parquet)),
            ("part-0.c000.snappy.parquet", Some(TableFormat::Parquet)),
            ("a.csv.gz", Some(TableFormat::Csv)),
            ("a.JSONL.zst", Some(TableFormat::Ndjson)),
            ("a.parquet.gz", None),
            ("a.crc", None),
            ("a", None),
        ] {
            assert_eq!(TableFormat::of_file(name), format, "{name}");
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = serde_json::from_str::<LakehouseConfig>(r#"{"url": "x", "tabels": {}}"#).unwrap_err();
        assert!(error.to_string().contains("tabels"), "{error}");
    }
}
