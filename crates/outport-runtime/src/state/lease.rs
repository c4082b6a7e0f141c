//! Leases: at most one run of an export at a time, on however many machines.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use outport_core::export::ExportKey;
use outport_core::run::RunEvent;
use outport_core::{Error, ErrorKind, Result};
use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, Row, Transaction};
use uuid::Uuid;

use super::State;
use super::database::now;
use super::owner::Owner;

/// The right to run one export. It ends when the run's books are closed, when it is released, or by its time.
#[derive(Debug)]
pub struct Lease {
    state: State,
    key: ExportKey,
    run_id: Uuid,
    renewed: Mutex<Instant>,
}

/// A lease as it stands in the database.
struct Held {
    run_id: String,
    owner: Owner,
    acquired_at: String,
    expires_at: i64,
    expired: bool,
}

impl State {
    /// Makes `run_id`, which was begun, the only run of `key`, and logs it as running.
    ///
    /// A lease is taken over when its time is over, or when its holder is a process of this machine that has ended.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`], which names the holder, if another run of the export is going on.
    pub async fn acquire_lease(&self, key: &ExportKey, run_id: Uuid) -> Result<Lease> {
        self.take_lease(key, run_id, Some(&RunEvent::Started)).await
    }

    /// Keeps runs of `key` from beginning while what dead ones left is dealt with; `id` stands for the run that there is none of.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] as [`State::acquire_lease`].
    pub async fn lease_for_clean_up(&self, key: &ExportKey, id: Uuid) -> Result<Lease> {
        self.take_lease(key, id, None).await
    }

    /// Takes the lease, and logs in the same transaction what that means for the run.
    async fn take_lease(&self, key: &ExportKey, run_id: Uuid, step: Option<&RunEvent>) -> Result<Lease> {
        let mut transaction = self.database.begin().await?;
        // The first attempt finds a lease that is stale, if there is one, and removes it; a second that fails was overtaken.
        let sql = "INSERT INTO outport_lease (export_group_name, export_name, export_run_id, host, machine, process, acquired_at, expires_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7::ts, @now_ms + $8) ON CONFLICT (export_group_name, export_name) DO NOTHING";
        for _ in 0..2 {
            let inserted = sqlx::query(self.database.sql(sql))
                .bind(key.group.as_str())
                .bind(key.name.as_str())
                .bind(run_id.to_string())
                .bind(self.owner.host.as_str())
                .bind(self.owner.machine.as_str())
                .bind(self.owner.process.as_str())
                .bind(now())
                .bind(self.lease_ms())
                .execute(&mut *transaction)
                .await
                .map_err(|e| self.database.failed(e))?;
            if inserted.rows_affected() == 1 {
                if let Some(step) = step {
                    self.step(&mut transaction, run_id, step).await?;
                }
                self.database.commit(transaction).await?;
                return Ok(Lease {
                    state: self.clone(),
                    key: key.clone(),
                    run_id,
                    renewed: Mutex::new(Instant::now()),
                });
            }
            self.remove_stale(&mut transaction, key, run_id).await?;
        }
        Err(Error::new(ErrorKind::Busy, format!("export \"{key}\" was just begun by another process")).retryable(true))
    }

    /// Removes the lease of `key` if its holder is found to be gone, and says who holds it if not.
    async fn remove_stale(
        &self,
        transaction: &mut Transaction<'static, Any>,
        key: &ExportKey,
        run_id: Uuid,
    ) -> Result<()> {
        let Some(held) = self.held(transaction, key).await? else {
            return Ok(());
        };
        if held.run_id != run_id.to_string() && !held.expired && !self.owner.knows_dead(&held.owner) {
            return Err(busy(key, &held));
        }
        // A holder that renews it in this moment keeps it.
        let sql = "DELETE FROM outport_lease WHERE export_group_name = $1 AND export_name = $2 AND export_run_id = $3 \
                   AND expires_at = $4";
        sqlx::query(self.database.sql(sql))
            .bind(key.group.as_str())
            .bind(key.name.as_str())
            .bind(held.run_id)
            .bind(held.expires_at)
            .execute(&mut **transaction)
            .await
            .map_err(|e| self.database.failed(e))?;
        Ok(())
    }

    async fn held(&self, connection: &mut AnyConnection, key: &ExportKey) -> Result<Option<Held>> {
        let sql = "SELECT export_run_id, host, machine, process, @ts(acquired_at), expires_at, @now_ms FROM outport_lease \
                   WHERE export_group_name = $1 AND export_name = $2";
        let row = sqlx::query(self.database.sql(sql))
            .bind(key.group.as_str())
            .bind(key.name.as_str())
            .fetch_optional(connection)
            .await
            .map_err(|e| self.database.failed(e))?;
        let read = |row: AnyRow| -> sqlx::Result<Held> {
            Ok(Held {
                run_id: row.try_get(0)?,
                owner: Owner { host: row.try_get(1)?, machine: row.try_get(2)?, process: row.try_get(3)? },
                acquired_at: row.try_get(4)?,
                expires_at: row.try_get(5)?,
                expired: row.try_get::<i64, _>(5)? <= row.try_get::<i64, _>(6)?,
            })
        };
        row.map(read).transpose().map_err(|e| self.database.failed(e))
    }

    fn lease_ms(&self) -> i64 {
        i64::try_from(self.lease_time.as_millis()).unwrap_or(i64::MAX / 2)
    }
}

fn busy(key: &ExportKey, held: &Held) -> Error {
    let since = held.acquired_at.split('.').next().unwrap_or_default();
    Error::new(
        ErrorKind::Busy,
        format!("export \"{key}\" is being run by {} since {since}Z (run {})", held.owner.describe(), held.run_id),
    )
    .hint("wait for it to end; if its machine is gone, the lease ends by itself within a minute")
}

impl Lease {
    /// How often the lease is to be renewed: three times before it would end.
    pub fn renew_every(&self) -> Duration {
        self.state.lease_time / 3
    }

    /// Makes the lease hold for its whole time from now on. A database that cannot be reached is forgiven as long as the lease
    /// holds without it.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if another run has taken the lease over.
    pub async fn renew(&self) -> Result<()> {
        let database = &self.state.database;
        let sql = "UPDATE outport_lease SET expires_at = @now_ms + $1 \
                   WHERE export_group_name = $2 AND export_name = $3 AND export_run_id = $4";
        let begun = Instant::now();
        let renewed = sqlx::query(database.sql(sql))
            .bind(self.state.lease_ms())
            .bind(self.key.group.as_str())
            .bind(self.key.name.as_str())
            .bind(self.run_id.to_string())
            .execute(&database.pool)
            .await;
        let mut last = self.renewed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match renewed {
            Ok(done) if done.rows_affected() == 1 => {
                *last = begun;
                Ok(())
            }
            Ok(_) => Err(lost(&self.key)),
            Err(error) if last.elapsed() < self.state.lease_time => {
                tracing::warn!("the lease of {} could not be renewed yet: {}", self.key, database.failed(error));
                Ok(())
            }
            Err(error) => Err(database.failed(error)),
        }
    }

    /// Gives the lease back before its time; nothing happens where it is gone already.
    pub async fn release(&self) -> Result<()> {
        let database = &self.state.database;
        let mut transaction = database.begin().await?;
        self.state.delete_lease(&mut transaction, self.run_id).await?;
        database.commit(transaction).await
    }
}

/// A run whose lease another one took over must not close its books.
pub(super) fn lost(key: &ExportKey) -> Error {
    Error::new(ErrorKind::Busy, format!("the lease of export \"{key}\" was lost to another run"))
        .hint("this process stood still for longer than the lease holds; the other run takes care of what it left")
}

impl State {
    /// Removes the lease of a run; tells whether it had one.
    pub(super) async fn delete_lease(&self, connection: &mut AnyConnection, run_id: Uuid) -> Result<bool> {
        let done = sqlx::query(self.database.sql("DELETE FROM outport_lease WHERE export_run_id = $1"))
            .bind(run_id.to_string())
            .execute(connection)
            .await
            .map_err(|e| self.database.failed(e))?;
        Ok(done.rows_affected() > 0)
    }
}
