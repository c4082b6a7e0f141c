//! The books of the warehouse, in the schema `meta` of the warehouse file itself.

use std::collections::{BTreeMap, BTreeSet};

use outport_core::destination::FileReceipt;
use outport_core::engine::Engine;
use outport_core::manifest::ColumnSummary;
use outport_core::{Context, Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::model::Model;
use crate::sql;

/// The last export of a model, as `meta.model_exports` has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExportRecord {
    /// The run that wrote it.
    pub run_id: String,
    /// `layer.name`.
    pub model: String,
    /// The file, or the folder of a partitioned export, relative to `export_dir`.
    pub path: String,
    /// The format's name.
    pub format: String,
    /// The codec's name.
    pub compression: String,
    /// The options of the format by their own names.
    pub options: BTreeMap<String, String>,
    /// The columns that became folders.
    pub partition_by: Vec<String>,
    /// All rows.
    pub rows: u64,
    /// All bytes.
    pub bytes: u64,
    /// The SHA-256 of a single file; of several the SHA-256 of their paths and hashes.
    pub sha256: String,
    /// What is known of the columns in the files.
    pub columns: Vec<ColumnSummary>,
    /// The files; paths are relative to `export_dir`.
    pub files: Vec<FileReceipt>,
    /// When, UTC, RFC 3339.
    pub exported_at: String,
}

/// The tables of the books.
const TABLES: &str = "
CREATE SCHEMA IF NOT EXISTS meta;
CREATE TABLE IF NOT EXISTS meta.model_runs (
    run_id VARCHAR PRIMARY KEY, model_name VARCHAR, layer VARCHAR, started_at TIMESTAMP, completed_at TIMESTAMP,
    status VARCHAR, error_message VARCHAR, rows_affected BIGINT, execution_time_seconds DOUBLE, sql_hash VARCHAR,
    metadata JSON);
CREATE TABLE IF NOT EXISTS meta.model_lineage (
    model_name VARCHAR, depends_on_model VARCHAR, layer VARCHAR, updated_at TIMESTAMP,
    PRIMARY KEY (model_name, depends_on_model));
CREATE TABLE IF NOT EXISTS meta.model_docs (
    model_name VARCHAR PRIMARY KEY, layer VARCHAR, description VARCHAR, columns JSON, tags JSON, updated_at TIMESTAMP);
CREATE TABLE IF NOT EXISTS meta.model_exports (
    run_id VARCHAR, model VARCHAR, path VARCHAR, format VARCHAR, rows BIGINT, bytes BIGINT, sha256 VARCHAR,
    columns JSON, exported_at TIMESTAMP, compression VARCHAR, partition_by JSON, files JSON, options JSON);
ALTER TABLE meta.model_exports ADD COLUMN IF NOT EXISTS options JSON;
";

/// The time now as the books have it.
const NOW: &str = "(now() AT TIME ZONE 'UTC')::TIMESTAMP";

/// How a run of a model ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It was built, tested and exported.
    Success,
    /// It failed.
    Error,
    /// What it needs failed, or the run stopped before its turn.
    Skipped,
    /// Nothing of it or of what it needs changed.
    Unchanged,
}

impl Status {
    /// The word in the books.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Skipped => "skipped",
            Self::Unchanged => "unchanged",
        }
    }
}

/// What is known of a model's last success.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub struct Built {
    /// The hash of all that its content depends on.
    pub fingerprint: String,
    /// The hash of its own SQL.
    pub own: String,
    /// The run of its exports, by which hidden files are named.
    #[serde(default)]
    pub export_run: String,
}

/// The books of one warehouse.
#[derive(Clone, Copy)]
pub struct State<'a> {
    engine: &'a dyn Engine,
    context: &'a Context,
}

impl<'a> State<'a> {
    /// The books behind `engine`.
    pub fn new(engine: &'a dyn Engine, context: &'a Context) -> Self {
        Self { engine, context }
    }

    /// Makes the tables where they are missing.
    pub async fn prepare(self) -> Result<()> {
        self.execute(TABLES).await
    }

    async fn execute(self, sql: &str) -> Result<()> {
        self.engine.execute(sql, self.context).await.map(drop)
    }

    /// Whether there are books at all.
    pub async fn exists(self) -> Result<bool> {
        let sql = "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'meta' AND table_name = 'model_exports' \
                   AND database_name = current_database()";
        Ok(sql::count(self.engine, sql, self.context).await? > 0)
    }

    /// Notes runs whose process died as failed; the ids by which their hidden files are named.
    pub async fn bury(self) -> Result<Vec<String>> {
        let sql = "SELECT metadata->>'export_run' FROM meta.model_runs WHERE status = 'running'";
        let rows = sql::rows(self.engine, sql, self.context).await?;
        self.execute(&format!(
            "UPDATE meta.model_runs SET status = 'error', error_message = 'the process died', completed_at = {NOW} \
             WHERE status = 'running'"
        ))
        .await?;
        Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
    }

    /// Notes that a run of a model begins.
    pub async fn begin(self, run_id: &str, model: &Model, built: &Built) -> Result<()> {
        self.execute(&format!(
            "INSERT INTO meta.model_runs (run_id, model_name, layer, started_at, status, sql_hash, metadata) \
             VALUES ({}, {}, {}, {NOW}, 'running', md5({}), {})",
            sql::text(run_id),
            sql::text(&model.full_name()),
            sql::text(&model.layer),
            sql::text(&model.text),
            json(built)?,
        ))
        .await
    }

    /// Notes how it ended.
    pub async fn end(
        self,
        run_id: &str,
        status: Status,
        rows: Option<u64>,
        seconds: f64,
        error: Option<&str>,
    ) -> Result<()> {
        self.execute(&format!(
            "UPDATE meta.model_runs SET completed_at = {NOW}, status = {}, rows_affected = {}, \
             execution_time_seconds = {seconds}, error_message = {} WHERE run_id = {}",
            sql::text(status.name()),
            rows.map_or_else(|| "NULL".to_owned(), |rows| rows.to_string()),
            sql::nullable(error),
            sql::text(run_id),
        ))
        .await
    }

    /// Notes what a model needs and what it is; the books of other models stay as they are.
    pub async fn describe(self, model: &Model, needs: &BTreeSet<String>) -> Result<()> {
        let name = sql::text(&model.full_name());
        let layer = sql::text(&model.layer);
        let mut script = format!("BEGIN; DELETE FROM meta.model_lineage WHERE model_name = {name};");
        for need in needs {
            script.push_str(&format!(
                "INSERT INTO meta.model_lineage VALUES ({name}, {}, {layer}, {NOW});",
                sql::text(need)
            ));
        }
        let columns: serde_json::Map<String, serde_json::Value> =
            model.columns.iter().map(|c| (c.name.clone(), c.description.clone().into())).collect();
        script.push_str(&format!(
            "INSERT OR REPLACE INTO meta.model_docs VALUES ({name}, {layer}, {}, {}, {}, {NOW}); COMMIT;",
            sql::text(&model.description),
            json(&columns)?,
            json(&model.tags)?,
        ));
        self.execute(&script).await
    }

    /// Notes an export.
    pub async fn exported(self, record: &ExportRecord) -> Result<()> {
        self.execute(&format!(
            "INSERT INTO meta.model_exports (run_id, model, path, format, rows, bytes, sha256, columns, exported_at, \
             compression, partition_by, files, options) VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {NOW}, {}, {}, {}, {})",
            sql::text(&record.run_id),
            sql::text(&record.model),
            sql::text(&record.path),
            sql::text(&record.format),
            record.rows,
            record.bytes,
            sql::text(&record.sha256),
            json(&record.columns)?,
            sql::text(&record.compression),
            json(&record.partition_by)?,
            json(&record.files)?,
            json(&record.options)?,
        ))
        .await
    }

    /// The last success of every model.
    pub async fn built(self) -> Result<BTreeMap<String, Built>> {
        let sql = "SELECT model_name, metadata::VARCHAR FROM meta.model_runs WHERE status = 'success' \
                   QUALIFY row_number() OVER (PARTITION BY model_name ORDER BY started_at DESC, run_id DESC) = 1";
        let rows = sql::rows(self.engine, sql, self.context).await?;
        let built = rows.into_iter().filter_map(|row| match <[Option<String>; 2]>::try_from(row) {
            Ok([Some(name), Some(metadata)]) => Some((name, serde_json::from_str(&metadata).unwrap_or_default())),
            _ => None,
        });
        Ok(built.collect())
    }

    /// The last export of every model, sorted by model.
    pub async fn exports(self) -> Result<Vec<ExportRecord>> {
        let sql = "SELECT run_id, model, path, format, compression, coalesce(options, '{}')::VARCHAR, partition_by::VARCHAR, rows::VARCHAR, bytes::VARCHAR, \
                   sha256, columns::VARCHAR, files::VARCHAR, strftime(exported_at, '%Y-%m-%dT%H:%M:%SZ') \
                   FROM meta.model_exports \
                   QUALIFY row_number() OVER (PARTITION BY model ORDER BY exported_at DESC, run_id DESC) = 1 ORDER BY model";
        let rows = sql::rows(self.engine, sql, self.context).await?;
        rows.into_iter().map(record).collect()
    }

    /// The last runs, the newest first.
    pub async fn history(self, limit: usize) -> Result<Vec<Vec<Option<String>>>> {
        let sql = format!(
            "SELECT run_id, model_name, status, strftime(started_at, '%Y-%m-%d %H:%M:%S'), \
             round(execution_time_seconds, 3)::VARCHAR, rows_affected::VARCHAR, error_message \
             FROM meta.model_runs ORDER BY started_at DESC, run_id DESC LIMIT {limit}"
        );
        sql::rows(self.engine, &sql, self.context).await
    }
}

fn record(row: Vec<Option<String>>) -> Result<ExportRecord> {
    let mut values = row.into_iter().map(Option::unwrap_or_default);
    let mut next = || values.next().unwrap_or_default();
    let wrong = |e: serde_json::Error| {
        Error::new(ErrorKind::Data, format!("meta.model_exports cannot be read: {e}"))
            .hint("run the model again: outport warehouse run --models NAME")
    };
    Ok(ExportRecord {
        run_id: next(),
        model: next(),
        path: next(),
        format: next(),
        compression: next(),
        options: serde_json::from_str(&next()).map_err(wrong)?,
        partition_by: serde_json::from_str(&next()).map_err(wrong)?,
        rows: next().parse().unwrap_or(0),
        bytes: next().parse().unwrap_or(0),
        sha256: next(),
        columns: serde_json::from_str(&next()).map_err(wrong)?,
        files: serde_json::from_str(&next()).map_err(wrong)?,
        exported_at: next(),
    })
}

/// A value as a JSON literal.
fn json(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string(value).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    Ok(format!("{}::JSON", sql::text(&text)))
}
