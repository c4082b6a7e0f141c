//! How far incremental exports have come. The table is append-only, and its last row counts.

use outport_core::Result;
use outport_core::export::ExportKey;
use outport_core::value::Value;
use serde::Serialize;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use uuid::Uuid;

use super::State;
use super::database::now;

/// One row of `log_resource_export_watermark`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WatermarkRecord {
    /// The export.
    pub key: ExportKey,
    /// The column that the value is of.
    pub incremental_column: Option<String>,
    /// The value; `None` where the watermark was reset.
    pub value: Option<Value>,
    /// The value as text, as documented.
    pub watermark_value: Option<String>,
    /// When it was written, UTC.
    pub updated_at: jiff::Timestamp,
    /// The run that came so far; `None` where a user wrote it.
    pub run_id: Option<Uuid>,
}

const COLUMNS: &str = "export_group_name, export_name, incremental_column, watermark_value, watermark_typed, @ts(updated_at), export_run_id";

impl State {
    /// The watermark of an export; `None` where there never was one.
    pub async fn watermark(&self, key: &ExportKey) -> Result<Option<WatermarkRecord>> {
        Ok(self.watermark_history(key, 1).await?.pop())
    }

    /// The watermarks of an export, the newest first, at most `limit` of them.
    pub async fn watermark_history(&self, key: &ExportKey, limit: u32) -> Result<Vec<WatermarkRecord>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM log_resource_export_watermark WHERE export_group_name = $1 AND export_name = $2 \
             ORDER BY watermark_id DESC LIMIT $3"
        );
        let rows = sqlx::query(self.database.sql(&sql))
            .bind(key.group.as_str())
            .bind(key.name.as_str())
            .bind(i64::from(limit))
            .fetch_all(&self.database.pool)
            .await
            .map_err(|e| self.database.failed(e))?;
        rows.iter().map(|row| self.watermark_record(row)).collect()
    }

    /// Sets the watermark of an export by hand. The definition that it was reached with stays in force.
    pub async fn set_watermark(&self, key: &ExportKey, column: &str, value: &Value) -> Result<()> {
        let mut transaction = self.database.begin().await?;
        self.append_watermark(&mut transaction, key, Some(column), Some(value), None).await?;
        self.database.commit(transaction).await
    }

    /// Forgets the watermark of an export and the definition that it was reached with: the next run takes all rows. The history
    /// stays, and so do the columns, which a schema policy may hold the next run to.
    pub async fn reset_watermark(&self, key: &ExportKey) -> Result<()> {
        let column = self.watermark(key).await?.and_then(|record| record.incremental_column);
        let mut transaction = self.database.begin().await?;
        self.append_watermark(&mut transaction, key, column.as_deref(), None, None).await?;
        let sql = "UPDATE outport_fingerprint SET fingerprint = '' WHERE export_group_name = $1 AND export_name = $2";
        sqlx::query(self.database.sql(sql))
            .bind(key.group.as_str())
            .bind(key.name.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(|e| self.database.failed(e))?;
        self.database.commit(transaction).await
    }

    /// Appends a row; a run that did not come further than the last one leaves none.
    pub(super) async fn append_watermark(
        &self,
        connection: &mut AnyConnection,
        key: &ExportKey,
        column: Option<&str>,
        value: Option<&Value>,
        run_id: Option<Uuid>,
    ) -> Result<()> {
        let typed = value.map(|v| self.to_json(v)).transpose()?;
        let sql = "SELECT watermark_typed FROM log_resource_export_watermark WHERE export_group_name = $1 AND export_name = $2 \
                   ORDER BY watermark_id DESC LIMIT 1";
        let last = sqlx::query(self.database.sql(sql))
            .bind(key.group.as_str())
            .bind(key.name.as_str())
            .fetch_optional(&mut *connection)
            .await
            .map_err(|e| self.database.failed(e))?;
        let last: Option<String> = last.map(|row| self.get(&row, 0)).transpose()?.flatten();
        if last == typed && run_id.is_some() {
            return Ok(());
        }
        let sql = "INSERT INTO log_resource_export_watermark (export_group_name, export_name, incremental_column, watermark_value, \
                   watermark_typed, updated_at, export_run_id) VALUES ($1, $2, $3, $4, $5, $6::ts, $7)";
        sqlx::query(self.database.sql(sql))
            .bind(key.group.as_str())
            .bind(key.name.as_str())
            .bind(column)
            .bind(value.map(ToString::to_string))
            .bind(typed)
            .bind(now())
            .bind(run_id.map(|id| id.to_string()))
            .execute(connection)
            .await
            .map_err(|e| self.database.failed(e))?;
        Ok(())
    }

    fn watermark_record(&self, row: &AnyRow) -> Result<WatermarkRecord> {
        let typed: Option<String> = self.get(row, 4)?;
        let run_id: Option<String> = self.get(row, 6)?;
        Ok(WatermarkRecord {
            key: ExportKey { group: self.get(row, 0)?, name: self.get(row, 1)? },
            incremental_column: self.get(row, 2)?,
            watermark_value: self.get(row, 3)?,
            value: typed.map(|text| self.read_json(&text)).transpose()?,
            updated_at: self.time(&self.get::<String>(row, 5)?)?,
            run_id: run_id.map(|id| self.uuid(&id)).transpose()?,
        })
    }
}
