//! Models as they are read from the folder, before anything is run.

mod describe;
mod read;

use std::path::PathBuf;

use outport_core::error::Location;
use outport_core::export::NullCursor;
use outport_core::layout::Compression;
use serde::Serialize;

pub(crate) use describe::plain_placeholders;
pub use read::Formats;
pub(crate) use read::all;

/// A folder of models, read and checked.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// The models, sorted by full name.
    pub models: Vec<Model>,
    /// What is odd but no error, such as a description of a model that does not exist.
    pub warnings: Vec<String>,
}

/// One SELECT and what `schema.yml` says of it.
#[derive(Clone, Debug)]
pub struct Model {
    /// The folder it is in; the schema in the warehouse.
    pub layer: String,
    /// The file's name without `.sql`.
    pub name: String,
    /// The SQL file.
    pub file: PathBuf,
    /// The SQL as it stands in the file.
    pub text: String,
    /// What the model is, for people.
    pub description: String,
    /// What is made of it.
    pub materialized: Materialization,
    /// The models that `schema.yml` says it needs, as `layer.name`, with their place.
    pub depends_on: Vec<(String, Location)>,
    /// Words to select by.
    pub tags: Vec<String>,
    /// The columns that `schema.yml` describes.
    pub columns: Vec<Column>,
    /// How it is exported; `None` where it is not.
    pub export: Option<Export>,
    /// How it grows, where it is incremental.
    pub incremental: Option<Incremental>,
    /// What must hold of it before its export is published.
    pub tests: Vec<Test>,
}

/// What is made of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Materialization {
    /// A view.
    #[default]
    View,
    /// A table, made anew at every run.
    Table,
    /// A view that is exported.
    ExportView,
    /// A table that is exported.
    ExportTable,
    /// The SQL is run as it is.
    ExternalTable,
    /// A table to which every run adds what is new.
    Incremental,
}

/// A column that is described.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it is, for people.
    pub description: String,
    /// The type that it is said to have.
    pub data_type: Option<String>,
}

/// How a model is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The file, or the folder of a partitioned export, relative to `export_dir`; placeholders not yet resolved.
    pub path: String,
    /// The format's name.
    pub format: String,
    /// The extension of its files.
    pub extension: String,
    /// Its compression.
    pub compression: Compression,
    /// Columns that become folders.
    pub partition_by: Vec<String>,
    /// Options of the format.
    pub options: Vec<(String, String)>,
    /// Where it stands in `schema.yml`.
    pub location: Option<Location>,
}

/// How an incremental model grows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incremental {
    /// The column that tells what is new, with `by: time_range`.
    pub time_column: Option<String>,
    /// The columns by which rows are replaced.
    pub unique_key: Vec<String>,
    /// How far before the watermark rows are read again, as an interval of SQL.
    pub lookback: Option<String>,
    /// What becomes of rows without a time.
    pub on_null: NullCursor,
}

/// Something that must hold of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// Its name in messages, such as `not_null accession`.
    pub name: String,
    /// What it is.
    pub kind: TestKind,
    /// Where it stands.
    pub location: Location,
}

/// The kinds of tests.
#[derive(Clone, Debug, PartialEq)]
pub enum TestKind {
    /// No NULL in a column.
    NotNull(String),
    /// No value twice in a column.
    Unique(String),
    /// Only these values in a column.
    AcceptedValues(String, Vec<String>),
    /// Every value of a column is in a column of another model.
    Relationships {
        /// The column.
        column: String,
        /// The other model, `layer.name`.
        to: String,
        /// The column there.
        field: String,
    },
    /// SQL that must return no row.
    Sql(String),
}

impl Materialization {
    /// All names.
    pub const NAMES: &'static [&'static str] =
        &["view", "table", "export_view", "export_table", "external_table", "incremental"];

    /// The name in `schema.yml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Table => "table",
            Self::ExportView => "export_view",
            Self::ExportTable => "export_table",
            Self::ExternalTable => "external_table",
            Self::Incremental => "incremental",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::View, Self::Table, Self::ExportView, Self::ExportTable, Self::ExternalTable, Self::Incremental]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    /// Whether files are written.
    pub fn exports(self) -> bool {
        matches!(self, Self::ExportView | Self::ExportTable)
    }
}

impl Model {
    /// A view without any description.
    pub fn of(layer: &str, name: &str, text: &str) -> Self {
        Self {
            layer: layer.to_owned(),
            name: name.to_owned(),
            file: PathBuf::from(format!("{layer}/{name}.sql")),
            text: text.to_owned(),
            description: String::new(),
            materialized: Materialization::default(),
            depends_on: Vec::new(),
            tags: Vec::new(),
            columns: Vec::new(),
            export: None,
            incremental: None,
            tests: Vec::new(),
        }
    }

    /// Whether the SQL is a SELECT, and not a statement that is run as it is.
    pub fn is_select(&self) -> bool {
        self.materialized != Materialization::ExternalTable
    }

    /// `layer.name`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.layer, self.name)
    }
}
