//! Messages to batches.

use std::io::BufReader;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::buffer::Buffer;
use arrow::compute::cast;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::{FileDecoder, StreamReader, read_footer_length};
use arrow::ipc::{Block, root_as_footer, root_as_message};
use outport_core::format::{DecodeSettings, Decoder, Input, Piece};
use outport_core::{Error, ErrorKind, Result};

/// The length of the footer and the magic number.
const TRAILER: u64 = 10;
/// The magic number, what fills it up, and the trailer.
const SMALLEST_FILE: u64 = 8 + TRAILER;

/// Neither LZ4 nor zstd makes more bytes out of one: zstd has blocks of 128 KiB that take four.
const LARGEST_RATIO: i64 = 1 << 16;

/// Opens a file or a stream, whichever it is.
pub(super) fn open(input: Arc<dyn Input>, settings: &DecodeSettings) -> Result<Box<dyn Decoder>> {
    let mut head = vec![0; usize::try_from(input.len().min(6)).unwrap_or(6)];
    input.read_at(0, &mut head)?;
    if head == b"ARROW1" {
        Ok(Box::new(File::open(input, settings)?))
    } else {
        Ok(Box::new(Stream::open(input, settings)?))
    }
}

/// Which columns are emitted, and as what.
struct Shape {
    columns: Vec<usize>,
    schema: SchemaRef,
}

impl Shape {
    fn new(name: &str, file: &Schema, settings: &DecodeSettings) -> Result<Self> {
        let columns = settings.places(name, file)?;
        let fields = columns.iter().map(|at| {
            let field = &file.fields()[*at];
            let given = settings.schema.as_ref().and_then(|schema| schema.fields().find(field.name()));
            given.map_or_else(|| field.clone(), |(_, given)| given.clone())
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Ok(Self { columns, schema })
    }

    fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = self.columns.iter().zip(self.schema.fields()).map(|(at, field)| {
            let column = batch.column(*at);
            if column.data_type() == field.data_type() { Ok(column.clone()) } else { cast(column, field.data_type()) }
        });
        let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

/// The file format: every record batch is a piece.
struct File {
    shared: Arc<FileShared>,
    blocks: std::vec::IntoIter<Block>,
}

struct FileShared {
    input: Arc<dyn Input>,
    decoder: FileDecoder,
    shape: Shape,
}

struct FilePiece {
    shared: Arc<FileShared>,
    block: Block,
}

impl File {
    fn open(input: Arc<dyn Input>, settings: &DecodeSettings) -> Result<Self> {
        let name = input.name().to_owned();
        let early = || {
            Error::new(ErrorKind::Data, format!("{name} is an arrow file that ends early: its footer is missing"))
                .hint("it was cut short or is still being written; copy or write it again")
        };
        let footer_end = input.len().checked_sub(TRAILER).filter(|_| input.len() >= SMALLEST_FILE).ok_or_else(early)?;
        let mut trailer = [0; TRAILER as usize];
        input.read_at(footer_end, &mut trailer)?;
        let length = read_footer_length(trailer).map_err(|_| early())?;
        let footer_start = footer_end.checked_sub(length as u64).ok_or_else(early)?;
        let mut bytes = vec![0; length];
        input.read_at(footer_start, &mut bytes)?;
        let footer = root_as_footer(&bytes).map_err(|e| damaged(&name, &e))?;
        let schema = footer.schema().ok_or_else(|| damaged(&name, &"its footer has no schema"))?;
        let schema = Arc::new(guarded(&name, || Ok(fb_to_schema(schema)))?);
        let mut decoder = FileDecoder::new(schema.clone(), footer.version());
        for block in footer.dictionaries().iter().flatten() {
            let bytes = read_block(&*input, block)?;
            guarded(&name, || decoder.read_dictionary(block, &bytes))?;
        }
        let blocks: Vec<Block> = footer.recordBatches().iter().flatten().copied().collect();
        let shape = Shape::new(&name, &schema, settings)?;
        Ok(Self { shared: Arc::new(FileShared { input, decoder, shape }), blocks: blocks.into_iter() })
    }
}

impl Decoder for File {
    fn schema(&self) -> SchemaRef {
        self.shared.shape.schema.clone()
    }

    fn next_piece(&mut self) -> Result<Option<Box<dyn Piece>>> {
        Ok(self.blocks.next().map(|block| Box::new(FilePiece { shared: self.shared.clone(), block }) as Box<dyn Piece>))
    }
}

impl Piece for FilePiece {
    fn decode(self: Box<Self>, emit: &mut dyn FnMut(RecordBatch) -> ControlFlow<()>) -> Result<()> {
        let FileShared { input, decoder, shape } = &*self.shared;
        let bytes = read_block(&**input, &self.block)?;
        if let Some(batch) = guarded(input.name(), || decoder.read_record_batch(&self.block, &bytes))? {
            // One batch is all there is: whether the receiver wants more does not matter.
            let _ = emit(shape.apply(&batch)?);
        }
        Ok(())
    }
}

fn read_block(input: &dyn Input, block: &Block) -> Result<Buffer> {
    let place = || {
        let start = u64::try_from(block.offset()).ok()?;
        let length =
            u64::try_from(block.metaDataLength()).ok()?.checked_add(u64::try_from(block.bodyLength()).ok()?)?;
        (start.checked_add(length)? <= input.len()).then_some((start, usize::try_from(length).ok()?))
    };
    let (start, length) = place().ok_or_else(|| damaged(input.name(), &"its footer points behind its end"))?;
    let mut bytes = vec![0; length];
    input.read_at(start, &mut bytes)?;
    let metadata = usize::try_from(block.metaDataLength()).unwrap_or(usize::MAX).min(length);
    if !lengths_are_possible(&bytes, metadata) {
        return Err(damaged(input.name(), &"a buffer in it claims to be larger than its bytes can be decompressed to"));
    }
    Ok(Buffer::from_vec(bytes))
}

/// Whether no compressed buffer of a message claims more bytes than its codec could have made of them. The library allocates
/// what is claimed, and where that cannot be had the process ends.
fn lengths_are_possible(message: &[u8], metadata: usize) -> bool {
    let (head, body) = message.split_at(metadata);
    // In front of the message stand its length and, since version 5, a mark.
    let skip = if head.starts_with(&[0xff; 4]) { 8 } else { 4 };
    let Some(Ok(message)) = head.get(skip..).map(root_as_message) else { return false };
    let batch =
        message.header_as_record_batch().or_else(|| message.header_as_dictionary_batch().and_then(|d| d.data()));
    let Some(batch) = batch.filter(|batch| batch.compression().is_some()) else { return true };
    batch.buffers().iter().flatten().all(|buffer| {
        let stored = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let stored = stored.and_then(|(at, length)| body.get(at..at.checked_add(length)?));
        match stored.map(|bytes| (bytes.len(), bytes.first_chunk::<8>())) {
            None => false,
            Some((length, Some(claimed))) => {
                i64::from_le_bytes(*claimed) <= i64::try_from(length).unwrap_or(i64::MAX).saturating_mul(LARGEST_RATIO)
            }
            Some((_, None)) => true,
        }
    })
}

/// The stream format: what a batch is only shows once those before are read, so each is read when it is its turn.
struct Stream {
    name: String,
    reader: StreamReader<BufReader<Box<dyn std::io::Read + Send>>>,
    shape: Arc<Shape>,
}

struct StreamPiece {
    batch: RecordBatch,
    shape: Arc<Shape>,
}

impl Stream {
    fn open(input: Arc<dyn Input>, settings: &DecodeSettings) -> Result<Self> {
        let name = input.name().to_owned();
        let reader = guarded(&name, || StreamReader::try_new_buffered(input.reader(), None)).map_err(|e| {
            Error::new(ErrorKind::Data, format!("{name} is neither an arrow file nor an arrow stream")).with_source(e)
        })?;
        let shape = Arc::new(Shape::new(&name, &reader.schema(), settings)?);
        Ok(Self { name, reader, shape })
    }
}

impl Decoder for Stream {
    fn schema(&self) -> SchemaRef {
        self.shape.schema.clone()
    }

    fn next_piece(&mut self) -> Result<Option<Box<dyn Piece>>> {
        match guarded(&self.name, || self.reader.next().transpose())? {
            Some(batch) => Ok(Some(Box::new(StreamPiece { batch, shape: self.shape.clone() }))),
            None if self.reader.is_finished() => Ok(None),
            None => Err(damaged(&self.name, &"it ends before its end mark")),
        }
    }
}

impl Piece for StreamPiece {
    fn decode(self: Box<Self>, emit: &mut dyn FnMut(RecordBatch) -> ControlFlow<()>) -> Result<()> {
        // One batch is all there is: whether the receiver wants more does not matter.
        let _ = emit(self.shape.apply(&self.batch)?);
        Ok(())
    }
}

/// Calls into the library, which panics where the lengths in a damaged message do not fit together (a bitmap shorter than its
/// column, a type without its children).
fn guarded<T>(name: &str, call: impl FnOnce() -> Result<T, ArrowError>) -> Result<T> {
    // Nothing of what the call works on is used after it has failed.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(done) => done.map_err(|e| damaged(name, &e)),
        Err(_) => Err(damaged(name, &"the lengths in it do not fit together")),
    }
}

fn damaged(name: &str, why: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Data, format!("{name} is not readable as arrow: {why}"))
        .hint("the file is damaged or was not written completely; write it again at its source")
}
