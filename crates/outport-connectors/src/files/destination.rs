//! Batches as files: format, layout and store put together, once for all of them.
//!
//! ```text
//! batches ─ feed ─ chunks ─ encode and compress (threads) ─ in order ─ files ─ sha256 ─ temporary file or upload
//!                                                                        └── publish: data, manifest, trigger
//! ```
//!
//! Reading, encoding and uploading overlap; what is in flight is bounded by the run's byte budget. Nothing is visible before
//! all data is complete. In a local folder it stands in hidden files `.outport-<run>-<number>.tmp` until then, in an object
//! store in multipart uploads (or, for a single small file, in memory).
//!
//! Whether the first part of a split export is named `orders.csv` or `orders_part0001.csv` shows only when a second one starts.
//! Local files get their names at the end. An upload needs its name at the start, so the first part waits, in memory up to
//! 16 MiB and in the temporary folder beyond, until there is a second part or the end; the same goes for every partition's first
//! part, and for the first entry of a bundle. All later parts are uploaded while they are written.

mod books;
mod encode;
mod feed;
mod naming;
mod output;
mod partition;
mod pipeline;
mod publish;
mod recover;
mod sequential;
mod spill;
mod summary;
mod upload;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use async_trait::async_trait;
use outport_core::destination::{Destination, DestinationCaps, Intent, Receipt, Recovery};
use outport_core::format::{EncodeSettings, Fidelity, Format, FormatOptions};
use outport_core::layout::{Codec, Compression, Header, Layout};
use outport_core::manifest::{Manifest, Provenance, TypeLoss};
use outport_core::{Batches, Context, Error, ErrorKind, Result};
use outport_formats::packaging::{Wrapping, check_level};

use super::store::Store;

pub(crate) use naming::temporary_owner;
pub(crate) use recover::sha256;

/// Writes batches as files of one format into one store.
///
/// The layout's directory need not exist. Local folders are created, and removed again if nothing came of the run.
#[derive(Clone)]
pub struct FileDestination {
    setup: Arc<Setup>,
}

/// What a destination was made of.
#[derive(Clone)]
struct Setup {
    store: Store,
    format: Arc<dyn Format>,
    options: FormatOptions,
    metadata: Vec<(String, String)>,
    layout: Layout,
    provenance: Provenance,
    temporary: PathBuf,
    open_files: usize,
    checksums: bool,
}

/// Files that are open at once in a partitioned export, unless said otherwise.
const OPEN_FILES: usize = 64;

impl FileDestination {
    /// A destination; `temporary` is the folder for what waits for its name on the way to an object store.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a file name that is empty, has a slash or NUL in it, or is `..`; for a directory that leads out
    /// of the store; for a compression level that the codec does not have.
    pub fn new(store: Store, format: Arc<dyn Format>, layout: Layout, temporary: impl Into<PathBuf>) -> Result<Self> {
        naming::check(&layout)?;
        check_level(layout.compression)?;
        let setup = Setup {
            store,
            format,
            options: FormatOptions::default(),
            metadata: Vec::new(),
            layout,
            provenance: Provenance::default(),
            temporary: temporary.into(),
            open_files: OPEN_FILES,
            checksums: true,
        };
        Ok(Self { setup: Arc::new(setup) })
    }

    /// The format's options.
    pub fn with_options(mut self, options: FormatOptions) -> Self {
        Arc::make_mut(&mut self.setup).options = options;
        self
    }

    /// Key-value metadata for formats that can hold it.
    pub fn with_metadata(mut self, metadata: Vec<(String, String)>) -> Self {
        Arc::make_mut(&mut self.setup).metadata = metadata;
        self
    }

    /// Who and what is exported, for the manifest. The run id in it is that of the context, always.
    pub fn with_provenance(mut self, provenance: Provenance) -> Self {
        Arc::make_mut(&mut self.setup).provenance = provenance;
        self
    }

    /// Leaves the files' SHA-256 out of the receipt: for runs without manifest and journal, where nobody would read it.
    pub fn without_checksums(mut self) -> Self {
        Arc::make_mut(&mut self.setup).checksums = false;
        self
    }

    /// How many files a partitioned export may have open at once; at least one. The one not written to for longest is closed,
    /// and goes on as a further part.
    pub fn with_open_files(mut self, open_files: usize) -> Self {
        Arc::make_mut(&mut self.setup).open_files = open_files.max(1);
        self
    }
}

#[async_trait]
impl Destination for FileDestination {
    fn caps(&self) -> DestinationCaps {
        DestinationCaps {
            system: self.setup.store.system(),
            conditional_put: self.setup.store.conditional_put(),
            transactional: false,
        }
    }

    async fn write(&self, batches: Batches, context: &Context) -> Result<Receipt> {
        context.cancel.check()?;
        let job = Arc::new(Job::prepare(&self.setup, &batches.schema).await?);
        let snapshot = batches.snapshot.clone();
        let books = books::Books::new(context);
        let folders = publish::make_folder(&job).await?;

        let done = match pipeline::run(batches, &job, &books, context).await {
            Ok(written) => publish::publish(written, snapshot, &job, &books, context).await,
            Err(error) => Err(error),
        };
        if done.is_err() {
            // The error that stopped the run is the one to report, whatever the clean-up meets.
            if let Err(error) = books.discard(&job.setup.store).await {
                tracing::warn!(run = %context.run_id, "clean-up after a failed run is incomplete: {error}");
            }
            publish::remove_folders(&folders);
        }
        done
    }

    async fn recover(&self, intent: &Intent, context: &Context) -> Result<Recovery> {
        recover::recover(&self.setup.store, intent, context).await
    }
}

/// Finishes or undoes what a run that died had begun in `store`; see [`Destination::recover`].
pub async fn recover(store: &Store, intent: &Intent, context: &Context) -> Result<Recovery> {
    recover::recover(store, intent, context).await
}

/// One run of a destination with everything that is known before the first row.
struct Job {
    setup: Setup,
    /// The names to use: the layout's own, or those of a free version.
    layout: Layout,
    /// The schema of the files: the batches' without the partition columns.
    schema: SchemaRef,
    /// The partition columns by their place in the batches.
    partition: Vec<usize>,
    /// What stands around a file.
    wrapping: Wrapping,
    /// What bundles several parts, where parts may become several and the codec bundles.
    bundle: Option<Wrapping>,
    losses: Vec<TypeLoss>,
    /// The manifest of the run before, where this run's will stand.
    before: Option<Manifest>,
}

impl Job {
    /// Checks everything that can be checked before a row is read.
    async fn prepare(setup: &Setup, schema: &SchemaRef) -> Result<Self> {
        let codec = setup.layout.compression.codec;
        let caps = setup.format.caps();
        let (schema, partition) = partition::columns(schema, &setup.layout.partition_by)?;
        let wrapping = Wrapping::of_file(&caps, codec);
        let bundle = if setup.layout.splits() { Wrapping::of_bundle(&caps, codec) } else { None };
        let losses = losses(setup, &schema)?;
        let layout = naming::free(&setup.store, &setup.layout, codec).await?;
        let mut job = Self { setup: setup.clone(), layout, schema, partition, wrapping, bundle, losses, before: None };
        // Options and types that the format refuses are reported before anything is read or touched.
        job.settings(1).and_then(|settings| setup.format.encoder(&job.schema, &settings)).map(drop)?;
        job.before = publish::manifest_before(&setup.store, &job.layout).await?;
        Ok(job)
    }

    /// How the part with this 1-based number is encoded.
    fn settings(&self, part: u32) -> Result<EncodeSettings> {
        let inside = self.wrapping == Wrapping::Plain;
        Ok(EncodeSettings {
            options: self.setup.options.clone(),
            compression: if inside { self.layout.compression } else { Compression::new(Codec::Default) },
            suppress_header: part > 1 && self.layout.header == Header::First,
            metadata: self.setup.metadata.clone(),
        })
    }

    /// The codec that file names show: none where it is at work inside of the file.
    fn outer_codec(&self) -> Codec {
        if self.wrapping == Wrapping::Plain { Codec::None } else { self.layout.compression.codec }
    }
}

/// The types that the format cannot keep.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for those it cannot hold at all, all of them at once.
fn losses(setup: &Setup, schema: &SchemaRef) -> Result<Vec<TypeLoss>> {
    let mut losses = Vec::new();
    let mut refused = Vec::new();
    for field in schema.fields() {
        let data_type: &DataType = field.data_type();
        match setup.format.fidelity(field, &setup.options) {
            Fidelity::Exact => {}
            Fidelity::Lossy(loss) => {
                losses.push(TypeLoss { column: field.name().clone(), data_type: data_type.to_string(), loss });
            }
            Fidelity::Refused(why) => refused.push(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "column \"{}\" of type {data_type} cannot be written as {}: {why}",
                    field.name(),
                    setup.format.name()
                ),
            )),
        }
    }
    if refused.is_empty() {
        return Ok(losses);
    }
    let summary = format!("{} columns cannot be written as {}", refused.len(), setup.format.name());
    Err(Error::many(refused, summary))
}
