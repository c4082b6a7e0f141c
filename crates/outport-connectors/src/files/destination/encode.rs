//! What runs on the worker threads: batches to encoded, compressed chunks.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use outport_core::context::{Budget, Cancel, Permit};
use outport_core::format::{Chunk, ChunkEncoder, Payload};
use outport_core::{Error, ErrorKind, Result};
use outport_formats::packaging::{Block, BlockCompressor};
use tokio::sync::{Semaphore, oneshot};

use super::summary::Summaries;

/// Encodes chunks, so many at once as the run has threads.
pub(super) struct Workers {
    shared: Arc<Shared>,
    free: Arc<Semaphore>,
}

struct Shared {
    encoder: Arc<dyn ChunkEncoder>,
    compressor: Option<Arc<dyn BlockCompressor>>,
    summaries: Arc<Summaries>,
    budget: Budget,
    stop: Cancel,
}

/// A chunk that is ready to be appended.
pub(super) struct Encoded {
    /// The number of rows.
    pub(super) rows: u64,
    pub(super) body: Body,
    /// The part of the byte budget that it takes until it is written.
    _permits: Vec<Permit>,
}

/// What a worker made of the rows.
pub(super) enum Body {
    /// What the encoder made.
    Chunk(Chunk),
    /// The encoder's bytes, compressed.
    Block(Block),
}

/// Rows for one chunk with the part of the budget they take.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) batches: Vec<RecordBatch>,
    pub(super) permits: Vec<Permit>,
}

impl Workers {
    pub(super) fn new(
        encoder: Arc<dyn ChunkEncoder>,
        compressor: Option<Arc<dyn BlockCompressor>>,
        summaries: Arc<Summaries>,
        budget: Budget,
        stop: Cancel,
        threads: usize,
    ) -> Self {
        let shared = Arc::new(Shared { encoder, compressor, summaries, budget, stop });
        Self { shared, free: Arc::new(Semaphore::new(threads.max(1))) }
    }

    /// Encodes in the background; the receiver yields the result.
    pub(super) fn encode(&self, rows: Rows) -> oneshot::Receiver<Result<Encoded>> {
        let (sender, receiver) = oneshot::channel();
        let (shared, free) = (self.shared.clone(), self.free.clone());
        tokio::spawn(async move {
            // The semaphore is never closed.
            let Ok(permit) = free.acquire_owned().await else { return };
            tokio::task::spawn_blocking(move || {
                let result = shared.encode(rows);
                drop(permit);
                // Nobody waits for the chunk of a run that stopped.
                let _ = sender.send(result);
            });
        });
        receiver
    }
}

impl Shared {
    fn encode(&self, rows: Rows) -> Result<Encoded> {
        self.stop.check()?;
        self.summaries.add(&rows.batches)?;
        let chunk = self.encoder.encode(&rows.batches)?;
        let count = chunk.rows;
        let body = match (chunk.payload, &self.compressor) {
            (Payload::Bytes(bytes), Some(compressor)) => Body::Block(compressor.compress(bytes)?),
            (payload, _) => Body::Chunk(Chunk { rows: count, payload }),
        };
        let size = match &body {
            Body::Chunk(chunk) => chunk.payload.len(),
            Body::Block(block) => block.stored_len(),
        };
        // The rows are gone, what is left is usually much smaller; where it is not, the rows' share of the budget stays.
        let Rows { batches, permits } = rows;
        drop(batches);
        let permits = match self.budget.try_acquire(size) {
            Some(permit) => vec![permit],
            None => permits,
        };
        Ok(Encoded { rows: count, body, _permits: permits })
    }
}

/// The bytes that the rows of a batch take; shared buffers count by what the rows use of them.
pub(super) fn batch_bytes(batch: &RecordBatch) -> usize {
    batch
        .columns()
        .iter()
        .map(|array| array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()))
        .sum()
}

/// The error for a worker that went away without a result: it panicked.
pub(super) fn lost() -> Error {
    Error::new(ErrorKind::Internal, "a worker thread ended without a result")
}
