//! An object store for engines that read on their own, whose errors say what ours say.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use outport_core::ErrorKind;

use super::error::explained;

/// A bucket whose refusals carry our error as their cause: which store, what was refused, what to look at.
///
/// Engines pass on causes through all their layers; that an object is not there they have to see as the library says it.
#[derive(Clone, Debug)]
pub(super) struct Named {
    inner: Arc<dyn ObjectStore>,
    /// The URL of the whole bucket, without secrets and without a slash behind it.
    url: Arc<str>,
}

impl Named {
    pub(super) fn new(inner: Arc<dyn ObjectStore>, url: &str) -> Self {
        Self { inner, url: url.trim_end_matches('/').into() }
    }

    fn explain(&self, error: Error, path: Option<&Path>) -> Error {
        let url = match path {
            Some(path) if !path.as_ref().is_empty() => format!("{}/{path}", self.url),
            _ => self.url.to_string(),
        };
        let ours = explained(&error, &url);
        let refused = match ours.kind() {
            ErrorKind::Auth => true,
            // A range behind the end of a file tells the engine that the file is broken.
            ErrorKind::Connection => !error.to_string().contains("416 Range Not Satisfiable"),
            _ => false,
        };
        match (refused, &error) {
            (true, Error::Generic { store, .. }) => Error::Generic { store, source: ours.into() },
            (true, _) => Error::Generic { store: "object", source: ours.into() },
            (false, _) => error,
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[async_trait]
impl ObjectStore for Named {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, opts).await.map_err(|e| self.explain(e, Some(location)))
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await.map_err(|e| self.explain(e, Some(location)))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let mut got = self.inner.get_opts(location, options).await.map_err(|e| self.explain(e, Some(location)))?;
        if let GetResultPayload::Stream(stream) = got.payload {
            let (this, location) = (self.clone(), location.clone());
            let named = stream.map(move |bytes| bytes.map_err(|e| this.explain(e, Some(&location))));
            got.payload = GetResultPayload::Stream(named.boxed());
        }
        Ok(got)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await.map_err(|e| self.explain(e, Some(location)))
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        self.inner.delete_stream(locations).map(move |done| done.map_err(|e| this.explain(e, None))).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, below) = (self.clone(), prefix.cloned());
        self.inner.list(prefix).map(move |found| found.map_err(|e| this.explain(e, below.as_ref()))).boxed()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, below) = (self.clone(), prefix.cloned());
        let found = self.inner.list_with_offset(prefix, offset);
        found.map(move |found| found.map_err(|e| this.explain(e, below.as_ref()))).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await.map_err(|e| self.explain(e, prefix))
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await.map_err(|e| self.explain(e, Some(from)))
    }
}
