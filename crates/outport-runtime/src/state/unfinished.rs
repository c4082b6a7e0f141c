//! What is not over: runs that may have left something behind, and what they wrote down of it.

use outport_core::Result;
use outport_core::destination::Intent;
use outport_core::export::ExportKey;
use outport_core::run::RunState;
use uuid::Uuid;

use super::State;

/// A run that ended without closing its books.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadRun {
    /// The run.
    pub run_id: Uuid,
    /// The export.
    pub key: ExportKey,
    /// The connection it wrote to.
    pub target: Option<String>,
    /// What it was about to publish, if it came so far.
    pub intent: Option<Intent>,
}

impl State {
    /// The runs of an export that ended without closing their books: to be called by the run that holds its lease.
    ///
    /// Such are the runs that are logged as running but do not hold the lease, those that are pending in a process that has
    /// ended, and those that failed and left an intent.
    pub async fn dead_runs(&self, key: &ExportKey) -> Result<Vec<DeadRun>> {
        let sql = "SELECT l.export_run_id, l.export_state, r.target, r.host, r.machine, r.process, @json(i.intent) \
                   FROM log_resource_export l JOIN outport_run r ON r.export_run_id = l.export_run_id \
                   LEFT JOIN outport_intent i ON i.export_run_id = l.export_run_id \
                   WHERE l.export_group_name = $1 AND l.export_name = $2 \
                   AND (l.export_state IN ('pending', 'running') OR (l.export_state = 'error' AND i.export_run_id IS NOT NULL)) \
                   AND NOT EXISTS (SELECT 1 FROM outport_lease h WHERE h.export_run_id = l.export_run_id) ORDER BY l.started_at";
        let rows = sqlx::query(self.database.sql(sql))
            .bind(key.group.as_str())
            .bind(key.name.as_str())
            .fetch_all(&self.database.pool)
            .await
            .map_err(|e| self.database.failed(e))?;
        let mut dead = Vec::new();
        for row in rows {
            let owner = self.owner_of(&row, 3)?;
            if self.get::<String>(&row, 1)? == RunState::Pending.name() && !self.owner.knows_dead(&owner) {
                continue;
            }
            let intent: Option<String> = self.get(&row, 6)?;
            dead.push(DeadRun {
                run_id: self.uuid(&self.get::<String>(&row, 0)?)?,
                key: key.clone(),
                target: self.get(&row, 2)?,
                intent: intent.map(|text| self.read_json(&text)).transpose()?,
            });
        }
        Ok(dead)
    }

    /// Whether there are runs of an export that are not over: alive, dead, or failed with something left behind.
    pub async fn has_unfinished(&self, key: &ExportKey) -> Result<bool> {
        let sql = "SELECT count(*) FROM log_resource_export l LEFT JOIN outport_intent i ON i.export_run_id = l.export_run_id \
                   WHERE l.export_group_name = $1 AND l.export_name = $2 \
                   AND (l.export_state IN ('pending', 'running') OR (l.export_state = 'error' AND i.export_run_id IS NOT NULL))";
        let row = sqlx::query(self.database.sql(sql))
            .bind(key.group.as_str())
            .bind(key.name.as_str())
            .fetch_one(&self.database.pool)
            .await
            .map_err(|e| self.database.failed(e))?;
        Ok(self.get::<i64>(&row, 0)? > 0)
    }

    /// What a run wrote down of what it has begun, if it has.
    pub async fn intent(&self, run_id: Uuid) -> Result<Option<Intent>> {
        let row = sqlx::query(self.database.sql("SELECT @json(intent) FROM outport_intent WHERE export_run_id = $1"))
            .bind(run_id.to_string())
            .fetch_optional(&self.database.pool)
            .await
            .map_err(|e| self.database.failed(e))?;
        let text = row.map(|row| self.get::<String>(&row, 0)).transpose()?;
        text.map(|text| self.read_json(&text)).transpose()
    }
}
