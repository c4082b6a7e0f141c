//! `croissant.json`: the catalogue as Croissant 1.1, which loaders of data sets for machine learning read.

use outport_core::{Error, ErrorKind, Result};
use serde_json::{Map, Value, json};

use super::datapackage::media_type;
use super::{Catalog, Column, DataFile, Table, to_json};

/// The words of Croissant, as its specification gives them.
const CONTEXT: &str = include_str!("croissant_context.json");

/// The catalogue as Croissant. Where the store has no URL, places are relative to its root.
///
/// # Errors
/// [`outport_core::ErrorKind::Internal`] where it cannot be written, which is a bug.
pub fn croissant(catalog: &Catalog) -> Result<String> {
    let mut distribution = Vec::new();
    let mut record_sets = Vec::new();
    let public = catalog.public_url.is_some();
    for table in &catalog.tables {
        for file in &table.files {
            distribution.push(file_object(table, file, public));
        }
        // A set of records has one source: where there are several files, each is a set.
        for file in &table.files {
            record_sets.push(record_set(table, file));
        }
    }
    let mut document = Map::new();
    let context = serde_json::from_str(CONTEXT).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    document.insert("@context".to_owned(), context);
    document.insert("@type".to_owned(), "sc:Dataset".into());
    document.insert("conformsTo".to_owned(), "http://mlcommons.org/croissant/1.1".into());
    document.insert("name".to_owned(), catalog.name.clone().into());
    document.insert("description".to_owned(), format!("{} tables of {}", catalog.tables.len(), catalog.name).into());
    document.insert("version".to_owned(), catalog.version.clone().into());
    document.insert("datePublished".to_owned(), catalog.version.clone().into());
    if let Some(url) = &catalog.public_url {
        document.insert("url".to_owned(), url.clone().into());
    }
    document.insert("distribution".to_owned(), distribution.into());
    document.insert("recordSet".to_owned(), record_sets.into());
    to_json(&document)
}

fn file_object(table: &Table, file: &DataFile, public: bool) -> Value {
    json!({
        "@type": "cr:FileObject",
        "@id": file_id(table, file),
        "name": file.path.rsplit('/').next().unwrap_or_default(),
        "description": format!("{} rows of {}", file.rows, table.full_name()),
        "contentUrl": if public { &file.url } else { &file.path },
        "contentSize": format!("{} B", file.size_bytes),
        "encodingFormat": if table.format == "parquet" { "application/x-parquet" } else { media_type(&table.format) },
        "sha256": file.sha256,
    })
}

/// The file by its path, or, where that holds what no identifier may, by its content.
fn file_id(table: &Table, file: &DataFile) -> String {
    if word(&file.path) == file.path {
        return file.path.clone();
    }
    format!("{}/{}", word(&table.path), &file.sha256[..12.min(file.sha256.len())])
}

/// A name without what no identifier may hold; loaders refuse spaces, encoded ones, too.
fn word(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '=' | '/') { c } else { '-' })
        .collect()
}

fn record_set(table: &Table, file: &DataFile) -> Value {
    let partition: Vec<String> = file
        .partition
        .iter()
        .map(|(column, value)| format!("{column}={}", value.as_deref().unwrap_or("NULL")))
        .collect();
    let full_name = table.full_name();
    let (id, name) = if table.files.len() == 1 {
        (word(&full_name), full_name)
    } else {
        let part = if partition.is_empty() { word(&file.path) } else { partition.join(",") };
        (format!("{}/{}", word(&full_name), &file.sha256[..12.min(file.sha256.len())]), format!("{full_name} {part}"))
    };
    // What is a folder is not in the file.
    let columns = super::file_columns(table).filter_map(|(name, _)| table.columns.iter().find(|c| c.name == name));
    let fields: Vec<Value> = columns.map(|column| field(&id, column, &file_id(table, file))).collect();
    let mut set = Map::new();
    set.insert("@type".to_owned(), "cr:RecordSet".into());
    set.insert("@id".to_owned(), id.clone().into());
    set.insert("name".to_owned(), name.into());
    if !table.description.is_empty() {
        set.insert("description".to_owned(), table.description.clone().into());
    }
    set.insert("field".to_owned(), fields.into());
    Value::Object(set)
}

fn field(record_set: &str, column: &Column, file_id: &str) -> Value {
    let mut field = Map::new();
    field.insert("@type".to_owned(), "cr:Field".into());
    field.insert("@id".to_owned(), format!("{record_set}/{}", word(&column.name)).into());
    field.insert("name".to_owned(), column.name.clone().into());
    if !column.description.is_empty() {
        field.insert("description".to_owned(), column.description.clone().into());
    }
    let (data_type, is_array) = type_of(&column.data_type);
    field.insert("dataType".to_owned(), data_type.into());
    if is_array {
        field.insert("isArray".to_owned(), true.into());
        field.insert("arrayShape".to_owned(), "-1".into());
    }
    field.insert("source".to_owned(), json!({"fileObject": {"@id": file_id}, "extract": {"column": column.name}}));
    Value::Object(field)
}

/// The type of Croissant for a type of DuckDB, and whether it is a list of that.
fn type_of(data_type: &str) -> (&'static str, bool) {
    if let Some(start) = data_type.rfind('[').filter(|_| data_type.ends_with(']')) {
        let (inner, nested) = type_of(&data_type[..start]);
        return if nested { ("sc:Text", true) } else { (inner, true) };
    }
    let simple = match data_type.split('(').next().unwrap_or_default().trim() {
        "TINYINT" | "SMALLINT" | "INTEGER" | "BIGINT" | "HUGEINT" | "UTINYINT" | "USMALLINT" | "UINTEGER"
        | "UBIGINT" | "UHUGEINT" => "sc:Integer",
        "FLOAT" | "DOUBLE" | "DECIMAL" => "sc:Float",
        "BOOLEAN" => "sc:Boolean",
        "DATE" => "sc:Date",
        "TIME" => "sc:Time",
        other if other.starts_with("TIMESTAMP") => "sc:DateTime",
        _ => "sc:Text",
    };
    (simple, false)
}
