//! Pieces decoded on many threads, their batches in order.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use futures::Stream;
use outport_core::context::{Budget, Permit};
use outport_core::format::{Decoder, Piece};
use outport_core::{Context, Error, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::open::Opener;
use crate::files::store::Found;

/// How often a thread that waits looks at the budget again, which others share and give back to.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The batches of all files in order; dropping the stream stops the threads.
pub(in crate::files) fn stream(
    files: Vec<Found>,
    opener: Opener,
    schema: SchemaRef,
    limit: Option<u64>,
    context: &Context,
) -> impl Stream<Item = Result<RecordBatch>> + Send + 'static {
    let threads = context.threads.max(1);
    let gate = Arc::new(Gate::new(context.budget.clone(), threads));
    let (order, pieces) = mpsc::channel(threads * 2);
    let reader = Reader {
        gate: gate.clone(),
        order,
        opener,
        schema: schema.clone(),
        runtime: Handle::current(),
        context: context.clone(),
    };
    tokio::task::spawn_blocking(move || reader.run(files));
    let state = State { gate: Close(gate), pieces, current: None, left: limit, schema };
    futures::stream::try_unfold(state, |mut state| async move { Ok(state.next().await?.map(|batch| (batch, state))) })
}

type Emitted = Result<(RecordBatch, Option<Permit>)>;

/// The consumer's side.
struct State {
    gate: Close,
    pieces: mpsc::Receiver<Result<mpsc::UnboundedReceiver<Emitted>>>,
    current: Option<mpsc::UnboundedReceiver<Emitted>>,
    left: Option<u64>,
    schema: SchemaRef,
}

impl State {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.left == Some(0) {
            return Ok(None);
        }
        loop {
            let Some(piece) = &mut self.current else {
                match self.pieces.recv().await {
                    None => return Ok(None),
                    Some(piece) => self.current = Some(piece?),
                }
                continue;
            };
            let Some(emitted) = piece.recv().await else {
                self.current = None;
                self.gate.0.advance();
                continue;
            };
            let (batch, permit) = emitted?;
            drop(permit);
            self.gate.0.took(batch.get_array_memory_size());
            let batch = match self.left {
                Some(left) if left < batch.num_rows() as u64 => {
                    batch.slice(0, usize::try_from(left).unwrap_or(usize::MAX))
                }
                _ => batch,
            };
            self.left = self.left.map(|left| left - batch.num_rows() as u64);
            // Decoders may leave metadata in their schemas that the first file's does not have.
            return Ok(Some(RecordBatch::try_new(self.schema.clone(), batch.columns().to_vec())?));
        }
    }
}

/// Tells the threads to stop when the stream is dropped.
struct Close(Arc<Gate>);

impl Drop for Close {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Cuts files into pieces, on a thread of its own.
struct Reader {
    gate: Arc<Gate>,
    order: mpsc::Sender<Result<mpsc::UnboundedReceiver<Emitted>>>,
    opener: Opener,
    schema: SchemaRef,
    runtime: Handle,
    context: Context,
}

impl Reader {
    fn run(self, files: Vec<Found>) {
        if let Err(error) = self.read(files) {
            // A consumer that went away needs no error.
            let _ = self.order.blocking_send(Err(error));
        }
    }

    fn read(&self, files: Vec<Found>) -> Result<()> {
        let mut number = 0;
        let mut files = VecDeque::from(files);
        while let Some(file) = files.pop_front() {
            let name = self.opener.store.url(&file.path);
            let mut decoder = self.runtime.block_on(self.opener.decoder(&file))?;
            same_schema(&name, &self.schema, &decoder.schema())?;
            while let Some(piece) = self.next(&mut *decoder)? {
                if !self.gate.start() || !self.decode(piece, number) {
                    return Ok(());
                }
                number += 1;
            }
            self.context.progress.bytes_read.fetch_add(file.size, Ordering::Relaxed);
        }
        Ok(())
    }

    fn next(&self, decoder: &mut dyn Decoder) -> Result<Option<Box<dyn Piece>>> {
        self.context.cancel.check()?;
        decoder.next_piece()
    }

    /// Decodes a piece in the background; `false` if nobody reads any more.
    fn decode(&self, piece: Box<dyn Piece>, number: usize) -> bool {
        let (sender, receiver) = mpsc::unbounded_channel();
        let gate = self.gate.clone();
        self.runtime.spawn_blocking(move || {
            let mut emit = |batch: RecordBatch| {
                let Some(permit) = gate.enter(number, batch.get_array_memory_size()) else {
                    return ControlFlow::Break(());
                };
                match sender.send(Ok((batch, permit))) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            };
            if let Err(error) = piece.decode(&mut emit) {
                // As above.
                let _ = sender.send(Err(error));
            }
            gate.end();
        });
        self.order.blocking_send(Ok(receiver)).is_ok()
    }
}

/// Bounds what is decoded ahead: by a share of the run's budget, and by the number of threads.
///
/// The piece whose turn it is may always have one batch waiting, so that nothing ever waits for itself.
struct Gate {
    budget: Budget,
    threads: usize,
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    /// The piece that is being consumed.
    front: usize,
    /// Bytes that are decoded and not taken.
    waiting: usize,
    /// Batches of each piece that are decoded and not taken.
    queued: HashMap<usize, usize>,
    active: usize,
    closed: bool,
}

impl Gate {
    fn new(budget: Budget, threads: usize) -> Self {
        Self { budget, threads, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits for a free thread; `false` if the stream is gone.
    fn start(&self) -> bool {
        let mut state = self.lock();
        while state.active >= self.threads && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.active += 1;
        !state.closed
    }

    fn end(&self) {
        self.lock().active -= 1;
        self.changed.notify_all();
    }

    /// Waits until a decoded batch may wait to be taken; `None` if the stream is gone.
    fn enter(&self, piece: usize, bytes: usize) -> Option<Option<Permit>> {
        let share = self.budget.limit() / 4;
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            let permit = if state.waiting + bytes <= share { self.budget.try_acquire(bytes) } else { None };
            let its_turn = piece == state.front && !state.queued.contains_key(&piece);
            if permit.is_some() || its_turn {
                state.waiting += bytes;
                *state.queued.entry(piece).or_default() += 1;
                return Some(permit);
            }
            state = self.changed.wait_timeout(state, LOOK_AGAIN).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A batch of the front piece was taken.
    fn took(&self, bytes: usize) {
        let mut state = self.lock();
        state.waiting = state.waiting.saturating_sub(bytes);
        let front = state.front;
        match state.queued.get_mut(&front) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(state.queued.remove(&front)),
        }
        self.changed.notify_all();
    }

    fn advance(&self) {
        self.lock().front += 1;
        self.changed.notify_all();
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses a file whose columns are not those of the first one.
fn same_schema(name: &str, expected: &Schema, found: &Schema) -> Result<()> {
    let differs = |text: String| {
        Err(Error::new(ErrorKind::Contract, format!("{name}: {text}"))
            .hint("files read together must have the same columns; name fewer files, or use a connection of `type: lakehouse`"))
    };
    for (at, field) in expected.fields().iter().enumerate() {
        match found.fields().get(at) {
            Some(other) if other.name() == field.name() && other.data_type() == field.data_type() => {}
            Some(other) if other.name() == field.name() => {
                return differs(format!(
                    "column \"{}\" is {}, expected {} as in the first file",
                    field.name(),
                    other.data_type(),
                    field.data_type()
                ));
            }
            Some(other) => {
                return differs(format!(
                    "column {} is \"{}\", expected \"{}\" as in the first file",
                    at + 1,
                    other.name(),
                    field.name()
                ));
            }
            None => return differs(format!("column \"{}\" of the first file is missing", field.name())),
        }
    }
    match found.fields().get(expected.fields().len()) {
        Some(more) => differs(format!("column \"{}\" is not in the first file", more.name())),
        None => Ok(()),
    }
}
