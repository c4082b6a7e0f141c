//! The state of all exports: the log of their runs, watermarks, leases, and what runs that died left behind.
//!
//! It is kept in SQLite (the default: one file beside the project) or in PostgreSQL, where several machines share it. The
//! tables `log_resource_export` and `log_resource_export_watermark` are those of the export contract and may be read by
//! anyone; those named `outport_…` are ours.
//!
//! A run goes like this, each step a transaction of its own:
//!
//! 1. [`State::begin_run`] logs it as pending.
//! 2. [`State::acquire_lease`] makes it the only run of its export, and logs it as running.
//! 3. [`State::planned`] writes down what it will do, and what its success would write.
//! 4. The destination writes its intents through [`State::journal`].
//! 5. [`State::finish_success`] logs the success, moves the watermark and gives the lease back, all or nothing; or
//!    [`State::finish_error`] logs the failure.
//!
//! A process that dies in between leaves a run that the next run of the same export finds with [`State::dead_runs`]; it then
//! closes its books with [`State::adopt`] or with [`State::finish_error`].

mod database;
mod history;
mod lease;
mod owner;
mod runs;
mod unfinished;
mod watermark;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use outport_core::Result;
use outport_core::context::Journal;
use outport_core::destination::Intent;

pub use history::{HistoryFilter, RunDetail, RunRecord};
pub use lease::Lease;
pub use runs::RunStart;
pub use unfinished::DeadRun;
pub use watermark::WatermarkRecord;

use database::Database;
use owner::Owner;

/// How long a lease holds when its holder does not renew it.
pub const LEASE_TIME: Duration = Duration::from_secs(60);

/// The state database; clones share it.
#[derive(Clone, Debug)]
pub struct State {
    database: Arc<Database>,
    owner: Arc<Owner>,
    lease_time: Duration,
}

impl State {
    /// Opens the state, and creates or upgrades its tables: a `postgres://` URL, or the path of an SQLite file, whose folder
    /// is created if need be.
    ///
    /// # Errors
    /// [`outport_core::ErrorKind::State`] if it cannot be opened, is not a state database, or was written by a newer version.
    pub async fn open(url: &str) -> Result<Self> {
        let database = Database::open(url).await?;
        Ok(Self { database: Arc::new(database), owner: Arc::new(Owner::this_process()), lease_time: LEASE_TIME })
    }

    /// Lets leases hold for another time than [`LEASE_TIME`].
    pub fn with_lease_time(mut self, lease_time: Duration) -> Self {
        self.lease_time = lease_time;
        self
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.database.pool.close().await;
    }

    /// A journal that keeps intents here.
    pub fn journal(&self) -> StateJournal {
        StateJournal(self.clone())
    }
}

/// Writes the intents of destinations into the state.
#[derive(Clone, Debug)]
pub struct StateJournal(State);

#[async_trait]
impl Journal for StateJournal {
    async fn record(&self, intent: &Intent) -> Result<()> {
        self.0.record_intent(intent).await
    }
}
