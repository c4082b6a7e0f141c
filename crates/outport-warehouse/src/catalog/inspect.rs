//! What the files themselves say: columns, rows, ranges, and a few rows to look at.

use std::collections::BTreeMap;

use outport_core::engine::{Dialect, Engine};
use outport_core::{Context, Result};

use super::relation::relation;
use super::{Column, DataFile, Table};
use crate::sql::rows;

/// Rows of a sample.
const SAMPLE_ROWS: usize = 8;
/// Characters of a value in a sample.
const SAMPLE_WIDTH: usize = 160;

/// The first rows of a table, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sample {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows; NULL is `None`.
    pub rows: Vec<Vec<Option<String>>>,
}

/// Replaces columns and rows of a table by what is in its files, where DuckDB reads them.
pub(super) async fn read_back(
    table: &mut Table,
    locals: &BTreeMap<&str, String>,
    engine: &dyn Engine,
    context: &Context,
) -> Result<()> {
    let place = |file: &DataFile| locals.get(file.path.as_str()).map(|p| literal(p)).unwrap_or_default();
    let Some(select) = relation(table, false, &place) else { return Ok(()) };
    let recorded = std::mem::take(&mut table.columns);
    for row in rows(engine, &format!("DESCRIBE {}", parenthesised(&select)), context).await? {
        let mut cells = row.into_iter();
        let (Some(Some(name)), Some(Some(data_type))) = (cells.next(), cells.next()) else { continue };
        let known = recorded.iter().find(|column| column.name == name).cloned().unwrap_or_default();
        // What was text stays text, also where all of it looks like numbers or dates.
        let data_type = if is_text(&table.format) && known.data_type.starts_with("Utf8") {
            "VARCHAR".to_owned()
        } else {
            data_type
        };
        table.columns.push(Column { name, data_type, ..known });
    }
    let counted = rows(engine, &format!("SELECT count(*)::VARCHAR FROM {}", parenthesised(&select)), context).await?;
    let counted = counted.first().and_then(|row| row.first()?.as_ref()?.parse().ok());
    table.rows = counted.unwrap_or(table.rows);
    if table.format == "parquet" {
        from_footers(table, &place, engine, context).await?;
    }
    partition_ranges(table);
    Ok(())
}

/// Whether the files of a format hold no types.
pub(super) fn is_text(format: &str) -> bool {
    matches!(format, "csv" | "tsv" | "json" | "ndjson")
}

/// The first rows of a table, from the files where `locals` says they are.
///
/// # Errors
/// Whatever stops the files from being read.
pub async fn sample(
    table: &Table,
    locals: &dyn Fn(&DataFile) -> String,
    engine: &dyn Engine,
    context: &Context,
) -> Result<Sample> {
    let place = |file: &DataFile| literal(&locals(file));
    let Some(select) = relation(table, true, &place) else { return Ok(Sample::default()) };
    let sql = format!("SELECT CAST(COLUMNS(*) AS VARCHAR) FROM {} LIMIT {SAMPLE_ROWS}", parenthesised(&select));
    let mut found = rows(engine, &sql, context).await?;
    for value in found.iter_mut().flatten().flatten() {
        if let Some((at, _)) = value.char_indices().nth(SAMPLE_WIDTH) {
            value.truncate(at);
            value.push('…');
        }
    }
    Ok(Sample { columns: table.columns.iter().map(|c| c.name.clone()).collect(), rows: found })
}

fn parenthesised(select: &str) -> String {
    format!("(SELECT * FROM ({select}))")
}

/// NULLs and ranges from the statistics in the footers of Parquet files; nothing of the data is read.
async fn from_footers(
    table: &mut Table,
    place: &dyn Fn(&DataFile) -> String,
    engine: &dyn Engine,
    context: &Context,
) -> Result<()> {
    let files: Vec<String> = table.files.iter().map(|file| Dialect::DuckDb.text(&place(file))).collect();
    let footers = format!("parquet_metadata([{}])", files.join(", "));
    for column in table.columns.iter_mut().filter(|column| column.min.is_none()) {
        if column.data_type.contains(['(', '[']) && !column.data_type.starts_with("DECIMAL") {
            continue;
        }
        let data_type = &column.data_type;
        // NULL where a single row group says nothing: a range that holds for some of the rows would be a wrong one.
        let sql = format!(
            "SELECT CASE WHEN count(*) = count(stats_null_count) THEN sum(stats_null_count)::VARCHAR END, \
             CASE WHEN bool_and(low IS NOT NULL OR stats_null_count = num_values) THEN min(low)::VARCHAR END, \
             CASE WHEN bool_and(high IS NOT NULL OR stats_null_count = num_values) THEN max(high)::VARCHAR END \
             FROM (SELECT stats_null_count, num_values, TRY_CAST(stats_min_value AS {data_type}) AS low, \
             TRY_CAST(stats_max_value AS {data_type}) AS high FROM {footers} WHERE path_in_schema = {})",
            Dialect::DuckDb.text(&column.name)
        );
        let found = rows(engine, &sql, context).await?;
        let Some([nulls, min, max]) = found.into_iter().next().and_then(|row| <[_; 3]>::try_from(row).ok()) else {
            continue;
        };
        column.nulls = column.nulls.or_else(|| nulls.and_then(|n| n.parse().ok()));
        column.min = min;
        column.max = max;
    }
    Ok(())
}

/// NULLs and ranges of the columns that are folders.
fn partition_ranges(table: &mut Table) {
    for column in
        table.columns.iter_mut().filter(|c| table.partition_by.iter().any(|p| p.eq_ignore_ascii_case(&c.name)))
    {
        let mut nulls = 0;
        let mut values = Vec::new();
        for file in &table.files {
            match file.partition.iter().find(|(name, _)| name.eq_ignore_ascii_case(&column.name)) {
                Some((_, None)) => nulls += file.rows,
                Some((_, Some(value))) => values.push(value.as_str()),
                None => return,
            }
        }
        match values.iter().map(|value| value.parse::<f64>()).collect::<Result<Vec<_>, _>>() {
            Ok(_) if !column.data_type.starts_with("VARCHAR") => {
                let number = |v: &&str| v.parse::<f64>().unwrap_or_default();
                values.sort_by(|a, b| number(a).total_cmp(&number(b)));
            }
            _ => values.sort_unstable(),
        }
        column.nulls = Some(nulls);
        column.min = values.first().map(|v| (*v).to_owned());
        column.max = values.last().map(|v| (*v).to_owned());
    }
}

/// A path that DuckDB does not take for a pattern.
pub(crate) fn literal(path: &str) -> String {
    path.chars().fold(String::with_capacity(path.len()), |mut escaped, c| {
        match c {
            '[' | '*' | '?' => escaped.extend(['[', c, ']']),
            _ => escaped.push(c),
        }
        escaped
    })
}
