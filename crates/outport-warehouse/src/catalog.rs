//! What the warehouse offers: its exports, read back from the files as they are, with the places they are published at.

mod croissant;
mod datapackage;
mod inspect;
mod naming;
mod relation;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use indexmap::IndexMap;
use outport_core::engine::Engine;
use outport_core::files::FileStore;
use outport_core::format::unescape;
use outport_core::{Context, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

pub use croissant::croissant;
pub use datapackage::datapackage;
pub(crate) use inspect::literal;
pub use inspect::{Sample, sample};
pub use naming::{Base, Naming};
pub(crate) use naming::{is_version_of, percent_encoded, with_content};
pub(crate) use relation::{file_columns, is_split, options, reader};
pub use relation::{is_readable, relation};

use crate::model::{Model, Project};
use crate::state::ExportRecord;

/// `catalog.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// The name of the warehouse.
    pub name: String,
    /// The day it was made, `YYYY-MM-DD`.
    pub version: String,
    /// When it was made, UTC.
    pub generated_at: String,
    /// The URL under which readers find the store.
    pub public_url: Option<String>,
    /// The tables, by full name.
    pub tables: Vec<Table>,
}

/// One exported model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// The name without its layer.
    pub name: String,
    /// The layer.
    pub layer: String,
    /// The file, or the folder of a partitioned table, in the store. It never changes once it is there.
    pub path: String,
    /// The same as `url`, by its older name.
    pub r2_url: String,
    /// All rows, counted in the files.
    pub rows: u64,
    /// All bytes.
    pub size_bytes: u64,
    /// Column and DuckDB type, as the files have them.
    pub schema: IndexMap<String, String>,
    /// When it was exported, UTC.
    pub updated: String,
    /// What it is, for people.
    pub description: String,
    /// Where readers find the file or folder.
    pub url: String,
    /// The format's name.
    pub format: String,
    /// The codec's name.
    pub compression: String,
    /// The options of the format that were given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub format_options: BTreeMap<String, String>,
    /// The SHA-256 of a single file; of several, of their paths and hashes.
    pub sha256: String,
    /// Columns that are folders.
    pub partition_by: Vec<String>,
    /// The models it is made of, `layer.name`.
    pub depends_on: Vec<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The columns.
    pub columns: Vec<Column>,
    /// The files.
    pub files: Vec<DataFile>,
}

/// A column of a [`Table`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its DuckDB type.
    pub data_type: String,
    /// What it is, for people.
    pub description: String,
    /// The number of NULLs, where it is known.
    pub nulls: Option<u64>,
    /// The smallest value as text, where the type has an order.
    pub min: Option<String>,
    /// The largest value.
    pub max: Option<String>,
}

/// A file of a [`Table`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DataFile {
    /// Its path in the store.
    pub path: String,
    /// Where readers find it.
    pub url: String,
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub size_bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
    /// The partition it belongs to: column and value, NULL as `null`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition: Vec<(String, Option<String>)>,
}

impl Table {
    /// An option of the format that was given, by the name the format has for it, as the characters it stands for.
    pub(crate) fn format_option(&self, name: &str) -> Option<String> {
        self.format_options.get(name).map(|value| String::from_utf8_lossy(&unescape(value)).into_owned())
    }

    /// `layer.name`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.layer, self.name)
    }
}

impl Catalog {
    /// Reads a catalogue.
    ///
    /// # Errors
    /// [`ErrorKind::Data`] where it is none.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|e| {
            Error::new(ErrorKind::Data, format!("{name} is not a catalogue: {e}"))
                .hint("`outport deploy catalog` writes it anew")
        })
    }

    /// The JSON document.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where it cannot be written, which is a bug.
    pub fn to_json(&self) -> Result<String> {
        to_json(self)
    }
}

pub(crate) fn to_json(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    Ok(text + "\n")
}

/// A file on this machine and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// The path relative to `export_dir`.
    pub local: String,
    /// The path in the store that never changes its content.
    pub path: String,
    /// The path in the store that always has the newest.
    pub stable: String,
    /// Its size.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: String,
}

/// A catalogue with the files behind it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gathered {
    /// What readers see.
    pub catalog: Catalog,
    /// The files of all tables, in their order.
    pub originals: Vec<Original>,
}

/// What a catalogue is made from.
pub struct Inputs<'a> {
    /// The last export of each model.
    pub records: &'a [ExportRecord],
    /// The models, for what people wrote about them.
    pub project: &'a Project,
    /// The models that each model reads, by full name; where a model is absent, what it declares.
    pub lineage: &'a BTreeMap<String, Vec<String>>,
    /// A database that reads the files.
    pub engine: &'a dyn Engine,
    /// `export_dir` as a store.
    pub exports: &'a dyn FileStore,
    /// `export_dir` on this machine.
    pub folder: &'a Path,
    /// Where the files are published.
    pub naming: &'a Naming,
    /// The name of the catalogue.
    pub name: String,
    /// The time of making it.
    pub now: jiff::Timestamp,
}

/// Checks the exports against what the build wrote down, reads them back, and describes them.
///
/// # Errors
/// [`ErrorKind::Contract`] for a file that is missing or is not what was exported; whatever stops files from being read.
pub async fn gather(inputs: &Inputs<'_>, context: &Context) -> Result<Gathered> {
    if inputs.records.is_empty() {
        return Err(Error::new(ErrorKind::Contract, "the warehouse has no exports yet")
            .hint("mark a model as export_view or export_table and run `outport warehouse run`"));
    }
    let mut records: Vec<&ExportRecord> = inputs.records.iter().collect();
    records.sort_by(|a, b| a.model.cmp(&b.model));
    let mut gathered = Gathered {
        catalog: Catalog {
            name: inputs.name.clone(),
            version: inputs.now.strftime("%Y-%m-%d").to_string(),
            generated_at: inputs.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            public_url: inputs.naming.public_url().map(str::to_owned),
            tables: Vec::new(),
        },
        originals: Vec::new(),
    };
    let mut errors = Vec::new();
    for record in records {
        context.cancel.check()?;
        match gather_table(record, inputs, context).await {
            Ok((table, originals)) => {
                gathered.catalog.tables.push(table);
                gathered.originals.extend(originals);
            }
            Err(error) => errors.push(error.context(format!("model {}", record.model))),
        }
    }
    if errors.is_empty() {
        return Ok(gathered);
    }
    let summary = format!("{} exports cannot be published", errors.len());
    Err(Error::many(errors, summary))
}

async fn gather_table(record: &ExportRecord, inputs: &Inputs<'_>, context: &Context) -> Result<(Table, Vec<Original>)> {
    check_files(record, inputs.exports, context).await?;
    let (layer, name) = record.model.split_once('.').unwrap_or(("main", &record.model));
    let model = inputs.project.models.iter().find(|m| m.full_name() == record.model);
    let naming = inputs.naming;
    let path = naming.versioned(&record.path, &record.sha256, record.partition_by.is_empty());
    let files: Vec<DataFile> = record
        .files
        .iter()
        .map(|file| {
            let path = inside(&record.path, &file.path)
                .map_or_else(|| path.clone(), |rest| format!("{path}/{}", naming.inside(rest, &file.sha256)));
            DataFile {
                url: naming.url(&path),
                path,
                rows: file.rows,
                size_bytes: file.bytes,
                sha256: file.sha256.clone(),
                partition: partition(record, file),
            }
        })
        .collect();
    let originals = record.files.iter().zip(&files).map(|(local, file)| Original {
        local: local.path.clone(),
        path: file.path.clone(),
        stable: naming.inside(&naming.stable(&local.path), &local.sha256),
        size: local.bytes,
        sha256: local.sha256.clone(),
    });
    let originals: Vec<Original> = originals.collect();
    let mut table = Table {
        name: name.to_owned(),
        layer: layer.to_owned(),
        r2_url: naming.url(&path),
        url: naming.url(&path),
        path,
        rows: record.rows,
        size_bytes: files.iter().map(|f| f.size_bytes).sum(),
        schema: IndexMap::new(),
        updated: record.exported_at.clone(),
        description: model.map(|m| m.description.trim().to_owned()).unwrap_or_default(),
        format: record.format.clone(),
        compression: record.compression.clone(),
        format_options: if inspect::is_text(&record.format) { record.options.clone() } else { BTreeMap::new() },
        sha256: record.sha256.clone(),
        partition_by: record.partition_by.clone(),
        depends_on: lineage(record, model, inputs.lineage),
        tags: model.map(|m| m.tags.clone()).unwrap_or_default(),
        columns: record.columns.iter().map(recorded).collect(),
        files,
    };
    let locals: BTreeMap<&str, String> = originals
        .iter()
        .map(|file| (file.path.as_str(), inputs.folder.join(&file.local).display().to_string()))
        .collect();
    inspect::read_back(&mut table, &locals, inputs.engine, context).await?;
    for column in &mut table.columns {
        if let Some(described) =
            model.and_then(|m| m.columns.iter().find(|c| c.name.eq_ignore_ascii_case(&column.name)))
        {
            column.description = described.description.trim().to_owned();
        }
        table.schema.insert(column.name.clone(), column.data_type.clone());
    }
    Ok((table, originals))
}

fn recorded(column: &outport_core::manifest::ColumnSummary) -> Column {
    Column {
        name: column.name.clone(),
        data_type: column.data_type.clone(),
        description: String::new(),
        nulls: Some(column.nulls),
        min: column.min.clone(),
        max: column.max.clone(),
    }
}

fn lineage(record: &ExportRecord, model: Option<&Model>, known: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    known
        .get(&record.model)
        .cloned()
        .or_else(|| model.map(|m| m.depends_on.iter().map(|(name, _)| name.clone()).collect()))
        .unwrap_or_default()
}

/// The part of a file's path behind the folder of its export; `None` where the export is that file.
fn inside<'a>(export: &str, file: &'a str) -> Option<&'a str> {
    file.strip_prefix(export.trim_end_matches('/')).and_then(|rest| rest.strip_prefix('/'))
}

/// The partition of a file: as the destination wrote it down, or as its folders say.
fn partition(record: &ExportRecord, file: &outport_core::destination::FileReceipt) -> Vec<(String, Option<String>)> {
    if !file.partition.is_empty() || record.partition_by.is_empty() {
        return file.partition.clone();
    }
    let folders = inside(&record.path, &file.path).unwrap_or_default().split('/');
    let pairs = folders.filter_map(|segment| segment.split_once('='));
    pairs
        .map(|(column, value)| {
            let decoded = percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
            (column.to_owned(), (!matches!(value, "NULL" | "__HIVE_DEFAULT_PARTITION__")).then_some(decoded))
        })
        .collect()
}

/// Compares the files with what the build wrote down.
async fn check_files(record: &ExportRecord, exports: &dyn FileStore, context: &Context) -> Result<()> {
    let wrong = |message: String| {
        Error::new(ErrorKind::Contract, message)
            .hint(format!("`outport warehouse run --models {}` writes it anew", record.model))
    };
    if record.files.is_empty() {
        return Err(wrong("its last export wrote no files".to_owned()));
    }
    for file in &record.files {
        let url = exports.url(&file.path);
        match exports.head(&file.path).await? {
            None => return Err(wrong(format!("{url} is missing, expected the export of {}", record.exported_at))),
            Some(found) if found.size != file.bytes => {
                return Err(wrong(format!("{url} has {} bytes, expected {} as exported", found.size, file.bytes)));
            }
            Some(_) => {}
        }
        let sha256 = exports.sha256(&file.path, context).await?;
        if sha256 != file.sha256 {
            return Err(wrong(format!("{url} has sha256 {sha256}, expected {} as exported", file.sha256)));
        }
    }
    Ok(())
}
