//! Row groups to batches.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{Schema, SchemaRef};
use outport_core::format::{DecodeSettings, Decoder, Input, Piece};
use outport_core::{Error, ErrorKind, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};

use super::input::Source;
use super::options::SPECS;
use super::{data_error, encrypted, read_error, repair};

/// The rows of a batch where the caller leaves it open: the fewest, and the most, which is also the fastest.
const BATCH_ROWS: (usize, usize) = (1024, 16_384);
/// The bytes that such a batch should not exceed by much, going by the sizes in the footer.
const BATCH_BYTES: u64 = 8 << 20;
/// Row groups larger than this are cut into pieces where an offset index tells where their pages start.
const LARGE_ROWS: u64 = 1 << 20;
/// The rows of such a piece.
const PIECE_ROWS: u64 = 1 << 18;
/// The magic number, the length of the footer, the magic number again.
const SMALLEST_FILE: u64 = 12;

/// Decodes one file.
pub(super) struct ParquetDecoder {
    shared: Arc<Shared>,
    pieces: VecDeque<Stretch>,
}

/// What all pieces need.
struct Shared {
    source: Source,
    name: String,
    metadata: ArrowReaderMetadata,
    mask: ProjectionMask,
    /// For each column that is emitted, its place among those that are read.
    order: Vec<usize>,
    schema: SchemaRef,
    batch_rows: usize,
}

/// The rows of one piece.
struct Stretch {
    group: usize,
    first: u64,
    rows: u64,
    whole: bool,
}

struct RowGroup {
    shared: Arc<Shared>,
    stretch: Stretch,
}

impl ParquetDecoder {
    pub(super) fn new(input: Arc<dyn Input>, settings: &DecodeSettings) -> Result<Self> {
        settings.options.check("parquet", SPECS)?;
        let name = input.name().to_owned();
        check_ends(&*input)?;
        let source = Source::new(input);
        let metadata = load(&source, &name)?;
        let (mask, order, schema) = project(&name, &metadata, settings)?;
        let pieces = stretches(&metadata);
        let batch_rows = if settings.batch_rows == 0 { batch_rows(&metadata, &mask) } else { settings.batch_rows };
        let shared = Arc::new(Shared { source, name, metadata, mask, order, schema, batch_rows });
        Ok(Self { shared, pieces })
    }
}

impl Decoder for ParquetDecoder {
    fn schema(&self) -> SchemaRef {
        self.shared.schema.clone()
    }

    fn rows(&self) -> Option<u64> {
        u64::try_from(self.shared.metadata.metadata().file_metadata().num_rows()).ok()
    }

    fn next_piece(&mut self) -> Result<Option<Box<dyn Piece>>> {
        Ok(self
            .pieces
            .pop_front()
            .map(|stretch| Box::new(RowGroup { shared: self.shared.clone(), stretch }) as Box<dyn Piece>))
    }
}

impl Piece for RowGroup {
    fn decode(self: Box<Self>, emit: &mut dyn FnMut(RecordBatch) -> ControlFlow<()>) -> Result<()> {
        let Self { shared, stretch } = *self;
        let wrong = |e| read_error(&shared.name, e).context(format!("row group {}", stretch.group));
        let source = if stretch.whole { shared.fetch(stretch.group)? } else { shared.source.clone() };
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(source, shared.metadata.clone())
            .with_row_groups(vec![stretch.group])
            .with_projection(shared.mask.clone())
            .with_batch_size(shared.batch_rows);
        if !stretch.whole {
            let (first, rows) = (to_usize(stretch.first), to_usize(stretch.rows));
            builder = builder
                .with_row_selection(RowSelection::from(vec![RowSelector::skip(first), RowSelector::select(rows)]));
        }
        let mut rows = 0;
        for batch in builder.build().map_err(wrong)? {
            let batch = batch.map_err(|e| wrong(e.into()))?;
            rows += batch.num_rows() as u64;
            if emit(shared.shape(&batch)?).is_break() {
                return Ok(());
            }
        }
        if rows != stretch.rows {
            return Err(data_error(
                &shared.name,
                &format!("expected {} rows in a row group, found {rows}", stretch.rows),
            )
            .context(format!("row group {}", stretch.group)));
        }
        Ok(())
    }
}

impl Shared {
    /// The column chunks of a row group that are read, in memory.
    fn fetch(&self, group: usize) -> Result<Source> {
        let columns = self.metadata.metadata().row_group(group).columns().iter().enumerate();
        self.source
            .fetch(columns.filter(|(leaf, _)| self.mask.leaf_included(*leaf)).map(|(_, column)| column.byte_range()))
    }

    /// A batch with the columns in the order and of the types wanted.
    fn shape(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let exact = CastOptions { safe: false, ..CastOptions::default() };
        let columns = self.order.iter().zip(self.schema.fields()).map(|(at, field)| {
            let column = batch.column(*at);
            if column.data_type() == field.data_type() {
                return Ok(column.clone());
            }
            cast_with_options(column, field.data_type(), &exact)
                .map_err(|e| Error::from(e).context(format!("column \"{}\" of {}", field.name(), self.name)))
        });
        let columns: Vec<ArrayRef> = columns.collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

/// Refuses what is plainly no whole Parquet file, in words that say which way it is not.
fn check_ends(input: &dyn Input) -> Result<()> {
    let name = input.name();
    let wrong = |text: String| Error::new(ErrorKind::Data, text);
    if input.len() < SMALLEST_FILE {
        return Err(wrong(format!(
            "{name} is not a parquet file: expected at least {SMALLEST_FILE} bytes, found {}",
            input.len()
        )));
    }
    let (mut head, mut tail) = ([0; 4], [0; 4]);
    input.read_at(0, &mut head)?;
    input.read_at(input.len() - 4, &mut tail)?;
    match (&head, &tail) {
        (b"PAR1", b"PAR1") => Ok(()),
        (_, b"PARE") | (b"PARE", _) => Err(encrypted(name)),
        (b"PAR1", _) => Err(wrong(format!("{name} is a parquet file that ends early: its footer is missing"))
            .hint("it was cut short or is still being written; copy or write it again")),
        _ => Err(wrong(format!("{name} is not a parquet file: expected it to start and end with PAR1"))
            .hint("name its format in the configuration if it is of another one")),
    }
}

fn load(source: &Source, name: &str) -> Result<ArrowReaderMetadata> {
    let wrong = |e| read_error(name, e);
    let metadata = ParquetMetaDataReader::new().parse_and_finish(source).map_err(wrong)?;
    let large = metadata.row_groups().iter().any(|group| group.num_rows().unsigned_abs() > LARGE_ROWS);
    let metadata = if large {
        let mut reader =
            ParquetMetaDataReader::new_with_metadata(metadata).with_offset_index_policy(PageIndexPolicy::Optional);
        reader.read_page_indexes(source).map_err(wrong)?;
        reader.finish().map_err(wrong)?
    } else {
        metadata
    };
    let metadata = Arc::new(repair::repaired(metadata));
    let loaded = ArrowReaderMetadata::try_new(metadata.clone(), ArrowReaderOptions::new()).map_err(wrong)?;
    match repair::microseconds(loaded.schema(), loaded.parquet_schema()) {
        Some(schema) => {
            ArrowReaderMetadata::try_new(metadata, ArrowReaderOptions::new().with_schema(schema)).map_err(wrong)
        }
        None => Ok(loaded),
    }
}

fn batch_rows(metadata: &ArrowReaderMetadata, mask: &ProjectionMask) -> usize {
    let (mut rows, mut bytes) = (0, 0);
    for group in metadata.metadata().row_groups() {
        rows += group.num_rows().unsigned_abs();
        let read = group.columns().iter().enumerate().filter(|(leaf, _)| mask.leaf_included(*leaf));
        bytes += read.map(|(_, column)| column.uncompressed_size().unsigned_abs()).sum::<u64>();
    }
    let row_bytes = bytes / rows.max(1) + 1;
    to_usize(BATCH_BYTES / row_bytes).clamp(BATCH_ROWS.0, BATCH_ROWS.1)
}

fn project(
    name: &str,
    metadata: &ArrowReaderMetadata,
    settings: &DecodeSettings,
) -> Result<(ProjectionMask, Vec<usize>, SchemaRef)> {
    let file = metadata.schema();
    let columns = settings.places(name, file)?;
    let fields: Vec<_> = columns
        .iter()
        .map(|at| {
            let field = &file.fields()[*at];
            let given = settings.schema.as_ref().and_then(|schema| schema.fields().find(field.name()));
            given.map_or_else(|| field.clone(), |(_, given)| given.clone())
        })
        .collect();
    // The library reads columns in the order of the file and each once.
    let mut read = columns.clone();
    read.sort_unstable();
    read.dedup();
    let order = columns.iter().map(|column| read.partition_point(|at| at < column)).collect();
    Ok((ProjectionMask::roots(metadata.parquet_schema(), read), order, Arc::new(Schema::new(fields))))
}

fn stretches(metadata: &ArrowReaderMetadata) -> VecDeque<Stretch> {
    let indexed = metadata.metadata().offset_index().is_some();
    let mut stretches = VecDeque::new();
    for (group, row_group) in metadata.metadata().row_groups().iter().enumerate() {
        let rows = row_group.num_rows().unsigned_abs();
        if !indexed || rows <= LARGE_ROWS {
            stretches.push_back(Stretch { group, first: 0, rows, whole: true });
            continue;
        }
        let mut first = 0;
        while first < rows {
            let part = PIECE_ROWS.min(rows - first);
            stretches.push_back(Stretch { group, first, rows: part, whole: false });
            first += part;
        }
    }
    stretches
}

fn to_usize(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}
