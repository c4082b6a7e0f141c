//! A store of files as those see it who publish whole files: a bucket or a folder.

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;

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

    /// Writes a small file whole: a reader sees what was there before or all of this.
    async fn put(&self, path: &str, bytes: Bytes) -> Result<()>;

    /// Copies a local file; a reader sees what was there before or all of it.
    ///
    /// Parts whose connection drops are sent again; bytes are counted in [`Context::progress`].
    async fn upload(&self, path: &str, file: &Path, context: &Context) -> Result<()>;

    /// Copies inside the store.
    async fn copy(&self, from: &str, to: &str) -> Result<()>;

    /// The SHA-256 of a file as it stands in the store, in lowercase hex.
    async fn sha256(&self, path: &str, context: &Context) -> Result<String>;

    /// Removes a file; tells whether there was one, as far as the store says so.
    async fn delete(&self, path: &str) -> Result<bool>;
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
