//! Runs one query on a thread of its own and streams what it yields.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use duckdb::{Connection, InterruptHandle, Statement};
use futures::executor::block_on;
use futures::stream::{self, Stream};
use outport_core::context::{Budget, Cancel, Permit};
use outport_core::{Batches, Error, ErrorKind, Result};
use tokio::sync::{mpsc, oneshot};

use crate::error::from_duckdb;
use crate::types::Conversion;

/// The rows that are gathered into one batch. DuckDB yields 2048 at a time, which is too few to hand on one by one.
const BATCH_ROWS: usize = 16 * 1024;
/// The bytes at which a batch is handed on even if it has fewer rows.
const BATCH_BYTES: usize = 8 << 20;
/// The bytes of the batches that wait for the reader of the stream.
const AHEAD_BYTES: usize = 32 << 20;
/// How often a query that was asked to stop is reminded.
const REMINDER: Duration = Duration::from_millis(20);

/// A batch, and the bytes it takes of what may wait.
type Waiting = Result<(RecordBatch, Permit)>;

/// Runs `sql` on `connection` and streams the result. Returns once the schema is known.
///
/// Setting `cancel` or dropping the stream interrupts the query.
pub(crate) async fn query(connection: Connection, sql: String, cancel: Cancel) -> Result<Batches> {
    let (schema_sender, schema) = oneshot::channel();
    // The number of batches is bounded by the bytes they take.
    let (sender, receiver) = mpsc::unbounded_channel();
    let stop = spawn(connection, move |connection, state| run(connection, &sql, schema_sender, &sender, state))?;

    let schema = tokio::select! {
        schema = schema => schema.map_err(|_| ended_early())??,
        () = cancel.cancelled() => return Err(cancelled()),
    };
    Ok(Batches::new(schema, batches(receiver, cancel, stop)))
}

/// Runs `sql` on `connection` for its effect; returns the number of rows it changed.
pub(crate) async fn execute(connection: Connection, sql: String, cancel: Cancel) -> Result<u64> {
    let (sender, changed) = oneshot::channel();
    let _stop = spawn(connection, move |connection, _| {
        let changed = connection.prepare(&sql).and_then(|mut statement| statement.execute([])).map_err(from_duckdb);
        // Nobody listens any more where the work was cancelled.
        drop(sender.send(changed.map(|rows| rows as u64)));
    })?;
    tokio::select! {
        changed = changed => changed.map_err(|_| ended_early())?,
        () = cancel.cancelled() => Err(cancelled()),
    }
}

/// Gives `connection` to a thread that does `work` with it, until it is done or what is returned is dropped.
fn spawn(connection: Connection, work: impl FnOnce(&Connection, &StopState) + Send + 'static) -> Result<Stop> {
    let stop = Stop { interrupt: connection.interrupt_handle(), state: Arc::default() };
    let state = stop.state.clone();
    std::thread::Builder::new()
        .name("duckdb-query".to_owned())
        .spawn(move || {
            if !state.asked.load(Ordering::SeqCst) {
                work(&connection, &state);
            }
            // While the connection is closed nobody may interrupt it: its handle still points to it then.
            let mut ended = state.ended();
            drop(connection);
            *ended = true;
        })
        .map_err(|e| Error::new(ErrorKind::Internal, format!("could not start a thread: {e}")))?;
    Ok(stop)
}

fn batches(
    receiver: mpsc::UnboundedReceiver<Waiting>,
    cancel: Cancel,
    stop: Stop,
) -> impl Stream<Item = Result<RecordBatch>> + Send + 'static {
    stream::unfold(Some((receiver, cancel, stop)), |state| async move {
        let (mut receiver, cancel, stop) = state?;
        let next = tokio::select! {
            biased;
            () = cancel.cancelled() => Some(Err(cancelled())),
            next = receiver.recv() => next,
        };
        match next? {
            Ok((batch, _permit)) => Some((Ok(batch), Some((receiver, cancel, stop)))),
            Err(error) => Some((Err(error), None)),
        }
    })
}

fn run(
    connection: &Connection,
    sql: &str,
    schema_sender: oneshot::Sender<Result<SchemaRef>>,
    sender: &mpsc::UnboundedSender<Waiting>,
    state: &StopState,
) {
    let mut statement = match connection.prepare(sql) {
        Ok(statement) => statement,
        Err(error) => return drop(schema_sender.send(Err(from_duckdb(error)))),
    };
    let started = statement
        .stream_arrow([])
        .map(|result| result.get_schema())
        .map_err(from_duckdb)
        .and_then(|schema| Conversion::new(&schema));
    let conversion = match started {
        Ok(conversion) => conversion,
        Err(error) => return drop(schema_sender.send(Err(error))),
    };
    if schema_sender.send(Ok(conversion.schema.clone())).is_err() {
        return;
    }
    if let Err(error) = pump(&statement, &conversion, sender, state) {
        // Nobody listens any more where the stream was dropped, and then nobody wants to know.
        drop(sender.send(Err(error)));
    }
}

/// Fetches chunk after chunk, gathers them into batches, and hands these on while there is room for them.
fn pump(
    statement: &Statement<'_>,
    conversion: &Conversion,
    sender: &mpsc::UnboundedSender<Waiting>,
    state: &StopState,
) -> Result<()> {
    let room = Budget::new(AHEAD_BYTES);
    let mut gathered = Vec::new();
    let (mut rows, mut bytes) = (0, 0);
    while !state.asked.load(Ordering::SeqCst) {
        let chunk = statement.step().map_err(from_duckdb)?;
        let ended = chunk.is_none();
        if let Some(chunk) = chunk {
            let batch = conversion.apply(chunk)?;
            rows += batch.num_rows();
            bytes += batch.get_array_memory_size();
            gathered.push(batch);
        }
        if rows > 0 && (ended || rows >= BATCH_ROWS || bytes >= BATCH_BYTES) {
            let batch = concat_batches(&conversion.schema, &gathered)?;
            gathered.clear();
            (rows, bytes) = (0, 0);
            let permit = block_on(room.acquire(batch.get_array_memory_size()));
            if sender.send(Ok((batch, permit))).is_err() {
                return Ok(());
            }
        }
        if ended {
            return Ok(());
        }
    }
    Ok(())
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "cancelled")
}

fn ended_early() -> Error {
    Error::new(ErrorKind::Internal, "the thread of a DuckDB query ended without an answer")
}

/// Stops the query when it is dropped.
struct Stop {
    interrupt: Arc<InterruptHandle>,
    state: Arc<StopState>,
}

#[derive(Default)]
struct StopState {
    asked: AtomicBool,
    ended: Mutex<bool>,
}

impl StopState {
    fn ended(&self) -> MutexGuard<'_, bool> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Interrupts the query unless it has ended; tells whether it goes on.
    fn interrupt(&self, handle: &InterruptHandle) -> bool {
        let ended = self.ended();
        if !*ended {
            handle.interrupt();
        }
        !*ended
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.state.asked.store(true, Ordering::SeqCst);
        if !self.state.interrupt(&self.interrupt) {
            return;
        }
        // DuckDB forgets an interrupt that comes just before a query begins, so one is not enough.
        let (interrupt, state) = (self.interrupt.clone(), self.state.clone());
        let reminder = std::thread::Builder::new().name("duckdb-interrupt".to_owned()).spawn(move || {
            loop {
                std::thread::sleep(REMINDER);
                if !state.interrupt(&interrupt) {
                    return;
                }
            }
        });
        // Without a thread the one interrupt has to do; the query ends at its next chunk at the latest.
        drop(reminder);
    }
}
