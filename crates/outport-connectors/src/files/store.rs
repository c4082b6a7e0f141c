//! Where files are: a local folder or a bucket, with the few calls that destination, source, verification and clean-up need.

mod azure;
mod error;
mod gcs;
mod input;
mod local;
mod named;
mod remote;
mod s3;
#[cfg(test)]
mod tests;
mod uploads;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use outport_core::error::suggestion;
use outport_core::format::Input;
use outport_core::secret::{Secret, redact_url};
use outport_core::{Environment, Error, ErrorKind, Result};
use url::Url;

pub(crate) use error::from_object_store;
pub(crate) use local::{LocalInput, blocking, failed, rename, sync_folder};
pub use local::{exchange_folder, rename_in};
use named::Named;
pub(crate) use remote::Remote;

/// Settings of a store by name, such as `endpoint`, `region` or `secret_access_key`; any of them may be a secret.
pub type Credentials = BTreeMap<String, Secret>;

/// The schemes that [`Store::open`] knows, for messages.
const SCHEMES: &str = "a path, file://, s3://, gs://, az://, abfss:// or https://… of Azure";

/// A local folder, or a bucket with a prefix. Clones share the connection.
///
/// Paths given to a store use `/`, start at the store's root, and never contain `.` or `..`.
#[derive(Clone, Debug)]
pub struct Store {
    root: String,
    system: &'static str,
    place: Place,
}

#[derive(Clone, Debug)]
pub(crate) enum Place {
    Local(PathBuf),
    Remote(Arc<Remote>),
}

/// A file that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The path inside the store.
    pub path: String,
    /// The size in bytes.
    pub size: u64,
    /// What changes when the content does: an ETag, or size, time and inode of a local file.
    pub tag: String,
    /// The time of the last change, UTC.
    pub modified: jiff::Timestamp,
}

/// What [`Store::put`] does where something is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// It is replaced.
    Yes,
    /// The call fails with [`ErrorKind::Contract`]; the store itself decides where it can (`If-None-Match`).
    No,
}

impl Store {
    /// Opens a store by URL; a text without scheme is a local path. Nothing is read or written yet.
    ///
    /// `options` are those of the store, without its prefix (`endpoint`, `region`, `access_key_id`; `service_account_path`;
    /// `account_name`, `sas_token`): they go before what `environment` holds (`AWS_*` and the profile files, `GOOGLE_*` and
    /// gcloud's default credentials, `AZURE_*`).
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a URL, option or profile that makes no sense.
    pub fn open(url: &str, options: &Credentials, environment: &Environment) -> Result<Self> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Self::folder(url, options);
        };
        match scheme {
            "file" => Self::folder(&file_path(url, rest)?, options),
            "s3" | "s3a" | "r2" => Ok(Self::remote(url, "s3", s3::open(url, options, environment)?)),
            "gs" | "gcs" => Ok(Self::remote(url, "gs", gcs::open(url, options, environment)?)),
            "az" | "azure" | "adl" | "abfs" | "abfss" | "https" => {
                Ok(Self::remote(url, "az", azure::open(url, options, environment)?))
            }
            other => Err(Error::new(ErrorKind::Config, format!("{other}:// is not a store, expected {SCHEMES}"))
                .hint(suggestion(other, ["file", "s3", "gs", "az", "abfss", "https"]))),
        }
    }

    /// A local folder, which need not exist yet.
    pub fn local(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self { root: folder.display().to_string(), system: "file", place: Place::Local(folder) }
    }

    /// The name of the system: `file`, `s3`, `gs` or `az`.
    pub fn system(&self) -> &'static str {
        self.system
    }

    /// The folder of a local store.
    pub fn local_root(&self) -> Option<&Path> {
        match &self.place {
            Place::Local(root) => Some(root),
            Place::Remote(_) => None,
        }
    }

    /// The object store behind this one, its URL, and the place of this store's root in it; for engines that read on their own.
    ///
    /// The object store addresses all of the bucket or file system, not the root alone. Where access is refused or the server
    /// cannot be reached, its errors have one of ours as their cause.
    pub fn object_store(&self) -> Result<(Arc<dyn ObjectStore>, Url, ObjectPath)> {
        let wrong = |e: String| Error::new(ErrorKind::Config, format!("{}: {e}", self.root));
        match &self.place {
            Place::Local(root) => {
                let root = std::path::absolute(root).map_err(|e| wrong(e.to_string()))?;
                let url = Url::from_directory_path("/").map_err(|()| wrong("is no folder".to_owned()))?;
                let prefix = ObjectPath::from_absolute_path(&root).map_err(|e| wrong(e.to_string()))?;
                Ok((Arc::new(LocalFileSystem::new()), url, prefix))
            }
            Place::Remote(remote) => {
                let url = Url::parse(&self.root).map_err(|e| wrong(e.to_string()))?;
                let prefix = ObjectPath::parse(&remote.prefix).map_err(|e| wrong(e.to_string()))?;
                let bucket = self.root.strip_suffix(&remote.prefix).unwrap_or(&self.root);
                Ok((Arc::new(Named::new(remote.objects.clone(), bucket)), url, prefix))
            }
        }
    }

    /// The whole bucket or file system that this store is a part of.
    pub fn whole(&self) -> Self {
        let place = match &self.place {
            Place::Local(_) => return Self::local("/"),
            Place::Remote(remote) => Place::Remote(Arc::new(remote.without_prefix())),
        };
        let root = match Url::parse(&self.root) {
            Ok(url) => url[..url::Position::BeforePath].to_owned(),
            Err(_) => self.root.clone(),
        };
        Self { root, system: self.system, place }
    }

    /// Writes a small file and deletes it again: whether this store can be written to.
    pub async fn probe(&self) -> Result<()> {
        let name = format!(".outport-probe-{}", uuid::Uuid::new_v4().simple());
        self.put(&name, Bytes::from_static(b"outport"), Replace::Yes).await?;
        self.delete(&name).await.map(drop)
    }

    /// The path or URL of a file for messages, without secrets.
    pub fn url(&self, path: &str) -> String {
        match path {
            "" => self.root.clone(),
            // Where the program runs, a file is called by its name.
            _ if self.root == "." => path.to_owned(),
            _ => format!("{}/{path}", self.root.trim_end_matches('/')),
        }
    }

    /// Whether a put that must not replace anything is refused by the store itself.
    pub fn conditional_put(&self) -> bool {
        match &self.place {
            Place::Local(_) => true,
            Place::Remote(remote) => remote.conditional_put,
        }
    }

    /// What is known of a file; `None` where there is none.
    pub async fn head(&self, path: &str) -> Result<Option<Found>> {
        match &self.place {
            Place::Local(root) => local::head(root.clone(), path.to_owned()).await,
            Place::Remote(remote) => remote.head(path).await.map_err(|e| self.failed(e, path)),
        }
    }

    /// The whole content of a small file; `None` where there is none.
    pub async fn read(&self, path: &str) -> Result<Option<Bytes>> {
        match &self.place {
            Place::Local(root) => local::read(root.clone(), path.to_owned()).await,
            Place::Remote(remote) => remote.read(path).await.map_err(|e| self.failed(e, path)),
        }
    }

    /// The files under a folder, sorted by path; `recursive` includes those of the folders in it. None where there is no folder.
    pub async fn list(&self, folder: &str, recursive: bool) -> Result<Vec<Found>> {
        let mut files = match &self.place {
            Place::Local(root) => local::list(root.clone(), folder.to_owned(), recursive).await?,
            Place::Remote(remote) => remote.list(folder, recursive).await.map_err(|e| self.failed(e, folder))?,
        };
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// Writes a small file whole: it is there with this content, or it is not.
    pub async fn put(&self, path: &str, bytes: Bytes, replace: Replace) -> Result<()> {
        match &self.place {
            Place::Local(root) => local::put(root.clone(), path.to_owned(), bytes, replace).await,
            Place::Remote(remote) => remote.put(path, bytes, replace).await.map_err(|e| self.failed(e, path)),
        }
    }

    /// Removes a file; tells whether there was one, as far as the store says so.
    pub async fn delete(&self, path: &str) -> Result<bool> {
        match &self.place {
            Place::Local(root) => local::delete(root.clone(), path.to_owned()).await,
            Place::Remote(remote) => remote.delete(path).await.map_err(|e| self.failed(e, path)),
        }
    }

    /// A file as bytes that decoders read from, on any thread that may block.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] with the nearest file of the same folder.
    pub async fn input(&self, path: &str) -> Result<Arc<dyn Input>> {
        match self.head(path).await? {
            Some(found) => self.input_of(&found).await,
            None => Err(self.not_found(path).await),
        }
    }

    /// A file that was found before, as in [`Store::input`].
    pub async fn input_of(&self, found: &Found) -> Result<Arc<dyn Input>> {
        let name = self.url(&found.path);
        match &self.place {
            Place::Local(root) => local::input(root.join(&found.path), name).await,
            Place::Remote(remote) => Ok(Arc::new(input::RemoteInput::new(remote.clone(), found, name)?)),
        }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The error that a call of the store ended in, as one of ours.
    pub(crate) fn failed(&self, error: object_store::Error, path: &str) -> Error {
        from_object_store(error, &self.url(path))
    }

    /// The error for a file that is not there, naming the nearest one that is.
    pub(crate) async fn not_found(&self, path: &str) -> Error {
        let error = Error::new(ErrorKind::NotFound, format!("{} does not exist", self.url(path)));
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        match self.list(folder, false).await {
            Ok(files) if !files.is_empty() => {
                error.hint(suggestion(path, files.iter().map(|f| f.path.as_str()).take(1000)))
            }
            _ => error.hint(format!("{} holds no files", self.url(folder))),
        }
    }

    fn remote(url: &str, system: &'static str, remote: Remote) -> Self {
        Self { root: redact_url(url.trim_end_matches('/')), system, place: Place::Remote(Arc::new(remote)) }
    }

    fn folder(path: &str, options: &Credentials) -> Result<Self> {
        if let Some(option) = options.keys().next() {
            return Err(Error::new(ErrorKind::Config, format!("a local folder has no option \"{option}\"")));
        }
        if path.is_empty() {
            return Err(Error::new(ErrorKind::Config, format!("the store's url is empty, expected {SCHEMES}")));
        }
        Ok(Self::local(path))
    }
}

/// The path of a `file://` URL, percent-decoding included.
fn file_path(url: &str, rest: &str) -> Result<String> {
    if !rest.starts_with('/') {
        return Err(Error::new(ErrorKind::Config, format!("{url} names a host, expected file:///path"))
            .hint("write three slashes, or a plain path for a relative folder"));
    }
    url::Url::parse(url)
        .ok()
        .and_then(|url| url.to_file_path().ok())
        .map(|path| path.display().to_string())
        .ok_or_else(|| Error::new(ErrorKind::Config, format!("{url} is not a file url, expected file:///path")))
}

/// Splits `scheme://bucket/prefix` into bucket and prefix.
fn bucket_and_prefix(url: &str) -> Result<(String, String)> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(Error::new(ErrorKind::Config, format!("{} names no bucket", redact_url(url))));
    }
    Ok((bucket.to_owned(), prefix.trim_matches('/').to_owned()))
}

/// The error for an option that a store does not have.
fn unknown_option(system: &str, key: &str, known: &[&str]) -> Error {
    Error::new(ErrorKind::Config, format!("store {system} has no option \"{key}\""))
        .hint(suggestion(key, known.iter().copied()))
}
