//! The bytes of one file on their way out: hashed, counted, into a temporary file, an upload, or a spill until there is a name.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use outport_core::destination::Upload;
use outport_core::{Error, ErrorKind, Result};
use outport_formats::packaging::{Block, Packager, Sha256Writer};
use tokio::task::JoinHandle;

use super::sequential::SequentialFile;
use super::spill::{BlockSpill, Spill};
use super::upload::{Uploader, Uploading};
use crate::files::store::failed;

/// Where the bytes go.
pub(super) enum Sink {
    /// A hidden file beside its final place.
    Local { file: SequentialFile, path: PathBuf },
    /// They wait for a name.
    Waiting(Spill),
    /// An upload.
    Upload(Box<Uploader>),
}

/// A file whose bytes are all written.
pub(super) enum Finished {
    /// The hidden file.
    Local(PathBuf),
    /// It waits for a name.
    Waiting(Spill),
    /// A small object in memory.
    Whole(bytes::Bytes),
    /// An upload that ends soon.
    Parts(JoinHandle<Result<Upload>>),
    /// An upload whose parts are all there.
    Uploaded(Upload),
}

impl Sink {
    /// Creates the hidden file at `path`.
    pub(super) fn local(path: PathBuf) -> Result<Self> {
        let file = File::create(&path).map_err(|e| failed(ErrorKind::Write, e, &path))?;
        Ok(Self::Local { file: SequentialFile::new(file), path })
    }

    /// All bytes are written; `alone` tells that no other file comes with this one.
    pub(super) fn finish(self, alone: bool) -> Result<Finished> {
        match self {
            Self::Local { file, path } => {
                file.finish().map_err(|e| failed(ErrorKind::Write, e, &path))?;
                Ok(Finished::Local(path))
            }
            Self::Waiting(spill) => Ok(Finished::Waiting(spill)),
            Self::Upload(uploader) => Ok(match uploader.finish(alone)? {
                Uploading::Whole(bytes) => Finished::Whole(bytes),
                Uploading::Parts(done) => Finished::Parts(done),
            }),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Local { file, path } => {
                file.write(bytes).map_err(|e| io::Error::new(e.kind(), failed(ErrorKind::Write, e, path)))
            }
            Self::Waiting(spill) => spill.write(bytes),
            Self::Upload(uploader) => uploader.write(bytes).map(|()| bytes.len()).map_err(io::Error::other),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Local { file, .. } => file.flush(),
            Self::Waiting(_) | Self::Upload(_) => Ok(()),
        }
    }
}

/// The bytes of one file, hashed on their way.
pub(super) type Output = Sha256Writer<Sink>;

/// Where the bytes of one data file go before they are those of an output.
pub(super) enum Target {
    /// Straight into it.
    Plain(Output),
    /// Through a packager whose entry is open.
    Wrapped(Box<Packager>, Output),
    /// They wait for the entry's name and size.
    Waiting(BlockSpill),
}

impl Target {
    /// Adds raw bytes that `write` writes; returns their number.
    pub(super) fn raw(&mut self, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<u64> {
        match self {
            Self::Plain(output) => {
                let before = output.bytes();
                write(output).map_err(unwrapped)?;
                Ok(output.bytes() - before)
            }
            Self::Wrapped(..) | Self::Waiting(_) => {
                let mut bytes = Vec::new();
                write(&mut bytes)?;
                let count = bytes.len() as u64;
                if count > 0 {
                    self.block(Block::Raw(bytes))?;
                }
                Ok(count)
            }
        }
    }

    /// Adds a block; returns the number of raw bytes in it.
    pub(super) fn block(&mut self, block: Block) -> Result<u64> {
        let count = block.raw_len();
        match self {
            Self::Plain(_) => return Err(Error::new(ErrorKind::Internal, "a block for a file without packaging")),
            Self::Wrapped(packager, output) => packager.append(block, output).map_err(unwrapped)?,
            Self::Waiting(spill) => spill.push(&block)?,
        }
        Ok(count)
    }
}

/// An error of ours that went through a writer comes out as an I/O error's cause: it is taken out again.
pub(super) fn unwrapped(error: Error) -> Error {
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        let inner =
            cause.downcast_ref::<io::Error>().and_then(|io| io.get_ref()).and_then(|e| e.downcast_ref::<Error>());
        if let Some(ours) = inner {
            return copy(ours);
        }
        next = cause.source();
    }
    error
}

/// Another error that says the same.
fn copy(error: &Error) -> Error {
    let mut copy = Error::new(error.kind(), error.message()).retryable(error.is_retryable());
    for context in error.contexts() {
        copy = copy.context(context.clone());
    }
    if let Some(hint) = error.hint_text() {
        copy = copy.hint(hint);
    }
    match error.causes() {
        causes if causes.is_empty() => copy,
        causes => copy.with_source(causes.join(": ")),
    }
}
