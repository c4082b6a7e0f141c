//! Batches out of JSON.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Fields, Schema, SchemaRef};
use outport_core::error::suggestion;
use outport_core::format::{DecodeSettings, Decoder, Input, Piece};
use outport_core::{Error, ErrorKind, Result};
use serde_json::Value;

use super::cursor::{Cursor, Fault};
use super::infer::Seen;
use super::node::Object;
use super::options::JsonOptions;
use crate::text::blocks::{Block, Stream, byte_order_mark, locate, sample};
use crate::text::types;

const PIECE: usize = 8 << 20;
/// How long a record may be before text that is not JSON is the likelier explanation.
const LONGEST_RECORD: usize = 256 << 20;
const BATCH_ROWS: usize = 8192;

/// How records follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sequence {
    /// One on each line.
    Lines,
    /// Separated by commas, in one array.
    Array,
    /// Over several lines each, one behind the other.
    Values,
}

/// Reads blocks of whole records.
pub(super) struct JsonDecoder {
    plan: Arc<Plan>,
    stream: Stream,
    carry: Vec<u8>,
    line: u64,
    first: bool,
}

struct Plan {
    file: String,
    options: JsonOptions,
    sequence: Sequence,
    /// The columns to read.
    schema: SchemaRef,
    /// Members that are known but not read.
    others: Vec<String>,
    /// Whether a member that is not known is an error.
    strict: bool,
    batch_rows: usize,
}

impl JsonDecoder {
    /// A decoder for `input`, after a look at a sample of it.
    pub(super) fn new(format: &str, lines: bool, input: Arc<dyn Input>, settings: &DecodeSettings) -> Result<Self> {
        let options = JsonOptions::read(format, &settings.options)?;
        let (marked, skip) = byte_order_mark(input.as_ref())?;
        let encoding = marked.unwrap_or_default();
        let blocks = sample(input.as_ref(), encoding, skip, options.sampling_ratio)?;
        let head = blocks.first().map_or(&b""[..], |block| block.bytes.as_slice());
        let sequence = sequence(head, if lines { Some(false) } else { options.array });
        let full = match &settings.schema {
            Some(schema) => schema.fields().clone(),
            None => override_types(infer(&blocks, sequence, options.infer_timestamp), &options.types, input.name())?,
        };
        let wanted = match &settings.columns {
            None => full.clone(),
            Some(names) => names
                .iter()
                .map(|name| {
                    full.find(name).map(|(_, field)| field.clone()).ok_or_else(|| {
                        Error::new(ErrorKind::Data, format!("{} has no column \"{name}\"", input.name()))
                            .hint(suggestion(name, full.iter().map(|field| field.name().as_str())))
                    })
                })
                .collect::<Result<Fields>>()?,
        };
        let others =
            full.iter().map(|field| field.name()).filter(|name| wanted.find(name).is_none()).cloned().collect();
        let plan = Plan {
            file: input.name().to_owned(),
            sequence,
            schema: Arc::new(Schema::new(wanted)),
            others,
            strict: settings.schema.is_none() && !options.ignore_unknown,
            batch_rows: if settings.batch_rows == 0 { BATCH_ROWS } else { settings.batch_rows },
            options,
        };
        // A type that cannot be read is found out before the first row.
        plan.object()?;
        Ok(Self {
            plan: Arc::new(plan),
            stream: Stream::new(input, encoding, skip),
            carry: Vec::new(),
            line: 1,
            first: true,
        })
    }
}

fn sequence(head: &[u8], array: Option<bool>) -> Sequence {
    let text = head.trim_ascii_start();
    match array {
        Some(true) => return Sequence::Array,
        None if text.first() == Some(&b'[') => return Sequence::Array,
        _ => {}
    }
    // A first line that is not a value by itself begins one that goes on.
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
    let mut cursor = Cursor { data: line, at: 0 };
    if line.first() == Some(&b'{') && line.len() < text.len() && cursor.skip().is_err() {
        Sequence::Values
    } else {
        Sequence::Lines
    }
}

fn infer(blocks: &[Block], sequence: Sequence, temporal: bool) -> Fields {
    let mut seen = Seen::default();
    for block in blocks {
        if sequence == Sequence::Lines {
            let mut lines = block.bytes.split(|byte| *byte == b'\n');
            if !block.head {
                lines.next();
            }
            for line in lines {
                // A line that is cut off by the end of the block is none; one that is malformed is reported when it is read.
                if let Ok(value @ Value::Object(_)) = serde_json::from_slice::<Value>(line) {
                    seen.see(&value);
                }
            }
        } else if block.head {
            let text = block.bytes.trim_ascii_start();
            let mut rest = text.strip_prefix(b"[").unwrap_or(text);
            loop {
                rest = rest.trim_ascii_start();
                rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii_start();
                let mut cursor = Cursor { data: rest, at: 0 };
                let Ok(record) = cursor.skip() else {
                    break;
                };
                match serde_json::from_slice::<Value>(record) {
                    Ok(value @ Value::Object(_)) => seen.see(&value),
                    _ => break,
                }
                rest = &rest[cursor.at..];
            }
        }
    }
    seen.fields(temporal)
}

fn override_types(found: Fields, option: &str, file: &str) -> Result<Fields> {
    let mut fields: Vec<Field> = found.iter().map(|field| field.as_ref().clone()).collect();
    for (name, data_type) in types::parse(option)? {
        match fields.iter_mut().find(|field| *field.name() == name) {
            Some(field) => field.set_data_type(data_type),
            None => {
                return Err(Error::new(ErrorKind::Config, format!("option types: {file} has no column \"{name}\""))
                    .hint(suggestion(&name, found.iter().map(|field| field.name().as_str()))));
            }
        }
    }
    Ok(fields.into())
}

/// The place behind the last whole record of `data`, which starts between two records.
fn cut(data: &[u8], sequence: Sequence) -> Option<usize> {
    if sequence == Sequence::Lines {
        return memchr::memrchr(b'\n', data).map(|at| at + 1);
    }
    let mut depth = 0usize;
    let mut end = None;
    let mut at = 0;
    while let Some(byte) = data.get(at) {
        match byte {
            b'"' => match (Cursor { data, at }).string() {
                Ok((text, _)) => at += text.len() + 1,
                Err(_) => return end,
            },
            b'{' => depth += 1,
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    end = Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    end
}

impl Decoder for JsonDecoder {
    fn schema(&self) -> SchemaRef {
        self.plan.schema.clone()
    }

    fn next_piece(&mut self) -> Result<Option<Box<dyn Piece>>> {
        let mut data = std::mem::take(&mut self.carry);
        while !self.stream.ended() {
            data.reserve(PIECE);
            self.stream.append(PIECE.saturating_sub(data.len()).max(PIECE / 4), &mut data)?;
            if self.stream.ended() {
                break;
            }
            if let Some(end) = cut(&data, self.plan.sequence) {
                self.carry = data.split_off(end);
                break;
            }
            if data.len() > LONGEST_RECORD {
                return Err(self.plan.fault(
                    Fault::Syntax { at: 0, expected: "a record of less than 256 MiB" },
                    &data,
                    self.line,
                ));
            }
        }
        if data.is_empty() {
            return Ok(None);
        }
        let line = self.line;
        self.line += memchr::memchr_iter(b'\n', &data).count() as u64;
        let first = std::mem::take(&mut self.first);
        let last = self.stream.ended() && self.carry.is_empty();
        Ok(Some(Box::new(JsonPiece { plan: self.plan.clone(), data, line, first, last })))
    }
}

struct JsonPiece {
    plan: Arc<Plan>,
    data: Vec<u8>,
    line: u64,
    first: bool,
    last: bool,
}

impl Piece for JsonPiece {
    fn decode(self: Box<Self>, emit: &mut dyn FnMut(RecordBatch) -> ControlFlow<()>) -> Result<()> {
        let plan = self.plan.as_ref();
        let mut object = plan.object()?;
        let mut cursor = Cursor { data: &self.data, at: 0 };
        let fault = |fault| plan.fault(fault, &self.data, self.line);
        if self.first && plan.sequence == Sequence::Array {
            cursor.expect(b'[', "an array of records").map_err(fault)?;
        }
        let mut comma = self.first;
        loop {
            cursor.blank();
            if plan.sequence == Sequence::Array {
                if cursor.at == self.data.len() && !self.last {
                    break;
                }
                if cursor.take(b']') {
                    if cursor.at < self.data.len() {
                        return Err(fault(cursor.syntax("nothing behind the array")));
                    }
                    break;
                }
                if !std::mem::take(&mut comma) {
                    cursor.expect(b',', "a comma or the end of the array").map_err(fault)?;
                }
            } else if cursor.at == self.data.len() {
                break;
            }
            object.push(&mut cursor).map_err(fault)?;
            if plan.sequence == Sequence::Lines {
                while matches!(cursor.peek(), b' ' | b'\t' | b'\r') {
                    cursor.at += 1;
                }
                if cursor.at < self.data.len() && cursor.peek() != b'\n' {
                    return Err(fault(cursor.syntax("the end of the line behind a record")));
                }
            }
            if object.rows() == plan.batch_rows && emit(plan.batch(&mut object)?).is_break() {
                return Ok(());
            }
        }
        if object.rows() > 0 {
            // Nothing follows, so it does not matter whether the receiver wants more.
            let _ = emit(plan.batch(&mut object)?);
        }
        Ok(())
    }
}

impl Plan {
    fn object(&self) -> Result<Object> {
        let mut object =
            Object::new("record".to_owned(), self.schema.fields(), &self.options.style.scalars, self.strict)?;
        self.others.iter().for_each(|name| object.skip(name.clone()));
        Ok(object)
    }

    fn batch(&self, object: &mut Object) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(object.rows()));
        let columns = object.columns().map_err(|error| error.context(format!("reading {}", self.file)))?;
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|error| Error::from(error).context(format!("reading {}", self.file)))
    }

    fn fault(&self, fault: Fault, data: &[u8], line: u64) -> Error {
        let shown = |from: usize, to: usize| {
            let text = String::from_utf8_lossy(data.get(from..to).unwrap_or_default());
            text.chars().take(80).collect::<String>()
        };
        let (at, message, hint) = match fault {
            Fault::Syntax { at, expected } if at >= data.len() => {
                (at, format!("expected {expected}, found the end of the file"), "the file may be cut off".to_owned())
            }
            Fault::Syntax { at, expected } => (
                at,
                format!("expected {expected}, found \"{}\"", shown(at, at + 20)),
                "correct the file at this place".to_owned(),
            ),
            Fault::Misfit { at, end, column, expected } => (
                at,
                format!("column \"{column}\": expected {expected}, found {}", shown(at, end)),
                format!("read the column as text with the option types: \"{column}=text\", or set samplingRatio to 1"),
            ),
            Fault::Unknown { at, name } => (
                at,
                format!("a member \"{name}\" that no sampled record has"),
                "set the option samplingRatio to 1 to look at all records first, or unknownFields to ignore".to_owned(),
            ),
            Fault::Twice { at, name } => (
                at,
                format!("the member \"{name}\" occurs twice in one object"),
                "correct the file at this place".to_owned(),
            ),
        };
        Error::new(ErrorKind::Data, message).at(locate(&self.file, data, at, line, b'\n')).hint(hint)
    }
}
