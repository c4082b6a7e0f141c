//! The SQL that reads the files of a table.

use outport_core::engine::Dialect;

use super::{DataFile, Table};

/// The function of DuckDB that reads a table's files; `None` where there is none without an extension.
pub(crate) fn reader(table: &Table) -> Option<&'static str> {
    let encoding = table.format_options.get("encoding").map(String::as_str);
    let plain = matches!(table.compression.as_str(), "" | "none" | "default" | "gzip" | "zstd" | "uncompressed")
        && encoding.is_none_or(|name| ["utf-8", "utf8", "us-ascii"].contains(&name.to_lowercase().as_str()));
    match table.format.as_str() {
        "parquet" => Some("read_parquet"),
        "csv" | "tsv" if plain => Some("read_csv"),
        "json" | "ndjson" if plain => Some("read_json"),
        _ => None,
    }
}

/// Whether DuckDB reads the files of a table without an extension.
pub fn is_readable(table: &Table) -> bool {
    reader(table).is_some()
}

/// The columns that are in the files, and not in the names of their folders alone: name and type.
pub(crate) fn file_columns(table: &Table) -> impl Iterator<Item = (&str, &str)> {
    let folders = &table.partition_by;
    table
        .columns
        .iter()
        .filter(|column| !folders.iter().any(|folder| folder.eq_ignore_ascii_case(&column.name)))
        .map(|column| (column.name.as_str(), column.data_type.as_str()))
}

/// A SELECT over the files of a table, each at the place that `place` gives it.
///
/// `typed` says that the columns of the table are known; text formats are then read with them instead of by a guess.
pub fn relation(table: &Table, typed: bool, place: &dyn Fn(&DataFile) -> String) -> Option<String> {
    let function = reader(table)?;
    let options = options(table, typed);
    if is_split(table) {
        let selects = table.files.iter().map(|file| {
            let constants = file.partition.iter().map(|(column, value)| constant(table, column, value.as_deref()));
            let constants: String = constants.collect();
            format!("SELECT *{constants} FROM {}", call(function, &text(&place(file)), &options))
        });
        return Some(selects.collect::<Vec<_>>().join("\nUNION ALL BY NAME\n"));
    }
    let places: Vec<String> = table.files.iter().map(|file| text(&place(file))).collect();
    let places = match places.as_slice() {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    Some(format!("SELECT * FROM {}", call(function, &places, &options)))
}

/// Whether a table is read file by file, with its partitions as constants.
///
/// A folder whose name is encoded, in a URL that is encoded once more, is not taken apart by every DuckDB alike.
pub(crate) fn is_split(table: &Table) -> bool {
    table.files.iter().any(|file| file.partition.iter().any(|(_, value)| is_odd(value.as_deref())))
}

/// What the reader of a table is told, besides its files.
///
/// Written with `=`: DuckDB 1.0 does not find `:=` again in the text of a view.
pub(crate) fn options(table: &Table, typed: bool) -> Vec<String> {
    let mut options = text_options(table, typed);
    if is_split(table) {
        // Left alone, DuckDB looks for folders of that shape by itself.
        options.push("hive_partitioning = false".to_owned());
    } else if !table.partition_by.is_empty() {
        options.push("hive_partitioning = true".to_owned());
        if typed {
            let types =
                table.partition_by.iter().map(|column| format!("{}: {}", text(column), text(type_of(table, column))));
            options.push(format!("hive_types = {{{}}}", types.collect::<Vec<_>>().join(", ")));
        }
    }
    options
}

fn call(function: &str, places: &str, options: &[String]) -> String {
    let options: String = options.iter().map(|option| format!(", {option}")).collect();
    format!("{function}({places}{options})")
}

/// What a reader of text is told: all of it where the text is for a view, what cannot be guessed where it is for people.
fn text_options(table: &Table, typed: bool) -> Vec<String> {
    let mut options = match table.format.as_str() {
        "csv" => dialect(table, ",", typed),
        "tsv" => dialect(table, "\t", typed),
        "ndjson" => vec!["format = 'newline_delimited'".to_owned()],
        "json" => vec!["format = 'auto'".to_owned()],
        _ => return Vec::new(),
    };
    let list = |columns: Vec<String>| columns.join(", ");
    if typed {
        let columns = file_columns(table).map(|(name, data_type)| format!("{}: {}", text(name), text(data_type)));
        options.push(format!("columns = {{{}}}", list(columns.collect())));
    } else if options.first().is_some_and(|option| option == NO_HEADER) {
        options.push(format!("names = [{}]", list(file_columns(table).map(|(name, _)| text(name)).collect())));
    }
    options
}

const NO_HEADER: &str = "header = false";

/// The characters of a CSV file. A field of two quotes is an empty string, as our encoder writes it, and not NULL.
fn dialect(table: &Table, usual_separator: &str, whole: bool) -> Vec<String> {
    let header =
        if table.format_option("header").is_some_and(|header| header == "false") { NO_HEADER } else { "header = true" };
    let mut options = vec![header.to_owned()];
    for (option, name, usual) in [
        ("delim", "sep", usual_separator),
        ("quote", "quote", "\""),
        ("escape", "escape", "\""),
        ("nullstr", "nullValue", ""),
    ] {
        let given = table.format_option(name);
        if whole || given.is_some() || (option == "delim" && usual != ",") {
            options.push(format!("{option} = {}", text(given.as_deref().unwrap_or(usual))));
        }
    }
    if whole {
        options.push("allow_quoted_nulls = false".to_owned());
    }
    options
}

/// A partition's value as a column of its own.
fn constant(table: &Table, column: &str, value: Option<&str>) -> String {
    let value = value.map_or_else(|| "NULL".to_owned(), text);
    format!(", CAST({value} AS {}) AS {}", type_of(table, column), Dialect::DuckDb.ident(column))
}

fn type_of<'a>(table: &'a Table, column: &str) -> &'a str {
    let found = table.columns.iter().find(|c| c.name.eq_ignore_ascii_case(column));
    found.map_or("VARCHAR", |c| c.data_type.as_str())
}

/// Whether the folder of a value is encoded, or stands for NULL.
fn is_odd(value: Option<&str>) -> bool {
    value.is_none_or(|value| {
        value.is_empty() || !value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    })
}

fn text(text: &str) -> String {
    Dialect::DuckDb.text(text)
}
