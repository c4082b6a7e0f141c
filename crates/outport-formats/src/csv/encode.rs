//! CSV out of batches.

use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use outport_core::error::from_io;
use outport_core::format::{Chunk, ChunkEncoder, ChunkSize, EncodeSettings, Encoder, OptionSpec, Payload};
use outport_core::{Error, ErrorKind, Result};

use super::field::{FieldWriter, Quoting, writer};
use super::options::CsvOptions;
use crate::json::refusal;
use crate::text::cell::{is_scalar, is_text};
use crate::text::encoding::Encoding;

/// Writes a header and records.
pub(super) struct CsvEncoder {
    schema: SchemaRef,
    header: bool,
    records: Arc<Records>,
}

struct Records {
    quoting: Arc<Quoting>,
}

impl CsvEncoder {
    /// An encoder for records with `schema`.
    pub(super) fn new(
        format: &str,
        specs: &[OptionSpec],
        schema: &SchemaRef,
        settings: &EncodeSettings,
    ) -> Result<Self> {
        let options = CsvOptions::read(format, specs, &settings.options)?;
        if schema.fields().is_empty() {
            return Err(Error::new(ErrorKind::Unsupported, format!("{format} cannot hold a table without columns"))
                .hint("name at least one column"));
        }
        for field in schema.fields() {
            let data_type = field.data_type();
            let nested = !is_scalar(data_type) && !is_text(data_type);
            let why = refusal(data_type).or_else(|| {
                (options.refuse_nested && nested && data_type.is_nested())
                    .then(|| format!("{data_type} is nested, and the option nested says error"))
            });
            if let Some(why) = why {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("{format} cannot hold column \"{}\": {why}", field.name()),
                )
                .hint("cast the column in the query, or leave it out"));
            }
        }
        let header = options.header.unwrap_or(true) && !settings.suppress_header;
        Ok(Self {
            schema: schema.clone(),
            header,
            records: Arc::new(Records { quoting: Arc::new(Quoting::new(options)) }),
        })
    }
}

impl Encoder for CsvEncoder {
    fn chunk_size(&self) -> ChunkSize {
        ChunkSize { rows: 32 * 1024, bytes: 8 << 20 }
    }

    fn chunk_encoder(&self) -> Arc<dyn ChunkEncoder> {
        self.records.clone()
    }

    fn start(&mut self, out: &mut dyn Write) -> Result<()> {
        let options = self.records.quoting.options();
        let mut bytes = options.encoding.mark().to_vec();
        if self.header {
            let mut line = Vec::new();
            for (at, field) in self.schema.fields().iter().enumerate() {
                if at > 0 {
                    line.extend_from_slice(&options.sep);
                }
                self.records.quoting.field(field.name(), field.name().as_bytes(), &mut line)?;
            }
            line.extend_from_slice(&options.line_sep);
            let line = to_text(line)?;
            bytes.extend(options.encoding.encode(&line).map_err(|missing| {
                Error::new(
                    ErrorKind::Data,
                    format!("the header holds '{missing}', which {} does not have", options.encoding.name()),
                )
                .hint("rename the column, or use the encoding UTF-8")
            })?);
        }
        out.write_all(&bytes).map_err(|error| from_io(ErrorKind::Write, error))
    }

    fn append(&mut self, chunk: Chunk, out: &mut dyn Write) -> Result<()> {
        match chunk.payload {
            Payload::Bytes(bytes) => out.write_all(&bytes).map_err(|error| from_io(ErrorKind::Write, error)),
            Payload::Opaque(..) => Err(Error::new(ErrorKind::Internal, "a chunk of another encoder")),
        }
    }

    fn finish(self: Box<Self>, _: &mut dyn Write) -> Result<()> {
        Ok(())
    }
}

impl ChunkEncoder for Records {
    fn encode(&self, batches: &[RecordBatch]) -> Result<Chunk> {
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let options = self.quoting.options();
        let mut out = Vec::new();
        let mut done = 0;
        for batch in batches {
            let fields = self.fields(batch)?;
            let Some((first, others)) = fields.split_first() else {
                continue;
            };
            for row in 0..batch.num_rows() {
                if done == 256 {
                    // The first records tell how much room the rest will take.
                    out.reserve(out.len() / 256 * (rows - done) * 9 / 8);
                }
                done += 1;
                first.write(row, &mut out)?;
                for field in others {
                    out.extend_from_slice(&options.sep);
                    field.write(row, &mut out)?;
                }
                out.extend_from_slice(&options.line_sep);
            }
        }
        if options.encoding != Encoding::Utf8 {
            let text = to_text(out)?;
            out = match options.encoding.encode(&text) {
                Ok(bytes) => bytes,
                Err(missing) => return Err(self.missing(batches, missing)),
            };
        }
        Ok(Chunk { rows: rows as u64, payload: Payload::Bytes(out) })
    }
}

impl Records {
    fn fields(&self, batch: &RecordBatch) -> Result<Vec<Box<dyn FieldWriter>>> {
        let schema = batch.schema_ref();
        batch.columns().iter().zip(schema.fields()).map(|(array, field)| writer(array, field, &self.quoting)).collect()
    }

    /// The error for a character that the encoding does not have: looks for the first cell that holds it.
    fn missing(&self, batches: &[RecordBatch], missing: char) -> Error {
        let encoding = self.quoting.options().encoding.name();
        let found = batches.iter().find_map(|batch| {
            let fields = self.fields(batch).ok()?;
            (0..batch.num_rows()).find_map(|row| {
                fields.iter().zip(batch.schema_ref().fields()).find_map(|(writer, field)| {
                    let mut text = Vec::new();
                    writer.write(row, &mut text).ok()?;
                    let text = String::from_utf8(text).ok()?;
                    text.contains(missing).then(|| (field.name().clone(), text))
                })
            })
        });
        let message = match found {
            Some((column, text)) => {
                format!("column \"{column}\": the value {text} holds '{missing}', which {encoding} does not have")
            }
            None => format!("a value holds '{missing}', which {encoding} does not have"),
        };
        Error::new(ErrorKind::Data, message).hint("use the encoding UTF-8, or replace the character in the query")
    }
}

fn to_text(bytes: Vec<u8>) -> Result<String> {
    // Arrow text is UTF-8 and so is all that is put around it; a quote or separator of one byte is ASCII.
    String::from_utf8(bytes)
        .map_err(|error| Error::new(ErrorKind::Internal, "encoded text is not UTF-8").with_source(error))
}
