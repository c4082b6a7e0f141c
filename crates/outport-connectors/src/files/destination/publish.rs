//! Making complete files visible: data, manifest, what has become superfluous, trigger.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use outport_core::context::Warning;
use outport_core::destination::{FileReceipt, Intent, Receipt, Upload};
use outport_core::layout::{IfExists, Layout, Part};
use outport_core::manifest::{CountedWarning, Manifest, Provenance, VERSION};
use outport_core::{Context, Error, ErrorKind, Result};
use outport_formats::packaging::manifest_bytes;

use super::books::Books;
use super::output::Finished;
use super::pipeline::Complete;
use super::writer::{FileName, Written};
use super::{Job, naming};
use crate::files::store::{Place, Replace, Store, blocking, failed, from_object_store, rename, sync_folder};

/// Requests to a store that are on the way at once.
const AT_ONCE: usize = 16;

/// One file between complete and visible.
pub(super) struct Publication {
    pub(super) path: String,
    pub(super) body: Staged,
    /// What stood there before.
    pub(super) previous: Option<String>,
}

/// Where the complete bytes are.
pub(super) enum Staged {
    /// In a hidden local file.
    Temporary(PathBuf),
    /// In an upload whose parts are all there.
    Upload(Upload),
    /// In memory.
    Whole(Bytes),
    /// At the final path already.
    Visible,
}

/// Publishes all files of a run together.
pub(super) async fn publish(
    complete: Complete,
    snapshot: Option<String>,
    job: &Job,
    books: &Books,
    context: &Context,
) -> Result<Receipt> {
    let store = &job.setup.store;
    if complete.skipped {
        books.discard(store).await?;
        return Ok(Receipt { columns: complete.columns, type_losses: job.losses.clone(), ..Receipt::default() });
    }
    let (mut publications, files) = name_all(complete.files, job)?;
    let tags = publications.iter().map(|publication| tag(store, &publication.path));
    let tags: Vec<_> = stream::iter(tags.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect().await?;
    for (publication, tag) in publications.iter_mut().zip(tags) {
        publication.previous = tag;
    }

    let manifest_path = job.layout.manifest_name.as_ref().map(|name| job.layout.path(name));
    let receipt = Receipt {
        rows: files.iter().map(|file| file.rows).sum(),
        bytes: files.iter().map(|file| file.bytes).sum(),
        files,
        manifest: manifest_path.clone(),
        trigger: None,
        columns: complete.columns,
        type_losses: job.losses.clone(),
    };
    let manifest = manifest(&receipt, snapshot, job, context);
    let body =
        String::from_utf8(manifest_bytes(&manifest)?).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    let obsolete = job.before.as_ref().map(|before| obsolete(before, &receipt, job)).unwrap_or_default();
    let intent = Intent {
        run_id: context.run_id,
        paths: publications.iter().map(|p| p.path.clone()).collect(),
        temporary: publications.iter().filter_map(|p| temporary_path(&p.body, store)).collect(),
        uploads: publications.iter().filter_map(|p| upload(&p.body)).collect(),
        opening: None,
        previous: publications.iter().map(|p| p.previous.clone()).collect(),
        obsolete,
        manifest_body: manifest_path.is_some().then_some(body),
        manifest: manifest_path,
        replaces: job.before.as_ref().map(|manifest| manifest.provenance.run_id),
        trigger: job.layout.trigger_name.as_ref().map(|name| job.layout.path(name)),
        published: false,
        receipt: Some(receipt),
    };
    // Until here the run can be cancelled; from here on it is finished, or undone by whoever finds what is written down.
    context.cancel.check()?;
    books.record(|noted| *noted = intent.clone()).await?;
    books.reached("complete").await?;

    let replace = if job.layout.if_exists == IfExists::Overwrite { Replace::Yes } else { Replace::No };
    let mut visible = Vec::new();
    for publication in publications {
        let path = publication.path.clone();
        let new = publication.previous.is_none();
        if let Err(error) = make_visible(store, publication, replace).await {
            undo(store, &visible).await;
            return Err(error);
        }
        if new {
            visible.push(path.clone());
        }
        books.reached(&format!("visible {path}")).await?;
    }
    finish(store, intent, replace, books, context).await
}

/// Everything behind the data: folders made durable, manifest, books, superfluous files, trigger.
pub(super) async fn finish(
    store: &Store,
    mut intent: Intent,
    replace: Replace,
    books: &Books,
    context: &Context,
) -> Result<Receipt> {
    if let Some(root) = store.local_root() {
        let folders: std::collections::BTreeSet<PathBuf> =
            intent.paths.iter().filter_map(|path| root.join(path).parent().map(Path::to_owned)).collect();
        blocking(move || folders.iter().try_for_each(|folder| sync_folder(folder))).await?;
    }
    if let (Some(path), Some(body)) = (&intent.manifest, &intent.manifest_body) {
        store.put(path, Bytes::from(body.clone()), replace).await?;
        books.reached(&format!("visible {path}")).await?;
    }
    let mut receipt = intent.receipt.clone().unwrap_or_default();
    intent.published = true;
    intent.temporary.clear();
    intent.uploads.clear();
    books.record(|noted| *noted = intent.clone()).await?;
    books.reached("published").await?;

    for path in &intent.obsolete {
        // The new manifest does not name it: left behind, it is in the way of nobody who reads the manifest.
        if let Err(error) = store.delete(path).await {
            let message = format!("{} of an earlier run could not be removed: {error}", store.url(path));
            context.warnings.add(Warning { code: "obsolete_kept".to_owned(), column: None, message }, 1);
        }
    }
    receipt.trigger = trigger(store, &intent, context).await;
    if receipt.trigger.is_some() {
        books.reached("triggered").await?;
    }
    books.note(|noted| noted.receipt = Some(receipt.clone())).await;
    Ok(receipt)
}

/// Moves one complete file to its final path.
pub(super) async fn make_visible(store: &Store, publication: Publication, replace: Replace) -> Result<()> {
    let Publication { path, body, previous } = publication;
    match (body, store.place()) {
        (Staged::Visible, _) => Ok(()),
        (Staged::Whole(bytes), _) => store.put(&path, bytes, replace).await,
        (Staged::Temporary(temporary), Place::Local(root)) => {
            let target = root.join(&path);
            blocking(move || {
                if let Some(folder) = target.parent() {
                    std::fs::create_dir_all(folder).map_err(|e| failed(ErrorKind::Write, e, folder))?;
                }
                rename(&temporary, &target, replace)
            })
            .await
        }
        (Staged::Upload(upload), Place::Remote(remote)) => {
            // Completing an upload takes no condition; what was there before it began was looked up just now.
            if replace == Replace::No && previous.is_some() {
                return Err(Error::new(ErrorKind::Contract, format!("{} already exists", store.url(&path)))
                    .hint("set if_exists: overwrite or version, or choose another name"));
            }
            let url = store.url(&path);
            let key = remote.key(&path).map_err(|e| from_object_store(e, &url))?;
            let parts = upload.parts.into_iter().map(|content_id| object_store::multipart::PartId { content_id });
            let done = remote.uploads.0.complete_multipart(&key, &upload.id, parts.collect()).await;
            done.map(drop).map_err(|e| from_object_store(e, &url))
        }
        (Staged::Temporary(_), Place::Remote(_)) | (Staged::Upload(_), Place::Local(_)) => {
            Err(Error::new(ErrorKind::Internal, format!("{} is staged in another kind of store", store.url(&path))))
        }
    }
}

/// Creates the layout's folder in a local store; returns the folders that were not there, outermost first.
pub(super) async fn make_folder(job: &Job) -> Result<Vec<PathBuf>> {
    let Some(root) = job.setup.store.local_root() else { return Ok(Vec::new()) };
    let folder = root.join(&job.layout.directory);
    blocking(move || {
        let mut missing: Vec<PathBuf> =
            folder.ancestors().take_while(|f| !f.as_os_str().is_empty() && !f.exists()).map(Path::to_owned).collect();
        missing.reverse();
        std::fs::create_dir_all(&folder).map_err(|e| failed(ErrorKind::Write, e, &folder))?;
        Ok(missing)
    })
    .await
}

/// Removes folders that a failed run created, as far as they are empty.
pub(super) fn remove_folders(folders: &[PathBuf]) {
    for folder in folders.iter().rev() {
        if std::fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

/// Gives every file its final name, now that it is known how many there are.
fn name_all(written: Vec<Written>, job: &Job) -> Result<(Vec<Publication>, Vec<FileReceipt>)> {
    let mut counts: HashMap<usize, usize> = HashMap::new();
    for file in &written {
        *counts.entry(file.place.slot).or_default() += 1;
    }
    let mut publications = Vec::new();
    let mut receipts = Vec::new();
    for Written { place, finished, rows, hashed, entries } in written {
        let several = counts.get(&place.slot).is_some_and(|count| *count > 1);
        let part = match place.name {
            FileName::Part(number) if several => Part::Number(number),
            FileName::Part(_) | FileName::Bundle => Part::Only,
        };
        let path = job.path(&place.values, place.name, part);
        let body = match finished {
            Finished::Local(temporary) => Staged::Temporary(temporary),
            Finished::Whole(bytes) => Staged::Whole(bytes),
            Finished::Uploaded(upload) => Staged::Upload(upload),
            Finished::Waiting(_) | Finished::Parts(_) => {
                return Err(Error::new(ErrorKind::Internal, format!("{path} is not complete")));
            }
        };
        if let Staged::Upload(upload) = &body
            && upload.path != path
        {
            return Err(Error::new(ErrorKind::Internal, format!("{path} was uploaded as {}", upload.path)));
        }
        receipts.push(FileReceipt {
            path: path.clone(),
            rows,
            bytes: hashed.bytes,
            sha256: hashed.sha256,
            entries,
            partition: place.values,
        });
        publications.push(Publication { path, body, previous: None });
    }
    Ok((publications, receipts))
}

fn manifest(receipt: &Receipt, snapshot: Option<String>, job: &Job, context: &Context) -> Manifest {
    let setup = &job.setup;
    let inside = |file: &FileReceipt| {
        let path = file.path.strip_prefix(job.layout.directory.as_str()).unwrap_or(&file.path);
        FileReceipt { path: path.trim_start_matches('/').to_owned(), ..file.clone() }
    };
    Manifest {
        manifest_version: VERSION,
        generator: format!("outport {}", env!("CARGO_PKG_VERSION")),
        provenance: Provenance {
            run_id: context.run_id,
            source_snapshot: snapshot.or_else(|| setup.provenance.source_snapshot.clone()),
            ..setup.provenance.clone()
        },
        published_at: jiff::Timestamp::now(),
        file_format: setup.format.name().to_owned(),
        compression: setup.layout.compression.codec.name().to_owned(),
        rows: receipt.rows,
        bytes: receipt.bytes,
        files: receipt.files.iter().map(inside).collect(),
        columns: receipt.columns.clone(),
        type_losses: receipt.type_losses.clone(),
        warnings: context
            .warnings
            .list()
            .into_iter()
            .map(|(warning, count)| CountedWarning { warning, count })
            .collect(),
    }
}

/// What stands at a path. Credentials that may only write cannot tell: something may be there then.
async fn tag(store: &Store, path: &str) -> Result<Option<String>> {
    match store.head(path).await {
        Err(error) if error.kind() == ErrorKind::Auth => Ok(Some("unknown".to_owned())),
        found => Ok(found?.map(|found| found.tag)),
    }
}

/// The manifest that stands where this run's will; `None` where there is none that can be read.
///
/// It is the first thing that is asked of the store: a bucket that does not exist, a server that cannot be reached and a key that
/// is wrong show here, before a row is read.
pub(super) async fn manifest_before(store: &Store, layout: &Layout) -> Result<Option<Manifest>> {
    let Some(name) = &layout.manifest_name else { return Ok(None) };
    let path = layout.path(name);
    let bytes = match store.read(&path).await {
        // Credentials that may write and not read are in order.
        Err(error) if error.kind() == ErrorKind::Auth && error.message().ends_with("(AccessDenied)") => None,
        read => read?,
    };
    Ok(bytes.and_then(|bytes| Manifest::parse(&path, &bytes).ok()))
}

/// Parts that the same export wrote before under the names of this run, and this run did not: a rerun with fewer parts.
///
/// Nothing is removed that the earlier manifest does not list, that has another name, or that lies in a folder into which this
/// run writes nothing.
fn obsolete(before: &Manifest, receipt: &Receipt, job: &Job) -> Vec<String> {
    let ours = &job.setup.provenance.export;
    if job.layout.if_exists != IfExists::Overwrite || before.provenance.export != *ours {
        return Vec::new();
    }
    let folder_of = |path: &str| path.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
    let folders: Vec<String> = receipt.files.iter().map(|file| folder_of(&file.path)).collect();
    let codec = job.outer_codec();
    before
        .files
        .iter()
        .map(|file| job.layout.path(&file.path))
        .filter(|path| !path.split('/').any(|segment| segment == ".."))
        .filter(|path| receipt.files.iter().all(|file| file.path != *path))
        .filter(|path| folders.contains(&folder_of(path)) && naming::belongs(&job.layout, codec, path))
        .collect()
}

/// Takes back what became visible where nothing stood before; what was replaced is whole and stays.
async fn undo(store: &Store, visible: &[String]) {
    for path in visible {
        if let Err(error) = store.delete(path).await {
            tracing::warn!("{} could not be taken back: {error}", store.url(path));
        }
    }
}

/// Writes the empty trigger file; failing to is a warning, for the data is published.
async fn trigger(store: &Store, intent: &Intent, context: &Context) -> Option<String> {
    let path = intent.trigger.clone()?;
    match store.put(&path, Bytes::new(), Replace::Yes).await {
        Ok(()) => Some(path),
        Err(error) => {
            let message = format!("the trigger file {} was not written: {error}", store.url(&path));
            context.warnings.add(Warning { code: "trigger_failed".to_owned(), column: None, message }, 1);
            None
        }
    }
}

fn temporary_path(body: &Staged, store: &Store) -> Option<String> {
    match (body, store.local_root()) {
        (Staged::Temporary(path), Some(root)) => path.strip_prefix(root).ok().map(|path| path.display().to_string()),
        _ => None,
    }
}

fn upload(body: &Staged) -> Option<Upload> {
    match body {
        Staged::Upload(upload) => Some(upload.clone()),
        _ => None,
    }
}
