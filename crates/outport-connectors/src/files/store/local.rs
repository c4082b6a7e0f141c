//! The local file system: all calls run on threads that may block.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use outport_core::error::from_io;
use outport_core::format::Input;
use outport_core::{Error, ErrorKind, Result};

use super::{Found, Replace};

/// Runs `work` where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?
}

pub(super) async fn head(root: PathBuf, path: String) -> Result<Option<Found>> {
    blocking(move || match fs::metadata(root.join(&path)) {
        Ok(meta) if meta.is_dir() => Ok(None),
        Ok(meta) => Ok(Some(found(path, &meta))),
        Err(e) if missing(&e) => Ok(None),
        Err(e) => Err(failed(ErrorKind::SourceRead, e, &root.join(&path))),
    })
    .await
}

pub(super) async fn read(root: PathBuf, path: String) -> Result<Option<Bytes>> {
    blocking(move || match fs::read(root.join(&path)) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(e) if missing(&e) => Ok(None),
        Err(e) => Err(failed(ErrorKind::SourceRead, e, &root.join(&path))),
    })
    .await
}

pub(super) async fn list(root: PathBuf, folder: String, recursive: bool) -> Result<Vec<Found>> {
    blocking(move || {
        let mut files = Vec::new();
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            let at = root.join(&folder);
            let entries = match fs::read_dir(&at) {
                Ok(entries) => entries,
                Err(e) if missing(&e) => continue,
                Err(e) => return Err(failed(ErrorKind::SourceRead, e, &at)),
            };
            for entry in entries {
                let entry = entry.map_err(|e| failed(ErrorKind::SourceRead, e, &at))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                // A file may go while the folder is being read.
                let Ok(meta) = fs::metadata(entry.path()) else { continue };
                if !meta.is_dir() {
                    files.push(found(path, &meta));
                } else if recursive {
                    folders.push(path);
                }
            }
        }
        Ok(files)
    })
    .await
}

pub(super) async fn put(root: PathBuf, path: String, bytes: Bytes, replace: Replace) -> Result<()> {
    blocking(move || {
        let target = root.join(&path);
        let folder = target.parent().unwrap_or(&root).to_owned();
        let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let temporary = folder.join(format!(".{name}.tmp"));
        let written = fs::create_dir_all(&folder)
            .and_then(|()| File::create(&temporary))
            .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()));
        let done = match written {
            Ok(()) => rename(&temporary, &target, replace),
            Err(e) => Err(failed(ErrorKind::Write, e, &target)),
        };
        if done.is_err() {
            // What cannot be removed is found by its name later on.
            let _ = fs::remove_file(&temporary);
        }
        done?;
        sync_folder(&folder)
    })
    .await
}

pub(super) async fn delete(root: PathBuf, path: String) -> Result<bool> {
    blocking(move || match fs::remove_file(root.join(&path)) {
        Ok(()) => Ok(true),
        Err(e) if missing(&e) => Ok(false),
        Err(e) => Err(failed(ErrorKind::Write, e, &root.join(&path))),
    })
    .await
}

pub(super) async fn input(path: PathBuf, name: String) -> Result<Arc<dyn Input>> {
    blocking(move || {
        let file = File::open(&path).map_err(|e| failed(ErrorKind::SourceRead, e, &path))?;
        let len = file.metadata().map_err(|e| failed(ErrorKind::SourceRead, e, &path))?.len();
        Ok(Arc::new(LocalInput::new(file, name, len)) as Arc<dyn Input>)
    })
    .await
}

/// Moves a finished file to its name; with [`Replace::No`] only where nothing has that name.
pub(crate) fn rename(from: &Path, to: &Path, replace: Replace) -> Result<()> {
    match replace {
        Replace::Yes => fs::rename(from, to).map_err(|e| failed(ErrorKind::Write, e, to)),
        Replace::No => {
            // A rename replaces what is there; a second name for the same file does not.
            match fs::hard_link(from, to) {
                Ok(()) => fs::remove_file(from).map_err(|e| failed(ErrorKind::Write, e, from)),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(exists(to)),
                // Some file systems have no second names.
                Err(_) if to.exists() => Err(exists(to)),
                Err(_) => fs::rename(from, to).map_err(|e| failed(ErrorKind::Write, e, to)),
            }
        }
    }
}

/// Gives a file of a folder another name, which survives a power failure.
///
/// # Errors
/// [`ErrorKind::Write`].
pub fn rename_in(folder: &Path, from: &str, to: &str) -> Result<()> {
    rename(&folder.join(from), &folder.join(to), Replace::Yes)?;
    sync_folder(folder)
}

/// Makes renames in a folder survive a power failure.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match File::open(folder).and_then(|f| f.sync_all()) {
        Ok(()) => Ok(()),
        // Not every file system can sync a folder (network mounts answer EINVAL); those that can, do.
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied
            ) =>
        {
            Ok(())
        }
        Err(e) => Err(failed(ErrorKind::Write, e, folder)),
    }
}

/// An I/O error with the file it is about.
pub(crate) fn failed(kind: ErrorKind, error: io::Error, path: &Path) -> Error {
    from_io(kind, error).context(path.display().to_string())
}

fn exists(path: &Path) -> Error {
    Error::new(ErrorKind::Contract, format!("{} already exists", path.display()))
        .hint("set if_exists: overwrite or version, or choose another name")
}

/// Whether nothing has that name: a file where a folder is expected is as good as nothing.
fn missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn found(path: String, meta: &fs::Metadata) -> Found {
    let modified = meta.modified().ok().and_then(|t| jiff::Timestamp::try_from(t).ok()).unwrap_or_default();
    Found {
        path,
        size: meta.len(),
        tag: format!("{}-{}-{}", meta.len(), modified.as_nanosecond(), inode(meta)),
        modified,
    }
}

#[cfg(unix)]
fn inode(meta: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(meta)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}

/// An open file; reads do not move a shared position.
pub(crate) struct LocalInput {
    file: File,
    name: String,
    len: u64,
}

impl LocalInput {
    /// An open file of `len` bytes; `name` is for messages.
    pub(crate) fn new(file: File, name: String, len: u64) -> Self {
        Self { file, name, len }
    }
}

impl Input for LocalInput {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        read_exact_at(&self.file, buffer, offset).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => super::input::too_short(&self.name, self.len, offset, buffer.len()),
            _ => from_io(ErrorKind::SourceRead, e).context(self.name.clone()),
        })
    }

    fn reader(self: Arc<Self>) -> Box<dyn Read + Send> {
        Box::new(super::input::Sequential::new(self))
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

/// Puts the folder `new` in the place of `place`, which is removed then if it was there. Whoever opens the path sees one of them whole.
///
/// Where the system cannot exchange two folders in one step, the path names nothing for a moment between two renames.
///
/// # Errors
/// [`ErrorKind::Write`]; the old folder stands again where the new one could not be put in its place.
pub fn exchange_folder(new: &Path, place: &Path) -> Result<()> {
    let wrong = |e| failed(ErrorKind::Write, e, place);
    let parent = place.parent().unwrap_or(Path::new("."));
    match fs::symlink_metadata(place) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            fs::rename(new, place).map_err(wrong)?;
            return sync_folder(parent);
        }
        Err(e) => return Err(wrong(e)),
        // A file, from when the export was not partitioned.
        Ok(meta) if !meta.is_dir() => {
            fs::remove_file(place).map_err(wrong)?;
            fs::rename(new, place).map_err(wrong)?;
            return sync_folder(parent);
        }
        Ok(_) => {}
    }
    if exchange(new, place).is_ok() {
        sync_folder(parent)?;
        return fs::remove_dir_all(new).map_err(|e| failed(ErrorKind::Write, e, new));
    }
    let mut old = new.as_os_str().to_owned();
    old.push("-old");
    let old = Path::new(&old);
    fs::rename(place, old).map_err(wrong)?;
    if let Err(error) = fs::rename(new, place) {
        fs::rename(old, place).map_err(wrong)?;
        return Err(wrong(error));
    }
    sync_folder(parent)?;
    fs::remove_dir_all(old).map_err(|e| failed(ErrorKind::Write, e, old))
}

#[cfg(target_os = "linux")]
fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
}

#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
