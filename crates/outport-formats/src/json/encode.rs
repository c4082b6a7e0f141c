//! JSON out of batches.

use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use outport_core::error::from_io;
use outport_core::format::{Chunk, ChunkEncoder, ChunkSize, EncodeSettings, Encoder, Payload};
use outport_core::{Error, ErrorKind, Result};

use super::options::JsonOptions;
use super::value::{members, refusal};

/// Writes records, one per line or as one array.
pub(super) struct JsonEncoder {
    records: Arc<Records>,
    /// Whether a record was written before; only an array wants to know.
    begun: bool,
}

struct Records {
    options: JsonOptions,
    array: bool,
}

impl JsonEncoder {
    /// An encoder for records with `schema`.
    pub(super) fn new(format: &str, lines_only: bool, schema: &SchemaRef, settings: &EncodeSettings) -> Result<Self> {
        let options = JsonOptions::read(format, &settings.options)?;
        let array = options.array == Some(true) && !lines_only;
        for (at, field) in schema.fields().iter().enumerate() {
            if let Some(why) = refusal(field.data_type()) {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("{format} cannot hold column \"{}\": {why}", field.name()),
                )
                .hint("cast the column in the query, or leave it out"));
            }
            if schema.fields()[..at].iter().any(|other| other.name() == field.name()) {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("{format} cannot hold two columns named \"{}\": the members of a JSON object have different names", field.name()),
                )
                .hint("give one of them another name in the query"));
            }
        }
        Ok(Self { records: Arc::new(Records { options, array }), begun: false })
    }
}

impl Encoder for JsonEncoder {
    fn chunk_size(&self) -> ChunkSize {
        ChunkSize { rows: 32 * 1024, bytes: 8 << 20 }
    }

    fn chunk_encoder(&self) -> Arc<dyn ChunkEncoder> {
        self.records.clone()
    }

    fn start(&mut self, out: &mut dyn Write) -> Result<()> {
        if self.records.array { put(b"[", out) } else { Ok(()) }
    }

    fn append(&mut self, chunk: Chunk, out: &mut dyn Write) -> Result<()> {
        match chunk.payload {
            Payload::Bytes(bytes) => put(&bytes, out),
            Payload::Opaque(any, _) => {
                let bytes = any
                    .downcast::<Vec<u8>>()
                    .map_err(|_| Error::new(ErrorKind::Internal, "a chunk of another encoder"))?;
                // The chunk begins with the comma that separates it from the one before.
                let skip = if self.begun { 0 } else { 1.min(bytes.len()) };
                self.begun |= !bytes.is_empty();
                put(&bytes[skip..], out)
            }
        }
    }

    fn finish(self: Box<Self>, out: &mut dyn Write) -> Result<()> {
        if !self.records.array {
            return Ok(());
        }
        if self.begun {
            put(&self.records.options.line_sep, out)?;
        }
        put(b"]", out)?;
        put(&self.records.options.line_sep, out)
    }
}

fn put(bytes: &[u8], out: &mut dyn Write) -> Result<()> {
    out.write_all(bytes).map_err(|error| from_io(ErrorKind::Write, error))
}

impl ChunkEncoder for Records {
    fn encode(&self, batches: &[RecordBatch]) -> Result<Chunk> {
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let mut out: Vec<u8> = Vec::new();
        let line_sep = &self.options.line_sep;
        let mut done = 0;
        for batch in batches {
            let object = members(batch.schema_ref().fields(), batch.columns(), &self.options.style)?;
            for row in 0..batch.num_rows() {
                if done == 256 {
                    // The first records tell how much room the rest will take.
                    out.reserve(out.len() / 256 * (rows - done) * 9 / 8);
                }
                done += 1;
                if self.array {
                    out.push(b',');
                    out.extend_from_slice(line_sep);
                }
                object.write(row, &mut out)?;
                if !self.array {
                    out.extend_from_slice(line_sep);
                }
            }
        }
        let payload = if self.array {
            // An array's chunks are not whole by themselves, so nobody else may compress or join them.
            let length = out.len();
            Payload::Opaque(Box::new(out), length)
        } else {
            Payload::Bytes(out)
        };
        Ok(Chunk { rows: rows as u64, payload })
    }
}
