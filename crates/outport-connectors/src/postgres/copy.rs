//! Reading: a thread a connection copies and decodes, and the batches come over short queues, in order.

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use outport_core::context::{Cancel, Progress, Warnings};
use outport_core::{Context, Error, ErrorKind, Result};
use std::sync::atomic::Ordering;
use tokio::sync::mpsc;

use super::config::OutOfRange;
use super::decode::{BATCH_BYTES, Decoder};
use super::describe::Description;
use super::session::Session;
use super::socket::{Interrupt, cancelled};

/// A read that is ready to begin.
pub(super) struct Copies {
    /// The connections, each in its transaction.
    pub(super) sessions: Vec<Session>,
    /// The statements in the order of their rows; connection `n` of `k` runs the statements `n`, `n + k`, `n + 2k` …
    pub(super) statements: Vec<Statement>,
    /// What each of them gives.
    pub(super) description: Description,
    /// What happens to values out of range.
    pub(super) policy: OutOfRange,
    /// Ends all connections.
    pub(super) interrupt: Interrupt,
}

/// A COPY statement.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) sql: String,
    /// How messages name the part of the table it reads, where it reads a part.
    pub(super) part: Option<String>,
}

/// What a thread hands over.
enum Piece {
    Batch(RecordBatch),
    /// The statement gave all of its rows.
    End,
}

type Queue = mpsc::Receiver<Result<Piece>>;

/// The batches of a read, which begins when they are first asked for and ends when the stream is dropped.
pub(super) fn stream(copies: Copies, context: &Context) -> BoxStream<'static, Result<RecordBatch>> {
    let context = context.clone();
    let state = Reading {
        cancel: context.cancel.clone(),
        guard: Guard(copies.interrupt.clone()),
        total: copies.statements.len(),
        stage: Stage::Ready(copies, context),
        current: 0,
    };
    stream::unfold(Some(state), |state| async {
        let mut state = state?;
        match state.next().await {
            Ok(Some(batch)) => Some((Ok(batch), Some(state))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

struct Reading {
    cancel: Cancel,
    guard: Guard,
    stage: Stage,
    /// The statement whose rows come now, of how many.
    current: usize,
    total: usize,
}

enum Stage {
    Ready(Copies, Context),
    Running(Vec<Queue>),
}

/// Ends the connections when the stream is dropped.
struct Guard(Interrupt);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.raise();
    }
}

impl Reading {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        self.cancel.check()?;
        if let Stage::Ready(..) = &self.stage
            && let Stage::Ready(copies, context) = std::mem::replace(&mut self.stage, Stage::Running(Vec::new()))
        {
            self.stage = Stage::Running(start(copies, &context)?);
        }
        let Stage::Running(queues) = &mut self.stage else { return Ok(None) };
        let count = queues.len();
        while self.current < self.total {
            let received = tokio::select! {
                received = queues[self.current % count].recv() => received,
                () = self.cancel.cancelled() => {
                    self.guard.0.raise();
                    return Err(cancelled());
                }
            };
            match received {
                Some(Ok(Piece::Batch(batch))) => return Ok(Some(batch)),
                Some(Ok(Piece::End)) => self.current += 1,
                Some(Err(error)) => return Err(error),
                None => {
                    return Err(Error::new(
                        ErrorKind::Internal,
                        "a thread that reads from PostgreSQL ended without a word",
                    ));
                }
            }
        }
        Ok(None)
    }
}

/// Starts a thread for each connection.
fn start(copies: Copies, context: &Context) -> Result<Vec<Queue>> {
    let count = copies.sessions.len();
    // One reader never holds more than a few batches; several together no more than an eighth of the budget.
    let capacity = (context.budget.limit() / 8 / BATCH_BYTES / count.max(1)).clamp(1, 4);
    let mut queues = Vec::with_capacity(count);
    for (n, session) in copies.sessions.into_iter().enumerate() {
        let (sender, queue) = mpsc::channel(capacity);
        let reader = Reader {
            session,
            statements: copies.statements.iter().skip(n).step_by(count).cloned().collect(),
            decoder: Decoder::new(&copies.description, copies.policy),
            sender,
            warnings: context.warnings.clone(),
            progress: context.progress.clone(),
        };
        std::thread::Builder::new().name(format!("postgres-{n}")).spawn(move || reader.run()).map_err(|e| {
            Error::new(ErrorKind::SourceRead, format!("no thread could be started to read with: {e}")).with_source(e)
        })?;
        queues.push(queue);
    }
    Ok(queues)
}

struct Reader {
    session: Session,
    statements: Vec<Statement>,
    decoder: Decoder,
    sender: mpsc::Sender<Result<Piece>>,
    warnings: Arc<Warnings>,
    progress: Arc<Progress>,
}

impl Reader {
    fn run(mut self) {
        if let Err(error) = self.read() {
            // Whoever dropped the stream does not want to hear it.
            let _ = self.sender.blocking_send(Err(error));
        }
    }

    fn read(&mut self) -> Result<()> {
        let Self { session, statements, decoder, sender, warnings, progress } = self;
        let send = |decoder: &mut Decoder| {
            progress.bytes_read.fetch_add(decoder.bytes() as u64, Ordering::Relaxed);
            match decoder.finish(warnings)? {
                Some(batch) => sender.blocking_send(Ok(Piece::Batch(batch))).map_err(|_| cancelled()),
                None => Ok(()),
            }
        };
        for statement in statements.iter() {
            let copied = session.copy_out(&statement.sql, |message| {
                decoder.message(message)?;
                if decoder.is_full() { send(decoder) } else { Ok(()) }
            });
            copied.and_then(|()| send(decoder)).map_err(|error| match &statement.part {
                Some(part) => error.context(part),
                None => error,
            })?;
            sender.blocking_send(Ok(Piece::End)).map_err(|_| cancelled())?;
        }
        session.execute("COMMIT")?;
        Ok(())
    }
}
