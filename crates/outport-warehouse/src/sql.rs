//! Small results of the engine as texts, and the spelling of names.

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use outport_core::engine::{Dialect, Engine};
use outport_core::{Context, Result};

/// The rows of a small result, every value as text; `None` for NULL.
///
/// # Errors
/// Those of the query.
pub async fn rows(engine: &dyn Engine, sql: &str, context: &Context) -> Result<Vec<Vec<Option<String>>>> {
    let mut rows = Vec::new();
    for batch in engine.query(sql, context).await?.collect().await? {
        let columns =
            batch.columns().iter().map(|column| cast(column, &DataType::Utf8)).collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let value = |column: &arrow::array::ArrayRef| {
                column.is_valid(row).then(|| column.as_string::<i32>().value(row).to_owned())
            };
            rows.push(columns.iter().map(value).collect());
        }
    }
    Ok(rows)
}

/// The first value of a result.
pub(crate) async fn value(engine: &dyn Engine, sql: &str, context: &Context) -> Result<Option<String>> {
    Ok(rows(engine, sql, context).await?.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
}

/// The first value of a result as a count.
pub(crate) async fn count(engine: &dyn Engine, sql: &str, context: &Context) -> Result<u64> {
    Ok(value(engine, sql, context).await?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// `"layer"."name"`.
pub(crate) fn relation(layer: &str, name: &str) -> String {
    format!("{}.{}", ident(layer), ident(name))
}

/// A name in quotes.
pub(crate) fn ident(name: &str) -> String {
    Dialect::DuckDb.ident(name)
}

/// A text in quotes.
pub(crate) fn text(text: &str) -> String {
    Dialect::DuckDb.text(text)
}

/// A text in quotes, or NULL.
pub(crate) fn nullable(value: Option<&str>) -> String {
    value.map_or_else(|| "NULL".to_owned(), text)
}
