//! Whole files into a store, out of it, and within it: [`FileStore`].

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{FuturesOrdered, StreamExt};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path as Key;
use object_store::{Attribute, Attributes, ObjectStoreExt, PutOptions, PutPayload};
use outport_core::destination::Upload;
use outport_core::files::{FileStore, StoredFile, UploadLog};
use outport_core::format::Input;
use outport_core::{Context, Error, ErrorKind, Result};

use super::store::{Found, LocalInput, Place, Remote, Replace, Store, blocking, failed, rename, sync_folder};

/// The smallest part. Stores refuse less than 5 MiB, and all parts of an upload but the last have one size.
const PART: u64 = 8 << 20;
/// What S3 and R2 take.
const MAX_PARTS: u64 = 10_000;
/// Parts of one file that are on the way at once.
const AT_ONCE: usize = 4;
/// Bytes that are copied between looks at the cancel flag.
const CHUNK: usize = 1 << 20;

#[async_trait]
impl FileStore for Store {
    fn url(&self, path: &str) -> String {
        Store::url(self, path)
    }

    async fn list(&self, folder: &str) -> Result<Vec<StoredFile>> {
        Ok(Store::list(self, folder, true).await?.into_iter().map(stored).collect())
    }

    async fn head(&self, path: &str) -> Result<Option<StoredFile>> {
        Ok(Store::head(self, path).await?.map(stored))
    }

    async fn read(&self, path: &str) -> Result<Option<Bytes>> {
        Store::read(self, path).await
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<()> {
        match self.place() {
            Place::Local(_) => Store::put(self, path, bytes, Replace::Yes).await,
            Place::Remote(remote) => put_typed(remote, path, bytes).await.map_err(|e| self.failed(e, path)).map(drop),
        }
    }

    async fn upload(&self, path: &str, file: &Path, log: &dyn UploadLog, context: &Context) -> Result<()> {
        match self.place() {
            Place::Local(root) => copy_local(file.to_owned(), root.join(path), context.clone()).await,
            Place::Remote(remote) => {
                let source = Source::open(file.to_owned()).await?;
                if source.size <= PART {
                    let bytes = source.part(0, source.size).await?;
                    let size = bytes.len() as u64;
                    put_typed(remote, path, bytes).await.map_err(|e| self.failed(e, path))?;
                    context.progress.bytes_written.fetch_add(size, Ordering::Relaxed);
                    return Ok(());
                }
                let parts = Parts { store: self, remote, path, source: &source, log, context };
                tokio::select! {
                    done = parts.send() => done,
                    () = context.cancel.cancelled() => Err(Error::new(ErrorKind::Cancelled, "cancelled")),
                }
            }
        }
    }

    async fn abort(&self, upload: &Upload) -> Result<()> {
        let Place::Remote(remote) = self.place() else { return Ok(()) };
        let aborted = async {
            let key = remote.key(&upload.path)?;
            remote.uploads.0.abort_multipart(&key, &upload.id).await
        };
        match aborted.await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            done => done.map_err(|e| self.failed(e, &upload.path)),
        }
    }

    async fn copy(&self, from: &str, to: &str) -> Result<()> {
        match self.place() {
            Place::Local(root) => {
                let context = Context::new(uuid::Uuid::nil());
                copy_local(root.join(from), root.join(to), context).await
            }
            Place::Remote(remote) => {
                let copied = async { remote.objects.copy(&remote.key(from)?, &remote.key(to)?).await };
                copied.await.map_err(|e| self.failed(e, to))
            }
        }
    }

    async fn sha256(&self, path: &str, context: &Context) -> Result<String> {
        tokio::select! {
            hash = super::destination::sha256(self, path) => hash,
            () = context.cancel.cancelled() => Err(Error::new(ErrorKind::Cancelled, "cancelled")),
        }
    }

    async fn delete(&self, path: &str) -> Result<bool> {
        let deleted = Store::delete(self, path).await?;
        if let Place::Local(root) = self.place() {
            remove_empty_folders(root.clone(), root.join(path)).await;
        }
        Ok(deleted)
    }
}

fn stored(found: Found) -> StoredFile {
    StoredFile { path: found.path, size: found.size, modified: found.modified }
}

/// Puts a file with the type that browsers go by; caches ask again, because the content under this name changes.
async fn put_typed(remote: &Remote, path: &str, bytes: Bytes) -> object_store::Result<()> {
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::ContentType, media_type(path).into());
    attributes.insert(Attribute::CacheControl, "no-cache".into());
    let options = PutOptions { attributes, ..PutOptions::default() };
    remote.objects.put_opts(&remote.key(path)?, PutPayload::from_bytes(bytes), options).await.map(drop)
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "json" => "application/json",
        "sql" | "csv" | "txt" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "parquet" => "application/vnd.apache.parquet",
        _ => "application/octet-stream",
    }
}

/// A local file that is sent in parts.
struct Source {
    input: Arc<LocalInput>,
    size: u64,
}

impl Source {
    async fn open(path: PathBuf) -> Result<Self> {
        blocking(move || {
            let at = |e| failed(ErrorKind::SourceRead, e, &path);
            let file = File::open(&path).map_err(at)?;
            let size = file.metadata().map_err(at)?.len();
            let input = Arc::new(LocalInput::new(file, path.display().to_string(), size));
            Ok(Self { input, size })
        })
        .await
    }

    async fn part(&self, offset: u64, length: u64) -> Result<Bytes> {
        let input = self.input.clone();
        blocking(move || {
            let length = usize::try_from(length).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
            let mut bytes = vec![0; length];
            input.read_at(offset, &mut bytes)?;
            Ok(bytes.into())
        })
        .await
    }
}

/// One file that is sent as a multipart upload.
struct Parts<'a> {
    store: &'a Store,
    remote: &'a Remote,
    path: &'a str,
    source: &'a Source,
    log: &'a dyn UploadLog,
    context: &'a Context,
}

impl Parts<'_> {
    /// Goes on with the upload that was begun, or begins one.
    async fn send(&self) -> Result<()> {
        let key = self.remote.key(self.path).map_err(|e| self.store.failed(e, self.path))?;
        if let Some(upload) = self.log.open(self.path) {
            match self.go_on(&key, upload).await {
                // The store has given it up in the meantime.
                Err(object_store::Error::NotFound { .. }) => self.log.close(self.path)?,
                done => return self.ended(done),
            }
        }
        let id = self.remote.uploads.0.create_multipart(&key).await.map_err(|e| self.store.failed(e, self.path))?;
        let upload = Upload { path: self.path.to_owned(), id, parts: Vec::new() };
        self.log.record(&upload)?;
        let done = self.go_on(&key, upload).await;
        self.ended(done)
    }

    fn ended(&self, done: object_store::Result<Result<()>>) -> Result<()> {
        done.map_err(|e| self.store.failed(e, self.path))??;
        self.log.close(self.path)
    }

    /// Sends what is missing, in order, a few at once, and completes the upload.
    async fn go_on(&self, key: &Key, mut upload: Upload) -> object_store::Result<Result<()>> {
        let store: &dyn MultipartStore = &*self.remote.uploads.0;
        let size = part_size(self.source.size);
        let count = self.source.size.div_ceil(size);
        let mut next = upload.parts.len() as u64;
        let written = &self.context.progress.bytes_written;
        written.fetch_add((next * size).min(self.source.size), Ordering::Relaxed);
        let id = upload.id.clone();
        let mut on_the_way = FuturesOrdered::new();
        loop {
            while on_the_way.len() < AT_ONCE && next < count {
                let (number, id) = (next, &id);
                let length = size.min(self.source.size - number * size);
                on_the_way.push_back(async move {
                    match self.source.part(number * size, length).await {
                        Ok(bytes) => {
                            let sent = store.put_part(key, id, number as usize, PutPayload::from_bytes(bytes)).await;
                            sent.map(|part| Ok((part, length)))
                        }
                        Err(error) => Ok(Err(error)),
                    }
                });
                next += 1;
            }
            match on_the_way.next().await {
                None => break,
                Some(part) => match part? {
                    Err(error) => return Ok(Err(error)),
                    Ok((part, length)) => {
                        upload.parts.push(part.content_id);
                        written.fetch_add(length, Ordering::Relaxed);
                        if let Err(error) = self.log.record(&upload) {
                            return Ok(Err(error));
                        }
                    }
                },
            }
        }
        let parts = upload.parts.iter().map(|id| PartId { content_id: id.clone() }).collect();
        store.complete_multipart(key, &upload.id, parts).await.map(|_| Ok(()))
    }
}

/// The size of the parts of a file: it depends on nothing else, so that a later process goes on where this one stopped.
fn part_size(size: u64) -> u64 {
    (size / MAX_PARTS / PART + 1) * PART
}

/// Copies beside the target and moves the copy to its name.
async fn copy_local(from: PathBuf, to: PathBuf, context: Context) -> Result<()> {
    blocking(move || {
        let folder = to.parent().map(Path::to_owned).unwrap_or_default();
        let name = to.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let temporary = folder.join(format!(".{name}.tmp"));
        let copied =
            copy_chunks(&from, &temporary, &folder, &context).and_then(|()| rename(&temporary, &to, Replace::Yes));
        if copied.is_err() {
            // What cannot be removed is found by its name later on, and overwritten by the next attempt.
            let _ = std::fs::remove_file(&temporary);
        }
        copied?;
        sync_folder(&folder)
    })
    .await
}

fn copy_chunks(from: &Path, to: &Path, folder: &Path, context: &Context) -> Result<()> {
    let mut source = File::open(from).map_err(|e| failed(ErrorKind::SourceRead, e, from))?;
    let written = |e| failed(ErrorKind::Write, e, to);
    std::fs::create_dir_all(folder).map_err(written)?;
    let mut target = File::create(to).map_err(written)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        context.cancel.check()?;
        let read = source.read(&mut chunk).map_err(|e| failed(ErrorKind::SourceRead, e, from))?;
        if read == 0 {
            return target.sync_all().map_err(written);
        }
        target.write_all(&chunk[..read]).map_err(written)?;
        context.progress.bytes_written.fetch_add(read as u64, Ordering::Relaxed);
    }
}

/// Removes the folders above a file that is gone, as far as they are empty: a bucket would show none.
async fn remove_empty_folders(root: PathBuf, file: PathBuf) {
    let removed = blocking(move || {
        let above = file.ancestors().skip(1).take_while(|folder| *folder != root && folder.starts_with(&root));
        // A folder that is not empty ends it; that is no error.
        let _ = above.map(std::fs::remove_dir).take_while(std::result::Result::is_ok).count();
        Ok(())
    });
    // An empty folder is in nobody's way.
    let _ = removed.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_parts_admits_every_file() {
        assert_eq!(part_size(PART + 1), PART);
        for size in [1u64 << 30, 80_000 << 20, 1 << 40, 5 << 40] {
            assert!(size.div_ceil(part_size(size)) <= MAX_PARTS, "{size}");
        }
    }
}
