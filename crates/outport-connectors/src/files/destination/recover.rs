//! What a run that died left behind: finished where everything is there, removed where not.
//!
//! A run that had all its data complete has written down where every file waits. Such a run is finished: the hidden files get
//! their names, the uploads are completed, manifest and trigger follow. That is the only way that keeps a good version: once the
//! first file has taken its place, the one before is gone, and going back would lose both.
//!
//! It is not finished where a file is neither waiting nor in its place with the right content, or where another run has
//! published since. Then what waits is removed; a final path is removed only where nothing stood before the run and the content
//! is the run's own. An older file is never touched.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use bytes::Bytes;
use object_store::path::Path;
use outport_core::destination::{FileReceipt, Intent, Recovery};
use outport_core::manifest::Manifest;
use outport_core::{Context, Result};
use outport_formats::packaging::Sha256Writer;

use super::books::Books;
use super::naming::{temporary_owner, temporary_prefix};
use super::publish::{self, Publication, Staged};
use crate::files::store::{Place, Remote, Replace, Store, blocking, from_object_store};

/// Deals with the intent of a dead run.
pub(super) async fn recover(store: &Store, intent: &Intent, context: &Context) -> Result<Recovery> {
    let books = Books::new(context);
    let Some(receipt) = &intent.receipt else {
        return Ok(Recovery::RolledBack(remove_unpublished(store, intent).await?));
    };
    if superseded(store, intent).await? {
        return Ok(Recovery::RolledBack(remove_unpublished(store, intent).await?));
    }
    if !intent.published {
        let Some(publications) = whole(store, intent, &receipt.files).await? else {
            return roll_back(store, intent, &receipt.files).await;
        };
        for publication in publications {
            let path = publication.path.clone();
            publish::make_visible(store, publication, Replace::Yes).await?;
            books.reached(&format!("visible {path}")).await?;
        }
    }
    books.note(|noted| *noted = intent.clone()).await;
    let receipt = publish::finish(store, intent.clone(), Replace::Yes, &books, context).await?;
    Ok(Recovery::Published(Box::new(receipt)))
}

/// Removes hidden files and aborts uploads; returns what was removed. Final paths are not touched.
pub(super) async fn remove_unpublished(store: &Store, intent: &Intent) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    if let Some(path) = intent.temporary.first() {
        // The names that were written down may be fewer than those that were used: the folder tells.
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for found in store.list(folder, false).await? {
            if temporary_owner(&found.path) == Some(intent.run_id) && store.delete(&found.path).await? {
                removed.push(found.path);
            }
        }
        debug_assert!(path.contains(&temporary_prefix(intent.run_id)));
    }
    for upload in &intent.uploads {
        let Place::Remote(remote) = store.place() else { continue };
        let url = store.url(&upload.path);
        let key = remote.key(&upload.path).map_err(|e| from_object_store(e, &url))?;
        match remote.uploads.0.abort_multipart(&key, &upload.id).await {
            Ok(()) => removed.push(format!("upload {} of {}", upload.id, upload.path)),
            // It is gone already: completed, aborted or expired.
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(from_object_store(error, &url).context("aborting an upload")),
        }
    }
    if let Place::Remote(remote) = store.place() {
        removed.extend(orphans(remote, intent).await);
    }
    Ok(removed)
}

/// Aborts uploads of the run's paths whose ids never came back, because the process died or the connection broke between the
/// store's opening one and the id being written down. They are told by holding no part: parts are sent only after that.
///
/// Such an upload costs nothing and shows nowhere, so that a store that does not permit the list fails no run.
async fn orphans(remote: &Remote, intent: &Intent) -> Vec<String> {
    let paths = intent.uploads.iter().map(|upload| upload.path.as_str()).chain(intent.opening.as_deref());
    let keys: BTreeSet<Path> = paths.filter_map(|path| remote.key(path).ok()).collect();
    let Some(open) = remote.open_uploads.as_ref().filter(|_| !keys.is_empty()) else { return Vec::new() };
    let abort = async {
        let mut aborted = Vec::new();
        for (key, id) in open.without_parts(&keys).await? {
            match remote.uploads.0.abort_multipart(&key, &id).await {
                Ok(()) => aborted.push(format!("upload {id} of {key}")),
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(from_object_store(error, key.as_ref())),
            }
        }
        Ok(aborted)
    };
    abort.await.unwrap_or_else(|error| {
        tracing::warn!("an upload without parts may be left open; a lifecycle rule of the bucket removes it: {error}");
        Vec::new()
    })
}

/// Whether a run that is neither this one nor the one before it has published the same manifest since.
async fn superseded(store: &Store, intent: &Intent) -> Result<bool> {
    let Some(path) = &intent.manifest else { return Ok(false) };
    let Some(bytes) = store.read(path).await? else { return Ok(false) };
    Ok(match Manifest::parse(path, &bytes) {
        Ok(manifest) => {
            let there = manifest.provenance.run_id;
            there != intent.run_id && Some(there) != intent.replaces
        }
        Err(_) => false,
    })
}

/// Where each file is; `None` if one of them is nowhere.
async fn whole(store: &Store, intent: &Intent, files: &[FileReceipt]) -> Result<Option<Vec<Publication>>> {
    let mut publications = Vec::new();
    for (at, file) in files.iter().enumerate() {
        let previous = intent.previous.get(at).cloned().flatten();
        let body = match staged(store, intent, at, file).await? {
            Some(body) => body,
            None if is_at(store, &file.path, file).await? => Staged::Visible,
            None => return Ok(None),
        };
        publications.push(Publication { path: file.path.clone(), body, previous });
    }
    Ok(Some(publications))
}

/// Where a file waits for its name, if it does.
async fn staged(store: &Store, intent: &Intent, at: usize, file: &FileReceipt) -> Result<Option<Staged>> {
    match store.place() {
        Place::Local(root) => {
            let Some(path) = intent.temporary.get(at) else { return Ok(None) };
            let there = store.head(path).await?.is_some_and(|found| found.size == file.bytes);
            Ok(there.then(|| Staged::Temporary(root.join(path))))
        }
        Place::Remote(_) => {
            // The upload of a file that has its content already was completed, and is gone.
            if file.bytes == 0 {
                return Ok(Some(Staged::Whole(Bytes::new())));
            }
            let Some(upload) = intent.uploads.iter().find(|upload| upload.path == file.path) else { return Ok(None) };
            if is_at(store, &file.path, file).await? {
                return Ok(Some(Staged::Visible));
            }
            Ok((!upload.parts.is_empty()).then(|| Staged::Upload(upload.clone())))
        }
    }
}

/// Removes what waits, and those final files that are the run's own and replaced nothing.
async fn roll_back(store: &Store, intent: &Intent, files: &[FileReceipt]) -> Result<Recovery> {
    let mut removed = remove_unpublished(store, intent).await?;
    for (at, file) in files.iter().enumerate() {
        let new = matches!(intent.previous.get(at), Some(None));
        if new && is_at(store, &file.path, file).await? && store.delete(&file.path).await? {
            removed.push(file.path.clone());
        }
    }
    Ok(Recovery::RolledBack(removed))
}

/// Whether the content at `path` is that of the receipt.
async fn is_at(store: &Store, path: &str, file: &FileReceipt) -> Result<bool> {
    if store.head(path).await?.is_none_or(|found| found.size != file.bytes) {
        return Ok(false);
    }
    Ok(sha256(store, path).await? == file.sha256)
}

/// The SHA-256 of a file as it stands in the store.
pub(crate) async fn sha256(store: &Store, path: &str) -> Result<String> {
    let input = store.input(path).await?;
    blocking(move || {
        let name = PathBuf::from(input.name());
        let mut hash = Sha256Writer::new(std::io::sink());
        let read = std::io::copy(&mut std::io::BufReader::with_capacity(1 << 20, input.reader()), &mut hash);
        read.and_then(|_| hash.flush())
            .map_err(|e| crate::files::store::failed(outport_core::ErrorKind::SourceRead, e, &name))?;
        Ok(hash.finish().1.sha256)
    })
    .await
}
