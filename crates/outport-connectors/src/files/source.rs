//! Files as a source: one file, a folder, or a glob of one format, decoded on every core in the order of their names.
//!
//! No engine stands between: columns and a limit are pushed into the decoders, everything else (SQL, filters, ranges, Hive
//! partitions) is what a connection of `type: lakehouse` is for.

pub(super) mod decode;
mod find;
pub(super) mod open;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use outport_core::extract::{Extract, Relation};
use outport_core::format::{DecodeSettings, Format, FormatOptions};
use outport_core::source::{Source, SourceCaps};
use outport_core::{Batches, Context, Error, ErrorKind, Result};

use super::store::{Found, Store};

pub(crate) use open::unpack_and_detect;

/// Reads files of a store.
pub struct FileSource {
    store: Store,
    formats: Vec<Arc<dyn Format>>,
    format: Option<Arc<dyn Format>>,
    options: FormatOptions,
    temporary: PathBuf,
}

impl FileSource {
    /// A source over a store; `formats` are those it may find there, `temporary` is the folder into which what is compressed
    /// from outside is unpacked while it is read.
    pub fn new(store: Store, formats: Vec<Arc<dyn Format>>, temporary: impl Into<PathBuf>) -> Self {
        Self { store, formats, format: None, options: FormatOptions::default(), temporary: temporary.into() }
    }

    /// Reads all files as of this format, whatever they look like.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with the nearest name if there is no such format.
    pub fn with_format(mut self, name: &str) -> Result<Self> {
        self.format = Some(open::format_named(&self.formats, name)?);
        Ok(self)
    }

    /// The format's options; what is absent is detected.
    pub fn with_options(mut self, options: FormatOptions) -> Self {
        self.options = options;
        self
    }

    /// The files of an extract, and what every one of them is opened with.
    async fn open(&self, extract: &Extract) -> Result<(Vec<Found>, open::Opener)> {
        let path = path(extract)?;
        let files = find::files(&self.store, path).await?;
        let opener = open::Opener {
            store: self.store.clone(),
            formats: self.formats.clone(),
            format: self.format.clone(),
            settings: DecodeSettings { options: self.options.clone(), ..DecodeSettings::default() },
            temporary: self.temporary.clone(),
        };
        Ok((files, opener))
    }
}

#[async_trait]
impl Source for FileSource {
    fn caps(&self) -> SourceCaps {
        SourceCaps { system: "store", sql: false, snapshot: false, ordered: true }
    }

    async fn schema(&self, extract: &Extract, _: &Context) -> Result<SchemaRef> {
        let (files, opener) = self.open(extract).await?;
        Ok(opener.agree(&files, extract.columns.as_deref()).await?.1)
    }

    async fn read(&self, extract: &Extract, context: &Context) -> Result<Batches> {
        let (files, opener) = self.open(extract).await?;
        let (opener, schema) = opener.agree(&files, extract.columns.as_deref()).await?;
        let snapshot = snapshot(&files);
        let stream = decode::stream(files, opener, schema.clone(), extract.limit, context);
        Ok(Batches::new(schema, stream).with_snapshot(snapshot))
    }

    async fn relations(&self, _: &Context) -> Result<Vec<String>> {
        Ok(self.store.list("", true).await?.into_iter().map(|f| f.path).filter(|path| !find::hidden(path)).collect())
    }

    async fn estimate(&self, extract: &Extract, _: &Context) -> Result<Option<u64>> {
        let (files, opener) = self.open(extract).await?;
        let [file] = &files[..] else { return Ok(None) };
        let rows = opener.decoder(file).await?.rows();
        Ok(rows.map(|rows| extract.limit.map_or(rows, |limit| rows.min(limit))))
    }
}

/// The path that an extract names, if that is all it wants.
fn path(extract: &Extract) -> Result<&str> {
    let refused = |what: &str| {
        Err(Error::new(ErrorKind::Unsupported, format!("{what} needs an engine, and plain files have none"))
            .hint("use a connection of `type: lakehouse` on the same url"))
    };
    match &extract.relation {
        Relation::Query(_) => refused("a query"),
        Relation::Table { schema: Some(_), .. } => refused("a schema"),
        Relation::Table { .. } if extract.filter.is_some() => refused("a filter"),
        Relation::Table { .. } if extract.range.is_some() => refused("an incremental or period extract"),
        Relation::Table { name, .. } => Ok(name),
    }
}

/// What was read, for the manifest.
fn snapshot(files: &[Found]) -> String {
    match files {
        [file] => format!("{} {}", file.path, file.tag),
        _ => {
            let newest = files.iter().map(|file| file.modified).max().unwrap_or_default();
            format!("{} files, the newest of {newest}", files.len())
        }
    }
}
