//! One run of one export, from the lease to the closed books.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use outport_core::context::{Budget, Cancel, Warning};
use outport_core::destination::{Receipt, Recovery};
use outport_core::export::{Export, ExportKey, NullCursor, Rows};
use outport_core::layout::{IfExists, OnEmpty};
use outport_core::manifest::Provenance;
use outport_core::plan::{Moment, Plan, check_read};
use outport_core::{Context, Error, ErrorKind, Result};
use serde::Serialize;
use uuid::Uuid;

use crate::prepare::prepare;
use crate::process::{Observer, Parameters};
use crate::recover::{Done, Span, recover_dead, while_renewing};
use crate::state::{RunStart, State};
use crate::systems::Systems;

/// How often a run is tried again when a system could not be reached.
const RETRIES: u32 = 2;

/// How many runs are looked through for the last one that found rows.
const LATEST: u32 = 100;

/// The documented result of one export.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The group.
    pub export_group_name: String,
    /// The name.
    pub export_name: String,
    /// The run.
    pub run_id: Uuid,
    /// success, warning or error.
    pub status: &'static str,
    /// Rows, files, bytes and time.
    pub metrics: Metrics,
    /// The files, as paths inside the target.
    pub file_paths: Vec<String>,
    /// The trigger file.
    pub trigger_file_path: Option<String>,
    /// The manifest.
    pub manifest_path: Option<String>,
    /// Class and message of the error.
    pub error_message: Option<String>,
    /// UTC.
    pub started_at: jiff::Timestamp,
    /// UTC.
    pub completed_at: jiff::Timestamp,
    /// The watermark before the run.
    pub watermark_value: Option<String>,
    /// The watermark after the run.
    pub new_watermark_value: Option<String>,
    /// Start of the period.
    pub period_start_date: Option<String>,
    /// End of the period.
    pub period_end_date: Option<String>,
    /// What was clamped, excluded or lost, with counts.
    pub warnings: Vec<String>,
    /// The error itself, for whoever prints it.
    #[serde(skip)]
    pub error: Option<Error>,
}

/// The numbers of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Metrics {
    /// Rows that were written.
    pub rows_exported: u64,
    /// Files that were written.
    pub files_created: u64,
    /// Their size.
    pub total_bytes: u64,
    /// Wall time.
    pub duration_ms: u64,
}

impl Outcome {
    /// Whether the run failed.
    pub fn is_failure(&self) -> bool {
        self.error.is_some()
    }

    /// The kind of its error.
    pub fn kind(&self) -> Option<ErrorKind> {
        self.error.as_ref().map(Error::kind)
    }
}

/// The paths that the runs of one call publish, so that no two write to the same one.
#[derive(Debug, Default)]
pub struct Published(Mutex<HashMap<(String, String), ExportKey>>);

impl Published {
    fn claim(&self, plan: &Plan) -> Result<()> {
        let mut owners = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for path in &plan.paths {
            let owner = owners.entry((plan.target.clone(), path.to_lowercase())).or_insert_with(|| plan.export.clone());
            if *owner != plan.export {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!(
                        "exports \"{owner}\" and \"{}\" would both write \"{path}\" on {}",
                        plan.export, plan.target
                    ),
                )
                .hint("give them different target_path or name patterns"));
            }
        }
        Ok(())
    }
}

/// What the runs of one call share.
pub struct Call<'a> {
    /// The id that they have in common.
    pub execution_id: &'a str,
    /// The parameters of the call.
    pub parameters: &'a Parameters,
    /// Where sources and destinations come from.
    pub systems: &'a dyn Systems,
    /// The books.
    pub state: &'a State,
    /// Who watches.
    pub observer: &'a dyn Observer,
    /// Set when the call is to stop.
    pub cancel: &'a Cancel,
    /// The paths that its runs write.
    pub published: Published,
}

/// Runs one export. Whatever goes wrong is in the outcome, and in the log.
pub async fn execute(export: &Export, call: &Call<'_>) -> Outcome {
    let run_id = Uuid::new_v4();
    let mut context = Context::new(run_id);
    context.cancel = call.cancel.clone();
    context.budget = Budget::new(call.parameters.memory_limit);
    context.threads = call.parameters.threads;
    context.journal = Arc::new(call.state.journal());
    let run = Run { export, call, context: &context };
    let begun = (jiff::Timestamp::now(), Instant::now());
    call.observer.begun(export, &context);
    let mut plan = None;
    let mut result = run.run(&mut plan).await;
    if let Err(error) = result {
        let error = error.context(format!("export {}", export.key));
        // The run is in the log as soon as it began; a log that fails as well has nothing to add to the first error.
        if let Err(second) = call.state.finish_error(run_id, &error).await {
            tracing::warn!("the failure of {} could not be logged: {second}", export.key);
        }
        result = Err(error);
    }
    outcome(export, &context, plan.as_ref(), result, begun)
}

struct Run<'a> {
    export: &'a Export,
    call: &'a Call<'a>,
    context: &'a Context,
}

impl Run<'_> {
    async fn run(&self, planned: &mut Option<Plan>) -> Result<Done> {
        let timezone = self.export.timezone.as_deref().unwrap_or(&self.call.parameters.timezone);
        let now = jiff::Timestamp::now();
        let moment = Moment::new(self.call.parameters.run_date.as_deref(), timezone, now, self.context.run_id)?;
        self.call.state.begin_run(&RunStart::new(self.export, self.call.execution_id, &moment)).await?;
        let lease = self.call.state.acquire_lease(&self.export.key, self.context.run_id).await?;
        // The lease ends in the transaction that closes the books, one way or the other: a run that is neither leased nor over
        // would count as dead, and what a failed one left behind would be forgotten.
        while_renewing(&lease, self.leased(&moment, planned)).await
    }

    async fn leased(&self, moment: &Moment, planned: &mut Option<Plan>) -> Result<Done> {
        let Call { systems, state, .. } = self.call;
        let recovered = recover_dead(&self.export.key, &self.export.target, *systems, state, self.context).await?;
        let mut attempt = 0;
        loop {
            let last = recovered.published.last();
            let result = match attempt {
                0 => self.attempt(moment, last, planned).await,
                _ => self.again(moment, last, planned).await,
            };
            match result {
                Err(error) if error.is_retryable() && attempt < RETRIES && !self.context.cancel.is_cancelled() => {
                    attempt += 1;
                    let pause =
                        Duration::from_millis(500 * 4_u64.pow(attempt) + u64::from(self.context.run_id.as_bytes()[0]));
                    tracing::warn!("{error}; trying again in {:.1} s", pause.as_secs_f64());
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.context.cancel.cancelled() => {}
                    }
                }
                result => return result,
            }
        }
    }

    /// Another attempt, once nothing is left of the one before: what broke that may have kept it from cleaning up, and what it
    /// wrote down is lost as soon as this one writes down its own.
    async fn again(&self, moment: &Moment, recovered: Option<&Done>, planned: &mut Option<Plan>) -> Result<Done> {
        let Call { systems, state, .. } = self.call;
        if let Some(plan) = planned
            && let Some(intent) = state.intent(self.context.run_id).await?
            && let Recovery::Published(receipt) = systems.recover(&plan.target, &intent, self.context).await?
        {
            return self.close(plan, *receipt).await;
        }
        self.attempt(moment, recovered, planned).await
    }

    async fn attempt(&self, moment: &Moment, recovered: Option<&Done>, planned: &mut Option<Plan>) -> Result<Done> {
        self.context.cancel.check()?;
        let last = self.call.state.last(&self.export.key).await?;
        let prepared =
            prepare(self.export, &last, moment, self.call.parameters.plan, self.call.systems, self.context).await?;
        let plan = planned.insert(prepared.plan);
        self.call.published.claim(plan)?;
        if let Some(done) = recovered.filter(|done| self.is_done(plan, &done.receipt)) {
            tracing::info!("run {} stands for this one", done.run_id);
            self.call.state.withdraw(self.context.run_id).await?;
            return Ok(done.clone());
        }
        self.call.state.planned(plan).await?;
        for warning in &plan.warnings {
            self.context.warnings.note(warning.clone());
        }
        if let Some(rows) = self.replaced_increment(plan).await? {
            if plan.nothing_new && self.export.on_empty != OnEmpty::Fail {
                tracing::info!("nothing is new, and the files of the last run that found rows stay");
                return self.close(plan, Receipt::default()).await;
            }
            // After a reset everything is exported anew, and nothing is missed.
            if plan.bounds.watermark_old.is_some() {
                self.warn_about_replaced(rows);
            }
        }
        if let Some(rows) = plan.estimated_rows {
            self.context.progress.rows_estimate.store(rows, std::sync::atomic::Ordering::Relaxed);
        }
        self.warn_about_nulls(plan);
        let batches = prepared.source.read(&plan.extract, self.context).await?;
        check_read(self.export, plan, &batches.schema)?;
        let provenance = Provenance {
            run_id: plan.run_id,
            export: plan.export.to_string(),
            run_date: Some(plan.run_date.clone()),
            bounds: plan.bounds.clone(),
            fingerprint: Some(plan.fingerprint.clone()),
            source_snapshot: batches.snapshot.clone(),
        };
        let destination = self.call.systems.destination(plan, provenance).await?;
        let receipt = destination.write(batches, self.context).await?;
        self.close(plan, receipt).await
    }

    async fn close(&self, plan: &Plan, receipt: Receipt) -> Result<Done> {
        self.call.state.finish_success(plan, &receipt, &self.context.warnings.list()).await?;
        Ok(Done { run_id: plan.run_id, receipt, span: Span::of(plan) })
    }

    /// Whether a run that died, and turned out to have published everything, did what this one is asked to do.
    ///
    /// A retry is asked for nothing else. Any other run goes on unless it would replace files that nobody can make again: the
    /// rows of an increment lie behind the watermark now.
    fn is_done(&self, plan: &Plan, receipt: &Receipt) -> bool {
        let keeps = self.export.rows.is_incremental() || self.export.if_exists != IfExists::Overwrite;
        let paths = receipt.files.iter().map(|file| file.path.as_str());
        self.call.parameters.is_retry || (keeps && same_names(plan, paths.chain(receipt.manifest.as_deref())))
    }

    /// The rows of the increment before, where this run would replace its files: a second call on one run date. They lie behind
    /// the watermark, so that the new files do not hold them, unless a lookback reads them again.
    async fn replaced_increment(&self, plan: &Plan) -> Result<Option<u64>> {
        if !matches!(self.export.rows, Rows::Incremental { lookback: None, .. } | Rows::Versions { .. }) {
            return Ok(None);
        }
        let runs = self.call.state.runs_of(&self.export.key, LATEST).await?;
        let last = runs.iter().find(|run| run.rows_exported.is_some_and(|rows| rows > 0));
        let replaced = last.filter(|run| same_names(plan, run.file_paths.iter().map(String::as_str)));
        Ok(replaced.and_then(|run| run.rows_exported).and_then(|rows| u64::try_from(rows).ok()))
    }

    fn warn_about_replaced(&self, rows: u64) {
        if self.export.if_exists == IfExists::Overwrite {
            let warning = Warning {
                code: "increment_replaced".to_owned(),
                column: None,
                message:
                    "rows of the increment before are not in the files that replace it; use {process_date} in the \
                          names, or if_exists: version"
                        .to_owned(),
            };
            self.context.warnings.add(warning, rows);
        }
    }

    fn warn_about_nulls(&self, plan: &Plan) {
        if let Rows::Incremental { column, on_null: NullCursor::Exclude, .. } = &self.export.rows {
            let warning = Warning {
                code: "null_cursor_excluded".to_owned(),
                column: Some(column.clone()),
                message: "rows whose incremental column is NULL were left out".to_owned(),
            };
            self.context.warnings.add(warning, plan.null_cursors_excluded);
        }
    }
}

/// Whether a plan gives files the names that some paths have.
fn same_names<'a>(plan: &Plan, mut paths: impl Iterator<Item = &'a str>) -> bool {
    let manifest = plan.layout.manifest_name.as_ref().map(|name| plan.layout.path(name));
    let planned: Vec<&str> = plan.paths.iter().chain(&manifest).map(|path| name_of(path)).collect();
    // Folders of partitions stand between the layout's folder and the name.
    paths.any(|path| path.starts_with(&plan.layout.directory) && planned.contains(&name_of(path)))
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn outcome(
    export: &Export,
    context: &Context,
    plan: Option<&Plan>,
    result: Result<Done>,
    begun: (jiff::Timestamp, Instant),
) -> Outcome {
    let warnings: Vec<String> =
        context.warnings.list().iter().map(|(warning, count)| warning.counted(*count)).collect();
    let (Done { run_id, receipt, span }, error) = match result {
        Ok(done) => (done, None),
        Err(error) => {
            // What failed has moved nothing.
            let span = Span { watermark_new: None, ..plan.map(Span::of).unwrap_or_default() };
            (Done { run_id: context.run_id, receipt: Receipt::default(), span }, Some(error))
        }
    };
    let status = match (&error, warnings.is_empty()) {
        (Some(_), _) => "error",
        (None, false) => "warning",
        (None, true) => "success",
    };
    Outcome {
        export_group_name: export.key.group.clone(),
        export_name: export.key.name.clone(),
        run_id,
        status,
        metrics: Metrics {
            rows_exported: receipt.rows,
            files_created: receipt.files.len() as u64,
            total_bytes: receipt.bytes,
            duration_ms: u64::try_from(begun.1.elapsed().as_millis()).unwrap_or(u64::MAX),
        },
        file_paths: receipt.files.into_iter().map(|file| file.path).collect(),
        trigger_file_path: receipt.trigger,
        manifest_path: receipt.manifest,
        error_message: error.as_ref().map(|e| format!("{}: {e}", e.kind().class())),
        started_at: begun.0,
        completed_at: jiff::Timestamp::now(),
        watermark_value: span.watermark_old,
        new_watermark_value: span.watermark_new,
        period_start_date: span.period_start,
        period_end_date: span.period_end,
        warnings,
        error,
    }
}
