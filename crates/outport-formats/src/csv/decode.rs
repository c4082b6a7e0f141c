//! Batches out of CSV.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use outport_core::error::suggestion;
use outport_core::format::{DecodeSettings, Decoder, Input, OptionSpec, Piece};
use outport_core::{Error, ErrorKind, Result};

use super::cells::{Blanks, Cells};
use super::options::CsvOptions;
use super::record::{Dialect, Fault, MOST_BYTES, Records, Span, cut};
use super::sniff::sniff;
use crate::json;
use crate::text::blocks::{Stream, byte_order_mark, locate, sample};
use crate::text::cell::{is_scalar, is_text};
use crate::text::read::{Leaf, leaf};
use crate::text::style::Style;
use crate::text::types;

/// How much of the file a piece holds.
const PIECE: usize = 8 << 20;
/// How long a record may be before a quote that is not closed is the likelier explanation.
const LONGEST_RECORD: usize = 256 << 20;
const BATCH_ROWS: usize = 8192;

const _: () = assert!(LONGEST_RECORD + PIECE < MOST_BYTES);

/// Reads blocks of whole records.
pub(super) struct CsvDecoder {
    plan: Arc<Plan>,
    stream: Stream,
    /// The start of a record whose rest was not read yet.
    carry: Vec<u8>,
    line: u64,
    header: bool,
}

/// What every piece of a file needs to know.
struct Plan {
    file: String,
    dialect: Dialect,
    blanks: Blanks,
    style: Style,
    /// Fields per record.
    width: usize,
    columns: Vec<Column>,
    schema: SchemaRef,
    batch_rows: usize,
    fill_short: bool,
}

struct Column {
    /// Which field of a record.
    at: usize,
    field: FieldRef,
    /// Whether an empty field may be an empty string.
    is_text: bool,
}

impl CsvDecoder {
    /// A decoder for `input`, after a look at a sample of it.
    pub(super) fn new(
        format: &str,
        specs: &[OptionSpec],
        input: Arc<dyn Input>,
        settings: &DecodeSettings,
    ) -> Result<Self> {
        let options = CsvOptions::read(format, specs, &settings.options)?;
        let (marked, skip) = byte_order_mark(input.as_ref())?;
        let encoding = if options.encoding_given { options.encoding } else { marked.unwrap_or_default() };
        let encoding =
            if encoding == crate::text::encoding::Encoding::Utf16 { marked.unwrap_or(encoding) } else { encoding };
        let blanks = Blanks {
            null_value: options.null_value.clone(),
            null_given: options.null_given,
            empty_value: options.empty_value.clone(),
            trim_start: options.trim_start,
            trim_end: options.trim_end,
        };
        let blocks = sample(input.as_ref(), encoding, skip, options.sampling_ratio)?;
        let sniffed = sniff(&blocks, &options, &blanks, settings.schema.as_deref());
        let file = input.name().to_owned();
        if sniffed.schema.fields().is_empty() && settings.schema.is_none() {
            return Err(Error::new(ErrorKind::Data, format!("{file} is empty: expected a header or a record"))
                .hint("give the columns with a schema, or leave the file out"));
        }
        let found = override_types(sniffed.schema, &options.types, &file)?;
        let columns = columns(&file, &found, sniffed.header, settings)?;
        let schema = Arc::new(Schema::new(columns.iter().map(|column| column.field.clone()).collect::<Vec<_>>()));
        let plan = Plan {
            file,
            dialect: sniffed.dialect,
            blanks,
            style: options.style,
            width: found.fields().len(),
            columns,
            schema,
            batch_rows: if settings.batch_rows == 0 { BATCH_ROWS } else { settings.batch_rows },
            fill_short: options.fill_short,
        };
        // A type that cannot be read is found out before the first row.
        plan.leaves()?;
        let stream = Stream::new(input, encoding, skip);
        Ok(Self { plan: Arc::new(plan), stream, carry: Vec::new(), line: 1, header: sniffed.header })
    }
}

/// The columns to read, of those that were `found` in the file.
fn columns(file: &str, found: &Schema, header: bool, settings: &DecodeSettings) -> Result<Vec<Column>> {
    let wanted: Vec<FieldRef> = match &settings.schema {
        Some(schema) => schema.fields().iter().cloned().collect(),
        None => found.fields().iter().cloned().collect(),
    };
    // Without a header there are but places to go by.
    let by_place = !header && wanted.len() == found.fields().len();
    let missing = |name: &str, names: &mut dyn Iterator<Item = &String>| {
        let names: Vec<&str> = names.map(String::as_str).collect();
        Error::new(ErrorKind::Data, format!("{file} has no column \"{name}\"")).hint(suggestion(name, names))
    };
    let mut columns = Vec::new();
    for (place, field) in wanted.into_iter().enumerate() {
        let names = || found.fields().iter().map(|field| field.name());
        let at = if by_place || found.fields().is_empty() {
            place
        } else {
            names()
                .position(|name| name == field.name())
                .or_else(|| names().position(|name| name.eq_ignore_ascii_case(field.name())))
                .ok_or_else(|| missing(field.name(), &mut names()))?
        };
        columns.push(Column { at, is_text: is_text_like(field.data_type()), field });
    }
    let Some(chosen) = &settings.columns else {
        return Ok(columns);
    };
    let pick = |name: &String| {
        let column = columns.iter().find(|column| column.field.name() == name);
        let column = column.ok_or_else(|| missing(name, &mut columns.iter().map(|column| column.field.name())))?;
        Ok(Column { at: column.at, field: column.field.clone(), is_text: column.is_text })
    };
    chosen.iter().map(pick).collect()
}

/// Whether a column holds text or bytes, of which none is a value too.
fn is_text_like(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text_like(values),
        DataType::RunEndEncoded(_, values) => is_text_like(values.data_type()),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => true,
        other => is_text(other),
    }
}

/// Applies the option `types`.
fn override_types(found: Schema, option: &str, file: &str) -> Result<Schema> {
    let mut fields: Vec<Field> = found.fields().iter().map(|field| field.as_ref().clone()).collect();
    for (name, data_type) in types::parse(option)? {
        let names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        match fields.iter_mut().find(|field| *field.name() == name) {
            Some(field) => field.set_data_type(data_type),
            None => {
                return Err(Error::new(ErrorKind::Config, format!("option types: {file} has no column \"{name}\""))
                    .hint(suggestion(&name, names.iter().map(String::as_str))));
            }
        }
    }
    Ok(Schema::new(fields))
}

impl Decoder for CsvDecoder {
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
            let cut = cut(&data, &self.plan.dialect);
            if let Some(end) = cut.end {
                self.carry = data.split_off(end);
                break;
            }
            if data.len() > LONGEST_RECORD {
                let at = cut.open.unwrap_or(0);
                return Err(self.plan.fault(Fault::Unterminated { at }, &data, self.line));
            }
        }
        if data.is_empty() {
            return Ok(None);
        }
        let line = self.line;
        self.line += memchr::memchr_iter(self.plan.dialect.line, &data).count() as u64;
        let header = std::mem::take(&mut self.header);
        Ok(Some(Box::new(CsvPiece { plan: self.plan.clone(), data, line, header })))
    }
}

/// A block of whole records.
struct CsvPiece {
    plan: Arc<Plan>,
    data: Vec<u8>,
    /// The number of its first line in the file.
    line: u64,
    /// Whether its first record is the header.
    header: bool,
}

impl Piece for CsvPiece {
    fn decode(self: Box<Self>, emit: &mut dyn FnMut(RecordBatch) -> ControlFlow<()>) -> Result<()> {
        let plan = self.plan.as_ref();
        let single = plan.width == 1;
        let mut records = Records::new(&self.data, &plan.dialect);
        let mut spans: Vec<Span> = Vec::with_capacity(plan.batch_rows * plan.width);
        let mut leaves = plan.leaves()?;
        let fault = |fault| plan.fault(fault, &self.data, self.line);
        if self.header {
            records.next(false, &mut spans).map_err(fault)?;
        }
        loop {
            spans.clear();
            let mut rows = 0;
            while rows < plan.batch_rows {
                let before = spans.len();
                let start = records.position();
                if !records.next(single, &mut spans).map_err(fault)? {
                    break;
                }
                let found = spans.len() - before;
                if found != plan.width {
                    if found > plan.width || !plan.fill_short {
                        return Err(fault(Fault::Ragged { at: start, found }));
                    }
                    spans.resize(before + plan.width, Span::MISSING);
                }
                rows += 1;
            }
            if rows == 0 {
                return Ok(());
            }
            let mut arrays = Vec::with_capacity(leaves.len());
            for (leaf, column) in leaves.iter_mut().zip(&plan.columns) {
                let mut cells = Cells {
                    data: &self.data,
                    spans: &spans,
                    width: plan.width,
                    column: column.at,
                    is_text: column.is_text,
                    blanks: &plan.blanks,
                    dialect: &plan.dialect,
                    scratch: Vec::new(),
                };
                if let Err(row) = leaf.fill(&mut cells) {
                    return Err(self.misfit(column, &mut cells, row));
                }
                match leaf.finish() {
                    Ok(array) => arrays.push(array),
                    Err(error) => return Err(self.not_text(column, &mut cells, error)),
                }
            }
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let batch = RecordBatch::try_new_with_options(plan.schema.clone(), arrays, &options)
                .map_err(|error| plan.not_nullable(error))?;
            if emit(batch).is_break() {
                return Ok(());
            }
        }
    }
}

impl CsvPiece {
    /// The error for a value that is none of its column's type.
    fn misfit(&self, column: &Column, cells: &mut Cells<'_>, row: usize) -> Error {
        let at = cells.range(row).start;
        let text = String::from_utf8_lossy(cells.cell(row).unwrap_or_default()).into_owned();
        let name = column.field.name();
        let expected = types::describe(column.field.data_type());
        Error::new(ErrorKind::Data, format!("column \"{name}\": expected {expected}, found \"{text}\""))
            .at(locate(&self.plan.file, &self.data, at, self.line, self.plan.dialect.line))
            .hint(format!("read the column as text with the option types: \"{name}=text\", or name what stands for NULL with nullValue"))
    }

    /// The error for text that is not UTF-8.
    fn not_text(&self, column: &Column, cells: &mut Cells<'_>, error: Error) -> Error {
        let bad = (0..cells.rows()).find(|row| cells.cell(*row).is_some_and(|text| std::str::from_utf8(text).is_err()));
        let Some(row) = bad else {
            return error;
        };
        let text = String::from_utf8_lossy(cells.cell(row).unwrap_or_default()).into_owned();
        let at = cells.range(row).start;
        Error::new(ErrorKind::Data, format!("column \"{}\": expected UTF-8, found \"{text}\"", column.field.name()))
            .at(locate(&self.plan.file, &self.data, at, self.line, self.plan.dialect.line))
            .hint("name the file's encoding with the option encoding, such as windows-1252 or ISO-8859-1")
    }
}

impl Plan {
    fn leaves(&self) -> Result<Vec<Box<dyn Leaf>>> {
        let make = |column: &Column| {
            let data_type = column.field.data_type();
            if is_scalar(data_type) || is_text_like(data_type) || *data_type == DataType::Null {
                leaf(&column.field, &self.style)
            } else {
                json::nested_leaf(&column.field, &self.style)
            }
        };
        self.columns.iter().map(make).collect()
    }

    fn not_nullable(&self, error: arrow::error::ArrowError) -> Error {
        Error::from(error).context(format!("reading {}", self.file))
    }

    /// The error for a record that is malformed.
    fn fault(&self, fault: Fault, data: &[u8], line: u64) -> Error {
        let (at, message, hint) = match fault {
            Fault::Unterminated { at } => (
                at,
                "a quote that is opened here is never closed".to_owned(),
                "close it, double the quotes inside the field, or name another quote with the option quote (empty for none)",
            ),
            Fault::BehindQuote { at } => (
                at,
                "expected a separator or the end of the line behind the closing quote".to_owned(),
                "double the quotes inside the field, or name the character before them with the option escape",
            ),
            Fault::Ragged { at, found } => (
                at,
                format!("expected {} fields, found {found}", self.width),
                "quote fields that hold the separator; set the option ragged to null to fill up lines that are too short",
            ),
        };
        Error::new(ErrorKind::Data, message).at(locate(&self.file, data, at, line, self.dialect.line)).hint(hint)
    }
}
