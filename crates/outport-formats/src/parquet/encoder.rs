//! Batches to row groups.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{Schema, SchemaRef};
use outport_core::format::{Chunk, ChunkEncoder, ChunkSize, EncodeSettings, Encoder, Payload};
use outport_core::layout::{Codec, Compression};
use outport_core::{Error, ErrorKind, Result};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{BrotliLevel, Compression as PageCodec, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{SchemaDescriptor, TypePtr};

use super::column::{self, ColumnChunk};
use super::encodings::{self, Choice};
use super::options::{BloomColumns, Options};
use super::types;
use crate::packaging::check_level;

/// The level of zstd where none is given. With the encodings chosen here, level 3 takes twice the time and gains nothing: it is
/// larger as often as it is smaller.
const USUAL_ZSTD: u32 = 1;
/// The level of Brotli where none is given, as around text.
const USUAL_BROTLI: u32 = 5;
const USUAL_GZIP: u32 = 6;
/// Statistics hold this many bytes of a text at most.
const STATISTICS_BYTES: usize = 64;

/// Encodes one file.
pub(super) struct ParquetEncoder {
    // Writes into a buffer of its own, which is emptied after every call, as `out` is only lent.
    writer: SerializedFileWriter<Vec<u8>>,
    chunks: Arc<RowGroups>,
}

/// A column chunk that waits for its row group's turn.
enum Encoded {
    Stock(ArrowColumnChunk),
    Bytes(ColumnChunk),
}

impl Encoded {
    /// Its size in bytes.
    fn len(&self) -> usize {
        let close = match self {
            Self::Stock(chunk) => chunk.close(),
            Self::Bytes(chunk) => &chunk.close,
        };
        usize::try_from(close.bytes_written).unwrap_or(usize::MAX)
    }
}

/// Encodes row groups, on any thread.
struct RowGroups {
    /// What is stored.
    stored: SchemaRef,
    parquet: SchemaDescriptor,
    root: TypePtr,
    properties: WriterProperties,
    options: Options,
}

impl ParquetEncoder {
    pub(super) fn new(schema: &SchemaRef, settings: &EncodeSettings) -> Result<Self> {
        let options = Options::parse(&settings.options)?;
        let stored = types::stored_schema(schema, options.profile, options.timestamp_unit)?;
        let parquet = ArrowSchemaConverter::new().convert(&stored).map_err(encode_error)?;
        let properties = properties(&stored, &parquet, &options, settings)?;
        let root = parquet.root_schema_ptr();
        let writer =
            SerializedFileWriter::new(Vec::new(), root.clone(), Arc::new(properties.clone())).map_err(encode_error)?;
        let chunks = Arc::new(RowGroups { stored, parquet, root, properties, options });
        Ok(Self { writer, chunks })
    }

    fn drain(&mut self, out: &mut dyn Write) -> Result<()> {
        self.writer.flush().map_err(|e| encode_error(e.into()))?;
        let buffer = self.writer.inner_mut();
        write(out, buffer)?;
        buffer.clear();
        Ok(())
    }
}

impl Encoder for ParquetEncoder {
    fn chunk_size(&self) -> ChunkSize {
        ChunkSize { rows: self.chunks.options.row_group_rows, bytes: self.chunks.options.row_group_bytes }
    }

    fn chunk_encoder(&self) -> Arc<dyn ChunkEncoder> {
        self.chunks.clone()
    }

    fn start(&mut self, out: &mut dyn Write) -> Result<()> {
        self.drain(out)
    }

    fn append(&mut self, chunk: Chunk, out: &mut dyn Write) -> Result<()> {
        let columns = match chunk.payload {
            Payload::Opaque(payload, _) => payload.downcast::<Vec<Encoded>>().ok(),
            Payload::Bytes(_) => None,
        };
        let Some(columns) = columns else {
            return Err(Error::new(ErrorKind::Internal, "a chunk of another encoder was given to parquet"));
        };
        if chunk.rows == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group().map_err(encode_error)?;
        for column in *columns {
            match column {
                Encoded::Stock(chunk) => chunk.append_to_row_group(&mut group),
                Encoded::Bytes(ColumnChunk { bytes, close }) => group.append_column(&bytes, close),
            }
            .map_err(encode_error)?;
        }
        group.close().map_err(encode_error)?;
        self.drain(out)
    }

    fn finish(mut self: Box<Self>, out: &mut dyn Write) -> Result<()> {
        self.writer.finish().map_err(encode_error)?;
        write(out, self.writer.inner())
    }
}

impl ChunkEncoder for RowGroups {
    fn encode(&self, batches: &[RecordBatch]) -> Result<Chunk> {
        let columns = self.stored_columns(batches)?;
        let choices = encodings::choose(&self.parquet, &columns, &self.options);
        let properties = self.properties_for(&choices);
        // The factory takes its properties from a file writer; this one exists for nothing else.
        let holder =
            SerializedFileWriter::new(std::io::sink(), self.root.clone(), properties.clone()).map_err(encode_error)?;
        let factory = ArrowRowGroupWriterFactory::new(&holder, self.stored.clone());
        let mut writers = factory.create_column_writers(0).map_err(encode_error)?.into_iter();
        let missing = || Error::new(ErrorKind::Internal, "a column has no writer");
        let mut encoded = Vec::with_capacity(self.parquet.num_columns());
        for (field, arrays) in self.stored.fields().iter().zip(columns) {
            let leaf = self.parquet.column(encoded.len());
            if column::writes(&leaf, field.data_type(), &properties) {
                writers.next().ok_or_else(missing)?;
                let choice = choices[encoded.len()];
                encoded.push(Encoded::Bytes(column::encode(&leaf, &arrays, choice, &properties, &self.options)?));
                continue;
            }
            let mut leaf_writers = Vec::new();
            for array in &arrays {
                for (at, leaf) in compute_leaves(field, array).map_err(encode_error)?.iter().enumerate() {
                    if at == leaf_writers.len() {
                        leaf_writers.push(writers.next().ok_or_else(missing)?);
                    }
                    leaf_writers[at].write(leaf).map_err(encode_error)?;
                }
            }
            for writer in leaf_writers {
                encoded.push(Encoded::Stock(writer.close().map_err(encode_error)?));
            }
        }
        let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        let bytes = encoded.iter().map(Encoded::len).sum();
        Ok(Chunk { rows, payload: Payload::Opaque(Box::new(encoded), bytes) })
    }
}

impl RowGroups {
    /// The columns as they are stored, each as the arrays of the batches.
    fn stored_columns(&self, batches: &[RecordBatch]) -> Result<Vec<Vec<ArrayRef>>> {
        let exact = CastOptions { safe: false, ..CastOptions::default() };
        let mut columns = vec![Vec::with_capacity(batches.len()); self.stored.fields().len()];
        for batch in batches {
            if batch.num_columns() != columns.len() {
                return Err(Error::new(
                    ErrorKind::Internal,
                    format!("expected a batch of {} columns, found {}", columns.len(), batch.num_columns()),
                ));
            }
            for ((arrays, array), field) in columns.iter_mut().zip(batch.columns()).zip(self.stored.fields()) {
                arrays.push(match array.data_type() == field.data_type() {
                    true => array.clone(),
                    false => cast_with_options(array, field.data_type(), &exact)
                        .map_err(|e| Error::from(e).context(format!("column \"{}\"", field.name())))?,
                });
            }
        }
        Ok(columns)
    }

    fn properties_for(&self, choices: &[Choice]) -> WriterPropertiesPtr {
        let mut builder = self.properties.clone().into_builder();
        for (at, choice) in choices.iter().enumerate() {
            let path = self.parquet.column(at).path().clone();
            builder = match *choice {
                Choice::Dictionary => builder.set_column_dictionary_enabled(path, true),
                Choice::Direct(encoding) => {
                    builder.set_column_dictionary_enabled(path.clone(), false).set_column_encoding(path, encoding)
                }
            };
        }
        Arc::new(builder.build())
    }
}

fn properties(
    stored: &Schema,
    parquet: &SchemaDescriptor,
    options: &Options,
    settings: &EncodeSettings,
) -> Result<WriterProperties> {
    let metadata: Vec<KeyValue> =
        settings.metadata.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect();
    let mut builder = WriterProperties::builder()
        .set_writer_version(options.version)
        .set_created_by(concat!("outport version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(page_codec(settings.compression)?)
        .set_data_page_size_limit(options.page_bytes)
        .set_data_page_row_count_limit(options.page_rows)
        .set_dictionary_page_size_limit(options.dictionary_bytes)
        .set_statistics_enabled(options.statistics)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES))
        .set_column_index_truncate_length(Some(STATISTICS_BYTES))
        .set_key_value_metadata((!metadata.is_empty()).then_some(metadata));
    if !options.sorted_by.is_empty() {
        let columns = options.sorted_by.iter().map(|by| {
            let column_idx = i32::try_from(leaf(parquet, stored, &by.name, "sorting_columns")?).unwrap_or(i32::MAX);
            Ok(SortingColumn { column_idx, descending: by.descending, nulls_first: by.nulls_first })
        });
        builder = builder.set_sorting_columns(Some(columns.collect::<Result<_>>()?));
    }
    match &options.bloom {
        BloomColumns::None => {}
        BloomColumns::All => builder = builder.set_bloom_filter_enabled(true).set_bloom_filter_fpp(options.bloom_fpp),
        BloomColumns::Named(names) => {
            for name in names {
                let path = parquet.column(leaf(parquet, stored, name, "bloom_filter_columns")?).path().clone();
                builder = builder
                    .set_column_bloom_filter_enabled(path.clone(), true)
                    .set_column_bloom_filter_fpp(path, options.bloom_fpp);
            }
        }
    }
    let mut properties = builder.build();
    if options.arrow_schema {
        add_encoded_arrow_schema_to_metadata(stored, &mut properties);
    }
    Ok(properties)
}

/// The index of the leaf column of the top-level column `name`.
fn leaf(parquet: &SchemaDescriptor, stored: &Schema, name: &str, option: &str) -> Result<usize> {
    let found = (0..parquet.num_columns()).find(|at| {
        let column = parquet.column(*at);
        column.path().string() == name || column.path().parts().first().is_some_and(|part| part == name)
    });
    found.ok_or_else(|| {
        Error::new(
            ErrorKind::Config,
            format!("option {option} of parquet names the column \"{name}\", which does not exist"),
        )
        .hint(outport_core::error::suggestion(name, stored.fields().iter().map(|f| f.name().as_str())))
    })
}

fn page_codec(compression: Compression) -> Result<PageCodec> {
    // ZIP stands around the file, and the level with it: the pages get the usual codec.
    let Compression { codec, level } = match compression.codec {
        Codec::Zip => Compression::default(),
        _ => compression,
    };
    if codec != Codec::Default {
        check_level(compression)?;
    }
    Ok(match codec {
        Codec::None => PageCodec::UNCOMPRESSED,
        Codec::Default | Codec::Zip | Codec::Zstd => {
            let level = i32::try_from(level.unwrap_or(USUAL_ZSTD)).unwrap_or(i32::MAX);
            PageCodec::ZSTD(ZstdLevel::try_new(level).map_err(encode_error)?)
        }
        Codec::Snappy => PageCodec::SNAPPY,
        Codec::Gzip => PageCodec::GZIP(GzipLevel::try_new(level.unwrap_or(USUAL_GZIP)).map_err(encode_error)?),
        Codec::Lz4 => PageCodec::LZ4_RAW,
        Codec::Brotli => PageCodec::BROTLI(BrotliLevel::try_new(level.unwrap_or(USUAL_BROTLI)).map_err(encode_error)?),
    })
}

fn write(out: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    out.write_all(bytes).map_err(|e| outport_core::error::from_io(ErrorKind::Write, e))
}

fn encode_error(error: ParquetError) -> Error {
    let kind = match &error {
        ParquetError::NYI(_) => ErrorKind::Unsupported,
        ParquetError::ArrowError(_) => ErrorKind::Data,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, format!("parquet could not be written: {error}")).with_source(error)
}
