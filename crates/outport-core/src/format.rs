//! Bytes ↔ batches.
//!
//! Encoding and decoding are synchronous and know no files. Both are cut so that the costly part runs on every core while
//! order is kept: an [`Encoder`] hands out a [`ChunkEncoder`] that turns batches into chunks on any thread and appends the
//! finished chunks in order; a [`Decoder`] yields [`Piece`]s in order, each of which decodes on any thread.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use indexmap::IndexMap;

use crate::layout::{Codec, Compression};
use crate::{Error, ErrorKind, Result};

/// A file format.
pub trait Format: Send + Sync {
    /// The name in `file_format`.
    fn name(&self) -> &'static str;

    /// What this format can do.
    fn caps(&self) -> FormatCaps;

    /// Whether readers of a file may go by the position of a column and not by its name: the file has none, or can do without.
    fn positional(&self) -> bool {
        false
    }

    /// How well the values of a column survive being written.
    fn fidelity(&self, field: &Field, options: &FormatOptions) -> Fidelity;

    /// An encoder for one file with `schema`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for an option that does not exist or has a wrong value, [`ErrorKind::Unsupported`] for a type the
    /// format cannot hold.
    fn encoder(&self, schema: &SchemaRef, settings: &EncodeSettings) -> Result<Box<dyn Encoder>>;

    /// A decoder for one file.
    ///
    /// # Errors
    /// [`ErrorKind::Data`] where the bytes are not of this format.
    fn decoder(&self, input: Arc<dyn Input>, settings: &DecodeSettings) -> Result<Box<dyn Decoder>>;
}

/// What a [`Format`] can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatCaps {
    /// The file extension without the dot.
    pub extension: &'static str,
    /// The media type.
    pub media_type: &'static str,
    /// Whether it is read by people and compressed from outside (csv, json), not from inside (parquet).
    pub text: bool,
    /// The codecs that it applies to its own pages or blocks.
    pub internal_codecs: &'static [Codec],
    /// The codec used where none is named.
    pub default_codec: Codec,
    /// The options it knows.
    pub options: &'static [OptionSpec],
    /// Whether files can be read as well as written.
    pub reads: bool,
}

/// One option of a format, for validation, the schema and the manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionSpec {
    /// The name as documented; Spark's name where Spark has one.
    pub name: &'static str,
    /// Other spellings that are accepted, such as those of UNLOAD.
    pub aliases: &'static [&'static str],
    /// The value where none is given, as text.
    pub default: &'static str,
    /// One sentence.
    pub help: &'static str,
}

impl OptionSpec {
    /// Whether a key of the user's means this option.
    pub fn is_called(&self, key: &str) -> bool {
        // UNLOAD writes `NULL AS` and `PARTITION BY`, COPY `row_group_size`, Spark `lineSep`: all of them are one word here.
        let plain = |s: &str| s.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).collect::<String>().to_lowercase();
        let key = plain(key);
        plain(self.name) == key || self.aliases.iter().any(|alias| plain(alias) == key)
    }
}

/// Reads the value of an option in which `\t`, `\n`, `\r`, `\\` and `\0` stand for what they stand for in Java and C.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        // A lone backslash is itself, as in `escape: \`.
        let next = if byte == b'\\' { rest.next() } else { None };
        match (byte, next) {
            (b'\\', Some(b't')) => bytes.push(b'\t'),
            (b'\\', Some(b'n')) => bytes.push(b'\n'),
            (b'\\', Some(b'r')) => bytes.push(b'\r'),
            (b'\\', Some(b'0')) => bytes.push(0),
            (b'\\', Some(b'\\')) => bytes.push(b'\\'),
            (byte, next) => {
                bytes.push(byte);
                bytes.extend(next);
            }
        }
    }
    bytes
}

/// Whether a format knows these options and takes their values, found out without any data.
///
/// # Errors
/// [`ErrorKind::Config`] for an option that does not exist or has a wrong value.
pub fn check_options(format: &dyn Format, options: &FormatOptions) -> Result<()> {
    options.check(format.name(), format.caps().options)?;
    // An encoder for any columns tells; those that an option names must be among them.
    let words = options.0.values().flat_map(|value| value.split(',')).filter_map(|item| item.split_whitespace().next());
    let names: BTreeSet<&str> = words.chain(["column"]).collect();
    let fields: Vec<Field> = names.into_iter().map(|name| Field::new(name, DataType::Int32, true)).collect();
    let settings = EncodeSettings { options: options.clone(), ..EncodeSettings::default() };
    format.encoder(&Arc::new(Schema::new(fields)), &settings).map(drop)
}

/// How well the values of a column survive being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fidelity {
    /// Reading gives the same values, and the same type up to [`logical`]; a text format, which has no types, is read with the
    /// schema.
    Exact,
    /// Something is changed or lost on the way; says what.
    Lossy(String),
    /// The format cannot hold it; says why and what to do.
    Refused(String),
}

/// The type without what only Arrow distinguishes: how texts, bytes, lists and decimals are laid out in memory, dictionaries
/// and runs. A column that comes back with another layout has lost nothing.
pub fn logical(data_type: &DataType) -> DataType {
    let inner = |field: &FieldRef| Arc::new(Field::clone(field).with_data_type(logical(field.data_type())));
    match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Dictionary(_, values) => logical(values),
        DataType::RunEndEncoded(_, values) => logical(values.data_type()),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            DataType::List(inner(item))
        }
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        other => other.clone(),
    }
}

/// Options by name as the user wrote them; looked up without regard to case, by name or alias.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct FormatOptions(pub IndexMap<String, String>);

impl FormatOptions {
    /// Options from pairs.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }

    /// The value of the option, by its name or an alias; its default where the user gave none.
    pub fn get<'a>(&'a self, spec: &'a OptionSpec) -> &'a str {
        self.given(spec).unwrap_or(spec.default)
    }

    /// The value of the option if the user gave it.
    pub fn given(&self, spec: &OptionSpec) -> Option<&str> {
        self.0.iter().find(|(key, _)| spec.is_called(key)).map(|(_, value)| value.as_str())
    }

    /// Refuses options that `specs` does not know, with the nearest one that it does.
    pub fn check(&self, format: &str, specs: &[OptionSpec]) -> Result<()> {
        self.0.keys().try_for_each(|name| Self::check_name(format, name, specs))
    }

    /// Refuses one option that `specs` does not know.
    pub fn check_name(format: &str, name: &str, specs: &[OptionSpec]) -> Result<()> {
        if specs.iter().any(|spec| spec.is_called(name)) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Config, format!("format {format} has no option \"{name}\""))
            .hint(crate::error::suggestion(name, specs.iter().map(|s| s.name))))
    }
}

/// How a file is to be encoded.
#[derive(Clone, Debug, Default)]
pub struct EncodeSettings {
    /// The format's options.
    pub options: FormatOptions,
    /// The compression of pages or blocks, for formats that have their own.
    pub compression: Compression,
    /// Whether this file starts with a header, for formats that have one and unless the options say otherwise.
    pub suppress_header: bool,
    /// Key-value metadata for formats that can hold it.
    pub metadata: Vec<(String, String)>,
}

/// How a file is to be decoded.
#[derive(Clone, Debug, Default)]
pub struct DecodeSettings {
    /// The format's options; what is absent is detected.
    pub options: FormatOptions,
    /// The schema to read with, where it is known; else it is taken from the file or detected.
    pub schema: Option<SchemaRef>,
    /// The columns to read, by name, in the order wanted; all of them where there is no list.
    pub columns: Option<Vec<String>>,
    /// The number of rows a batch should have; 0 leaves it to the format.
    pub batch_rows: usize,
}

impl DecodeSettings {
    /// The places of the wanted columns in `file`, the schema of the file called `name`: the named columns, else those of the
    /// given schema, else all.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] with the nearest name for a column that the file does not have.
    pub fn places(&self, name: &str, file: &arrow::datatypes::Schema) -> Result<Vec<usize>> {
        let find = |wanted: &str| {
            file.index_of(wanted).map_err(|_| {
                Error::new(ErrorKind::NotFound, format!("{name} has no column \"{wanted}\""))
                    .hint(crate::error::suggestion(wanted, file.fields().iter().map(|f| f.name().as_str())))
            })
        };
        match (&self.columns, &self.schema) {
            (Some(columns), _) => columns.iter().map(|column| find(column)).collect(),
            (None, Some(schema)) => schema.fields().iter().map(|field| find(field.name())).collect(),
            (None, None) => Ok((0..file.fields().len()).collect()),
        }
    }
}

/// Encodes one file: start, any number of chunks in order, finish.
pub trait Encoder: Send {
    /// How large a chunk should be: one is encoded by one thread, and a chunk of Parquet is a row group.
    fn chunk_size(&self) -> ChunkSize;

    /// The part of the encoder that runs on many threads.
    fn chunk_encoder(&self) -> Arc<dyn ChunkEncoder>;

    /// Writes what stands before the first chunk.
    fn start(&mut self, out: &mut dyn Write) -> Result<()>;

    /// Writes an encoded chunk behind those already written.
    fn append(&mut self, chunk: Chunk, out: &mut dyn Write) -> Result<()>;

    /// Writes what stands behind the last chunk.
    fn finish(self: Box<Self>, out: &mut dyn Write) -> Result<()>;
}

/// When a chunk is full: at the first limit reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkSize {
    /// Rows; never exceeded.
    pub rows: usize,
    /// Bytes of the batches in memory; exceeded by at most one batch.
    pub bytes: usize,
}

/// Turns batches into a chunk, on any thread.
pub trait ChunkEncoder: Send + Sync {
    /// Encodes `batches`, whose rows together are at most the chunk size.
    fn encode(&self, batches: &[RecordBatch]) -> Result<Chunk>;
}

/// Rows that are encoded but not written yet.
pub struct Chunk {
    /// The number of rows.
    pub rows: u64,
    /// The bytes, or what the encoder needs to make them.
    pub payload: Payload,
}

/// What a [`Chunk`] holds.
pub enum Payload {
    /// The bytes themselves; they may be compressed before they are appended.
    Bytes(Vec<u8>),
    /// Something that only the encoder that made it understands, and its size in bytes.
    Opaque(Box<dyn std::any::Any + Send>, usize),
}

impl Payload {
    /// The size in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Opaque(_, len) => *len,
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Bytes that can be read at any place, from any thread.
pub trait Input: Send + Sync {
    /// The name for messages: a path or URL.
    fn name(&self) -> &str;

    /// The length in bytes.
    fn len(&self) -> u64;

    /// Whether there is nothing in it.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// Where fewer bytes than asked for are left.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()>;

    /// All bytes from the first to the last.
    fn reader(self: Arc<Self>) -> Box<dyn Read + Send>;
}

/// Decodes one file.
pub trait Decoder: Send {
    /// The schema of the batches.
    fn schema(&self) -> SchemaRef;

    /// The number of rows, where the file says so.
    fn rows(&self) -> Option<u64> {
        None
    }

    /// The next piece of the file, in order; `None` at the end.
    fn next_piece(&mut self) -> Result<Option<Box<dyn Piece>>>;
}

/// A part of a file that decodes on its own.
pub trait Piece: Send {
    /// Decodes and emits the batches in order, until the receiver breaks.
    fn decode(self: Box<Self>, emit: &mut dyn FnMut(RecordBatch) -> ControlFlow<()>) -> Result<()>;
}

/// Encodes everything on the calling thread; for tests and small results.
pub fn encode_all(
    format: &dyn Format,
    schema: &SchemaRef,
    batches: &[RecordBatch],
    settings: &EncodeSettings,
) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut encoder = format.encoder(schema, settings)?;
    encoder.start(&mut out)?;
    let chunks = encoder.chunk_encoder();
    let size = encoder.chunk_size().rows.max(1);
    for batch in batches {
        let mut at = 0;
        while at < batch.num_rows() {
            let rows = size.min(batch.num_rows() - at);
            let chunk = chunks.encode(&[batch.slice(at, rows)])?;
            encoder.append(chunk, &mut out)?;
            at += rows;
        }
    }
    encoder.finish(&mut out)?;
    Ok(out)
}

/// Decodes everything on the calling thread; for tests and small files.
pub fn decode_all(
    format: &dyn Format,
    input: Arc<dyn Input>,
    settings: &DecodeSettings,
) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let mut decoder = format.decoder(input, settings)?;
    let mut batches = Vec::new();
    while let Some(piece) = decoder.next_piece()? {
        piece.decode(&mut |batch| {
            batches.push(batch);
            ControlFlow::Continue(())
        })?;
    }
    Ok((decoder.schema(), batches))
}

/// Bytes in memory as an [`Input`].
#[derive(Clone, Debug)]
pub struct MemoryInput {
    name: String,
    bytes: Arc<[u8]>,
}

impl MemoryInput {
    /// An input with a name for messages.
    pub fn new(name: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

impl Input for MemoryInput {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        match self.bytes.get(start..start.saturating_add(buffer.len())) {
            Some(bytes) => {
                buffer.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(Error::new(
                ErrorKind::Data,
                format!(
                    "{} ends at byte {}, expected {} more from byte {offset}",
                    self.name,
                    self.bytes.len(),
                    buffer.len()
                ),
            )),
        }
    }

    fn reader(self: Arc<Self>) -> Box<dyn Read + Send> {
        Box::new(std::io::Cursor::new(self.bytes.clone()))
    }
}
