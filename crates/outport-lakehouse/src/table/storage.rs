//! Iceberg's storage on our object store.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use iceberg::io::{
    FileIO, FileIOBuilder, FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage, StorageConfig,
    StorageFactory,
};
use iceberg::{Error, ErrorKind, Result};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::root::Root;

/// Access to the files of one Iceberg table. The metadata names files by absolute URL: those below the table's `location` are
/// looked for where the table lies now, so that a table that was copied or mounted elsewhere is still read.
pub(crate) fn file_io(root: &Root, table: &Path, location: Option<&str>) -> FileIO {
    let place = Place {
        store: Arc::clone(&root.store),
        authority: root.authority().clone(),
        table: table.clone(),
        location: location.map(|location| location.trim_end_matches('/').to_owned()),
    };
    FileIOBuilder::new(Arc::new(LakeStorage { place: Some(place) })).build()
}

#[derive(Clone, Debug)]
struct Place {
    store: Arc<dyn ObjectStore>,
    authority: Url,
    table: Path,
    location: Option<String>,
}

/// The trait asks for serde, for engines that send storages between machines; this one stays where it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct LakeStorage {
    #[serde(skip)]
    place: Option<Place>,
}

impl LakeStorage {
    fn resolve(&self, url: &str) -> Result<(Arc<dyn ObjectStore>, Path)> {
        let place = self
            .place
            .as_ref()
            .ok_or_else(|| Error::new(ErrorKind::Unexpected, "the storage was sent to another process"))?;
        let path = place.path(url)?;
        Ok((Arc::clone(&place.store), path))
    }
}

impl Place {
    fn path(&self, url: &str) -> Result<Path> {
        let invalid = |error: object_store::path::Error| Error::new(ErrorKind::DataInvalid, error.to_string());
        if let Some(location) = &self.location
            && let Some(relative) = url.strip_prefix(location.as_str())
            && (relative.is_empty() || relative.starts_with('/'))
        {
            return Path::parse(format!("{}{relative}", self.table)).map_err(invalid);
        }
        let Ok(parsed) = Url::parse(url) else {
            return Path::parse(url).map_err(invalid);
        };
        // s3, s3a and s3n are one system.
        let family = |url: &Url| url.scheme().trim_end_matches(['a', 'n']).to_owned();
        if family(&parsed) != family(&self.authority) || parsed.host_str() != self.authority.host_str() {
            return Err(Error::new(
                ErrorKind::FeatureUnsupported,
                format!("file {url} lies outside of the lakehouse, in another bucket or system"),
            ));
        }
        // Iceberg writes paths as they are, without the escapes of a URL.
        let raw = url.splitn(4, '/').nth(3).unwrap_or_default();
        Path::parse(raw).map_err(invalid)
    }
}

fn failed(error: object_store::Error) -> Error {
    Error::new(ErrorKind::Unexpected, error.to_string()).with_source(error)
}

fn read_only() -> Error {
    Error::new(ErrorKind::FeatureUnsupported, "a lakehouse source only reads")
}

#[typetag::serde]
impl StorageFactory for LakeStorage {
    fn build(&self, _: &StorageConfig) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
#[typetag::serde]
impl Storage for LakeStorage {
    async fn exists(&self, path: &str) -> Result<bool> {
        let (store, path) = self.resolve(path)?;
        match store.head(&path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    async fn metadata(&self, path: &str) -> Result<FileMetadata> {
        let (store, path) = self.resolve(path)?;
        Ok(FileMetadata { size: store.head(&path).await.map_err(failed)?.size })
    }

    async fn read(&self, path: &str) -> Result<Bytes> {
        let (store, path) = self.resolve(path)?;
        store.get(&path).await.map_err(failed)?.bytes().await.map_err(failed)
    }

    async fn reader(&self, path: &str) -> Result<Box<dyn FileRead>> {
        let (store, path) = self.resolve(path)?;
        Ok(Box::new(Reader { store, path }))
    }

    async fn write(&self, _: &str, _: Bytes) -> Result<()> {
        Err(read_only())
    }

    async fn writer(&self, _: &str) -> Result<Box<dyn FileWrite>> {
        Err(read_only())
    }

    async fn delete(&self, _: &str) -> Result<()> {
        Err(read_only())
    }

    async fn delete_prefix(&self, _: &str) -> Result<()> {
        Err(read_only())
    }

    async fn delete_stream(&self, _: BoxStream<'static, String>) -> Result<()> {
        Err(read_only())
    }

    fn new_input(&self, path: &str) -> Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), path.to_owned()))
    }

    fn new_output(&self, _: &str) -> Result<OutputFile> {
        Err(read_only())
    }
}

struct Reader {
    store: Arc<dyn ObjectStore>,
    path: Path,
}

#[async_trait]
impl FileRead for Reader {
    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        self.store.get_range(&self.path, range).await.map_err(failed)
    }
}
