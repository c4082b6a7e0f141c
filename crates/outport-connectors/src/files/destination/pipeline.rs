//! The run of one stream: feed, workers and writer, stopped together when one of them fails.

use std::sync::Arc;

use outport_core::context::Cancel;
use outport_core::layout::OnEmpty;
use outport_core::manifest::ColumnSummary;
use outport_core::{Batches, Context, Error, ErrorKind, Result};
use outport_formats::packaging::Packager;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::books::Books;
use super::encode::Workers;
use super::feed::Feed;
use super::output::Finished;
use super::partition::Partitioner;
use super::summary::Summaries;
use super::upload::Uploads;
use super::writer::{Writer, Written};
use super::{Job, naming};
use crate::files::store::Place;

/// What came of the stream: files that are complete and not visible.
pub(super) struct Complete {
    pub(super) files: Vec<Written>,
    pub(super) columns: Vec<ColumnSummary>,
    /// Nothing is to be published: there were no rows, and that is how the layout wants it.
    pub(super) skipped: bool,
}

/// Writes the whole stream into hidden files and uploads.
///
/// When it fails, everything that runs for it has stopped before it returns.
pub(super) async fn run(mut batches: Batches, job: &Arc<Job>, books: &Books, context: &Context) -> Result<Complete> {
    let stop = Cancel::default();
    let _guard = StopOnDrop(stop.clone());
    let work = write(&mut batches, job, books, context, &stop);
    tokio::pin!(work);
    tokio::select! {
        biased;
        () = context.cancel.cancelled() => {
            stop.cancel();
            // The threads see the flag at their next chunk; only then is it safe to remove what they wrote.
            let _ = work.await;
            Err(Error::new(ErrorKind::Cancelled, "cancelled"))
        }
        done = &mut work => done.inspect_err(|_| stop.cancel()),
    }
}

/// Threads and uploads of a run whose future is dropped stop too.
struct StopOnDrop(Cancel);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

async fn write(
    batches: &mut Batches,
    job: &Arc<Job>,
    books: &Books,
    context: &Context,
    stop: &Cancel,
) -> Result<Complete> {
    let uploads = match job.setup.store.place() {
        Place::Local(_) => {
            let temporary = job.layout.path(&naming::temporary(context.run_id, 1));
            books.record(|intent| intent.temporary = vec![temporary]).await?;
            books.reached("begun").await?;
            None
        }
        Place::Remote(remote) => {
            books.record(|_| {}).await?;
            books.reached("begun").await?;
            Some(Uploads {
                remote: remote.clone(),
                books: books.clone(),
                stop: stop.clone(),
                runtime: Handle::current(),
            })
        }
    };
    let encoder = job.setup.format.encoder(&job.schema, &job.settings(1)?)?;
    let packaging = Packager::new(job.bundle.unwrap_or(job.wrapping), job.layout.compression.level, context.threads)?;
    // Encoders of one schema and one set of options make the same chunks: one of them serves all files.
    let compressor = if job.setup.format.caps().text { packaging.block_compressor() } else { None };
    let summaries = Arc::new(Summaries::new(&job.schema));
    let workers = Workers::new(
        encoder.chunk_encoder(),
        compressor,
        summaries.clone(),
        context.budget.clone(),
        stop.clone(),
        context.threads,
    );
    let partitioner =
        if job.partition.is_empty() { None } else { Some(Partitioner::new(&batches.schema, &job.partition)?) };

    let (sender, receiver) = mpsc::channel(context.threads.max(1) + 1);
    let writer =
        Writer::new(job.clone(), uploads, context.run_id, stop.clone(), context.progress.clone(), context.threads);
    let mut writing = tokio::task::spawn_blocking(move || writer.run(receiver));
    let feed = Feed::new(
        workers,
        sender,
        context,
        encoder.chunk_size(),
        job.layout.max_rows_per_file,
        partitioner,
        job.setup.open_files,
    );

    let (fed, early) = tokio::select! {
        fed = feed.run(batches) => (fed, None),
        // The writer ends before the feed only by failing; it says why.
        written = &mut writing => (Ok(()), Some(written)),
        () = stop.cancelled() => (Ok(()), None),
    };
    if fed.is_err() {
        stop.cancel();
    }
    let written = match early {
        Some(written) => written,
        None => writing.await,
    };
    fed?;
    let files = written.map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))??;
    let rows: u64 = files.iter().map(|file| file.rows).sum();
    let skipped = rows == 0
        && match job.layout.on_empty {
            OnEmpty::Write => false,
            OnEmpty::Skip => true,
            OnEmpty::Fail => {
                return Err(Error::new(ErrorKind::Data, "there are no rows, and on_empty is fail")
                    .hint("set on_empty: write or skip if that may happen"));
            }
        };
    let files = uploaded(files).await?;
    Ok(Complete { files, columns: summaries.list(), skipped })
}

/// Waits until the last part of every upload is there.
async fn uploaded(files: Vec<Written>) -> Result<Vec<Written>> {
    let mut complete = Vec::with_capacity(files.len());
    for mut file in files {
        if let Finished::Parts(done) = file.finished {
            let upload = done.await.map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))??;
            file.finished = Finished::Uploaded(upload);
        }
        complete.push(file);
    }
    Ok(complete)
}
