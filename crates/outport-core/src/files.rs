//! A store of files as those see it who publish whole files: a bucket or a folder.

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;

use crate::destination::Upload;
use crate::{Context, Result};

/// A bucket with a prefix, or a folder. Paths use `/` and start at its root.
#[async_trait]
pub trait FileStore: Send + Sync {
    /// The URL of a file for messages, without secrets.
    fn url(&self, path: &str) -> String;

    /// The files under a folder and the folders in it, sorted by path.
    async fn list(&self, folder: &str) -> Result<Vec<StoredFile>>;

    /// What is known of a file; `None` where there is none.
    async fn head(&self, path: &str) -> Result<Option<StoredFile>>;

    /// The content of a small file; `None` where there is none.
    async fn read(&self, path: &str) -> Result<Option<Bytes>>;

    /// Writes a small file whole, with the media type of its extension: a reader sees what was there before or all of this.
    async fn put(&self, path: &str, bytes: Bytes) -> Result<()>;

    /// Copies a local file; a reader sees what was there before or all of it.
    ///
    /// An upload that `log` holds for this path goes on after its last part; each part is recorded there once it has arrived,
    /// and the entry goes when the file is complete. Bytes are counted in [`Context::progress`].
    async fn upload(&self, path: &str, file: &Path, log: &dyn UploadLog, context: &Context) -> Result<()>;

    /// Gives up an upload that will not be finished, and what the store holds of it.
    async fn abort(&self, upload: &Upload) -> Result<()>;

    /// Copies inside the store; a reader of `to` sees what was there before or all of it.
    async fn copy(&self, from: &str, to: &str) -> Result<()>;

    /// The SHA-256 of a file as it stands in the store, in lowercase hex.
    async fn sha256(&self, path: &str, context: &Context) -> Result<String>;

    /// Removes a file; tells whether there was one, as far as the store says so.
    async fn delete(&self, path: &str) -> Result<bool>;
}

/// Where open uploads are written down, so that a process that comes after one that died can finish them.
pub trait UploadLog: Send + Sync {
    /// The upload that was begun for a path and not finished.
    fn open(&self, path: &str) -> Option<Upload>;

    /// Keeps an upload with the parts that have arrived.
    ///
    /// # Errors
    /// Whatever stops it from being kept.
    fn record(&self, upload: &Upload) -> Result<()>;

    /// Forgets the upload of a path.
    ///
    /// # Errors
    /// Whatever stops it from being forgotten.
    fn close(&self, path: &str) -> Result<()>;
}

/// A file in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// The path in the store.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last changed, UTC.
    pub modified: jiff::Timestamp,
}
