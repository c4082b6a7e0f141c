//! Runs models in the order of their references, as many at once as the graph and the call allow.

mod export;
mod materialize;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use futures::stream::{FuturesUnordered, StreamExt};
use outport_core::engine::Engine;
use outport_core::{Context, Error, Result};
use serde::Serialize;
use uuid::Uuid;

use crate::model::Model;
use crate::plan::Warehouse;
use crate::state::{Built, State, Status};
use crate::{assertions, sql};

pub use export::Exporter;

/// How a run behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Nothing new begins after a failure.
    pub fail_fast: bool,
    /// Models that did not change, and whose exports are there, are left alone.
    pub changed: bool,
    /// Incremental models are made anew.
    pub full_refresh: bool,
    /// Incremental models grow on although their SQL was edited.
    pub accept_change: bool,
    /// How many models run at once.
    pub jobs: usize,
    /// Where exports go.
    pub export_dir: PathBuf,
}

/// What became of one model.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The run in the books; none where it did not begin.
    pub run_id: Option<String>,
    /// `layer.name`.
    pub model_name: String,
    /// How it ended.
    pub status: Status,
    /// How long it took.
    pub execution_time_seconds: f64,
    /// The rows of the table; none for a view.
    pub rows_affected: Option<u64>,
    /// Where its export went, from where the program runs.
    pub export_path: Option<String>,
    /// The rows of the export.
    pub export_rows: Option<u64>,
    /// The bytes of the export.
    pub export_bytes: Option<u64>,
    /// What went wrong, or why it was skipped.
    pub error: Option<String>,
    /// The error itself, for a message with place and hint.
    #[serde(skip)]
    pub cause: Option<Arc<Error>>,
}

/// What became of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Whether nothing failed and nothing was skipped.
    pub success: bool,
    /// One for each model, in the order in which they ended.
    pub results: Vec<Outcome>,
}

/// Told of what happens while it happens.
pub trait Observer: Send + Sync {
    /// A model begins; its counters are in `context`.
    fn begun(&self, model: &str, context: &Context);
    /// A model ended.
    fn ended(&self, outcome: &Outcome);
}

/// All that a run works with.
pub struct Build<'a> {
    /// The models.
    pub warehouse: &'a Warehouse,
    /// The warehouse file, opened for writing.
    pub engine: &'a dyn Engine,
    /// Makes the destinations of exports.
    pub exporter: &'a dyn Exporter,
    /// How to behave.
    pub options: Options,
    /// What accompanies the run.
    pub context: &'a Context,
    /// Who looks on.
    pub observer: &'a dyn Observer,
}

impl Build<'_> {
    /// Runs the selected models.
    ///
    /// # Errors
    /// Those of the warehouse file itself. What goes wrong with one model is in its outcome, and those that need it are skipped.
    pub async fn run(&self, selected: &BTreeSet<String>) -> Result<Summary> {
        self.warehouse.check_targets()?;
        let state = State::new(self.engine, self.context);
        state.prepare().await?;
        self.remove_leftovers(&state.bury().await?);
        let layers: BTreeSet<&str> = self.warehouse.project.models.iter().map(|m| m.layer.as_str()).collect();
        for layer in layers {
            self.engine.execute(&format!("CREATE SCHEMA IF NOT EXISTS {}", sql::ident(layer)), self.context).await?;
        }
        let built = state.built().await?;
        let fingerprints = self.warehouse.fingerprints();
        let order: Vec<&String> = self.warehouse.order.iter().filter(|name| selected.contains(*name)).collect();
        let mut waiting: Vec<&String> = order;
        let mut ended: BTreeMap<String, Status> = BTreeMap::new();
        let mut running = FuturesUnordered::new();
        let mut results: Vec<Outcome> = Vec::new();
        let mut stopped = false;
        loop {
            let mut later = Vec::new();
            for name in std::mem::take(&mut waiting) {
                let needs = self.warehouse.references.get(name);
                let bad = needs
                    .into_iter()
                    .flatten()
                    .find(|need| matches!(ended.get(*need), Some(Status::Error | Status::Skipped)));
                let ready =
                    needs.into_iter().flatten().all(|need| !selected.contains(need) || ended.contains_key(need));
                if let Some(bad) = bad {
                    let outcome = skipped(name, format!("{bad} failed or was skipped"));
                    self.observer.ended(&outcome);
                    ended.insert(name.clone(), Status::Skipped);
                    results.push(outcome);
                } else if stopped || self.context.cancel.is_cancelled() {
                    let outcome = skipped(name, "the run stopped before its turn".to_owned());
                    ended.insert(name.clone(), Status::Skipped);
                    results.push(outcome);
                } else if ready && running.len() < self.options.jobs.max(1) {
                    let fingerprint = fingerprints.get(name).cloned().unwrap_or_default();
                    running.push(self.model(name, fingerprint, built.get(name), state));
                } else {
                    later.push(name);
                }
            }
            waiting = later;
            match running.next().await {
                Some(outcome) => {
                    self.observer.ended(&outcome);
                    stopped |= outcome.status == Status::Error && self.options.fail_fast;
                    ended.insert(outcome.model_name.clone(), outcome.status);
                    results.push(outcome);
                }
                None if waiting.is_empty() => break,
                None => {}
            }
        }
        self.context.cancel.check()?;
        let success = results.iter().all(|r| matches!(r.status, Status::Success | Status::Unchanged));
        Ok(Summary { success, results })
    }

    async fn model(&self, name: &str, fingerprint: Built, before: Option<&Built>, state: State<'_>) -> Outcome {
        let started = Instant::now();
        let Some(model) = self.warehouse.model(name) else {
            return skipped(name, "there is no such model".to_owned());
        };
        if self.options.changed && self.is_unchanged(model, &fingerprint, before) {
            return Outcome { status: Status::Unchanged, error: None, ..skipped(name, String::new()) };
        }
        let export_run = Uuid::now_v7();
        let context = Context { run_id: export_run, progress: Arc::default(), ..self.context.clone() };
        let run_id = run_id(name, export_run);
        self.observer.begun(name, &context);
        let fingerprint = Built { export_run: export_run.to_string(), ..fingerprint };
        let done = async {
            state.begin(&run_id, model, &fingerprint).await?;
            let needs = self.warehouse.references.get(name).cloned().unwrap_or_default();
            let rows = self.materialize(model, &fingerprint, before, &context).await?;
            assertions::check(model, self.engine, &context).await?;
            let record = self.export(model, &run_id, &context).await?;
            if let Some(record) = &record {
                state.exported(record).await?;
            }
            state.describe(model, &needs).await?;
            Ok((rows, record))
        };
        let result: Result<_> = done.await;
        let seconds = started.elapsed().as_secs_f64();
        let (status, rows, record, error) = match result {
            Ok((rows, record)) => (Status::Success, rows, record, None),
            Err(error) => (Status::Error, None, None, Some(Arc::new(error.context(format!("model {name}"))))),
        };
        let message = error.as_ref().map(|error| error.to_string());
        let mut outcome = Outcome {
            run_id: Some(run_id.clone()),
            model_name: name.to_owned(),
            status,
            execution_time_seconds: seconds,
            rows_affected: rows,
            export_path: record.as_ref().map(|record| self.options.export_dir.join(&record.path).display().to_string()),
            export_rows: record.as_ref().map(|record| record.rows),
            export_bytes: record.as_ref().map(|record| record.bytes),
            error: message.clone(),
            cause: error,
        };
        // A cancelled run has no time for its books; the next one finds them open and closes them.
        if let Err(error) = state.end(&run_id, status, rows, seconds, message.as_deref()).await
            && outcome.status == Status::Success
        {
            outcome.status = Status::Error;
            outcome.error = Some(error.to_string());
            outcome.cause = Some(Arc::new(error));
        }
        outcome
    }

    fn is_unchanged(&self, model: &Model, fingerprint: &Built, before: Option<&Built>) -> bool {
        let same = before.is_some_and(|before| before.fingerprint == fingerprint.fingerprint);
        let there = model.export.as_ref().is_none_or(|export| {
            self.warehouse.export_path(model, export).is_ok_and(|path| self.options.export_dir.join(path).exists())
        });
        // An incremental model grows with its sources, which no hash of SQL tells.
        same && there && model.incremental.is_none()
    }
}

fn skipped(name: &str, why: String) -> Outcome {
    Outcome {
        run_id: None,
        model_name: name.to_owned(),
        status: Status::Skipped,
        execution_time_seconds: 0.0,
        rows_affected: None,
        export_path: None,
        export_rows: None,
        export_bytes: None,
        error: Some(why),
        cause: None,
    }
}

/// `layer.name_20251030_113233_1f2e3d4c`: the time for people, the rest so that no two are alike.
fn run_id(model: &str, run: Uuid) -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%d_%H%M%S");
    let unique = run.simple().to_string();
    format!("{model}_{now}_{}", &unique[unique.len() - 8..])
}
