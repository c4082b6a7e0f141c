//! Multipart uploads, fed from the writing thread while their parts are on the way.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{FuturesOrdered, StreamExt};
use object_store::PutPayload;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use outport_core::context::Cancel;
use outport_core::destination::Upload;
use outport_core::{Error, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::books::Books;
use crate::files::store::{Remote, from_object_store};

/// The smallest part; stores refuse less than 5 MiB. All parts but the last have one size, which R2 insists on.
pub(super) const PART: usize = 8 << 20;
/// What S3 and R2 take; Azure takes more.
const MAX_PARTS: usize = 10_000;
/// Parts of one upload that are on the way at once.
const AT_ONCE: usize = 4;

/// What uploads need of the run.
#[derive(Clone)]
pub(super) struct Uploads {
    pub(super) remote: Arc<Remote>,
    pub(super) books: Books,
    pub(super) stop: Cancel,
    pub(super) runtime: Handle,
}

/// One object that is being written from a thread that may block.
pub(super) struct Uploader {
    uploads: Uploads,
    path: String,
    url: String,
    part_size: usize,
    buffer: Vec<u8>,
    task: Option<Task>,
    sent: usize,
}

struct Task {
    parts: mpsc::Sender<Bytes>,
    done: JoinHandle<Result<Upload>>,
}

/// An object whose bytes are all handed over.
pub(super) enum Uploading {
    /// It is small, alone, and put in one request when it is published.
    Whole(Bytes),
    /// Its parts are on the way.
    Parts(JoinHandle<Result<Upload>>),
}

impl Uploader {
    /// An object at `path`. `expected` is a guess of its size that makes the parts large enough; 0 for none.
    pub(super) fn new(uploads: Uploads, path: String, url: String, expected: u64) -> Self {
        let part_size = part_size(expected);
        Self { uploads, path, url, part_size, buffer: Vec::new(), task: None, sent: 0 }
    }

    /// Adds bytes; waits where too many parts are on the way.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = self.part_size - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == self.part_size {
                self.send()?;
            }
        }
        Ok(())
    }

    /// Hands over the rest. An object that is `alone` in its export and smaller than a part needs no upload.
    pub(super) fn finish(mut self, alone: bool) -> Result<Uploading> {
        // An upload has at least one part, and a part at least one byte.
        let empty = self.buffer.is_empty() && self.task.is_none();
        if empty || (alone && self.task.is_none()) {
            return Ok(Uploading::Whole(std::mem::take(&mut self.buffer).into()));
        }
        if !self.buffer.is_empty() {
            self.send()?;
        }
        match self.task.take() {
            Some(task) => Ok(Uploading::Parts(task.done)),
            None => Err(Error::new(ErrorKind::Internal, "an upload without parts")),
        }
    }

    fn send(&mut self) -> Result<()> {
        if self.sent == MAX_PARTS {
            let size = self.part_size as u64 * MAX_PARTS as u64;
            return Err(Error::new(
                ErrorKind::Write,
                format!("{} is larger than {MAX_PARTS} parts of {} MiB", self.url, self.part_size >> 20),
            )
            .hint(format!(
                "set max_bytes_per_file or max_rows_per_file so that a file stays below {} GiB",
                size >> 30
            )));
        }
        let next = Vec::with_capacity(if self.sent == 0 { 0 } else { self.part_size });
        let bytes = Bytes::from(std::mem::replace(&mut self.buffer, next));
        let task = self.task.get_or_insert_with(|| start(&self.uploads, &self.path, &self.url));
        self.sent += 1;
        if task.parts.blocking_send(bytes).is_ok() {
            return Ok(());
        }
        // The task is over before its time: it knows why.
        match self.task.take() {
            Some(task) => match self.uploads.runtime.block_on(task.done) {
                Ok(Err(error)) => Err(error),
                Ok(Ok(_)) => Err(Error::new(ErrorKind::Internal, "an upload ended before its last part")),
                Err(error) => Err(Error::new(ErrorKind::Internal, error.to_string())),
            },
            None => Err(Error::new(ErrorKind::Internal, "an upload without a task")),
        }
    }
}

fn start(uploads: &Uploads, path: &str, url: &str) -> Task {
    let (sender, receiver) = mpsc::channel(1);
    let done = uploads.runtime.spawn(run(uploads.clone(), path.to_owned(), url.to_owned(), receiver));
    Task { parts: sender, done }
}

/// Opens the upload, writes that down, and sends the parts until there are no more or the run stops.
async fn run(uploads: Uploads, path: String, url: String, parts: mpsc::Receiver<Bytes>) -> Result<Upload> {
    let failed = |e| from_object_store(e, &url);
    let key = uploads.remote.key(&path).map_err(failed)?;
    let store = &*uploads.remote.uploads.0;
    let create = async { store.create_multipart(&key).await.map_err(failed) };
    let id = uploads.books.open_upload(&path, &uploads.stop, create).await?;
    let parts = tokio::select! {
        parts = send_parts(store, &key, &id, parts) => parts.map_err(failed)?,
        () = uploads.stop.cancelled() => return Err(Error::new(ErrorKind::Cancelled, "cancelled")),
    };
    Ok(Upload { path, id, parts })
}

/// Sends parts, some at once; returns their tags in order.
async fn send_parts(
    store: &dyn MultipartStore,
    key: &Path,
    id: &String,
    mut parts: mpsc::Receiver<Bytes>,
) -> object_store::Result<Vec<String>> {
    let mut on_the_way = FuturesOrdered::new();
    let mut tags = Vec::new();
    let mut sent = 0;
    let mut open = true;
    while open || !on_the_way.is_empty() {
        tokio::select! {
            part = parts.recv(), if open && on_the_way.len() < AT_ONCE => match part {
                Some(bytes) => {
                    on_the_way.push_back(store.put_part(key, id, sent, PutPayload::from_bytes(bytes)));
                    sent += 1;
                }
                None => open = false,
            },
            Some(part) = on_the_way.next() => tags.push(part?.content_id),
        }
    }
    Ok(tags)
}

/// Parts so large that a tenth more than what is expected fits, in steps of [`PART`]; twice [`PART`] where nothing is known.
fn part_size(expected: u64) -> usize {
    let needed = usize::try_from(expected / (MAX_PARTS as u64 * 9 / 10)).unwrap_or(usize::MAX / 2);
    let least = if expected == 0 { 2 } else { 1 };
    (needed / PART + 1).max(least) * PART
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_large_enough_for_what_is_expected() {
        assert_eq!(part_size(0), 16 << 20);
        assert_eq!(part_size(1 << 30), 8 << 20);
        let terabyte = 1u64 << 40;
        assert!(part_size(terabyte) as u64 * MAX_PARTS as u64 > terabyte);
    }
}
