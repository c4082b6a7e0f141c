//! A model's SELECT as a view or table of the warehouse.

use outport_core::export::NullCursor;
use outport_core::{Context, Error, ErrorKind, Result};

use super::Build;
use crate::model::{Incremental, Materialization, Model};
use crate::sql;
use crate::state::Built;

/// What stands under a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Nothing,
    View,
    Table,
}

impl Build<'_> {
    /// Makes what the model is; the rows of the table, none for a view.
    pub(super) async fn materialize(
        &self,
        model: &Model,
        fingerprint: &Built,
        before: Option<&Built>,
        context: &Context,
    ) -> Result<Option<u64>> {
        let relation = sql::relation(&model.layer, &model.name);
        let rendered = self.warehouse.rendered.get(&model.full_name()).map_or("", |rendered| rendered.sql.as_str());
        let (kind, wanted) = match model.materialized {
            Materialization::View | Materialization::ExportView => ("VIEW", Standing::View),
            Materialization::Table | Materialization::ExportTable => ("TABLE", Standing::Table),
            Materialization::ExternalTable => {
                self.engine.execute(rendered, context).await.map_err(|e| in_file(e, model))?;
                return Ok(None);
            }
            Materialization::Incremental => return self.grow(model, rendered, fingerprint, before, context).await,
        };
        let drop = match self.standing(model, context).await? {
            Standing::View if wanted == Standing::Table => format!("DROP VIEW {relation};"),
            Standing::Table if wanted == Standing::View => format!("DROP TABLE {relation};"),
            _ => String::new(),
        };
        // One transaction: a model that fails leaves what stood before.
        let script = format!("BEGIN; {drop} CREATE OR REPLACE {kind} {relation} AS\n{rendered}\n; COMMIT;");
        self.engine.execute(&script, context).await.map_err(|e| in_file(e, model))?;
        if wanted == Standing::View {
            return Ok(None);
        }
        self.rows(&relation, context).await.map(Some)
    }

    async fn rows(&self, relation: &str, context: &Context) -> Result<u64> {
        sql::count(self.engine, &format!("SELECT count(*)::BIGINT FROM {relation}"), context).await
    }

    async fn standing(&self, model: &Model, context: &Context) -> Result<Standing> {
        let query = format!(
            "SELECT table_type FROM information_schema.tables WHERE table_catalog = current_database() \
             AND lower(table_schema) = lower({}) AND lower(table_name) = lower({})",
            sql::text(&model.layer),
            sql::text(&model.name)
        );
        Ok(match sql::value(self.engine, &query, context).await?.as_deref() {
            None => Standing::Nothing,
            Some("VIEW") => Standing::View,
            Some(_) => Standing::Table,
        })
    }

    /// Adds to an incremental table what is new, in one transaction.
    async fn grow(
        &self,
        model: &Model,
        rendered: &str,
        fingerprint: &Built,
        before: Option<&Built>,
        context: &Context,
    ) -> Result<Option<u64>> {
        let relation = sql::relation(&model.layer, &model.name);
        let standing = self.standing(model, context).await?;
        let Some(incremental) = &model.incremental else {
            return Err(Error::new(ErrorKind::Internal, "an incremental model without its section"));
        };
        if standing != Standing::Table || before.is_none() || self.options.full_refresh {
            let drop = if standing == Standing::View { format!("DROP VIEW {relation};") } else { String::new() };
            let without_time = rows_without_time(&relation, incremental);
            let script =
                format!("BEGIN; {drop} CREATE OR REPLACE TABLE {relation} AS\n{rendered}\n; {without_time} COMMIT;");
            self.engine.execute(&script, context).await.map_err(|e| in_file(e, model))?;
            return self.rows(&relation, context).await.map(Some);
        }
        if before.is_some_and(|before| before.own != fingerprint.own) && !self.options.accept_change {
            return Err(Error::new(
                ErrorKind::Contract,
                format!("the SQL of incremental model {} was edited since its last run", model.full_name()),
            )
            .hint("--full-refresh makes the table anew; --accept-change goes on with the rows that are there"));
        }
        let select = self.warehouse.render_incremental(model)?.sql;
        let script = grow_script(&relation, &select, incremental);
        self.engine.execute(&script, context).await.map_err(|e| in_file(e, model))?;
        self.rows(&relation, context).await.map(Some)
    }
}

/// What is done about rows without a time in a table that was just filled: no later run would see them, or every one.
fn rows_without_time(relation: &str, incremental: &Incremental) -> String {
    let Some(column) = &incremental.time_column else { return String::new() };
    let ident = sql::ident(column);
    match incremental.on_null {
        NullCursor::Include => String::new(),
        NullCursor::Exclude => format!("DELETE FROM {relation} WHERE {ident} IS NULL;"),
        NullCursor::Error => {
            let before = sql::text(&format!("time_column \"{column}\" is NULL in "));
            let behind = sql::text(
                " rows, which no later run would see: give them a time, or set on_null_cursor: include (they are replaced \
                 at every run) or exclude",
            );
            format!(
                "SELECT CASE WHEN count(*) > 0 THEN error({before} || count(*) || {behind}) END FROM {relation} WHERE {ident} IS NULL;"
            )
        }
    }
}

/// The statements that add what is new: what the SELECT yields above the newest time of the table, or within `lookback` before
/// it, takes the place of rows with the same key; without a key that of all rows in the window.
fn grow_script(relation: &str, select: &str, incremental: &Incremental) -> String {
    let window = incremental.time_column.as_ref().map(|column| {
        let column = sql::ident(column);
        let newest = format!("(SELECT max({column}) FROM {relation})");
        match &incremental.lookback {
            // What lies within the window is read again, and so replaced.
            Some(lookback) => format!("{column} > {newest} - INTERVAL {}", sql::text(lookback)),
            None => format!("{column} > {newest}"),
        }
    });
    let filter = match &window {
        // The table may be empty: then all is new.
        Some(window) => format!("WHERE ({window}) IS NOT FALSE"),
        None => String::new(),
    };
    let delete = match (incremental.unique_key.is_empty(), &window, &incremental.lookback) {
        (false, ..) => {
            let same: Vec<String> = incremental
                .unique_key
                .iter()
                .map(|key| format!("old.{key} IS NOT DISTINCT FROM new.{key}", key = sql::ident(key)))
                .collect();
            format!("DELETE FROM {relation} AS old USING outport_new AS new WHERE {};", same.join(" AND "))
        }
        (true, Some(window), Some(_)) => format!("DELETE FROM {relation} WHERE {window};"),
        _ => String::new(),
    };
    let replaced = match (&incremental.time_column, incremental.on_null) {
        (Some(column), NullCursor::Include) => format!("DELETE FROM {relation} WHERE {} IS NULL;", sql::ident(column)),
        _ => String::new(),
    };
    format!(
        "BEGIN; CREATE OR REPLACE TEMP TABLE outport_new AS SELECT * FROM (\n{select}\n) AS model {filter}; {} {delete} {replaced} \
         INSERT INTO {relation} BY NAME SELECT * FROM outport_new; COMMIT; DROP TABLE outport_new;",
        rows_without_time("outport_new", incremental)
    )
}

/// Moves a place in the statement that was run to the model's file.
fn in_file(error: Error, model: &Model) -> Error {
    let Some(location) = error.location().cloned() else { return error };
    // The SQL stands in a longer statement, or came out of a template: the line is found by what is in it. DuckDB shows a part of
    // a long one.
    let shown = location.text.as_deref().map(|text| text.trim().trim_matches('.').trim());
    let Some(shown) = shown.filter(|text| !text.is_empty()) else { return error };
    let Some(line) = model.text.lines().position(|line| line.contains(shown)) else { return error };
    error.at(outport_core::error::Location {
        file: model.file.display().to_string(),
        line: line as u64 + 1,
        column: location.column,
        text: Some(model.text.lines().nth(line).unwrap_or_default().to_owned()),
    })
}
