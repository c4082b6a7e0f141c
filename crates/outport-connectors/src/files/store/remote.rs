//! An object store with the prefix that the store's URL names.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{
    Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, Result, RetryConfig,
};

use super::uploads::OpenUploads;
use super::{Found, Replace};

/// The client of one bucket.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) uploads: Uploads,
    /// The list of open uploads, where the store has one; Azure keeps blocks for a week, and there is nothing to abort.
    pub(crate) open_uploads: Option<Arc<OpenUploads>>,
    pub(crate) prefix: String,
    pub(crate) conditional_put: bool,
}

/// The multipart side of a client.
pub(crate) struct Uploads(pub(crate) Arc<dyn MultipartStore>);

impl std::fmt::Debug for Uploads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Uploads")
    }
}

impl Remote {
    /// Both sides of one client.
    pub(super) fn new<S: ObjectStore + MultipartStore>(client: Arc<S>, prefix: String, conditional_put: bool) -> Self {
        Self { objects: client.clone(), uploads: Uploads(client), open_uploads: None, prefix, conditional_put }
    }

    /// With the list of the uploads that are open.
    pub(super) fn with_open_uploads(self, open_uploads: Option<OpenUploads>) -> Self {
        Self { open_uploads: open_uploads.map(Arc::new), ..self }
    }

    /// The same client for the whole bucket.
    pub(super) fn without_prefix(&self) -> Self {
        Self {
            objects: self.objects.clone(),
            uploads: Uploads(self.uploads.0.clone()),
            open_uploads: self.open_uploads.clone(),
            prefix: String::new(),
            conditional_put: self.conditional_put,
        }
    }

    /// The key of a path inside the store, taken as it is: what it holds is encoded on the wire alone.
    pub(crate) fn key(&self, path: &str) -> Result<Path> {
        let key = match (self.prefix.as_str(), path) {
            ("", path) => Path::parse(path),
            (prefix, "") => Path::parse(prefix),
            (prefix, path) => Path::parse(format!("{prefix}/{path}")),
        };
        key.map_err(|source| Error::InvalidPath { source })
    }

    pub(super) async fn head(&self, path: &str) -> Result<Option<Found>> {
        absent(self.objects.head(&self.key(path)?).await.map(|meta| self.found(meta)))
    }

    pub(super) async fn read(&self, path: &str) -> Result<Option<Bytes>> {
        match absent(self.objects.get(&self.key(path)?).await)? {
            Some(result) => result.bytes().await.map(Some),
            None => Ok(None),
        }
    }

    pub(super) async fn list(&self, folder: &str, recursive: bool) -> Result<Vec<Found>> {
        let key = self.key(folder)?;
        let prefix = (!key.as_ref().is_empty()).then_some(&key);
        let metas = if recursive {
            self.objects.list(prefix).try_collect::<Vec<_>>().await?
        } else {
            self.objects.list_with_delimiter(prefix).await?.objects
        };
        Ok(metas.into_iter().map(|meta| self.found(meta)).collect())
    }

    pub(super) async fn put(&self, path: &str, bytes: Bytes, replace: Replace) -> Result<()> {
        let key = self.key(path)?;
        let mode = match replace {
            Replace::Yes => PutMode::Overwrite,
            Replace::No if self.conditional_put => PutMode::Create,
            Replace::No => {
                // The store has no condition to offer: looking first is all there is.
                if absent(self.objects.head(&key).await)?.is_some() {
                    return Err(Error::AlreadyExists { path: key.to_string(), source: "found before writing".into() });
                }
                PutMode::Overwrite
            }
        };
        self.objects.put_opts(&key, PutPayload::from_bytes(bytes), PutOptions::from(mode)).await.map(drop)
    }

    pub(super) async fn delete(&self, path: &str) -> Result<bool> {
        Ok(absent(self.objects.delete(&self.key(path)?).await)?.is_some())
    }

    fn found(&self, meta: ObjectMeta) -> Found {
        let key = meta.location.as_ref();
        let path = key.strip_prefix(self.prefix.as_str()).map_or(key, |rest| rest.trim_start_matches('/'));
        let modified = jiff::Timestamp::from_second(meta.last_modified.timestamp()).unwrap_or_default();
        Found {
            path: path.to_owned(),
            size: meta.size,
            tag: meta.e_tag.unwrap_or_else(|| modified.to_string()),
            modified,
        }
    }
}

/// A few retries of what the server or the network dropped: the runtime repeats whole runs, the client single requests.
pub(super) fn retries() -> RetryConfig {
    RetryConfig { max_retries: 4, retry_timeout: Duration::from_secs(60), ..RetryConfig::default() }
}

fn absent<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        // A missing bucket is not a missing file: it is reported.
        Err(error @ Error::NotFound { .. }) if bucket_missing(&error) => Err(error),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn bucket_missing(error: &Error) -> bool {
    let text = error.to_string();
    text.contains("NoSuchBucket") || text.contains("ContainerNotFound")
}
