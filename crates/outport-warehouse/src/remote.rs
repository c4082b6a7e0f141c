//! The database of remote views: a small DuckDB file that reads the published files where they are.

use std::collections::BTreeMap;
use std::path::Path;

use outport_core::engine::{Dialect, Engine};
use outport_core::error::from_io;
use outport_core::{Context, Error, ErrorKind, Result};

use crate::catalog::{Catalog, DataFile, Table, is_split, options, reader, relation};

/// The name under which the file is attached while it is written.
const ATTACHED: &str = "outport_remote";
/// The table with the catalogue.
const CATALOG_TABLE: &str = "_catalog";

/// The statements that make the views, for whoever would rather not open a database of ours; each stands for itself.
///
/// No request is made when they are written; DuckDB makes some when it runs them.
pub fn views_sql(catalog: &Catalog) -> String {
    let mut sql = format!(
        "-- {}, version {}\n-- Views over the published files. In DuckDB: .read catalog.sql\n",
        one_line(&catalog.name),
        catalog.version
    );
    let mut last_layer = None;
    for table in &catalog.tables {
        let Some(select) = select(table) else {
            sql.push_str(&format!("\n-- {}: DuckDB does not read {}\n", one_line(&table.full_name()), table.format));
            continue;
        };
        if last_layer != Some(&table.layer) {
            sql.push_str(&format!("\nCREATE SCHEMA IF NOT EXISTS {};\n", ident(&table.layer)));
            last_layer = Some(&table.layer);
        }
        for name in names(catalog, table) {
            sql.push_str(&format!("CREATE OR REPLACE VIEW {} AS\n{select};\n", name.join(".")));
        }
    }
    sql
}

/// Writes the database to `path`, in place of what stood there, with an engine that is in memory.
///
/// # Errors
/// [`ErrorKind::Config`] for a storage version that there is not; [`ErrorKind::Write`] where the file cannot be written. What
/// stood there before then stands there still.
pub async fn write(
    engine: &dyn Engine,
    catalog: &Catalog,
    storage_version: &str,
    path: &Path,
    context: &Context,
) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.tmp"));
    let failed = |e| from_io(ErrorKind::Write, e).context(format!("writing {}", path.display()));
    if !folder.as_os_str().is_empty() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    remove(&temporary).map_err(failed)?;
    let script = script(catalog, storage_version, &temporary.display().to_string())?;
    let written = engine.execute(&script, context).await;
    if let Err(error) = written {
        // The error that counts is the one that is returned.
        let _ = remove(&temporary);
        return Err(explain(error, storage_version).context(format!("writing {}", path.display())));
    }
    std::fs::rename(&temporary, path).map_err(failed)
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn explain(error: Error, storage_version: &str) -> Error {
    if error.to_string().contains("version") && error.to_string().contains(storage_version) {
        return Error::new(ErrorKind::Config, format!("deployment: storage_version \"{storage_version}\" is unknown"))
            .hint("expected a release of DuckDB such as v1.0.0, v1.2.0 or v1.5.0; the older, the more clients can open it")
            .with_source(error);
    }
    error
}

/// One script, because the stand-ins for the readers belong to a connection, and every call has one of its own.
fn script(catalog: &Catalog, storage_version: &str, path: &str) -> Result<String> {
    let mut sql = format!("ATTACH {} AS {ATTACHED} (STORAGE_VERSION {});\n", text(path), text(storage_version));
    for table in &catalog.tables {
        let (Some(select), Some(function)) = (select(table), reader(table)) else { continue };
        // While a view is bound, its reader is a macro that has the columns and no rows: no request is made, and what
        // the view keeps is its text and its types.
        let parameters: String = (0..options(table, true).len()).map(|i| format!(", option_{i}")).collect();
        let columns: Vec<String> = stand_in_columns(table)
            .map(|(name, data_type)| format!("CAST(NULL AS {data_type}) AS {}", ident(name)))
            .collect();
        sql.push_str(&format!(
            "CREATE OR REPLACE TEMP MACRO {function}(files{parameters}) AS TABLE SELECT {} LIMIT 0;\n",
            columns.join(", ")
        ));
        sql.push_str(&format!("CREATE SCHEMA IF NOT EXISTS {ATTACHED}.{};\n", ident(&table.layer)));
        for name in names(catalog, table) {
            let name = match name.as_slice() {
                [short] => format!("main.{short}"),
                full => full.join("."),
            };
            sql.push_str(&format!("CREATE VIEW {ATTACHED}.{name} AS {select};\n"));
            if !table.description.is_empty() {
                sql.push_str(&format!("COMMENT ON VIEW {ATTACHED}.{name} IS {};\n", text(&table.description)));
            }
            for column in table.columns.iter().filter(|c| !c.description.is_empty()) {
                let comment = text(&column.description);
                sql.push_str(&format!("COMMENT ON COLUMN {ATTACHED}.{name}.{} IS {comment};\n", ident(&column.name)));
            }
        }
    }
    sql.push_str(&format!(
        "CREATE TABLE {ATTACHED}.main.{CATALOG_TABLE} (catalog JSON);\n\
         INSERT INTO {ATTACHED}.main.{CATALOG_TABLE} VALUES ({});\n\
         DETACH {ATTACHED};\n",
        text(&catalog.to_json()?)
    ));
    Ok(sql)
}

/// The columns of what the reader returns: all of them with hive partitioning, those of the files where the view adds the rest.
fn stand_in_columns(table: &Table) -> impl Iterator<Item = (&str, &str)> {
    let folders = if is_split(table) { &table.partition_by[..] } else { &[][..] };
    table
        .columns
        .iter()
        .filter(move |column| !folders.iter().any(|folder| folder.eq_ignore_ascii_case(&column.name)))
        .map(|column| (column.name.as_str(), column.data_type.as_str()))
}

fn select(table: &Table) -> Option<String> {
    relation(table, true, &|file: &DataFile| {
        // A URL of HTTP is encoded; in other places a bracket or an asterisk would be taken for a pattern.
        if file.url.starts_with("http") { file.url.clone() } else { crate::catalog::literal(&file.url) }
    })
}

/// The names of a table's views: with its layer, and without where no other table has that name.
fn names(catalog: &Catalog, table: &Table) -> Vec<Vec<String>> {
    let short = table.name.to_lowercase();
    let mut owners: BTreeMap<String, usize> = BTreeMap::new();
    for table in &catalog.tables {
        *owners.entry(table.name.to_lowercase()).or_default() += 1;
    }
    let mut names = vec![vec![ident(&table.layer), ident(&table.name)]];
    let taken = short == CATALOG_TABLE || table.layer.eq_ignore_ascii_case("main");
    if owners.get(&short) == Some(&1) && !taken {
        names.push(vec![ident(&table.name)]);
    }
    names
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

fn ident(name: &str) -> String {
    Dialect::DuckDb.ident(name)
}

fn text(text: &str) -> String {
    Dialect::DuckDb.text(text)
}

#[cfg(test)]
mod tests;
