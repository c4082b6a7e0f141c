//! What a DuckDB connection needs to know.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A DuckDB database file, or a database in memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DuckDbConfig {
    /// The database file; `:memory:` for a database that lives as long as the process.
    pub path: String,
    /// DuckDB settings, as `SET name = value` takes them; see DuckDB's `duckdb_settings()`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, Setting>,
    /// The memory that DuckDB may use, such as `2GB`. Three eighths of the run's byte budget where it is not given (192 MiB of
    /// 512 MiB): enough to scan a table of any size, while large sorts and joins spill to `temp_directory`. `auto` is DuckDB's own
    /// limit, four fifths of the machine's memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<String>,
    /// The number of threads that DuckDB may use; all cores where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// Where DuckDB spills what does not fit into memory; the system's temporary folder where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temp_directory: Option<PathBuf>,
    /// Whether a file that another process has locked is copied to the temporary folder and read there.
    ///
    /// The copy holds what the other process had committed when the copy was made. It needs as much free disk as the file has.
    #[serde(default)]
    pub snapshot_copy: bool,
    /// Extension files (`*.duckdb_extension`) to load, or names of extensions that are installed. Nothing is downloaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<String>,
}

impl DuckDbConfig {
    /// The file at `path`, with every setting at its default.
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    /// Whether the database is in memory.
    pub fn is_memory(&self) -> bool {
        self.path.is_empty() || self.path == ":memory:"
    }
}

/// The value of a DuckDB setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Setting {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    Text(String),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(v) => write!(f, "{v}"),
            Self::Int(v) => write!(f, "{v}"),
            Self::Float(v) => write!(f, "{v}"),
            Self::Text(v) => f.write_str(v),
        }
    }
}

/// Whether a database may be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessMode {
    /// The file is never changed, and several processes may read it at once.
    #[default]
    ReadOnly,
    /// The file is created if it does not exist, and no other process may open it meanwhile.
    ReadWrite,
}
