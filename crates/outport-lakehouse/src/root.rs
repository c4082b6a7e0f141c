//! The folder that a lakehouse is: an opened store and the place in it.

use std::sync::Arc;

use datafusion::datasource::object_store::ObjectStoreUrl;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use outport_core::{Error, ErrorKind, Result};
use url::Url;

use crate::config::TableFormat;
use crate::error::from_store;
use crate::overlay::Overlay;

/// The root of a lakehouse.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    /// The store, whose paths begin at the bucket, container or file system.
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The tables laid over those in the store, where there can be any.
    overlay: Option<Overlay>,
    /// Scheme and authority of the store, without a path.
    authority: Url,
    /// The folder inside the store.
    pub(crate) prefix: Path,
    /// The one file that the root shows, where the connection's URL names a file.
    pub(crate) only: Option<String>,
}

impl Root {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, url: &Url, prefix: Path) -> Self {
        let mut authority = url.clone();
        authority.set_path("/");
        authority.set_query(None);
        authority.set_fragment(None);
        let file = prefix.filename().filter(|name| TableFormat::of_file(name).is_some()).map(str::to_owned);
        let (prefix, only) = match file {
            Some(file) => {
                let mut parts: Vec<_> = prefix.parts().map(|part| part.as_ref().to_owned()).collect();
                parts.pop();
                (Path::from_iter(parts), Some(file))
            }
            None => (prefix, None),
        };
        Self { store, overlay: None, authority, prefix, only }
    }

    /// The same root, in which tables can be laid over those that are there.
    pub(crate) fn with_overlay(mut self) -> Self {
        self.overlay = Some(Overlay::new(Arc::clone(&self.store)));
        self
    }

    /// The tables that were laid over others.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where this root has none.
    pub(crate) fn overlay(&self) -> Result<&Overlay> {
        self.overlay.as_ref().ok_or_else(|| Error::new(ErrorKind::Internal, "no table can be laid over another here"))
    }

    /// The root through which the tables are seen that were laid over others.
    ///
    /// It has an address of its own: of a `file` URL, the Delta kernel asks whether the folder exists.
    pub(crate) fn laid(&self) -> Result<Self> {
        let authority =
            Url::parse("table-changes://lake/").map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
        Ok(Self { store: Arc::new(self.overlay()?.clone()), authority, ..self.clone() })
    }

    /// The address under which the engine knows the store.
    pub(crate) fn store_url(&self) -> Result<ObjectStoreUrl> {
        ObjectStoreUrl::parse(&self.authority[..url::Position::BeforePath]).map_err(crate::error::from_datafusion)
    }

    /// The authority, as a URL.
    pub(crate) fn authority(&self) -> &Url {
        &self.authority
    }

    /// The URL of a folder of the store, with a slash behind it.
    pub(crate) fn folder_url(&self, path: &Path) -> Url {
        let mut url = self.authority.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear();
            segments.extend(path.parts().map(|part| part.as_ref().to_owned()));
            segments.push("");
        }
        url
    }

    /// A folder below the root; `relative` may have several levels.
    pub(crate) fn join(&self, relative: &str) -> Path {
        relative
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .fold(self.prefix.clone(), |path, part| path.join(part))
    }

    /// How a path is shown: relative to the root where it lies below it.
    pub(crate) fn show(&self, path: &Path) -> String {
        let path = &self.overlay.as_ref().map_or_else(|| path.clone(), |overlay| overlay.place(path));
        let relative: Option<Vec<_>> =
            path.prefix_match(&self.prefix).map(|parts| parts.map(|p| p.as_ref().to_owned()).collect());
        match relative {
            Some(parts) if !parts.is_empty() => parts.join("/"),
            _ => path.to_string(),
        }
    }

    /// The folders and files directly in a folder.
    pub(crate) async fn children(&self, folder: &Path) -> Result<Children> {
        let listing = self.store.list_with_delimiter(Some(folder)).await;
        let listing = match listing {
            Ok(listing) => listing,
            Err(object_store::Error::NotFound { .. }) => return Ok(Children::default()),
            Err(error) => return Err(from_store(error).context(format!("listing {}", self.show(folder)))),
        };
        Ok(Children { folders: listing.common_prefixes, files: listing.objects })
    }

    /// The bytes of a small file.
    pub(crate) async fn read(&self, path: &Path) -> Result<bytes::Bytes> {
        let result = self.store.get(path).await.map_err(from_store)?;
        result.bytes().await.map_err(from_store)
    }
}

/// What lies directly in a folder.
#[derive(Debug, Default)]
pub(crate) struct Children {
    pub(crate) folders: Vec<Path>,
    pub(crate) files: Vec<ObjectMeta>,
}

impl Children {
    /// Whether there is a folder of this name.
    pub(crate) fn has_folder(&self, name: &str) -> bool {
        self.folders.iter().any(|folder| folder.filename() == Some(name))
    }
}

/// Refuses what no table can be named.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.split('/').any(|part| part == "..") {
        return Err(Error::new(ErrorKind::Config, format!("\"{name}\" is no name of a table"))
            .hint("name a folder or file below the connection's url"));
    }
    Ok(())
}
