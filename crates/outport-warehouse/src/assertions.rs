//! The tests of `schema.yml`: what must hold of a model before its export is published.

use outport_core::engine::Engine;
use outport_core::{Context, Error, ErrorKind, Result};

use crate::model::{Model, Test, TestKind, all};
use crate::sql;

/// Runs all tests of a model that stands in the warehouse.
///
/// # Errors
/// [`ErrorKind::Contract`] for all that fail, each with its place and the number of rows against it.
pub async fn check(model: &Model, engine: &dyn Engine, context: &Context) -> Result<()> {
    let mut errors = Vec::new();
    for test in &model.tests {
        let query = query(model, test);
        let rows = sql::count(engine, &query, context)
            .await
            .map_err(|error| error.context(format!("test {} of {}", test.name, model.full_name())))?;
        if rows > 0 {
            let rows = if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") };
            errors.push(
                Error::new(ErrorKind::Contract, format!("test {} of {} failed: {rows}", test.name, model.full_name()))
                    .hint(format!("to see them: {}", rows_against(model, test)))
                    .at(test.location.clone()),
            );
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(all(errors)) }
}

/// How many rows are against a test.
fn query(model: &Model, test: &Test) -> String {
    format!("SELECT count(*)::BIGINT FROM ({}\n)", rows_against(model, test))
}

/// The rows that are against a test.
fn rows_against(model: &Model, test: &Test) -> String {
    let relation = sql::relation(&model.layer, &model.name);
    match &test.kind {
        TestKind::NotNull(column) => format!("SELECT * FROM {relation} WHERE {} IS NULL", sql::ident(column)),
        TestKind::Unique(column) => {
            let column = sql::ident(column);
            format!("SELECT {column} FROM {relation} WHERE {column} IS NOT NULL GROUP BY {column} HAVING count(*) > 1")
        }
        TestKind::AcceptedValues(column, values) => {
            let column = sql::ident(column);
            let values: Vec<String> = values.iter().map(|value| sql::text(value)).collect();
            // NULL is for not_null to judge.
            format!("SELECT * FROM {relation} WHERE {column}::VARCHAR NOT IN ({})", values.join(", "))
        }
        TestKind::Relationships { column, to, field } => {
            let column = sql::ident(column);
            let (layer, name) = to.split_once('.').unwrap_or(("main", to));
            format!(
                "SELECT * FROM {relation} WHERE {column} IS NOT NULL AND {column} NOT IN (SELECT {field} FROM {} \
                 WHERE {field} IS NOT NULL)",
                sql::relation(layer, name),
                field = sql::ident(field),
            )
        }
        TestKind::Sql(query) => query.trim_end().trim_end_matches(';').to_owned(),
    }
}
