//! From a physical plan to batches: in order, in parallel, within the budget, stoppable, and without panics.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt};
use outport_core::context::{Budget, Cancel, Permit};
use outport_core::{Context, Error, ErrorKind, Result};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::error::{from_datafusion, from_panic};

/// The share of the budget that decoded batches may take while they wait for their turn.
const WAITING_SHARE: usize = 4;

/// The batches of a plan. Where each partition of it is a stretch of the files, rows come in the order of the files.
pub(crate) fn run(
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    context: &Context,
) -> BoxStream<'static, Result<RecordBatch>> {
    let plan: Arc<dyn ExecutionPlan> = match plan.output_partitioning().partition_count() {
        0 | 1 => plan,
        _ if keeps_order(plan.as_ref()) => plan,
        _ => Arc::new(CoalescePartitionsExec::new(plan)),
    };
    stoppable(in_order(plan, task, context), context.cancel.clone())
}

/// Ends a stream with an error as soon as the run is cancelled, also while its next batch is still being made.
fn stoppable(
    batches: BoxStream<'static, Result<RecordBatch>>,
    cancel: Cancel,
) -> BoxStream<'static, Result<RecordBatch>> {
    futures::stream::unfold(Some((batches, cancel)), |state| async {
        let (mut batches, cancel) = state?;
        let next = {
            let cancelled = std::pin::pin!(cancel.cancelled());
            match futures::future::select(cancelled, batches.next()).await {
                futures::future::Either::Left(_) => Some(Err(Error::new(ErrorKind::Cancelled, "cancelled"))),
                futures::future::Either::Right((next, _)) => next,
            }
        };
        match next? {
            Ok(batch) => Some((Ok(batch), Some((batches, cancel)))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

/// Turns a panic of a decoder into an error.
pub(crate) fn guarded(
    stream: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
) -> BoxStream<'static, Result<RecordBatch>> {
    AssertUnwindSafe(stream)
        .catch_unwind()
        .map(|next| next.unwrap_or_else(|panic| Err(from_panic(panic.as_ref()))))
        .boxed()
}

/// Whether the partitions of a plan, one behind the other, are its rows in the order of the files.
fn keeps_order(plan: &dyn ExecutionPlan) -> bool {
    let row_by_row = matches!(
        plan.name(),
        "ProjectionExec"
            | "FilterExec"
            | "CoalesceBatchesExec"
            | "CooperativeExec"
            | "DataSourceExec"
            | "DeltaScanExec"
            | "SealedDeltaScan"
            | "Stoppable"
            | "IcebergScan"
            | "TextScan"
    );
    row_by_row && plan.children().iter().all(|child| keeps_order(child.as_ref()))
}

/// Reads as many partitions at once as there are threads, and yields them one behind the other. What is read ahead waits in
/// memory, so partitions should be small: about what one row group holds.
fn in_order(
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    context: &Context,
) -> BoxStream<'static, Result<RecordBatch>> {
    let partitions = plan.output_partitioning().partition_count();
    let window = (context.threads + 1).min(partitions).max(1);
    let reader = OrderedReader {
        plan,
        task,
        partitions,
        next: 0,
        waiting: context.budget.limit() / WAITING_SHARE / window,
        running: VecDeque::new(),
        tasks: JoinSet::new(),
        window,
    };
    futures::stream::unfold(reader, |mut reader| async move {
        let batch = reader.next().await?;
        Some((batch, reader))
    })
    .boxed()
}

struct OrderedReader {
    plan: Arc<dyn ExecutionPlan>,
    task: Arc<TaskContext>,
    partitions: usize,
    /// The first partition that was not begun.
    next: usize,
    /// The bytes that one partition may hold ready.
    waiting: usize,
    window: usize,
    /// The partitions that are being read, the first of which is being yielded.
    running: VecDeque<mpsc::UnboundedReceiver<(Result<RecordBatch>, Permit)>>,
    /// Dropped with the reader, which ends what still runs.
    tasks: JoinSet<()>,
}

impl OrderedReader {
    async fn next(&mut self) -> Option<Result<RecordBatch>> {
        loop {
            while self.running.len() < self.window && self.next < self.partitions {
                self.begin();
            }
            let first = self.running.front_mut()?;
            match first.recv().await {
                Some((batch, _permit)) => return Some(batch),
                None => {
                    self.running.pop_front();
                }
            }
        }
    }

    fn begin(&mut self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (plan, task, partition) = (Arc::clone(&self.plan), Arc::clone(&self.task), self.next);
        let budget = Budget::new(self.waiting.max(1));
        self.tasks.spawn(async move {
            let mut stream: Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>> =
                match plan.execute(partition, task) {
                    Ok(stream) => guarded(stream.map(|batch| batch.map_err(from_datafusion))),
                    Err(error) => Box::pin(futures::stream::once(std::future::ready(Err(from_datafusion(error))))),
                };
            while let Some(batch) = stream.next().await {
                let bytes = batch.as_ref().map_or(0, RecordBatch::get_array_memory_size);
                let failed = batch.is_err();
                let permit = budget.acquire(bytes).await;
                if sender.send((batch, permit)).is_err() || failed {
                    return;
                }
            }
        });
        self.running.push_back(receiver);
        self.next += 1;
    }
}

/// Catches the panics of a future.
pub(crate) async fn no_panic<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| Err(from_panic(panic.as_ref())))
}

/// Waits for `work` unless the run is cancelled before.
pub(crate) async fn unless_cancelled<T>(cancel: &Cancel, work: impl Future<Output = Result<T>>) -> Result<T> {
    cancel.check()?;
    let cancelled = std::pin::pin!(cancel.cancelled());
    match futures::future::select(cancelled, std::pin::pin!(no_panic(work))).await {
        futures::future::Either::Left(_) => Err(Error::new(ErrorKind::Cancelled, "cancelled")),
        futures::future::Either::Right((result, _)) => result,
    }
}
