//! Pulls batches and cuts them into chunks for the workers.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use futures::StreamExt;
use outport_core::format::ChunkSize;
use outport_core::{Batches, Context, Result};
use tokio::sync::mpsc::Sender;

use super::encode::{Rows, Workers, batch_bytes};
use super::partition::{Partitioner, Values};
use super::writer::Command;

/// Cuts the stream: no chunk is larger than the format wants, none crosses a multiple of the rows per file, none mixes partitions.
pub(super) struct Feed<'a> {
    pub(super) workers: Workers,
    pub(super) commands: Sender<Command>,
    pub(super) context: &'a Context,
    pub(super) size: ChunkSize,
    pub(super) rows_per_file: Option<u64>,
    pub(super) partitioner: Option<Partitioner>,
    pub(super) open_files: usize,
    slots: HashMap<usize, Slot>,
    clock: u64,
}

/// Rows of one partition that are no chunk yet.
#[derive(Default)]
struct Slot {
    pending: Rows,
    pending_rows: usize,
    pending_bytes: usize,
    /// Rows of the current file that are pending or sent.
    in_file: u64,
    last_used: u64,
}

/// The receiver is gone: it stopped with an error of its own, which is the one to report.
struct Stopped;

enum End {
    Stopped,
    Failed(outport_core::Error),
}

impl From<Stopped> for End {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<outport_core::Error> for End {
    fn from(error: outport_core::Error) -> Self {
        Self::Failed(error)
    }
}

impl<'a> Feed<'a> {
    pub(super) fn new(
        workers: Workers,
        commands: Sender<Command>,
        context: &'a Context,
        size: ChunkSize,
        rows_per_file: Option<u64>,
        partitioner: Option<Partitioner>,
        open_files: usize,
    ) -> Self {
        let slots = HashMap::new();
        Self { workers, commands, context, size, rows_per_file, partitioner, open_files, slots, clock: 0 }
    }

    /// Feeds the whole stream and says so at its end; returns early, without error, if nobody takes the chunks any more.
    pub(super) async fn run(mut self, batches: &mut Batches) -> Result<()> {
        match self.feed(batches).await {
            Ok(()) | Err(End::Stopped) => Ok(()),
            Err(End::Failed(error)) => Err(error),
        }
    }

    async fn feed(&mut self, batches: &mut Batches) -> Result<(), End> {
        if self.partitioner.is_none() {
            self.open(0, Values::new()).await?;
        }
        while let Some(batch) = batches.stream.next().await {
            let batch = batch?;
            self.context.cancel.check()?;
            if batch.num_rows() == 0 {
                continue;
            }
            self.context.progress.rows_read.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
            let parts = match &mut self.partitioner {
                None => vec![(0, batch)],
                Some(partitioner) => partitioner.split(&batch)?,
            };
            for (number, rows) in parts {
                if !self.slots.contains_key(&number) {
                    self.make_room().await?;
                    let values = self.partitioner.as_ref().map(|p| p.values(number).clone()).unwrap_or_default();
                    self.open(number, values).await?;
                }
                self.add(number, &rows).await?;
            }
        }
        let mut numbers: Vec<usize> = self.slots.keys().copied().collect();
        numbers.sort_unstable();
        for number in numbers {
            self.flush(number).await?;
        }
        self.send(Command::Finish).await?;
        Ok(())
    }

    async fn open(&mut self, number: usize, values: Values) -> Result<(), Stopped> {
        self.slots.insert(number, Slot::default());
        self.send(Command::Open { slot: number, values }).await
    }

    /// Closes the partition that was not written to for longest, if as many are open as may be.
    async fn make_room(&mut self) -> Result<(), Stopped> {
        if self.slots.len() < self.open_files {
            return Ok(());
        }
        let Some(oldest) = self.slots.iter().min_by_key(|(_, slot)| slot.last_used).map(|(number, _)| *number) else {
            return Ok(());
        };
        self.flush(oldest).await?;
        self.slots.remove(&oldest);
        self.send(Command::Close { slot: oldest }).await
    }

    async fn add(&mut self, number: usize, batch: &RecordBatch) -> Result<(), Stopped> {
        let bytes = batch_bytes(batch).max(1);
        // Rows are cut so that a piece is no larger than a chunk may be.
        let fitting = (batch.num_rows() as u128 * self.size.bytes.max(1) as u128 / bytes as u128).max(1);
        let fitting = usize::try_from(fitting).unwrap_or(usize::MAX);
        let mut at = 0;
        while at < batch.num_rows() {
            let slot = self.slots.entry(number).or_default();
            let to_chunk_end = self.size.rows.max(1) - slot.pending_rows;
            let to_file_end = self
                .rows_per_file
                .map_or(usize::MAX, |limit| usize::try_from(limit.saturating_sub(slot.in_file)).unwrap_or(usize::MAX));
            let rows = (batch.num_rows() - at).min(to_chunk_end).min(to_file_end).min(fitting);
            let piece_bytes = usize::try_from(bytes as u128 * rows as u128 / batch.num_rows() as u128).unwrap_or(bytes);
            self.take(number, batch.slice(at, rows), piece_bytes).await?;
            at += rows;
        }
        Ok(())
    }

    /// Adds rows that fit into the chunk and the file, and sends the chunk if that fills either.
    async fn take(&mut self, number: usize, piece: RecordBatch, bytes: usize) -> Result<(), Stopped> {
        // What the rows will be when encoded is not known; half of what they are is a usual size and no promise.
        let cost = bytes + bytes / 2;
        let permit = match self.context.budget.try_acquire(cost) {
            Some(permit) => permit,
            None => {
                // What is pending holds its share until it is sent, and would be waited for in vain.
                self.flush_all().await?;
                self.context.budget.acquire(cost).await
            }
        };
        self.clock += 1;
        let clock = self.clock;
        let limit = self.rows_per_file;
        let size = self.size;
        let slot = self.slots.entry(number).or_default();
        slot.last_used = clock;
        slot.pending_rows += piece.num_rows();
        slot.pending_bytes += bytes;
        slot.in_file += piece.num_rows() as u64;
        slot.pending.batches.push(piece);
        slot.pending.permits.push(permit);
        let file_full = limit.is_some_and(|limit| slot.in_file >= limit);
        let full = file_full || slot.pending_rows >= size.rows || slot.pending_bytes >= size.bytes;
        if file_full {
            slot.in_file = 0;
        }
        if full { self.flush(number).await } else { Ok(()) }
    }

    async fn flush_all(&mut self) -> Result<(), Stopped> {
        let numbers: Vec<usize> = self.slots.keys().copied().collect();
        for number in numbers {
            self.flush(number).await?;
        }
        Ok(())
    }

    async fn flush(&mut self, number: usize) -> Result<(), Stopped> {
        let Some(slot) = self.slots.get_mut(&number) else { return Ok(()) };
        if slot.pending_rows == 0 {
            return Ok(());
        }
        (slot.pending_rows, slot.pending_bytes) = (0, 0);
        let chunk = self.workers.encode(std::mem::take(&mut slot.pending));
        self.send(Command::Chunk { slot: number, chunk }).await
    }

    async fn send(&self, command: Command) -> Result<(), Stopped> {
        self.commands.send(command).await.map_err(|_| Stopped)
    }
}
