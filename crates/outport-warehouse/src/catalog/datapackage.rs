//! `datapackage.json`: the catalogue as a Data Package, version 2.

use outport_core::Result;
use serde_json::{Map, Value, json};

use super::{Catalog, Column, Table, to_json};

const PROFILE: &str = "https://datapackage.org/profiles/2.0/datapackage.json";
const RESOURCE_PROFILE: &str = "https://datapackage.org/profiles/2.0/dataresource.json";
const SCHEMA_PROFILE: &str = "https://datapackage.org/profiles/2.0/tableschema.json";

/// The catalogue as a Data Package. Paths are URLs where the store has one, and else relative to the store's root, which is
/// where the document belongs.
///
/// # Errors
/// [`outport_core::ErrorKind::Internal`] where it cannot be written, which is a bug.
pub fn datapackage(catalog: &Catalog) -> Result<String> {
    let mut package = Map::new();
    package.insert("$schema".to_owned(), PROFILE.into());
    package.insert("name".to_owned(), slug(&catalog.name).into());
    package.insert("title".to_owned(), catalog.name.clone().into());
    package.insert("version".to_owned(), catalog.version.clone().into());
    package.insert("created".to_owned(), catalog.generated_at.clone().into());
    if let Some(url) = &catalog.public_url {
        package.insert("homepage".to_owned(), url.clone().into());
    }
    let public = catalog.public_url.is_some();
    package.insert("resources".to_owned(), catalog.tables.iter().map(|table| resource(table, public)).collect());
    to_json(&package)
}

fn resource(table: &Table, public: bool) -> Value {
    let mut resource = Map::new();
    resource.insert("$schema".to_owned(), RESOURCE_PROFILE.into());
    resource.insert("name".to_owned(), slug(&table.full_name()).into());
    resource.insert("type".to_owned(), "table".into());
    resource.insert("title".to_owned(), table.full_name().into());
    if !table.description.is_empty() {
        resource.insert("description".to_owned(), table.description.clone().into());
    }
    let place = |file: &super::DataFile| if public { file.url.clone() } else { file.path.clone() };
    match table.files.as_slice() {
        [file] => {
            resource.insert("path".to_owned(), place(file).into());
            resource.insert("hash".to_owned(), format!("sha256:{}", file.sha256).into());
            resource.insert("bytes".to_owned(), file.size_bytes.into());
        }
        files => drop(resource.insert("path".to_owned(), files.iter().map(place).collect())),
    }
    resource.insert("format".to_owned(), table.format.clone().into());
    resource.insert("mediatype".to_owned(), media_type(&table.format).into());
    let fields: Vec<Value> = table.columns.iter().map(field).collect();
    let mut schema = json!({"$schema": SCHEMA_PROFILE, "fields": fields});
    if matches!(table.format.as_str(), "csv" | "tsv") {
        if let Some(dialect) = dialect(table) {
            resource.insert("dialect".to_owned(), dialect);
        }
        if let Some(encoding) = table.format_option("encoding") {
            resource.insert("encoding".to_owned(), encoding.into());
        }
        if let Some(missing) = table.format_option("nullValue") {
            schema["missingValues"] = json!([missing]);
        }
    }
    resource.insert("schema".to_owned(), schema);
    Value::Object(resource)
}

/// The Table Dialect of a CSV file, where it is not the usual one.
fn dialect(table: &Table) -> Option<Value> {
    let mut dialect = Map::new();
    if table.format_option("header").is_some_and(|header| header == "false") {
        dialect.insert("header".to_owned(), false.into());
    }
    if let Some(separator) = table.format_option("sep").or_else(|| (table.format == "tsv").then(|| "\t".to_owned())) {
        dialect.insert("delimiter".to_owned(), separator.into());
    }
    let quote = table.format_option("quote");
    if let Some(quote) = &quote {
        dialect.insert("quoteChar".to_owned(), quote.clone().into());
    }
    if let Some(escape) =
        table.format_option("escape").filter(|escape| Some(escape) != quote.as_ref() && escape != "\"")
    {
        dialect.insert("doubleQuote".to_owned(), false.into());
        dialect.insert("escapeChar".to_owned(), escape.into());
    }
    (!dialect.is_empty()).then_some(Value::Object(dialect))
}

fn field(column: &Column) -> Value {
    let (data_type, format) = type_of(&column.data_type);
    let mut field = Map::new();
    field.insert("name".to_owned(), column.name.clone().into());
    field.insert("type".to_owned(), data_type.into());
    if let Some(format) = format {
        field.insert("format".to_owned(), format.into());
    }
    if !column.description.is_empty() {
        field.insert("description".to_owned(), column.description.clone().into());
    }
    // Where the files hold no NULL, that is a fact and not a promise; it is told as such in the catalogue alone.
    Value::Object(field)
}

/// The type of Table Schema for a type of DuckDB.
fn type_of(data_type: &str) -> (&'static str, Option<&'static str>) {
    if data_type.ends_with(']') {
        return ("array", None);
    }
    match data_type.split('(').next().unwrap_or_default().trim() {
        "TINYINT" | "SMALLINT" | "INTEGER" | "BIGINT" | "HUGEINT" | "UTINYINT" | "USMALLINT" | "UINTEGER"
        | "UBIGINT" | "UHUGEINT" => ("integer", None),
        "FLOAT" | "DOUBLE" | "DECIMAL" => ("number", None),
        "BOOLEAN" => ("boolean", None),
        "DATE" => ("date", None),
        "TIME" => ("time", None),
        "INTERVAL" => ("duration", None),
        "STRUCT" | "MAP" => ("object", None),
        "VARCHAR" => ("string", None),
        "UUID" => ("string", Some("uuid")),
        "BLOB" => ("string", Some("binary")),
        other if other.starts_with("TIMESTAMP") => ("datetime", None),
        _ => ("any", None),
    }
}

/// The media type of a format's files.
pub(super) fn media_type(format: &str) -> &'static str {
    match format {
        "parquet" => "application/vnd.apache.parquet",
        "csv" => "text/csv",
        "tsv" => "text/tab-separated-values",
        "json" => "application/json",
        "ndjson" => "application/x-ndjson",
        "arrow" | "arrow_ipc" => "application/vnd.apache.arrow.file",
        "excel" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        _ => "application/octet-stream",
    }
}

/// Lower case letters, digits, `-`, `_` and `.`, as names of packages and resources have to be.
fn slug(name: &str) -> String {
    let slug: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
        .collect();
    if slug.is_empty() { "catalog".to_owned() } else { slug }
}
