//! From the rows of a binary COPY to Arrow, without an allocation a row.
//!
//! A [`Decoder`] takes the messages of `COPY … TO STDOUT (FORMAT binary)`, each a row, and hands every field to the column
//! it belongs to, which appends it to the buffers of an array to be. Each family of types has a file.

mod decimal;
mod nested;
mod number;
mod text;
mod time;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use outport_core::context::{Warning, Warnings};
use outport_core::{Error, ErrorKind, Result};

use super::config::OutOfRange;
use super::describe::Description;
use super::types::Kind;

/// A batch is full at so many rows, or at [`BATCH_BYTES`].
const BATCH_ROWS: usize = 65_536;
/// A batch is full when its rows had so many bytes on the wire; a single row may have far more.
pub(super) const BATCH_BYTES: usize = 4 << 20;
/// What a binary COPY begins with; flags and the length of an extension follow.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// The buffers of a column, on their way to an array.
trait Column: Send {
    /// Appends a field as it travelled.
    fn append(&mut self, field: &[u8]) -> Result<()>;

    /// Appends NULL.
    fn append_null(&mut self);

    /// The array of all that was appended since the last call.
    fn finish(&mut self) -> Result<ArrayRef>;

    /// How many values the policy for what is out of range replaced since the last call.
    fn take_replaced(&mut self) -> u64 {
        0
    }
}

/// Decodes the rows of one COPY into batches.
pub(super) struct Decoder {
    schema: SchemaRef,
    columns: Vec<Box<dyn Column>>,
    policy: OutOfRange,
    /// Rows and bytes in the batch that is being filled.
    rows: usize,
    bytes: usize,
    /// Rows of the same COPY in the batches before it.
    rows_before: u64,
    begun: bool,
}

impl Decoder {
    /// A decoder for rows of these columns.
    pub(super) fn new(description: &Description, policy: OutOfRange) -> Self {
        Self {
            schema: description.schema.clone(),
            columns: description.columns.iter().map(|c| column(&c.kind, policy)).collect(),
            policy,
            rows: 0,
            bytes: 0,
            rows_before: 0,
            begun: false,
        }
    }

    /// Takes a message of the COPY.
    #[inline]
    pub(super) fn message(&mut self, mut message: &[u8]) -> Result<()> {
        if !self.begun {
            message = header(message)?;
            (self.begun, self.rows_before) = (true, 0);
            if message.is_empty() {
                return Ok(());
            }
        }
        let mut rest = message;
        let Some((count, fields)) = rest.split_first_chunk() else {
            return Err(malformed("a row without a field count"));
        };
        rest = fields;
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            // The trailer: another COPY may follow, with a header of its own.
            self.begun = false;
            return Ok(());
        }
        if usize::try_from(count) != Ok(self.columns.len()) {
            return Err(malformed(format_args!("a row of {count} fields, expected {}", self.columns.len())));
        }
        for at in 0..self.columns.len() {
            let Some((length, tail)) = rest.split_first_chunk() else { return Err(malformed("a row that ends early")) };
            rest = tail;
            // -1 stands for NULL.
            match usize::try_from(i32::from_be_bytes(*length)) {
                Ok(length) => {
                    let Some((field, tail)) = rest.split_at_checked(length) else {
                        return Err(malformed("a field that is longer than its row"));
                    };
                    rest = tail;
                    if let Err(error) = self.columns[at].append(field) {
                        return Err(self.locate(error, at));
                    }
                }
                Err(_) => self.columns[at].append_null(),
            }
        }
        self.rows += 1;
        self.bytes += message.len();
        Ok(())
    }

    /// Whether the batch is as large as it should be.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// The bytes that the rows of the current batch had on the wire.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The rows since the last call; `None` where there are none. Replaced values are counted in `warnings`.
    pub(super) fn finish(&mut self, warnings: &Warnings) -> Result<Option<RecordBatch>> {
        if self.rows == 0 {
            return Ok(None);
        }
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (column, field) in self.columns.iter_mut().zip(self.schema.fields()) {
            arrays.push(column.finish().map_err(|e| e.context(format!("column \"{}\"", field.name())))?);
            warn(warnings, self.policy, field.name(), column.take_replaced());
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows_before += self.rows as u64;
        (self.rows, self.bytes) = (0, 0);
        Ok(Some(RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?))
    }

    #[cold]
    fn locate(&self, error: Error, column: usize) -> Error {
        let row = self.rows_before + self.rows as u64 + 1;
        error.context(format!("column \"{}\", row {row}", self.schema.field(column).name()))
    }
}

/// The buffers for a column of a kind.
fn column(kind: &Kind, policy: OutOfRange) -> Box<dyn Column> {
    match kind {
        Kind::Bool => Box::new(number::Booleans::default()),
        Kind::Int16 => Box::new(number::Numbers::<arrow::datatypes::Int16Type>::default()),
        Kind::Int32 => Box::new(number::Numbers::<arrow::datatypes::Int32Type>::default()),
        Kind::Int64 => Box::new(number::Numbers::<arrow::datatypes::Int64Type>::default()),
        Kind::UInt32 => Box::new(number::Numbers::<arrow::datatypes::UInt32Type>::default()),
        Kind::Float32 => Box::new(number::Numbers::<arrow::datatypes::Float32Type>::default()),
        Kind::Float64 => Box::new(number::Numbers::<arrow::datatypes::Float64Type>::default()),
        Kind::Decimal(precision @ ..=38, scale) => Box::new(decimal::Decimals::<i128>::new(*precision, *scale, policy)),
        Kind::Decimal(precision, scale) => {
            Box::new(decimal::Decimals::<arrow::datatypes::i256>::new(*precision, *scale, policy))
        }
        Kind::Text | Kind::Json | Kind::Cast | Kind::Unbounded => Box::new(text::Texts::new(text::Form::Text)),
        Kind::Jsonb => Box::new(text::Texts::new(text::Form::Versioned)),
        Kind::Network => Box::new(text::Texts::new(text::Form::Network)),
        Kind::Bytes => Box::new(text::Texts::new(text::Form::Bytes)),
        Kind::Uuid => Box::new(text::Uuids::default()),
        Kind::Date => Box::new(time::Times::<time::Date>::new(policy)),
        Kind::Time => Box::new(time::Times::<time::OfDay>::new(policy)),
        Kind::Timestamp => Box::new(time::Times::<time::Timestamp>::new(policy)),
        Kind::TimestampTz => Box::new(time::Times::<time::TimestampTz>::new(policy)),
        Kind::Interval => Box::new(time::Times::<time::Interval>::new(policy)),
        Kind::List(element) => Box::new(nested::Lists::new(element, policy)),
        Kind::CastList => Box::new(nested::Lists::new(&Kind::Text, policy)),
        Kind::Struct(fields) => Box::new(nested::Structs::new(fields, policy)),
    }
}

/// What is behind the header of the format.
fn header(message: &[u8]) -> Result<&[u8]> {
    let rest =
        message.strip_prefix(SIGNATURE).ok_or_else(|| malformed("a COPY that does not begin with its signature"))?;
    let extension = rest.get(4..8).and_then(|b| b.first_chunk()).map(|b| u32::from_be_bytes(*b) as usize);
    extension.and_then(|length| rest.get(8 + length..)).ok_or_else(|| malformed("a header that ends early"))
}

fn warn(warnings: &Warnings, policy: OutOfRange, column: &str, times: u64) {
    let (code, became) = match policy {
        OutOfRange::Clamp => ("out_of_range_clamped", "the nearest value that fits"),
        _ => ("out_of_range_null", "NULL"),
    };
    let message = format!("values that Arrow cannot hold became {became}");
    warnings.add(Warning { code: code.to_owned(), column: Some(column.to_owned()), message }, times);
}

/// What becomes of a value that is out of range: the replacement, or the error where the policy has none.
fn out_of_range<T>(
    policy: OutOfRange,
    value: impl std::fmt::Display,
    what: &str,
    nearest: Option<T>,
) -> Result<Option<T>> {
    match policy {
        OutOfRange::Clamp => Ok(nearest),
        OutOfRange::Null => Ok(None),
        OutOfRange::Error | OutOfRange::Text => {
            Err(Error::new(ErrorKind::Data, format!("{value} is outside the range of {what}")).hint(
                "set `out_of_range: clamp`, `null` or `text` on the connection, or leave such rows out with a filter",
            ))
        }
    }
}

/// The error of bytes that are not what the format says.
#[cold]
fn malformed(what: impl std::fmt::Display) -> Error {
    super::error::protocol(format_args!("COPY sent {what}"))
}

#[cfg(test)]
mod tests;
