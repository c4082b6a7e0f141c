//! Open uploads in a file beside the exports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use outport_core::destination::Upload;
use outport_core::error::from_io;
use outport_core::files::{FileStore, UploadLog};
use outport_core::{Error, ErrorKind, Result};

/// The name of the file in the folder of the exports.
const NAME: &str = ".outport-uploads.json";

/// An [`UploadLog`] in a file, for one store.
#[derive(Debug)]
pub struct FileLog {
    file: PathBuf,
    /// The URL of the store: a folder can be published to several.
    store: String,
    uploads: Mutex<BTreeMap<String, Upload>>,
}

impl FileLog {
    /// The log in `folder`; one that cannot be read counts as empty, for all that it saves is time.
    pub fn load(folder: &Path, store: &dyn FileStore) -> Self {
        let file = folder.join(NAME);
        let text = std::fs::read(&file).unwrap_or_default();
        let uploads = serde_json::from_slice(&text).unwrap_or_default();
        Self { file, store: store.url(""), uploads: Mutex::new(uploads) }
    }

    /// Gives up the uploads of this store that no file of `wanted` needs.
    ///
    /// # Errors
    /// Those of the store and of writing the file.
    pub async fn abort_others(&self, store: &dyn FileStore, wanted: &[&str]) -> Result<()> {
        let stale: Vec<Upload> = {
            let uploads = self.lock();
            let of_store = uploads.iter().filter(|(key, upload)| **key == self.key(&upload.path));
            of_store.filter(|(_, upload)| !wanted.contains(&upload.path.as_str())).map(|(_, u)| u.clone()).collect()
        };
        for upload in stale {
            store.abort(&upload).await?;
            self.close(&upload.path)?;
        }
        Ok(())
    }

    fn key(&self, path: &str) -> String {
        format!("{} {path}", self.store)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Upload>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, uploads: &BTreeMap<String, Upload>) -> Result<()> {
        let failed = |e| from_io(ErrorKind::Write, e).context(format!("writing {}", self.file.display()));
        if uploads.is_empty() {
            return match std::fs::remove_file(&self.file) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed(e)),
                _ => Ok(()),
            };
        }
        let text = serde_json::to_vec(uploads).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
        let temporary = self.file.with_extension("tmp");
        std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, &self.file)).map_err(failed)
    }
}

impl UploadLog for FileLog {
    fn open(&self, path: &str) -> Option<Upload> {
        self.lock().get(&self.key(path)).cloned()
    }

    fn record(&self, upload: &Upload) -> Result<()> {
        let mut uploads = self.lock();
        uploads.insert(self.key(&upload.path), upload.clone());
        self.save(&uploads)
    }

    fn close(&self, path: &str) -> Result<()> {
        let mut uploads = self.lock();
        if uploads.remove(&self.key(path)).is_none() {
            return Ok(());
        }
        self.save(&uploads)
    }
}
