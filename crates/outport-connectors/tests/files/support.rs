//! A store with CSV destinations on it, for the conformance suite.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use outport_connectors::files::{FileDestination, Store};
use outport_core::destination::Destination;
use outport_core::format::Format;
use outport_core::layout::Layout;
use outport_core::testkit::destination::FileFixture;

/// The CSV format.
pub(crate) fn csv() -> Arc<dyn Format> {
    outport_formats::text_formats().into_iter().find(|format| format.name() == "csv").unwrap()
}

/// A store under test. The hidden files of a local one are seen in its folder, open uploads are told by `uploads`.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) temporary: tempfile::TempDir,
    /// Lists the open uploads of a bucket, where the server can.
    pub(crate) uploads: Option<Box<dyn Fn() -> Vec<String> + Send + Sync>>,
}

impl Fixture {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, temporary: tempfile::tempdir().unwrap(), uploads: None }
    }

    pub(crate) fn csv(&self, layout: Layout) -> FileDestination {
        FileDestination::new(self.store.clone(), csv(), layout, self.temporary.path()).unwrap()
    }
}

#[async_trait]
impl FileFixture for Fixture {
    fn destination(&self, layout: Layout) -> Box<dyn Destination> {
        Box::new(self.csv(layout))
    }

    async fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for found in self.store.list(folder, true).await.unwrap() {
            if !found.path.contains("/.") {
                let bytes = self.store.read(&found.path).await.unwrap().unwrap();
                files.insert(found.path, bytes.to_vec());
            }
        }
        files
    }

    async fn hidden(&self, folder: &str) -> Vec<String> {
        let files = self.store.list(folder, true).await.unwrap();
        let mut hidden: Vec<String> = files.into_iter().map(|f| f.path).filter(|path| path.contains("/.")).collect();
        if let Some(uploads) = &self.uploads {
            hidden.extend(uploads().into_iter().filter(|path| path.contains(&format!("{folder}/"))));
        }
        hidden
    }
}
