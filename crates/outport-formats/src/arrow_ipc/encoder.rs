//! Batches to messages.
//!
//! A chunk is one record batch, turned into its message, buffers compressed, on any thread; `append` only writes it and notes
//! where it is. In a stream each chunk brings its dictionaries along, which replace those before. A file has one dictionary
//! per column for all of its batches, which nobody knows before the last row: there, dictionaries are written as their values.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::ipc::convert::IpcSchemaEncoder;
use arrow::ipc::writer::{
    CompressionContext, DictionaryTracker, EncodedData, IpcDataGenerator, IpcWriteOptions, write_message,
};
use arrow::ipc::{Block, CompressionType, FooterBuilder, MetadataVersion};
use flatbuffers::FlatBufferBuilder;
use outport_core::format::{Chunk, ChunkEncoder, ChunkSize, EncodeSettings, Encoder, Payload};
use outport_core::layout::{Codec, Compression};
use outport_core::{Error, ErrorKind, Result};

use super::Layout;
use super::options::Options;

const MAGIC: &[u8; 6] = b"ARROW1";
/// The magic number and what fills it up to eight bytes.
const FILE_START: &[u8; 8] = b"ARROW1\0\0";
/// A message of no length: the end of the stream.
const END_OF_STREAM: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
/// Bytes of a chunk before it is cut, whatever its rows.
const CHUNK_BYTES: usize = 32 << 20;

/// Encodes one file or stream.
pub(super) struct IpcEncoder {
    layout: Layout,
    rows: usize,
    chunks: Arc<Messages>,
    offset: u64,
    blocks: Vec<Block>,
}

/// Encodes record batches, on any thread.
struct Messages {
    stored: SchemaRef,
    write: IpcWriteOptions,
}

/// A message of a record batch.
struct Message {
    bytes: Vec<u8>,
    /// Where the record batch starts in them, behind its dictionaries.
    start: usize,
    metadata_len: usize,
    body_len: usize,
}

impl IpcEncoder {
    pub(super) fn new(schema: &SchemaRef, options: &Options, settings: &EncodeSettings) -> Result<Self> {
        let fields: Vec<FieldRef> = schema.fields().iter().map(|field| stored_field(field, options.layout)).collect();
        let metadata =
            schema.metadata().iter().map(|(k, v)| (k.clone(), v.clone())).chain(settings.metadata.iter().cloned());
        let stored = Arc::new(Schema::new_with_metadata(fields, metadata.collect()));
        let write = IpcWriteOptions::default().try_with_compression(codec(settings.compression)?)?;
        let chunks = Arc::new(Messages { stored, write });
        Ok(Self { layout: options.layout, rows: options.batch_rows, chunks, offset: 0, blocks: Vec::new() })
    }

    fn put(&mut self, bytes: &[u8], out: &mut dyn Write) -> Result<()> {
        self.offset += bytes.len() as u64;
        out.write_all(bytes).map_err(|e| outport_core::error::from_io(ErrorKind::Write, e))
    }
}

impl Encoder for IpcEncoder {
    fn chunk_size(&self) -> ChunkSize {
        ChunkSize { rows: self.rows, bytes: CHUNK_BYTES }
    }

    fn chunk_encoder(&self) -> Arc<dyn ChunkEncoder> {
        self.chunks.clone()
    }

    fn start(&mut self, out: &mut dyn Write) -> Result<()> {
        if self.layout == Layout::File {
            self.put(FILE_START, out)?;
        }
        let schema = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(
            &self.chunks.stored,
            &mut DictionaryTracker::new(false),
            &self.chunks.write,
        );
        let mut bytes = Vec::new();
        self.chunks.message(schema, &mut bytes)?;
        self.put(&bytes, out)
    }

    fn append(&mut self, chunk: Chunk, out: &mut dyn Write) -> Result<()> {
        let message = match chunk.payload {
            Payload::Opaque(payload, _) => payload.downcast::<Message>().ok(),
            Payload::Bytes(_) => None,
        };
        let Some(message) = message else {
            return Err(Error::new(ErrorKind::Internal, "a chunk of another encoder was given to arrow"));
        };
        let too_large = |_| Error::new(ErrorKind::Unsupported, "a record batch is larger than an arrow file can hold");
        self.blocks.push(Block::new(
            i64::try_from(self.offset + message.start as u64).map_err(too_large)?,
            i32::try_from(message.metadata_len).map_err(too_large)?,
            i64::try_from(message.body_len).map_err(too_large)?,
        ));
        self.put(&message.bytes, out)
    }

    fn finish(mut self: Box<Self>, out: &mut dyn Write) -> Result<()> {
        self.put(&END_OF_STREAM, out)?;
        if self.layout == Layout::Stream {
            return Ok(());
        }
        let footer = footer(&self.chunks.stored, &self.blocks);
        let length = i32::try_from(footer.len()).map_err(|_| {
            Error::new(ErrorKind::Unsupported, "the directory of an arrow file exceeds 2 GiB").hint("split the export")
        })?;
        self.put(&footer, out)?;
        self.put(&length.to_le_bytes(), out)?;
        self.put(MAGIC, out)
    }
}

impl ChunkEncoder for Messages {
    fn encode(&self, batches: &[RecordBatch]) -> Result<Chunk> {
        let batches: Vec<RecordBatch> = batches.iter().map(|batch| self.stored_batch(batch)).collect::<Result<_>>()?;
        let batch = match batches.as_slice() {
            [one] => one.clone(),
            several => concat_batches(&self.stored, several)?,
        };
        // The tracker gives the dictionaries the numbers that the schema gave them, as it meets them in the same order.
        let mut tracker = DictionaryTracker::new(false);
        let generator = IpcDataGenerator::default();
        generator.schema_to_bytes_with_dictionary_tracker(&self.stored, &mut tracker, &self.write);
        let (dictionaries, data) =
            generator.encode(&batch, &mut tracker, &self.write, &mut CompressionContext::default())?;
        let mut bytes = Vec::new();
        for dictionary in dictionaries {
            self.message(dictionary, &mut bytes)?;
        }
        let start = bytes.len();
        let (metadata_len, body_len) = self.message(data, &mut bytes)?;
        let size = bytes.len();
        let message = Message { bytes, start, metadata_len, body_len };
        Ok(Chunk { rows: batch.num_rows() as u64, payload: Payload::Opaque(Box::new(message), size) })
    }
}

impl Messages {
    fn message(&self, data: EncodedData, bytes: &mut Vec<u8>) -> Result<(usize, usize)> {
        Ok(write_message(bytes, data, &self.write)?)
    }

    fn stored_batch(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = batch.columns().iter().zip(self.stored.fields()).map(|(array, field)| {
            if array.data_type() == field.data_type() { Ok(array.clone()) } else { cast(array, field.data_type()) }
        });
        let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.stored.clone(), columns, &options)?)
    }
}

/// The type that `data_type` is stored as.
pub(super) fn stored(data_type: &DataType, layout: Layout) -> DataType {
    if layout == Layout::Stream {
        return data_type.clone();
    }
    let inner = |field: &FieldRef| stored_field(field, layout);
    match data_type {
        DataType::Dictionary(_, values) => stored(values, layout),
        DataType::List(field) => DataType::List(inner(field)),
        DataType::LargeList(field) => DataType::LargeList(inner(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(inner(field), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        other => other.clone(),
    }
}

fn stored_field(field: &FieldRef, layout: Layout) -> FieldRef {
    let data_type = stored(field.data_type(), layout);
    if data_type == *field.data_type() {
        field.clone()
    } else {
        Arc::new(Field::clone(field).with_data_type(data_type))
    }
}

fn footer(schema: &Schema, blocks: &[Block]) -> Vec<u8> {
    let mut builder = FlatBufferBuilder::new();
    let dictionaries = builder.create_vector::<Block>(&[]);
    let batches = builder.create_vector(blocks);
    let schema = IpcSchemaEncoder::new()
        .with_dictionary_tracker(&mut DictionaryTracker::new(false))
        .schema_to_fb_offset(&mut builder, schema);
    let mut footer = FooterBuilder::new(&mut builder);
    footer.add_version(MetadataVersion::V5);
    footer.add_schema(schema);
    footer.add_dictionaries(dictionaries);
    footer.add_recordBatches(batches);
    let root = footer.finish();
    builder.finish(root, None);
    builder.finished_data().to_vec()
}

fn codec(compression: Compression) -> Result<Option<CompressionType>> {
    if let (Codec::Lz4 | Codec::Zstd, Some(level)) = (compression.codec, compression.level) {
        return Err(Error::new(
            ErrorKind::Config,
            format!(
                "compression_level not supported for compression type {} inside arrow, found {level}",
                compression.codec.name()
            ),
        ));
    }
    match compression.codec {
        Codec::None => Ok(None),
        // ZIP stands around the file.
        Codec::Default | Codec::Zip | Codec::Lz4 => Ok(Some(CompressionType::LZ4_FRAME)),
        Codec::Zstd => Ok(Some(CompressionType::ZSTD)),
        other => Err(Error::new(ErrorKind::Config, format!("arrow has no compression {}", other.name()))
            .hint("there are: none, lz4, zstd, and zip around the file")),
    }
}
