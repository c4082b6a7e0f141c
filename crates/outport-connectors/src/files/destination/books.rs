//! The run's intent, kept in memory and in the journal.

use std::sync::Arc;

use outport_core::context::{Cancel, Journal};
use outport_core::destination::{Intent, Upload};
use outport_core::{Context, Result};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::files::store::Store;

/// What the run has begun, so that whoever comes after can finish or undo it. Clones share it.
#[derive(Clone)]
pub(super) struct Books {
    journal: Arc<dyn Journal>,
    intent: Arc<Mutex<Intent>>,
    run_id: Uuid,
}

impl Books {
    pub(super) fn new(context: &Context) -> Self {
        let intent = Intent { run_id: context.run_id, ..Intent::default() };
        Self { journal: context.journal.clone(), intent: Arc::new(Mutex::new(intent)), run_id: context.run_id }
    }

    /// Changes the intent and writes it down; returns once it is durable.
    pub(super) async fn record(&self, change: impl FnOnce(&mut Intent)) -> Result<()> {
        let mut intent = self.intent.lock().await;
        change(&mut intent);
        self.journal.record(&intent).await
    }

    /// Changes the intent in memory alone: what is written down next holds it.
    pub(super) async fn note(&self, change: impl FnOnce(&mut Intent)) {
        change(&mut *self.intent.lock().await);
    }

    /// Opens an upload with `create`, which gives its id, and writes down its path before and its id after. Another one can be
    /// opened only then: what dies here leaves at most one upload whose id never came back, and recovery knows where to look.
    ///
    /// It is refused once the run has stopped, and never given up half-way: [`discard`](Self::discard) comes before or after it.
    pub(super) async fn open_upload(
        &self,
        path: &str,
        stop: &Cancel,
        create: impl Future<Output = Result<String>>,
    ) -> Result<String> {
        let mut intent = self.intent.lock().await;
        stop.check()?;
        intent.opening = Some(path.to_owned());
        self.journal.record(&intent).await?;
        let id = create.await?;
        intent.opening = None;
        intent.uploads.push(Upload { path: path.to_owned(), id: id.clone(), parts: Vec::new() });
        self.journal.record(&intent).await?;
        self.journal.reached(&format!("uploading {path}")).await?;
        Ok(id)
    }

    /// Tells the journal of a step that changed something outside.
    pub(super) async fn reached(&self, step: &str) -> Result<()> {
        self.journal.reached(step).await
    }

    /// Removes temporary files and aborts uploads of a run that failed; final paths are not touched.
    pub(super) async fn discard(&self, store: &Store) -> Result<()> {
        let mut intent = self.intent.lock().await;
        let removed = super::recover::remove_unpublished(store, &intent).await;
        *intent = Intent { run_id: self.run_id, ..Intent::default() };
        removed?;
        self.journal.record(&intent).await
    }
}
