//! `process_exports`: all exports of a call, group by group.

use std::collections::BTreeMap;

use futures::StreamExt;
use outport_core::context::Cancel;
use outport_core::export::Export;
use outport_core::plan::PlanOptions;
use outport_core::{Error, ErrorKind, Result};
use serde::Serialize;
use uuid::Uuid;

use crate::execute::{Call, Outcome, Published, execute};
use crate::state::State;
use crate::systems::Systems;

/// The parameters of [`process_exports`]; the documented ones keep their names.
#[derive(Clone, Debug)]
pub struct Parameters {
    /// The id that the runs of one call share; new where none is given.
    pub execution_id: Option<String>,
    /// Take only the exports that failed in the execution of that id, and those whose process died.
    pub is_retry: bool,
    /// The logical date, ISO; today at midnight where none is given.
    pub run_date: Option<String>,
    /// The zone of `run_date` and `process_date` for exports that name none.
    pub timezone: String,
    /// How many exports of one execution group run at the same time.
    pub max_concurrency: usize,
    /// Do not begin a group after one that had a failure.
    pub fail_fast: bool,
    /// How plans are made.
    pub plan: PlanOptions,
    /// The byte budget of a run.
    pub memory_limit: usize,
    /// Threads for encoding and decoding.
    pub threads: usize,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            execution_id: None,
            is_retry: false,
            run_date: None,
            timezone: "UTC".to_owned(),
            max_concurrency: 4,
            fail_fast: false,
            plan: PlanOptions::default(),
            memory_limit: outport_core::context::DEFAULT_BUDGET,
            threads: std::thread::available_parallelism().map_or(2, usize::from),
        }
    }
}

/// What a call did, field for field as documented.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Whether nothing failed.
    pub success: bool,
    /// The id that the runs share.
    pub execution_id: String,
    /// All exports that were taken.
    pub total_exports: usize,
    /// Those that ended well, with or without warnings.
    pub successful: usize,
    /// Those that did not.
    pub failed: usize,
    /// Those that were not begun because of `fail_fast` or a cancellation.
    pub skipped: usize,
    /// One by one, in the order in which they ended.
    pub results: Vec<Outcome>,
}

impl Summary {
    /// The exit code of a process that did this: 0, 5 where some succeeded and some failed, else that of the errors.
    pub fn exit_code(&self) -> u8 {
        if self.failed == 0 && self.skipped == 0 {
            return 0;
        }
        if self.results.iter().any(|r| r.kind() == Some(ErrorKind::Cancelled)) {
            return ErrorKind::Cancelled.exit_code();
        }
        if self.successful > 0 {
            return 5;
        }
        let mut codes = self.results.iter().filter_map(Outcome::kind).map(ErrorKind::exit_code);
        match codes.next() {
            Some(first) if codes.all(|code| code == first) => first,
            _ => 1,
        }
    }
}

/// Watches the runs of a call: a progress bar, a log.
pub trait Observer: Send + Sync {
    /// A run begins; its progress can be read from the context until it ends.
    fn begun(&self, export: &Export, context: &outport_core::Context);

    /// A run has ended.
    fn ended(&self, outcome: &Outcome);
}

/// Runs the exports: execution groups in ascending order, within one up to `max_concurrency` at the same time.
///
/// A failed export is in the summary; an error is returned only where nothing could be begun.
pub async fn process_exports(
    exports: Vec<Export>,
    parameters: &Parameters,
    systems: &dyn Systems,
    state: &State,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<Summary> {
    let execution_id = match &parameters.execution_id {
        Some(id) => id.clone(),
        None if parameters.is_retry => {
            return Err(Error::new(ErrorKind::Usage, "a retry needs the execution id of the run that failed")
                .hint("`outport export history` lists them"));
        }
        None => Uuid::new_v4().to_string(),
    };
    let exports = if parameters.is_retry { retried(exports, &execution_id, state).await? } else { exports };
    let exports: Vec<Export> = exports.into_iter().filter(|export| export.active).collect();
    let total_exports = exports.len();

    let mut groups: BTreeMap<u32, Vec<Export>> = BTreeMap::new();
    for export in exports {
        groups.entry(export.execution_group).or_default().push(export);
    }
    let mut results: Vec<Outcome> = Vec::new();
    let published = Published::default();
    let call = Call { execution_id: &execution_id, parameters, systems, state, observer, cancel, published };
    for group in groups.into_values() {
        let failed = results.iter().any(Outcome::is_failure);
        if cancel.is_cancelled() || (parameters.fail_fast && failed) {
            break;
        }
        let runs = group.iter().map(|export| execute(export, &call));
        let mut runs = futures::stream::iter(runs).buffer_unordered(parameters.max_concurrency.max(1));
        while let Some(outcome) = runs.next().await {
            observer.ended(&outcome);
            results.push(outcome);
        }
    }
    let failed = results.iter().filter(|r| r.is_failure()).count();
    let skipped = total_exports - results.len();
    Ok(Summary {
        success: failed == 0 && skipped == 0,
        execution_id,
        total_exports,
        successful: results.len() - failed,
        failed,
        skipped,
        results,
    })
}

/// The exports that the execution left undone.
async fn retried(exports: Vec<Export>, execution_id: &str, state: &State) -> Result<Vec<Export>> {
    let failed = state.failed_of(execution_id).await?;
    Ok(exports.into_iter().filter(|export| failed.contains(&export.key)).collect())
}
