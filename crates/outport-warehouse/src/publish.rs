//! Brings exports, catalogue, database and site to a store, so that a reader at any moment finds a whole and matching set.
//!
//! Data goes first, under names that hold its hash, and is read back; then the catalogue and the database that point at it; then
//! copies under plain names, for those who want no catalogue; last, versions that nobody needs any more are removed. What is
//! there already is not sent again, so that a rerun after a failure goes on where the last one stopped.

mod clean;
mod log;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use outport_core::files::{FileStore, UploadLog};
use outport_core::{Context, Error, ErrorKind, Result};

pub use clean::{Cleaning, clean, refresh_stable};
pub use log::FileLog;

use crate::catalog::{Catalog, Gathered, Original};

/// Files that are sent or read back at once.
const AT_ONCE: usize = 4;
/// How often a file is tried whose connection breaks; the client itself has tried each request several times by then.
const ATTEMPTS: usize = 3;

/// What a file is for; they are published in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Rows.
    Data,
    /// The catalogue and its translations.
    Catalog,
    /// The database of remote views.
    Database,
    /// The site.
    Docs,
}

impl Stage {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Catalog => "catalog",
            Self::Database => "database",
            Self::Docs => "docs",
        }
    }
}

/// One file that is to stand in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is for.
    pub stage: Stage,
    /// Its path in the store.
    pub path: String,
    /// Its size.
    pub size: u64,
    content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    /// A file of data with its SHA-256.
    Data { file: PathBuf, sha256: String },
    /// A small document.
    Bytes(Bytes),
}

impl Item {
    /// A document.
    pub fn document(stage: Stage, path: impl Into<String>, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        Self { stage, path: path.into(), size: content.len() as u64, content: Content::Bytes(content) }
    }

    /// The data files of a catalogue, from the folder of the exports.
    pub fn data(gathered: &Gathered, folder: &Path) -> Vec<Self> {
        let item = |original: &Original| Self {
            stage: Stage::Data,
            path: original.path.clone(),
            size: original.size,
            content: Content::Data { file: folder.join(&original.local), sha256: original.sha256.clone() },
        };
        gathered.originals.iter().map(item).collect()
    }
}

/// How data is checked once it is in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Size and SHA-256: everything that was sent is read back.
    #[default]
    Sha256,
    /// The size alone.
    Size,
}

/// What a publication does with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is in the store already.
    Kept,
    /// It was sent.
    Sent,
    /// It was read back, and is as it should be.
    Verified,
}

/// Told of every file as it is dealt with.
pub type Observer<'a> = &'a (dyn Fn(Step, &Item) + Send + Sync);

/// A store with what a publication needs beside it.
pub struct Publisher<'a> {
    /// Where everything goes.
    pub store: &'a dyn FileStore,
    /// Where open uploads are written down.
    pub log: &'a dyn UploadLog,
    /// How data is checked.
    pub verify: Verify,
    /// Who is told.
    pub observer: Observer<'a>,
    /// What accompanies the run.
    pub context: &'a Context,
}

/// What stands in the way of a data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing: it is there and was read back when it was published.
    Published,
    /// It is there, and nobody has said yet that it is whole.
    Unverified,
    /// It is not there, or has another size.
    Missing,
}

impl Publisher<'_> {
    /// The items that would be sent: data that is not there yet, and every document.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn missing<'i>(&self, items: &'i [Item], catalog_path: &str) -> Result<Vec<&'i Item>> {
        let published = self.published(catalog_path).await?;
        let mut missing = Vec::new();
        for item in items {
            if item.stage != Stage::Data || self.standing(item, &published).await? == Standing::Missing {
                missing.push(item);
            }
        }
        Ok(missing)
    }

    /// Publishes items, stage after stage: nothing of a stage is begun before all of the one before it is in place.
    ///
    /// # Errors
    /// Those of the store; [`ErrorKind::Write`] where data came out different from what was sent. What was published before
    /// is still there.
    pub async fn publish(&self, items: &[Item], catalog_path: &str) -> Result<()> {
        let published = self.published(catalog_path).await?;
        let data: Vec<&Item> = items.iter().filter(|item| item.stage == Stage::Data).collect();
        self.each(&data, |item| self.bring(item, &published)).await?;
        let mut documents: Vec<&Item> = items.iter().filter(|item| item.stage != Stage::Data).collect();
        documents.sort_by_key(|item| item.stage);
        for item in documents {
            self.context.cancel.check()?;
            if let Content::Bytes(bytes) = &item.content {
                self.store.put(&item.path, bytes.clone()).await?;
                (self.observer)(Step::Sent, item);
            }
        }
        Ok(())
    }

    /// The data that the catalogue in the store points at: it was read back before the catalogue was put there.
    async fn published(&self, catalog_path: &str) -> Result<BTreeSet<(String, String)>> {
        let Some(bytes) = self.store.read(catalog_path).await? else { return Ok(BTreeSet::new()) };
        // A catalogue of another program, or of an older version, says nothing that could be relied on.
        let Ok(catalog) = Catalog::parse(catalog_path, &bytes) else { return Ok(BTreeSet::new()) };
        let files = catalog.tables.into_iter().flat_map(|table| table.files);
        Ok(files.map(|file| (file.path, file.sha256)).collect())
    }

    async fn standing(&self, item: &Item, published: &BTreeSet<(String, String)>) -> Result<Standing> {
        let Content::Data { sha256, .. } = &item.content else { return Ok(Standing::Missing) };
        Ok(match self.store.head(&item.path).await? {
            Some(found) if found.size == item.size => {
                if published.contains(&(item.path.clone(), sha256.clone())) {
                    Standing::Published
                } else {
                    Standing::Unverified
                }
            }
            _ => Standing::Missing,
        })
    }

    /// Sends a data file that is not there, and reads back one that nobody has read back yet.
    async fn bring(&self, item: &Item, published: &BTreeSet<(String, String)>) -> Result<()> {
        match self.standing(item, published).await? {
            Standing::Published => {
                (self.observer)(Step::Kept, item);
                return Ok(());
            }
            Standing::Unverified => (self.observer)(Step::Kept, item),
            Standing::Missing => {
                self.send(item).await?;
                (self.observer)(Step::Sent, item);
            }
        }
        self.check(item).await?;
        (self.observer)(Step::Verified, item);
        Ok(())
    }

    async fn send(&self, item: &Item) -> Result<()> {
        let Content::Data { file, .. } = &item.content else { return Ok(()) };
        let mut attempt = 1;
        loop {
            match self.store.upload(&item.path, file, self.log, self.context).await {
                Err(error) if error.is_retryable() && attempt < ATTEMPTS => {
                    tracing::warn!("{error}; trying again");
                    self.context.cancel.check()?;
                    attempt += 1;
                }
                done => return done,
            }
        }
    }

    /// Compares what is in the store with what was sent. What differs is removed, so that a rerun sends it again.
    async fn check(&self, item: &Item) -> Result<()> {
        let Content::Data { sha256, .. } = &item.content else { return Ok(()) };
        let found = self.store.head(&item.path).await?;
        let size = found.as_ref().map(|found| found.size);
        let problem = if size != Some(item.size) {
            let size = size.map_or_else(|| "is missing".to_owned(), |size| format!("has {size} bytes"));
            format!("{size}, expected {}", item.size)
        } else if self.verify == Verify::Sha256 {
            let found = self.store.sha256(&item.path, self.context).await?;
            if found == *sha256 {
                return Ok(());
            }
            format!("has sha256 {found}, expected {sha256}")
        } else {
            return Ok(());
        };
        if found.is_some() {
            self.store.delete(&item.path).await?;
        }
        Err(Error::new(ErrorKind::Write, format!("{} {problem} after it was sent", self.store.url(&item.path)))
            .hint("it was removed; run the command again to send it anew. What was published before is untouched"))
    }

    /// Does something with every item, a few at once, and reports all failures together.
    async fn each<'i, F: Future<Output = Result<()>>>(
        &self,
        items: &[&'i Item],
        work: impl Fn(&'i Item) -> F,
    ) -> Result<()> {
        let mut running = stream::iter(items.iter().map(|item| work(item))).buffer_unordered(AT_ONCE);
        let mut errors = Vec::new();
        while let Some(done) = running.next().await {
            if let Err(error) = done {
                let of_all = matches!(error.kind(), ErrorKind::Auth | ErrorKind::Connection | ErrorKind::Cancelled);
                errors.push(error);
                // What is wrong with one file is wrong with all of them then.
                if of_all {
                    break;
                }
            }
        }
        if errors.is_empty() {
            return Ok(());
        }
        let summary = format!("{} of {} files were not published", errors.len(), items.len());
        Err(Error::many(errors, summary))
    }
}
