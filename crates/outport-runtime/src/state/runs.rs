//! The life of a run in the log, from pending to its end.

use std::collections::BTreeMap;
use std::str::FromStr;

use outport_core::context::Warning;
use outport_core::destination::{Intent, Receipt};
use outport_core::export::{Export, ExportKey};
use outport_core::extract::Relation;
use outport_core::plan::{Last, Moment, Plan};
use outport_core::run::{RunEvent, RunState};
use outport_core::value::Value;
use outport_core::{Error, Result};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use uuid::Uuid;

use super::database::now;
use super::lease::lost;
use super::owner::Owner;
use super::{DeadRun, State};

/// What the log says of a run when it begins.
#[derive(Clone, Debug)]
pub struct RunStart {
    /// The run.
    pub run_id: Uuid,
    /// `master_execution_id`: the call that this run belongs to.
    pub execution_id: String,
    /// The export.
    pub key: ExportKey,
    /// `lakehouse` or `warehouse`.
    pub source_type: String,
    /// The documented `source_workspace`.
    pub source_workspace: Option<String>,
    /// The connection that is read.
    pub source: String,
    /// The table, as `schema.name`; `None` for a query.
    pub source_table: Option<String>,
    /// The connection that is written to.
    pub target: String,
    /// The folder, its placeholders not resolved yet.
    pub target_path: String,
    /// The format.
    pub file_format: String,
    /// The codec.
    pub compression: String,
    /// The logical date.
    pub run_date: String,
    /// The variables that the definition uses.
    pub vars: BTreeMap<String, String>,
}

impl RunStart {
    /// What is known of a run of `export` before it is planned.
    pub fn new(export: &Export, execution_id: &str, moment: &Moment) -> Self {
        let source_table = match &export.relation {
            Relation::Table { schema: Some(schema), name } => Some(format!("{schema}.{name}")),
            Relation::Table { schema: None, name } => Some(name.clone()),
            Relation::Query(_) => None,
        };
        Self {
            run_id: moment.run_id,
            execution_id: execution_id.to_owned(),
            key: export.key.clone(),
            source_type: export.source_type.name().to_owned(),
            source_workspace: export.source_workspace.clone(),
            source: export.source.clone(),
            source_table,
            target: export.target.clone(),
            target_path: export.target_path.clone(),
            file_format: export.format.clone(),
            compression: export.compression.codec.name().to_owned(),
            run_date: moment.run_date.datetime().to_string(),
            vars: export.vars.values(),
        }
    }
}

impl State {
    /// Logs a run as pending.
    pub async fn begin_run(&self, run: &RunStart) -> Result<()> {
        let mut transaction = self.database.begin().await?;
        let sql = "INSERT INTO log_resource_export (export_run_id, master_execution_id, export_group_name, export_name, export_state, \
                   source_type, source_workspace, source_datastore, source_table, target_path, file_format, compression, \
                   started_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::ts, $14::ts)";
        let now = now();
        sqlx::query(self.database.sql(sql))
            .bind(run.run_id.to_string())
            .bind(run.execution_id.as_str())
            .bind(run.key.group.as_str())
            .bind(run.key.name.as_str())
            .bind(RunState::Pending.name())
            .bind(run.source_type.as_str())
            .bind(run.source_workspace.as_deref())
            .bind(run.source.as_str())
            .bind(run.source_table.as_deref())
            .bind(run.target_path.as_str())
            .bind(run.file_format.as_str())
            .bind(run.compression.as_str())
            .bind(now.as_str())
            .bind(now.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(|e| self.database.failed(e))?;
        let sql = "INSERT INTO outport_run (export_run_id, host, machine, process, run_date, target, vars) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        sqlx::query(self.database.sql(sql))
            .bind(run.run_id.to_string())
            .bind(self.owner.host.as_str())
            .bind(self.owner.machine.as_str())
            .bind(self.owner.process.as_str())
            .bind(run.run_date.as_str())
            .bind(run.target.as_str())
            .bind(self.to_json(&run.vars)?)
            .execute(&mut *transaction)
            .await
            .map_err(|e| self.database.failed(e))?;
        self.database.commit(transaction).await
    }

    /// Writes down what a run will do, and what its success will write; a later plan of the same run replaces an earlier one.
    pub async fn planned(&self, plan: &Plan) -> Result<()> {
        let mut transaction = self.database.begin().await?;
        let sql = "UPDATE log_resource_export SET target_path = $1, watermark_value = $2, period_start_date = $3::civil, \
                   period_end_date = $4::civil, updated_at = $5::ts WHERE export_run_id = $6";
        let civil = |text: &Option<String>| text.as_deref().map(|t| t.trim_end_matches('Z').to_owned());
        sqlx::query(self.database.sql(sql))
            .bind(plan.layout.directory.as_str())
            .bind(plan.bounds.watermark_old.as_deref())
            .bind(civil(&plan.bounds.period_start))
            .bind(civil(&plan.bounds.period_end))
            .bind(now())
            .bind(plan.run_id.to_string())
            .execute(&mut *transaction)
            .await
            .map_err(|e| self.database.failed(e))?;
        let incremental = plan.extract_type == "incremental";
        let watermark = plan.watermark.as_ref().filter(|_| incremental).map(|w| self.to_json(w)).transpose()?;
        let sql = "UPDATE outport_run SET target = $1, incremental_column = $2, watermark_typed = $3, fingerprint = $4, columns = $5 \
                   WHERE export_run_id = $6";
        sqlx::query(self.database.sql(sql))
            .bind(plan.target.as_str())
            .bind(plan.bounds.column.as_deref().filter(|_| incremental))
            .bind(watermark)
            .bind(plan.fingerprint.as_str())
            .bind(self.to_json(&plan.columns)?)
            .bind(plan.run_id.to_string())
            .execute(&mut *transaction)
            .await
            .map_err(|e| self.database.failed(e))?;
        self.database.commit(transaction).await
    }

    /// Keeps what a run is about to make visible; a later intent of the same run replaces an earlier one.
    pub async fn record_intent(&self, intent: &Intent) -> Result<()> {
        let sql = "INSERT INTO outport_intent (export_run_id, intent, updated_at) VALUES ($1, $2::json, $3::ts) \
                   ON CONFLICT (export_run_id) DO UPDATE SET intent = excluded.intent, updated_at = excluded.updated_at";
        sqlx::query(self.database.sql(sql))
            .bind(intent.run_id.to_string())
            .bind(self.to_json(intent)?)
            .bind(now())
            .execute(&self.database.pool)
            .await
            .map_err(|e| self.database.failed(e))?;
        Ok(())
    }

    /// Closes the books of a run that published everything: success, watermark, fingerprint and the end of its lease, all in
    /// one transaction.
    ///
    /// # Errors
    /// [`outport_core::ErrorKind::Busy`] if another run has taken the lease over; nothing is changed then.
    pub async fn finish_success(&self, plan: &Plan, receipt: &Receipt, warnings: &[(Warning, u64)]) -> Result<()> {
        let count = warnings.iter().map(|(_, times)| times).sum();
        let mut transaction = self.database.begin().await?;
        if !self.delete_lease(&mut transaction, plan.run_id).await? {
            return Err(lost(&plan.export));
        }
        let event = RunEvent::Succeeded { warnings: count };
        self.close_books(&mut transaction, &plan.export, plan.run_id, &event, receipt).await?;
        if !warnings.is_empty() {
            sqlx::query(self.database.sql("UPDATE outport_run SET warnings = $1 WHERE export_run_id = $2"))
                .bind(self.to_json(&warnings)?)
                .bind(plan.run_id.to_string())
                .execute(&mut *transaction)
                .await
                .map_err(|e| self.database.failed(e))?;
        }
        self.database.commit(transaction).await
    }

    /// Closes the books of a dead run that turned out to have published everything, as its own success would have. Gives the
    /// watermark that it moved to, if it moved one.
    pub async fn adopt(&self, dead: &DeadRun, receipt: &Receipt) -> Result<Option<Value>> {
        let mut transaction = self.database.begin().await?;
        let watermark = self.close_books(&mut transaction, &dead.key, dead.run_id, &RunEvent::Adopted, receipt).await?;
        self.database.commit(transaction).await?;
        Ok(watermark)
    }

    /// Logs a run as failed and ends its lease. A run that is logged as failed already stays as it is.
    ///
    /// What it was about to publish stays on record if the run is the one that holds the lease, since its destination may not
    /// have been able to clean up; the next run then looks after it. For a dead run it is forgotten.
    pub async fn finish_error(&self, run_id: Uuid, error: &Error) -> Result<()> {
        let clean = self.intent(run_id).await?.is_none_or(|intent| intent == Intent { run_id, ..Intent::default() });
        let mut transaction = self.database.begin().await?;
        let held = self.delete_lease(&mut transaction, run_id).await?;
        let state = self.state_of(&mut transaction, run_id).await?;
        if state != RunState::Error {
            self.step(&mut transaction, run_id, &RunEvent::Failed).await?;
            self.complete(&mut transaction, run_id).await?;
            sqlx::query(
                self.database.sql("UPDATE log_resource_export SET error_message = $1 WHERE export_run_id = $2"),
            )
            .bind(format!("{}: {error}", error.kind().class()))
            .bind(run_id.to_string())
            .execute(&mut *transaction)
            .await
            .map_err(|e| self.database.failed(e))?;
        }
        if !held || clean {
            self.forget_intent(&mut transaction, run_id).await?;
        }
        self.database.commit(transaction).await
    }

    /// Takes a run out of the log that found its work done by an earlier one, and ends its lease.
    pub async fn withdraw(&self, run_id: Uuid) -> Result<()> {
        let mut transaction = self.database.begin().await?;
        self.delete_lease(&mut transaction, run_id).await?;
        self.forget_intent(&mut transaction, run_id).await?;
        for table in ["outport_run", "log_resource_export"] {
            sqlx::query(self.database.sql(&format!("DELETE FROM {table} WHERE export_run_id = $1")))
                .bind(run_id.to_string())
                .execute(&mut *transaction)
                .await
                .map_err(|e| self.database.failed(e))?;
        }
        self.database.commit(transaction).await
    }

    /// The exports that an execution left undone: whose last run in it failed, or died.
    pub async fn failed_of(&self, execution_id: &str) -> Result<Vec<ExportKey>> {
        let sql = "SELECT l.export_group_name, l.export_name, l.export_state, r.host, r.machine, r.process, \
                   coalesce(h.expires_at - @now_ms, 0) \
                   FROM log_resource_export l JOIN outport_run r ON r.export_run_id = l.export_run_id \
                   LEFT JOIN outport_lease h ON h.export_run_id = l.export_run_id \
                   WHERE l.master_execution_id = $1 ORDER BY l.export_group_name, l.export_name, l.started_at DESC";
        let rows = sqlx::query(self.database.sql(sql))
            .bind(execution_id)
            .fetch_all(&self.database.pool)
            .await
            .map_err(|e| self.database.failed(e))?;
        let mut failed = Vec::new();
        let mut last = None;
        for row in rows {
            let key = ExportKey { group: self.get(&row, 0)?, name: self.get(&row, 1)? };
            if last.as_ref() == Some(&key) {
                continue;
            }
            last = Some(key.clone());
            let gone = self.owner.knows_dead(&self.owner_of(&row, 3)?);
            let undone = match self.run_state(&self.get::<String>(&row, 2)?)? {
                RunState::Error => true,
                RunState::Running => gone || self.get::<i64>(&row, 6)? <= 0,
                RunState::Pending => gone,
                RunState::Success | RunState::Warning => false,
            };
            if undone {
                failed.push(key);
            }
        }
        Ok(failed)
    }

    /// What is known of the last successful run of an export.
    pub async fn last(&self, key: &ExportKey) -> Result<Last> {
        let sql =
            "SELECT fingerprint, columns FROM outport_fingerprint WHERE export_group_name = $1 AND export_name = $2";
        let row = sqlx::query(self.database.sql(sql))
            .bind(key.group.as_str())
            .bind(key.name.as_str())
            .fetch_optional(&self.database.pool)
            .await
            .map_err(|e| self.database.failed(e))?;
        let watermark = self.watermark(key).await?.and_then(|record| record.value);
        let Some(row) = row else {
            return Ok(Last { watermark, ..Last::default() });
        };
        let columns = self.read_json(&self.get::<String>(&row, 1)?)?;
        // A watermark that was reset leaves no definition, but the columns stay: they are what readers of the files expect.
        let fingerprint = Some(self.get(&row, 0)?).filter(|text: &String| !text.is_empty());
        Ok(Last { watermark, fingerprint, columns: Some(columns) })
    }

    async fn close_books(
        &self,
        connection: &mut AnyConnection,
        key: &ExportKey,
        run_id: Uuid,
        event: &RunEvent,
        receipt: &Receipt,
    ) -> Result<Option<Value>> {
        self.step(connection, run_id, event).await?;
        self.complete(connection, run_id).await?;
        let files: Vec<&str> = receipt.files.iter().map(|file| file.path.as_str()).collect();
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let sql = "UPDATE log_resource_export SET rows_exported = $1, files_created = $2, total_bytes = $3, file_paths = $4::json, \
                   trigger_file_path = $5, error_message = NULL WHERE export_run_id = $6";
        sqlx::query(self.database.sql(sql))
            .bind(number(receipt.rows))
            .bind(number(files.len() as u64))
            .bind(number(receipt.bytes))
            .bind(self.to_json(&files)?)
            .bind(receipt.trigger.as_deref())
            .bind(run_id.to_string())
            .execute(&mut *connection)
            .await
            .map_err(|e| self.database.failed(e))?;
        self.forget_intent(connection, run_id).await?;

        let sql = "SELECT incremental_column, watermark_typed, fingerprint, columns FROM outport_run WHERE export_run_id = $1";
        let row = sqlx::query(self.database.sql(sql))
            .bind(run_id.to_string())
            .fetch_one(&mut *connection)
            .await
            .map_err(|e| self.database.failed(e))?;
        let watermark: Option<Value> =
            self.get::<Option<String>>(&row, 1)?.map(|text| self.read_json(&text)).transpose()?;
        if let Some(value) = &watermark {
            let column: Option<String> = self.get(&row, 0)?;
            self.append_watermark(connection, key, column.as_deref(), Some(value), Some(run_id)).await?;
        }
        if let (Some(fingerprint), Some(columns)) =
            (self.get::<Option<String>>(&row, 2)?, self.get::<Option<String>>(&row, 3)?)
        {
            let sql = "INSERT INTO outport_fingerprint (export_group_name, export_name, fingerprint, columns, export_run_id, updated_at) \
                       VALUES ($1, $2, $3, $4, $5, $6::ts) ON CONFLICT (export_group_name, export_name) DO UPDATE SET \
                       fingerprint = excluded.fingerprint, columns = excluded.columns, export_run_id = excluded.export_run_id, \
                       updated_at = excluded.updated_at";
            sqlx::query(self.database.sql(sql))
                .bind(key.group.as_str())
                .bind(key.name.as_str())
                .bind(fingerprint)
                .bind(columns)
                .bind(run_id.to_string())
                .bind(now())
                .execute(&mut *connection)
                .await
                .map_err(|e| self.database.failed(e))?;
        }
        Ok(watermark)
    }

    /// Takes one step of the state machine.
    pub(super) async fn step(&self, connection: &mut AnyConnection, run_id: Uuid, event: &RunEvent) -> Result<()> {
        let before = self.state_of(connection, run_id).await?;
        let after = before.apply(event).map_err(|e| e.context(format!("run {run_id}")))?;
        let sql = "UPDATE log_resource_export SET export_state = $1, updated_at = $2::ts WHERE export_run_id = $3 AND export_state = $4";
        let done = sqlx::query(self.database.sql(sql))
            .bind(after.name())
            .bind(now())
            .bind(run_id.to_string())
            .bind(before.name())
            .execute(connection)
            .await
            .map_err(|e| self.database.failed(e))?;
        match done.rows_affected() {
            1 => Ok(()),
            _ => Err(self.database.wrong(format!("run {run_id} was changed by another process at the same time"))),
        }
    }

    async fn state_of(&self, connection: &mut AnyConnection, run_id: Uuid) -> Result<RunState> {
        let row =
            sqlx::query(self.database.sql("SELECT export_state FROM log_resource_export WHERE export_run_id = $1"))
                .bind(run_id.to_string())
                .fetch_optional(connection)
                .await
                .map_err(|e| self.database.failed(e))?;
        let row = row.ok_or_else(|| self.database.wrong(format!("there is no run {run_id}")))?;
        self.run_state(&self.get::<String>(&row, 0)?)
    }

    async fn complete(&self, connection: &mut AnyConnection, run_id: Uuid) -> Result<()> {
        let row =
            sqlx::query(self.database.sql("SELECT @ts(started_at) FROM log_resource_export WHERE export_run_id = $1"))
                .bind(run_id.to_string())
                .fetch_one(&mut *connection)
                .await
                .map_err(|e| self.database.failed(e))?;
        let started = self.time(&self.get::<String>(&row, 0)?)?;
        let completed = jiff::Timestamp::now();
        let duration = i64::try_from(completed.duration_since(started).as_millis()).unwrap_or(i64::MAX);
        let sql = "UPDATE log_resource_export SET completed_at = $1::ts, duration_ms = $2 WHERE export_run_id = $3";
        sqlx::query(self.database.sql(sql))
            .bind(super::database::stored(completed))
            .bind(duration)
            .bind(run_id.to_string())
            .execute(connection)
            .await
            .map_err(|e| self.database.failed(e))?;
        Ok(())
    }

    async fn forget_intent(&self, connection: &mut AnyConnection, run_id: Uuid) -> Result<()> {
        sqlx::query(self.database.sql("DELETE FROM outport_intent WHERE export_run_id = $1"))
            .bind(run_id.to_string())
            .execute(connection)
            .await
            .map_err(|e| self.database.failed(e))?;
        Ok(())
    }

    pub(super) fn owner_of(&self, row: &AnyRow, first: usize) -> Result<Owner> {
        Ok(Owner {
            host: self.get(row, first)?,
            machine: self.get(row, first + 1)?,
            process: self.get(row, first + 2)?,
        })
    }

    pub(super) fn get<'r, T>(&self, row: &'r AnyRow, index: usize) -> Result<T>
    where
        T: sqlx::Decode<'r, sqlx::Any> + sqlx::Type<sqlx::Any>,
    {
        row.try_get(index).map_err(|e| self.database.failed(e))
    }

    pub(super) fn run_state(&self, text: &str) -> Result<RunState> {
        RunState::from_str(text).map_err(|e| self.database.wrong(e.message()))
    }

    pub(super) fn uuid(&self, text: &str) -> Result<Uuid> {
        Uuid::from_str(text).map_err(|_| self.database.wrong(format!("\"{text}\" is no run id")))
    }

    pub(super) fn time(&self, text: &str) -> Result<jiff::Timestamp> {
        text.parse().map_err(|_| self.database.wrong(format!("\"{text}\" is no timestamp")))
    }

    pub(super) fn to_json(&self, value: &impl serde::Serialize) -> Result<String> {
        serde_json::to_string(value).map_err(|e| self.database.wrong(e))
    }

    pub(super) fn read_json<T: serde::de::DeserializeOwned>(&self, text: &str) -> Result<T> {
        serde_json::from_str(text)
            .map_err(|e| self.database.wrong(format!("expected JSON of another shape, found {text}: {e}")))
    }
}
