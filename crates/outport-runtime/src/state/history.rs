//! What was: the log, for people and for APIs.

use std::collections::BTreeMap;

use outport_core::context::Warning;
use outport_core::export::ExportKey;
use outport_core::run::RunState;
use outport_core::value::Value;
use outport_core::{Error, ErrorKind, Result};
use serde::Serialize;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::State;

/// Which runs of the log are asked for; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct HistoryFilter {
    /// The group.
    pub group: Option<String>,
    /// The name within its group.
    pub name: Option<String>,
    /// The call that the runs belong to.
    pub execution_id: Option<String>,
    /// The state.
    pub state: Option<RunState>,
}

/// One row of `log_resource_export`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs)] // The fields are the documented columns, one to one.
pub struct RunRecord {
    pub export_run_id: Uuid,
    pub master_execution_id: String,
    pub export_group_name: String,
    pub export_name: String,
    pub export_state: RunState,
    pub source_type: Option<String>,
    pub source_workspace: Option<String>,
    pub source_datastore: Option<String>,
    pub source_table: Option<String>,
    pub target_path: Option<String>,
    pub file_format: Option<String>,
    pub compression: Option<String>,
    pub watermark_value: Option<String>,
    pub period_start_date: Option<String>,
    pub period_end_date: Option<String>,
    pub started_at: jiff::Timestamp,
    pub completed_at: Option<jiff::Timestamp>,
    pub duration_ms: Option<i64>,
    pub rows_exported: Option<i64>,
    pub files_created: Option<i64>,
    pub total_bytes: Option<i64>,
    pub file_paths: Vec<String>,
    pub trigger_file_path: Option<String>,
    pub error_message: Option<String>,
    pub updated_at: jiff::Timestamp,
}

/// A run with what our own tables know of it.
#[derive(Clone, Debug, Serialize)]
pub struct RunDetail {
    /// Its row of the log.
    #[serde(flatten)]
    pub run: RunRecord,
    /// The logical date.
    pub run_date: String,
    /// The connection that was written to.
    pub target: Option<String>,
    /// The machine that it ran on.
    pub host: String,
    /// The watermark that it moves to when it succeeds.
    pub new_watermark_value: Option<String>,
    /// The fingerprint of its definition.
    pub fingerprint: Option<String>,
    /// The variables that its definition used.
    pub vars: BTreeMap<String, String>,
    /// What was clamped, excluded or lost, with counts.
    pub warnings: Vec<String>,
}

const COLUMNS: &str = "l.export_run_id, l.master_execution_id, l.export_group_name, l.export_name, l.export_state, l.source_type, \
    l.source_workspace, l.source_datastore, l.source_table, l.target_path, l.file_format, l.compression, l.watermark_value, \
    @civil(l.period_start_date), @civil(l.period_end_date), @ts(l.started_at), @ts(l.completed_at), l.duration_ms, \
    l.rows_exported, l.files_created, l.total_bytes, @json(l.file_paths), l.trigger_file_path, l.error_message, @ts(l.updated_at)";

impl State {
    /// The runs that match, the newest first, at most `limit` of them.
    pub async fn history(&self, filter: &HistoryFilter, limit: u32) -> Result<Vec<RunRecord>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM log_resource_export l WHERE ($1 IS NULL OR l.export_group_name = $2) \
             AND ($3 IS NULL OR l.export_name = $4) AND ($5 IS NULL OR l.master_execution_id = $6) \
             AND ($7 IS NULL OR l.export_state = $8) ORDER BY l.started_at DESC, l.export_run_id LIMIT $9"
        );
        let state = filter.state.map(RunState::name);
        let mut query = sqlx::query(self.database.sql(&sql));
        for value in [filter.group.as_deref(), filter.name.as_deref(), filter.execution_id.as_deref(), state] {
            query = query.bind(value).bind(value);
        }
        let rows = query.bind(i64::from(limit)).fetch_all(&self.database.pool).await;
        rows.map_err(|e| self.database.failed(e))?.iter().map(|row| self.run_record(row)).collect()
    }

    /// The last run of every export, in the order of their names.
    pub async fn status(&self) -> Result<Vec<RunRecord>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM log_resource_export l WHERE NOT EXISTS (SELECT 1 FROM log_resource_export n \
             WHERE n.export_group_name = l.export_group_name AND n.export_name = l.export_name \
             AND (n.started_at > l.started_at OR (n.started_at = l.started_at AND n.export_run_id > l.export_run_id))) \
             ORDER BY l.export_group_name, l.export_name"
        );
        let rows = sqlx::query(self.database.sql(&sql)).fetch_all(&self.database.pool).await;
        rows.map_err(|e| self.database.failed(e))?.iter().map(|row| self.run_record(row)).collect()
    }

    /// One run; `None` if the log does not have it.
    pub async fn run(&self, run_id: Uuid) -> Result<Option<RunRecord>> {
        let sql = format!("SELECT {COLUMNS} FROM log_resource_export l WHERE l.export_run_id = $1");
        let row =
            sqlx::query(self.database.sql(&sql)).bind(run_id.to_string()).fetch_optional(&self.database.pool).await;
        row.map_err(|e| self.database.failed(e))?.map(|row| self.run_record(&row)).transpose()
    }

    /// The run whose id begins with `prefix`, with or without its hyphens.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where there is none, or more than one.
    pub async fn find_run(&self, prefix: &str) -> Result<RunDetail> {
        let digits: String = prefix.chars().filter(|c| *c != '-').collect::<String>().to_lowercase();
        if digits.is_empty() || digits.len() > 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Error::new(ErrorKind::Usage, format!("expected the id of a run, found \"{prefix}\""))
                .hint("`outport runs list` shows them"));
        }
        let sql = "SELECT export_run_id FROM log_resource_export WHERE replace(export_run_id, '-', '') LIKE $1 LIMIT 2";
        let rows = sqlx::query(self.database.sql(sql))
            .bind(format!("{digits}%"))
            .fetch_all(&self.database.pool)
            .await
            .map_err(|e| self.database.failed(e))?;
        match rows.as_slice() {
            [row] => self.run_detail(self.uuid(&self.get::<String>(row, 0)?)?).await,
            [] => Err(Error::new(ErrorKind::Usage, format!("there is no run {prefix}"))
                .hint("`outport runs list` shows the latest")),
            _ => Err(Error::new(ErrorKind::Usage, format!("there are several runs whose id begins with {prefix}"))
                .hint("give more of it; `outport runs list -o csv` shows whole ids")),
        }
    }

    async fn run_detail(&self, run_id: Uuid) -> Result<RunDetail> {
        let run =
            self.run(run_id).await?.ok_or_else(|| self.database.wrong(format!("run {run_id} was just removed")))?;
        let sql = "SELECT run_date, target, host, watermark_typed, fingerprint, warnings, vars FROM outport_run \
                   WHERE export_run_id = $1";
        let row = sqlx::query(self.database.sql(sql))
            .bind(run_id.to_string())
            .fetch_one(&self.database.pool)
            .await
            .map_err(|e| self.database.failed(e))?;
        let watermark: Option<Value> =
            self.get::<Option<String>>(&row, 3)?.map(|text| self.read_json(&text)).transpose()?;
        let warnings: Vec<(Warning, u64)> =
            self.get::<Option<String>>(&row, 5)?.map(|text| self.read_json(&text)).transpose()?.unwrap_or_default();
        Ok(RunDetail {
            run,
            run_date: self.get(&row, 0)?,
            target: self.get(&row, 1)?,
            host: self.get(&row, 2)?,
            new_watermark_value: watermark.map(|value| value.to_string()),
            fingerprint: self.get(&row, 4)?,
            vars: self.vars(&row, 6)?,
            warnings: warnings.iter().map(|(warning, times)| warning.counted(*times)).collect(),
        })
    }

    /// The run dates of an export with the states of their runs, oldest run first.
    pub async fn run_dates(&self, key: &ExportKey) -> Result<Vec<(jiff::civil::Date, RunState)>> {
        let sql = "SELECT r.run_date, l.export_state FROM outport_run r JOIN log_resource_export l \
             ON l.export_run_id = r.export_run_id WHERE l.export_group_name = $1 AND l.export_name = $2 ORDER BY l.started_at";
        let rows = sqlx::query(self.database.sql(sql))
            .bind(key.group.as_str())
            .bind(key.name.as_str())
            .fetch_all(&self.database.pool)
            .await
            .map_err(|e| self.database.failed(e))?;
        rows.iter()
            .map(|row| Ok((self.run_date(row, 0)?.date(), self.run_state(&self.get::<String>(row, 1)?)?)))
            .collect()
    }

    /// The id of the latest execution; `None` before the first run.
    pub async fn last_execution(&self) -> Result<Option<String>> {
        let last = self.history(&HistoryFilter::default(), 1).await?.pop();
        Ok(last.map(|run| run.master_execution_id))
    }

    /// The run date that the runs of an execution share; `None` where there are no such runs.
    pub async fn run_date_of(&self, execution_id: &str) -> Result<Option<jiff::civil::DateTime>> {
        let sql = "SELECT r.run_date FROM outport_run r JOIN log_resource_export l \
             ON l.export_run_id = r.export_run_id WHERE l.master_execution_id = $1 ORDER BY l.started_at LIMIT 1";
        let row = sqlx::query(self.database.sql(sql)).bind(execution_id).fetch_optional(&self.database.pool).await;
        row.map_err(|e| self.database.failed(e))?.map(|row| self.run_date(&row, 0)).transpose()
    }

    /// The variables that the runs of an execution used, with their values.
    pub async fn vars_of(&self, execution_id: &str) -> Result<BTreeMap<String, String>> {
        let sql = "SELECT r.vars FROM outport_run r JOIN log_resource_export l \
             ON l.export_run_id = r.export_run_id WHERE l.master_execution_id = $1 ORDER BY l.started_at";
        let rows = sqlx::query(self.database.sql(sql)).bind(execution_id).fetch_all(&self.database.pool).await;
        let mut vars = BTreeMap::new();
        for row in rows.map_err(|e| self.database.failed(e))? {
            vars.extend(self.vars(&row, 0)?);
        }
        Ok(vars)
    }

    /// Runs of earlier versions had no variables.
    fn vars(&self, row: &AnyRow, index: usize) -> Result<BTreeMap<String, String>> {
        let text: Option<String> = self.get(row, index)?;
        Ok(text.map(|text| self.read_json(&text)).transpose()?.unwrap_or_default())
    }

    fn run_date(&self, row: &AnyRow, index: usize) -> Result<jiff::civil::DateTime> {
        let text: String = self.get(row, index)?;
        text.parse()
            .map_err(|_| Error::new(ErrorKind::State, format!("the state holds a run date that is none: \"{text}\"")))
    }

    fn run_record(&self, row: &AnyRow) -> Result<RunRecord> {
        let time = |index| self.get::<Option<String>>(row, index)?.map(|text| self.time(&text)).transpose();
        let file_paths: Option<String> = self.get(row, 21)?;
        Ok(RunRecord {
            export_run_id: self.uuid(&self.get::<String>(row, 0)?)?,
            master_execution_id: self.get(row, 1)?,
            export_group_name: self.get(row, 2)?,
            export_name: self.get(row, 3)?,
            export_state: self.run_state(&self.get::<String>(row, 4)?)?,
            source_type: self.get(row, 5)?,
            source_workspace: self.get(row, 6)?,
            source_datastore: self.get(row, 7)?,
            source_table: self.get(row, 8)?,
            target_path: self.get(row, 9)?,
            file_format: self.get(row, 10)?,
            compression: self.get(row, 11)?,
            watermark_value: self.get(row, 12)?,
            period_start_date: self.get(row, 13)?,
            period_end_date: self.get(row, 14)?,
            started_at: self.time(&self.get::<String>(row, 15)?)?,
            completed_at: time(16)?,
            duration_ms: self.get(row, 17)?,
            rows_exported: self.get(row, 18)?,
            files_created: self.get(row, 19)?,
            total_bytes: self.get(row, 20)?,
            file_paths: file_paths.map(|text| self.read_json(&text)).transpose()?.unwrap_or_default(),
            trigger_file_path: self.get(row, 22)?,
            error_message: self.get(row, 23)?,
            updated_at: self.time(&self.get::<String>(row, 24)?)?,
        })
    }

    /// The runs of `key` that are in the log, the newest first.
    pub async fn runs_of(&self, key: &ExportKey, limit: u32) -> Result<Vec<RunRecord>> {
        let filter =
            HistoryFilter { group: Some(key.group.clone()), name: Some(key.name.clone()), ..HistoryFilter::default() };
        self.history(&filter, limit).await
    }
}
