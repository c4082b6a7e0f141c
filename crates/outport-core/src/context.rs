//! What accompanies a run through every call: cancellation, the byte budget, progress, warnings and the journal.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use event_listener::Event;
use uuid::Uuid;

use crate::destination::Intent;
use crate::{Error, ErrorKind, Result};

/// The default byte budget of a run: 512 MiB over batches, row groups and parts in flight.
pub const DEFAULT_BUDGET: usize = 512 << 20;

/// What accompanies one run. Clones share everything.
#[derive(Clone)]
pub struct Context {
    /// The run's id; names of temporary files and parts derive from it.
    pub run_id: Uuid,
    /// Set when the run is to stop.
    pub cancel: Cancel,
    /// The memory that work in flight may take.
    pub budget: Budget,
    /// How far the run has come.
    pub progress: Arc<Progress>,
    /// What was clamped, dropped or lost on the way.
    pub warnings: Arc<Warnings>,
    /// Where a destination writes down what it is about to publish.
    pub journal: Arc<dyn Journal>,
    /// How many threads encoding and decoding may use.
    pub threads: usize,
}

impl Context {
    /// A context with the default budget, all cores and no journal.
    pub fn new(run_id: Uuid) -> Self {
        Self {
            run_id,
            cancel: Cancel::default(),
            budget: Budget::new(DEFAULT_BUDGET),
            progress: Arc::default(),
            warnings: Arc::default(),
            journal: Arc::new(NoJournal),
            threads: std::thread::available_parallelism().map_or(2, usize::from),
        }
    }
}

/// A flag that asks work to stop; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<CancelState>);

#[derive(Debug, Default)]
struct CancelState {
    set: AtomicBool,
    event: Event,
}

impl Cancel {
    /// Asks all work under this flag to stop.
    pub fn cancel(&self) {
        self.0.set.store(true, Ordering::SeqCst);
        self.0.event.notify(usize::MAX);
    }

    /// Whether the work was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.set.load(Ordering::SeqCst)
    }

    /// An error of kind [`ErrorKind::Cancelled`] if the work was asked to stop.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::new(ErrorKind::Cancelled, "cancelled")) } else { Ok(()) }
    }

    /// Waits until the work is asked to stop.
    pub async fn cancelled(&self) {
        loop {
            let listener = self.0.event.listen();
            if self.is_cancelled() {
                return;
            }
            listener.await;
        }
    }
}

/// A number of bytes shared by all work in flight; clones share it.
#[derive(Clone, Debug)]
pub struct Budget(Arc<BudgetState>);

#[derive(Debug)]
struct BudgetState {
    limit: usize,
    used: AtomicUsize,
    event: Event,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(BudgetState { limit, used: AtomicUsize::new(0), event: Event::new() }))
    }

    /// The whole budget in bytes.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// The bytes now taken.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::SeqCst)
    }

    /// Takes `bytes` if they are free. What is larger than the whole budget is granted when nothing else is taken.
    pub fn try_acquire(&self, bytes: usize) -> Option<Permit> {
        let bytes = bytes.min(self.0.limit);
        self.0
            .used
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
                (used + bytes <= self.0.limit).then_some(used + bytes)
            })
            .ok()
            .map(|_| Permit { budget: self.clone(), bytes })
    }

    /// Waits until `bytes` are free and takes them; they are given back when the permit is dropped.
    pub async fn acquire(&self, bytes: usize) -> Permit {
        loop {
            let listener = self.0.event.listen();
            if let Some(permit) = self.try_acquire(bytes) {
                return permit;
            }
            listener.await;
        }
    }
}

/// Bytes taken from a [`Budget`], given back on drop.
#[derive(Debug)]
pub struct Permit {
    budget: Budget,
    bytes: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.0.used.fetch_sub(self.bytes, Ordering::SeqCst);
        self.budget.0.event.notify(usize::MAX);
    }
}

/// Counters that a progress bar or an API reads while the run goes on.
#[derive(Debug, Default)]
pub struct Progress {
    /// Rows that left the source.
    pub rows_read: AtomicU64,
    /// Rows that were handed to the destination.
    pub rows_written: AtomicU64,
    /// Bytes that were read where the source knows them.
    pub bytes_read: AtomicU64,
    /// Bytes that were written, after compression.
    pub bytes_written: AtomicU64,
    /// Files that are complete.
    pub files: AtomicU64,
    /// An estimate of all rows; 0 when unknown.
    pub rows_estimate: AtomicU64,
}

/// Something that did not fit and was let through by policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Warning {
    /// A stable code: `out_of_range_clamped`, `null_cursor_excluded`, `trigger_failed`.
    pub code: String,
    /// The column, where there is one.
    pub column: Option<String>,
    /// A sentence for the reader.
    pub message: String,
}

impl Warning {
    /// The sentence with the number of times, and the column.
    pub fn counted(&self, times: u64) -> String {
        match &self.column {
            Some(column) => format!("{} ({times} in column \"{column}\")", self.message),
            None => format!("{} ({times})", self.message),
        }
    }
}

/// Warnings with the number of times each occurred.
#[derive(Debug, Default)]
pub struct Warnings(Mutex<BTreeMap<Warning, u64>>);

impl Warnings {
    /// Counts `times` more occurrences of `warning`.
    pub fn add(&self, warning: Warning, times: u64) {
        if times > 0 {
            *self.lock().entry(warning).or_default() += times;
        }
    }

    /// Notes something that is true of the run as a whole, however often it is tried.
    pub fn note(&self, warning: Warning) {
        self.lock().entry(warning).or_insert(1);
    }

    /// All warnings with their counts, in a stable order.
    pub fn list(&self) -> Vec<(Warning, u64)> {
        self.lock().iter().map(|(w, n)| (w.clone(), *n)).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Warning, u64>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Where a destination writes down, durably, what it is about to make visible, so that the next run can finish or undo it.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Records the whole intent; a later call replaces an earlier one of the same run.
    async fn record(&self, intent: &Intent) -> Result<()>;

    /// Told of each step that changed something outside, such as `visible sales/orders.csv`; nothing needs to be kept.
    ///
    /// Tests stop the process here, to see that the next run can deal with what is left.
    async fn reached(&self, _step: &str) -> Result<()> {
        Ok(())
    }
}

/// A journal that forgets, for runs without a state.
#[derive(Debug)]
pub struct NoJournal;

#[async_trait]
impl Journal for NoJournal {
    async fn record(&self, _: &Intent) -> Result<()> {
        Ok(())
    }
}
