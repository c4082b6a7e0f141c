//! Tables that nobody wrote: a log of ours over the files of a table that is there.
//!
//! What a span of versions brought to a Delta table is a set of its files. Read as a table with these files alone, it is read by
//! the same code as every other one, with its partition values, column mapping and deletion vectors.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// The first folder of a path that is given a second time in one table; files of a log are told apart by their paths.
pub(crate) const AGAIN: &str = "_again_";

/// A store with tables laid over those in it. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Overlay {
    inner: Arc<dyn ObjectStore>,
    logs: Arc<InMemory>,
    /// Where the files of a table lie, by the folder that the table seems to be in.
    tables: Arc<RwLock<BTreeMap<Path, Path>>>,
}

/// Where a path leads.
enum Place {
    /// To what is in the store.
    Store(Path),
    /// To a log of ours.
    Log,
}

impl Overlay {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, logs: Arc::default(), tables: Arc::default() }
    }

    /// Lays a table over the one in `files`: it seems to lie in `folder`, and its log is this one commit.
    pub(crate) async fn lay(&self, folder: &Path, files: &Path, commit: String) -> Result<()> {
        self.logs.put(&folder.clone().join("_delta_log").join(format!("{:020}.json", 0)), commit.into()).await?;
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.insert(folder.clone(), files.clone());
        Ok(())
    }

    /// The path at which a file really lies.
    pub(crate) fn place(&self, path: &Path) -> Path {
        match self.find(path) {
            Place::Store(path) => path,
            Place::Log => path.clone(),
        }
    }

    fn find(&self, path: &Path) -> Place {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let inside = |(folder, files): (&Path, &Path)| {
            Some((path.as_ref().strip_prefix(folder.as_ref())?.strip_prefix('/')?, files.clone()))
        };
        let Some((mut rest, files)) = tables.iter().find_map(inside) else { return Place::Store(path.clone()) };
        if rest == "_delta_log" || rest.starts_with("_delta_log/") {
            return Place::Log;
        }
        if let Some((_, behind)) = rest.strip_prefix(AGAIN).and_then(|rest| rest.split_once('/')) {
            rest = behind;
        }
        let real = if files.as_ref().is_empty() { rest.to_owned() } else { format!("{files}/{rest}") };
        // What was a path stays one, without being encoded a second time.
        Place::Store(Path::parse(&real).unwrap_or_else(|_| path.clone()))
    }

    fn store(&self, path: &Path) -> (&dyn ObjectStore, Path) {
        match self.find(path) {
            Place::Store(real) => (self.inner.as_ref(), real),
            Place::Log => (self.logs.as_ref(), path.clone()),
        }
    }
}

impl fmt::Display for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Overlay {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(&self, path: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let (store, real) = self.store(path);
        let mut result = store.get_opts(&real, options).await?;
        result.meta.location = path.clone();
        Ok(result)
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let (store, real) = self.store(path);
        store.get_ranges(&real, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match prefix.map(|prefix| self.find(prefix)) {
            Some(Place::Log) => self.logs.list(prefix),
            _ => self.inner.list(prefix),
        }
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        match prefix.map(|prefix| self.find(prefix)) {
            Some(Place::Log) => self.logs.list_with_offset(prefix, offset),
            _ => self.inner.list_with_offset(prefix, offset),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        match prefix.map(|prefix| self.find(prefix)) {
            Some(Place::Log) => self.logs.list_with_delimiter(prefix).await,
            _ => self.inner.list_with_delimiter(prefix).await,
        }
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
