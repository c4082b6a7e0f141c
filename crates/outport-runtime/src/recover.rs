//! What runs that died left behind, and who may touch it.

use outport_core::destination::{Receipt, Recovery};
use outport_core::export::ExportKey;
use outport_core::manifest::Bounds;
use outport_core::plan::Plan;
use outport_core::{Context, Error, ErrorKind, Result};
use uuid::Uuid;

use crate::state::{Lease, State};
use crate::systems::Systems;

/// A run that published everything.
#[derive(Clone, Debug)]
pub struct Done {
    /// The run.
    pub run_id: Uuid,
    /// What it wrote.
    pub receipt: Receipt,
    /// From where to where it went.
    pub span: Span,
}

/// The stretch of rows that a run took.
#[derive(Clone, Debug, Default)]
pub struct Span {
    /// The watermark before the run.
    pub watermark_old: Option<String>,
    /// The watermark after it; `None` where it moves none.
    pub watermark_new: Option<String>,
    /// Start of the period.
    pub period_start: Option<String>,
    /// End of the period.
    pub period_end: Option<String>,
}

impl Span {
    pub(crate) fn of(plan: &Plan) -> Self {
        let Bounds { watermark_old, period_start, period_end, .. } = plan.bounds.clone();
        let watermark_new = plan.watermark.as_ref().map(ToString::to_string);
        Self { watermark_old, watermark_new, period_start, period_end }
    }
}

/// What became of the runs of an export that died.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Those that had published everything, or all of whose data was complete; the oldest first.
    pub published: Vec<Done>,
    /// What was removed of the others.
    pub removed: Vec<String>,
}

/// Finishes or undoes what runs of an export that died had begun. The caller holds the lease.
pub(crate) async fn recover_dead(
    key: &ExportKey,
    target: &str,
    systems: &dyn Systems,
    state: &State,
    context: &Context,
) -> Result<Recovered> {
    let mut all = Recovered::default();
    for dead in state.dead_runs(key).await? {
        let outcome = match &dead.intent {
            None => Recovery::RolledBack(Vec::new()),
            Some(intent) => {
                let target = dead.target.as_deref().unwrap_or(target);
                let recovered = systems.recover(target, intent, context).await;
                recovered.map_err(|e| e.context(format!("recovering run {}", dead.run_id)))?
            }
        };
        match outcome {
            Recovery::Published(receipt) => {
                tracing::info!("run {} had published everything before it died; its books are closed", dead.run_id);
                let watermark = state.adopt(&dead, &receipt).await?;
                // Its log tells where it began; what the state says now is where it came to.
                let log = state.run(dead.run_id).await?;
                let span = log.map_or_else(Span::default, |log| Span {
                    watermark_old: log.watermark_value,
                    watermark_new: watermark.map(|value| value.to_string()),
                    period_start: log.period_start_date,
                    period_end: log.period_end_date,
                });
                all.published.push(Done { run_id: dead.run_id, receipt: *receipt, span });
            }
            Recovery::RolledBack(removed) => {
                tracing::info!("run {} died before it published; {} leftovers removed", dead.run_id, removed.len());
                let error = Error::new(ErrorKind::Internal, "the process died before the export was published");
                state.finish_error(dead.run_id, &error).await?;
                all.removed.extend(removed);
            }
        }
    }
    Ok(all)
}

/// Finishes or undoes what runs of an export that died had begun, with the export's lease held meanwhile.
///
/// # Errors
/// [`ErrorKind::Busy`], which names the process, where a run of the export goes on: nothing is touched then.
pub async fn clean_up(
    key: &ExportKey,
    target: &str,
    systems: &dyn Systems,
    state: &State,
    context: &Context,
) -> Result<Recovered> {
    // A lease that is taken without need would be in the way of a run that begins in this moment.
    if !state.has_unfinished(key).await? {
        return Ok(Recovered::default());
    }
    let lease = state.lease_for_clean_up(key, context.run_id).await?;
    let result = while_renewing(&lease, recover_dead(key, target, systems, state, context)).await;
    if let Err(error) = lease.release().await {
        tracing::warn!("the lease of {key} could not be released and will expire: {error}");
    }
    result
}

/// Does the work while the lease is renewed; a lease that is lost stops the work.
pub(crate) async fn while_renewing<T>(lease: &Lease, work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut work = std::pin::pin!(work);
    let mut tick = tokio::time::interval(lease.renew_every());
    tick.tick().await;
    loop {
        tokio::select! {
            result = &mut work => return result,
            _ = tick.tick() => lease.renew().await?,
        }
    }
}
