//! The one thread that appends: chunks in order, into the files they belong to.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use outport_core::context::{Cancel, Progress};
use outport_core::format::{Chunk, Encoder, Payload};
use outport_core::layout::Part;
use outport_core::{Error, ErrorKind, Result};
use outport_formats::packaging::{Hashed, Packager, Sha256Writer, Wrapping};
use tokio::sync::{mpsc, oneshot};

use super::encode::{Body, Encoded, lost};
use super::output::{Finished, Output, Sink, Target, unwrapped};
use super::partition::{Values, folder};
use super::spill::{BlockSpill, Spill};
use super::upload::{Uploader, Uploads};
use super::{Job, naming};
use crate::files::store::Place;

/// What the feed tells the writer.
pub(super) enum Command {
    /// Rows of a partition may come from now on; the same partition may have been open before.
    Open { slot: usize, values: Values },
    /// The next rows of a partition.
    Chunk { slot: usize, chunk: oneshot::Receiver<Result<Encoded>> },
    /// No rows of the partition come soon: its file ends here.
    Close { slot: usize },
    /// That was all.
    Finish,
}

/// A file that is complete but not published.
pub(super) struct Written {
    /// Where the file belongs.
    pub(super) place: FilePlace,
    pub(super) finished: Finished,
    pub(super) rows: u64,
    pub(super) hashed: Hashed,
    /// The names inside an archive.
    pub(super) entries: Vec<String>,
}

/// Which file it is; its name follows once it is known how many there are.
#[derive(Clone)]
pub(super) struct FilePlace {
    pub(super) slot: usize,
    pub(super) values: Values,
    pub(super) name: FileName,
}

/// How a file is named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FileName {
    /// The part with this 1-based number, or the only one.
    Part(u32),
    /// The bundle of all parts.
    Bundle,
}

/// Writes the files of one run.
pub(super) struct Writer {
    job: Arc<Job>,
    uploads: Option<Uploads>,
    /// The hidden names of local files start with it.
    run_id: uuid::Uuid,
    stop: Cancel,
    progress: Arc<Progress>,
    threads: usize,
    temporaries: u32,
    slots: HashMap<usize, Slot>,
    written: Vec<Written>,
    bytes_before: u64,
}

/// The files of one partition.
#[derive(Default)]
struct Slot {
    values: Values,
    /// The parts that were started.
    parts: u32,
    part: Option<OpenPart>,
    /// The first part's file, complete, until it is known whether a second one follows.
    waiting: Option<Written>,
    /// The bundle, once it has more than one entry.
    bundle: Option<Bundle>,
    /// The first entry of what may become a bundle.
    first_entry: Option<Entry>,
}

struct OpenPart {
    encoder: Box<dyn Encoder>,
    target: Target,
    number: u32,
    rows: u64,
    bytes: u64,
}

struct Bundle {
    packager: Box<Packager>,
    output: Output,
    rows: u64,
    entries: Vec<String>,
}

/// An entry whose blocks wait.
struct Entry {
    blocks: BlockSpill,
    rows: u64,
}

impl Writer {
    pub(super) fn new(
        job: Arc<Job>,
        uploads: Option<Uploads>,
        run_id: uuid::Uuid,
        stop: Cancel,
        progress: Arc<Progress>,
        threads: usize,
    ) -> Self {
        Self {
            job,
            uploads,
            run_id,
            stop,
            progress,
            threads,
            temporaries: 0,
            slots: HashMap::new(),
            written: Vec::new(),
            bytes_before: 0,
        }
    }

    /// Takes commands until the end. All files are complete then, and none is visible.
    pub(super) fn run(mut self, mut commands: mpsc::Receiver<Command>) -> Result<Vec<Written>> {
        loop {
            let Some(command) = commands.blocking_recv() else {
                return Err(Error::new(ErrorKind::Cancelled, "cancelled"));
            };
            self.stop.check()?;
            match command {
                Command::Open { slot, values } => self.slots.entry(slot).or_default().values = values,
                Command::Chunk { slot, chunk } => {
                    let encoded = chunk.blocking_recv().map_err(|_| lost())??;
                    self.append(slot, encoded)?;
                }
                Command::Close { slot } => self.end_part(slot)?,
                Command::Finish => return self.finish(),
            }
        }
    }

    fn append(&mut self, number: usize, encoded: Encoded) -> Result<()> {
        let job = self.job.clone();
        let layout = &job.layout;
        let full = |part: &OpenPart| {
            layout.max_bytes_per_file.is_some_and(|limit| part.bytes >= limit)
                || layout.max_rows_per_file.is_some_and(|limit| part.rows + encoded.rows > limit)
        };
        if self.slot(number)?.part.as_ref().is_some_and(full) {
            self.end_part(number)?;
        }
        if self.slot(number)?.part.is_none() {
            self.start_part(number)?;
        }
        let Some(part) = self.slot(number)?.part.as_mut() else { return Err(no_part()) };
        let rows = encoded.rows;
        let (encoder, target) = (&mut part.encoder, &mut part.target);
        part.bytes += match encoded.body {
            Body::Chunk(chunk) => target.raw(|out| encoder.append(chunk, out))?,
            Body::Block(block) => {
                // What the encoder sets before a chunk (a comma between JSON arrays) does not depend on its bytes.
                let head = Chunk { rows, payload: Payload::Bytes(Vec::new()) };
                target.raw(|out| encoder.append(head, out))? + target.block(block)?
            }
        };
        part.rows += rows;
        self.progress.rows_written.fetch_add(rows, Ordering::Relaxed);
        Ok(())
    }

    fn start_part(&mut self, number: usize) -> Result<()> {
        let slot = self.slot(number)?;
        slot.parts += 1;
        let part = slot.parts;
        if part == 2 {
            self.name_first(number)?;
        }
        let settings = self.job.settings(part)?;
        let mut encoder = self.job.setup.format.encoder(&self.job.schema, &settings)?;
        let mut target = self.target(number, part)?;
        let bytes = target.raw(|out| encoder.start(out))?;
        self.slot(number)?.part = Some(OpenPart { encoder, target, number: part, rows: 0, bytes });
        Ok(())
    }

    /// Where the bytes of a part go: what may become a bundle waits, entry by entry, for names and sizes.
    fn target(&mut self, number: usize, part: u32) -> Result<Target> {
        let job = self.job.clone();
        if job.bundle.is_some() {
            return Ok(Target::Waiting(BlockSpill::new(&job.setup.temporary)));
        }
        let mut output = self.output(number, FileName::Part(part))?;
        if job.wrapping == Wrapping::Plain {
            return Ok(Target::Plain(output));
        }
        let mut packager = Box::new(self.packager(job.wrapping)?);
        let name = job.layout.part_name(if part == 1 { Part::Only } else { Part::Number(part) });
        packager.begin_entry(&name, None, &mut output).map_err(unwrapped)?;
        Ok(Target::Wrapped(packager, output))
    }

    /// Ends the open part of a partition, if one is open.
    fn end_part(&mut self, number: usize) -> Result<()> {
        let Some(OpenPart { encoder, mut target, number: part, rows, .. }) = self.slot(number)?.part.take() else {
            return Ok(());
        };
        target.raw(|out| encoder.finish(out))?;
        let output = match target {
            Target::Plain(output) => output,
            Target::Wrapped(mut packager, mut output) => {
                packager.end_entry(&mut output).map_err(unwrapped)?;
                packager.finish(&mut output).map_err(unwrapped)?;
                output
            }
            Target::Waiting(blocks) => return self.end_entry(number, part, Entry { blocks, rows }),
        };
        let entries = if self.job.wrapping == Wrapping::Zip {
            vec![self.job.layout.part_name(if part == 1 { Part::Only } else { Part::Number(part) })]
        } else {
            Vec::new()
        };
        let written = self.close(number, FileName::Part(part), output, rows, entries)?;
        let waits = matches!(written.finished, Finished::Waiting(_));
        if waits && part == 1 {
            self.slot(number)?.waiting = Some(written)
        } else {
            self.written.push(written)
        }
        Ok(())
    }

    /// Adds a complete entry to the bundle; the first one waits, for it may stay alone.
    fn end_entry(&mut self, number: usize, part: u32, entry: Entry) -> Result<()> {
        if part == 1 {
            self.slot(number)?.first_entry = Some(entry);
            return Ok(());
        }
        let name = self.job.layout.part_name(Part::Number(part));
        let slot = self.slot(number)?;
        let Some(bundle) = slot.bundle.as_mut() else { return Err(no_part()) };
        bundle.add(&name, entry)
    }

    /// A second part starts: the first one has a number, and its file or entry goes where it belongs.
    fn name_first(&mut self, number: usize) -> Result<()> {
        if let Some(waiting) = self.slot(number)?.waiting.take() {
            let named = self.upload_waiting(waiting, Part::Number(1), false)?;
            self.written.push(named);
        }
        if let (Some(wrapping), Some(entry)) = (self.job.bundle, self.slot(number)?.first_entry.take()) {
            let name = self.job.layout.part_name(Part::Number(1));
            let output = self.output(number, FileName::Bundle)?;
            let packager = Box::new(self.packager(wrapping)?);
            let mut bundle = Bundle { packager, output, rows: 0, entries: Vec::new() };
            bundle.add(&name, entry)?;
            self.slot(number)?.bundle = Some(bundle);
        }
        Ok(())
    }

    /// Ends everything that is open. A stream without rows makes one file with the schema, unless it is partitioned.
    fn finish(mut self) -> Result<Vec<Written>> {
        let mut numbers: Vec<usize> = self.slots.keys().copied().collect();
        numbers.sort_unstable();
        let alone = self.job.partition.is_empty();
        for number in numbers {
            if self.slot(number)?.parts == 0 {
                self.start_part(number)?;
            }
            self.end_part(number)?;
            if let Some(bundle) = self.slot(number)?.bundle.take() {
                let Bundle { packager, mut output, rows, entries } = bundle;
                packager.finish(&mut output).map_err(unwrapped)?;
                let written = self.close(number, FileName::Bundle, output, rows, entries)?;
                self.written.push(written);
            }
            if let Some(Entry { blocks, rows }) = self.slot(number)?.first_entry.take() {
                let mut output = self.output(number, FileName::Part(1))?;
                let mut packager = self.packager(self.job.wrapping)?;
                let name = self.job.layout.part_name(Part::Only);
                let size = blocks.raw_len();
                packager.append_entry(&name, None, size, &mut blocks.into_blocks()?, &mut output).map_err(unwrapped)?;
                packager.finish(&mut output).map_err(unwrapped)?;
                let entries = if self.job.wrapping == Wrapping::Zip { vec![name] } else { Vec::new() };
                let written = self.close(number, FileName::Part(1), output, rows, entries)?;
                if matches!(written.finished, Finished::Waiting(_)) {
                    self.slot(number)?.waiting = Some(written);
                } else {
                    self.written.push(written);
                }
            }
            if let Some(waiting) = self.slot(number)?.waiting.take() {
                let named = self.upload_waiting(waiting, Part::Only, alone)?;
                self.written.push(named);
            }
        }
        let part = |written: &Written| match written.place.name {
            FileName::Part(part) => part,
            FileName::Bundle => 0,
        };
        self.written.sort_by_key(|written| (written.place.slot, part(written)));
        Ok(self.written)
    }

    /// Opens the output of a file.
    fn output(&mut self, number: usize, name: FileName) -> Result<Output> {
        let job = self.job.clone();
        let sink = match (job.setup.store.place(), self.uploads.clone()) {
            (Place::Local(root), _) => {
                self.temporaries += 1;
                let temporary = naming::temporary(self.run_id, self.temporaries);
                Sink::local(root.join(job.layout.path(&temporary)))?
            }
            (Place::Remote(_), Some(uploads)) => {
                // The name of a first part shows later, unless there can be no second one.
                let waits = name == FileName::Part(1) && (job.layout.splits() || !job.partition.is_empty());
                if waits {
                    Sink::Waiting(Spill::new(&job.setup.temporary))
                } else {
                    let values = self.slot(number)?.values.clone();
                    let part = match name {
                        FileName::Part(1) if !job.layout.splits() => Part::Only,
                        FileName::Part(n) => Part::Number(n),
                        FileName::Bundle => Part::Only,
                    };
                    let path = job.path(&values, name, part);
                    let url = job.setup.store.url(&path);
                    Sink::Upload(Box::new(Uploader::new(uploads, path, url, self.expected())))
                }
            }
            (Place::Remote(_), None) => return Err(Error::new(ErrorKind::Internal, "a bucket without uploads")),
        };
        Ok(if self.job.setup.checksums { Sha256Writer::new(sink) } else { Sha256Writer::counting(sink) })
    }

    /// A guess of a file's size from what was written so far and how many rows the source expects; 0 for none.
    fn expected(&self) -> u64 {
        let rows = self.progress.rows_written.load(Ordering::Relaxed);
        let estimate = self.progress.rows_estimate.load(Ordering::Relaxed);
        if rows == 0 {
            0
        } else {
            (self.bytes_before as u128 * estimate as u128 / rows as u128).try_into().unwrap_or(u64::MAX)
        }
    }

    /// Sends a file that waited for its name.
    fn upload_waiting(&mut self, written: Written, part: Part, alone: bool) -> Result<Written> {
        let Written { place, finished, rows, hashed, entries } = written;
        let (Finished::Waiting(spill), Some(uploads)) = (finished, &self.uploads) else { return Err(no_part()) };
        let path = self.job.path(&place.values, place.name, part);
        let url = self.job.setup.store.url(&path);
        let mut uploader = Uploader::new(uploads.clone(), path, url, hashed.bytes);
        spill.drain(|bytes| self.stop.check().and_then(|()| uploader.write(bytes)))?;
        let finished = Sink::Upload(Box::new(uploader)).finish(alone)?;
        Ok(Written { place, finished, rows, hashed, entries })
    }

    fn close(
        &mut self,
        number: usize,
        name: FileName,
        output: Output,
        rows: u64,
        entries: Vec<String>,
    ) -> Result<Written> {
        let (sink, hashed) = output.finish();
        let alone = self.job.partition.is_empty() && (name == FileName::Bundle || !self.job.layout.splits());
        let finished = sink.finish(alone)?;
        self.bytes_before += hashed.bytes;
        self.progress.bytes_written.fetch_add(hashed.bytes, Ordering::Relaxed);
        self.progress.files.fetch_add(1, Ordering::Relaxed);
        let values = self.slot(number)?.values.clone();
        Ok(Written { place: FilePlace { slot: number, values, name }, finished, rows, hashed, entries })
    }

    fn packager(&self, wrapping: Wrapping) -> Result<Packager> {
        Packager::new(wrapping, self.job.layout.compression.level, self.threads)
    }

    fn slot(&mut self, number: usize) -> Result<&mut Slot> {
        self.slots
            .get_mut(&number)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "rows for a partition that is not open"))
    }
}

impl Bundle {
    fn add(&mut self, name: &str, entry: Entry) -> Result<()> {
        let Entry { blocks, rows } = entry;
        let size = blocks.raw_len();
        self.packager
            .append_entry(name, None, size, &mut blocks.into_blocks()?, &mut self.output)
            .map_err(unwrapped)?;
        self.rows += rows;
        self.entries.push(name.to_owned());
        Ok(())
    }
}

impl Job {
    /// The final path of a file.
    pub(super) fn path(&self, values: &Values, name: FileName, part: Part) -> String {
        let codec = self.outer_codec();
        let file = match name {
            FileName::Part(_) => self.layout.compressed_part_name(part, codec),
            FileName::Bundle => {
                self.layout.bundle_name(codec).unwrap_or_else(|| self.layout.compressed_part_name(Part::Only, codec))
            }
        };
        if values.is_empty() {
            self.layout.path(&file)
        } else {
            self.layout.path(&format!("{}/{file}", folder(values)))
        }
    }
}

fn no_part() -> Error {
    Error::new(ErrorKind::Internal, "a file was expected to be open")
}
