//! Scalars read from text, gathered into columns.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, BooleanBufferBuilder, FixedSizeBinaryArray, NullBufferBuilder,
    PrimitiveArray, StringArray,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{self as dt, DataType, Field, IntervalUnit, TimeUnit, i256};
use outport_core::{Error, ErrorKind, Result};

use crate::csv::Cells;

use super::cell::{is_uuid, nanos_per};
use super::parse;
use super::pattern::Pattern;
use super::style::{BinaryText, Style};
use super::write::SECONDS_PER_DAY;
use super::zone::Zone;

/// A column that takes text.
pub(crate) trait Leaf: Send {
    /// Takes the text of a value; `false` where it is none of the column's type, and nothing was taken.
    fn push(&mut self, text: &[u8]) -> bool;

    /// Takes a NULL.
    fn push_null(&mut self);

    /// Takes the values of many rows, `None` for NULL; the number of the row that does not fit where there is one.
    ///
    /// Compiled for each type, so that there is one indirect call for many rows.
    fn fill(&mut self, cells: &mut Cells<'_>) -> Result<(), usize> {
        for row in 0..cells.rows() {
            match cells.cell(row) {
                None => self.push_null(),
                Some(text) => {
                    if !self.push(text) {
                        return Err(row);
                    }
                }
            }
        }
        Ok(())
    }

    /// The column, and makes room for the next.
    ///
    /// # Errors
    /// [`ErrorKind::Data`] where text is not UTF-8.
    fn finish(&mut self) -> Result<ArrayRef>;
}

/// A leaf for a scalar type.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a type that is not scalar.
pub(crate) fn leaf(field: &Field, style: &Style) -> Result<Box<dyn Leaf>> {
    use DataType as D;
    let data_type = field.data_type();
    let typed = data_type.clone();
    Ok(match data_type {
        D::Null => Box::new(Nulls(0)),
        D::Boolean => Box::new(Booleans::new(style.booleans.clone())),
        D::Int8 => number::<dt::Int8Type>(typed, parse::integer),
        D::Int16 => number::<dt::Int16Type>(typed, parse::integer),
        D::Int32 => number::<dt::Int32Type>(typed, parse::integer),
        D::Int64 => number::<dt::Int64Type>(typed, parse::int64),
        D::UInt8 => number::<dt::UInt8Type>(typed, parse::integer),
        D::UInt16 => number::<dt::UInt16Type>(typed, parse::integer),
        D::UInt32 => number::<dt::UInt32Type>(typed, parse::integer),
        D::UInt64 => number::<dt::UInt64Type>(typed, parse::integer),
        D::Float16 => converted(&D::Float32, field, style)?,
        D::Float32 => {
            let words = style.words.clone();
            number::<dt::Float32Type>(typed, move |text| parse::float32(text, &words))
        }
        D::Float64 => {
            let words = style.words.clone();
            number::<dt::Float64Type>(typed, move |text| parse::float64(text, &words))
        }
        D::Decimal32(precision, scale) | D::Decimal64(precision, scale) => {
            converted(&D::Decimal128(*precision, *scale), field, style)?
        }
        D::Decimal128(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            let limit = 10i128.checked_pow(precision.into()).unwrap_or(i128::MAX);
            number::<dt::Decimal128Type>(typed, move |text| {
                parse::decimal128(text, scale).filter(|value| value.unsigned_abs() < limit.unsigned_abs())
            })
        }
        D::Decimal256(precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            number::<dt::Decimal256Type>(typed, move |text| {
                let digits = parse::decimal_digits(text, scale)?;
                let count = digits.trim_start_matches('-').len();
                (count <= usize::from(precision)).then(|| i256::from_string(&digits)).flatten()
            })
        }
        D::Date32 => {
            let pattern = style.date.clone();
            number::<dt::Date32Type>(typed, move |text| i32::try_from(date(text, pattern.as_ref())?).ok())
        }
        D::Date64 => {
            let pattern = style.date.clone();
            number::<dt::Date64Type>(typed, move |text| match &pattern {
                None => match parse::timestamp(text) {
                    Some((seconds, nanos, None)) => {
                        seconds.checked_mul(1_000)?.checked_add(i64::from(nanos / 1_000_000))
                    }
                    _ => parse::date(text)?.checked_mul(86_400_000),
                },
                Some(pattern) => date(text, Some(pattern))?.checked_mul(86_400_000),
            })
        }
        D::Time32(TimeUnit::Second) => {
            number::<dt::Time32SecondType>(typed, |text| time(text, 1).and_then(|t| t.try_into().ok()))
        }
        D::Time32(_) => {
            number::<dt::Time32MillisecondType>(typed, |text| time(text, 1_000).and_then(|t| t.try_into().ok()))
        }
        D::Time64(TimeUnit::Microsecond) => number::<dt::Time64MicrosecondType>(typed, |text| time(text, 1_000_000)),
        D::Time64(_) => number::<dt::Time64NanosecondType>(typed, |text| time(text, 1_000_000_000)),
        D::Timestamp(unit, zone) => {
            let zone = zone.as_deref().map(Zone::parse).transpose()?;
            let pattern = if zone.is_some() { style.timestamp.clone() } else { style.timestamp_ntz.clone() };
            let read = Instants { pattern, zone };
            match unit {
                TimeUnit::Second => number::<dt::TimestampSecondType>(typed, move |text| read.ticks::<1>(text)),
                TimeUnit::Millisecond => {
                    number::<dt::TimestampMillisecondType>(typed, move |text| read.ticks::<1_000>(text))
                }
                TimeUnit::Microsecond => {
                    number::<dt::TimestampMicrosecondType>(typed, move |text| read.ticks::<1_000_000>(text))
                }
                TimeUnit::Nanosecond => {
                    number::<dt::TimestampNanosecondType>(typed, move |text| read.ticks::<1_000_000_000>(text))
                }
            }
        }
        D::Duration(unit) => {
            let per = i128::from(nanos_per(*unit));
            let ticks = move |text: &[u8]| match parse::interval(text)? {
                (0, 0, nanos) if nanos % per == 0 => i64::try_from(nanos / per).ok(),
                _ => None,
            };
            match unit {
                TimeUnit::Second => number::<dt::DurationSecondType>(typed, ticks),
                TimeUnit::Millisecond => number::<dt::DurationMillisecondType>(typed, ticks),
                TimeUnit::Microsecond => number::<dt::DurationMicrosecondType>(typed, ticks),
                TimeUnit::Nanosecond => number::<dt::DurationNanosecondType>(typed, ticks),
            }
        }
        D::Interval(IntervalUnit::YearMonth) => {
            number::<dt::IntervalYearMonthType>(typed, |text| match parse::interval(text)? {
                (months, 0, 0) => i32::try_from(months).ok(),
                _ => None,
            })
        }
        D::Interval(IntervalUnit::DayTime) => {
            number::<dt::IntervalDayTimeType>(typed, |text| match parse::interval(text)? {
                (0, days, nanos) if nanos % 1_000_000 == 0 => {
                    Some(dt::IntervalDayTime::new(days.try_into().ok()?, (nanos / 1_000_000).try_into().ok()?))
                }
                _ => None,
            })
        }
        D::Interval(IntervalUnit::MonthDayNano) => number::<dt::IntervalMonthDayNanoType>(typed, |text| {
            let (months, days, nanos) = parse::interval(text)?;
            Some(dt::IntervalMonthDayNano::new(months.try_into().ok()?, days.try_into().ok()?, nanos.try_into().ok()?))
        }),
        D::Utf8 => Box::new(Texts::default()),
        D::LargeUtf8 | D::Utf8View => converted(&D::Utf8, field, style)?,
        D::Dictionary(_, values) => converted(values, field, style)?,
        D::RunEndEncoded(_, values) => converted(values.data_type(), field, style)?,
        D::Binary => Box::new(Bytes { width: None, ..Bytes::new(field, style) }),
        D::LargeBinary | D::BinaryView => converted(&D::Binary, field, style)?,
        D::FixedSizeBinary(width) => Box::new(Bytes { width: Some(*width), ..Bytes::new(field, style) }),
        other => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("column \"{}\" of type {other} cannot be read from text", field.name()),
            ));
        }
    })
}

fn date(text: &[u8], pattern: Option<&Pattern>) -> Option<i64> {
    match pattern {
        None => parse::date(text),
        Some(pattern) => {
            let civil = pattern.read(text)?;
            Some(civil.seconds.div_euclid(SECONDS_PER_DAY))
        }
    }
}

fn time(text: &[u8], per_second: i64) -> Option<i64> {
    let (seconds, nanos) = parse::time(text)?;
    let per_tick = 1_000_000_000 / per_second;
    let nanos = i64::from(nanos);
    (nanos % per_tick == 0).then(|| i64::from(seconds) * per_second + nanos / per_tick)
}

struct Instants {
    pattern: Option<Pattern>,
    zone: Option<Zone>,
}

impl Instants {
    #[inline]
    fn ticks<const PER_SECOND: i64>(&self, text: &[u8]) -> Option<i64> {
        let (mut seconds, nanos, offset) = match &self.pattern {
            None => parse::timestamp(text)?,
            Some(pattern) => pattern.read(text).map(|civil| (civil.seconds, civil.nanos, civil.offset))?,
        };
        match (&self.zone, offset) {
            (Some(_), Some(offset)) => seconds -= i64::from(offset),
            (Some(zone), None) => seconds = zone.instant(seconds)?,
            (None, None) => {}
            // An offset where the column has none would silently be lost.
            (None, Some(_)) => return None,
        }
        let per_tick = (1_000_000_000 / PER_SECOND) as u32;
        if nanos % per_tick != 0 {
            return None;
        }
        let ticks = i128::from(seconds) * i128::from(PER_SECOND) + i128::from(nanos / per_tick);
        i64::try_from(ticks).ok()
    }
}

struct Numbers<T: ArrowPrimitiveType, F> {
    data_type: DataType,
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
    read: F,
}

fn number<T: ArrowPrimitiveType>(
    data_type: DataType,
    read: impl Fn(&[u8]) -> Option<T::Native> + Send + 'static,
) -> Box<dyn Leaf> {
    Box::new(Numbers::<T, _> { data_type, values: Vec::new(), nulls: NullBufferBuilder::new(0), read })
}

impl<T: ArrowPrimitiveType, F: Fn(&[u8]) -> Option<T::Native> + Send> Leaf for Numbers<T, F> {
    #[inline]
    fn push(&mut self, text: &[u8]) -> bool {
        match (self.read)(text) {
            Some(value) => {
                self.values.push(value);
                self.nulls.append_non_null();
                true
            }
            None => false,
        }
    }

    #[inline]
    fn push_null(&mut self) {
        self.values.push(T::Native::default());
        self.nulls.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let next = Vec::with_capacity(self.values.len());
        let values = ScalarBuffer::from(std::mem::replace(&mut self.values, next));
        let array = PrimitiveArray::<T>::try_new(values, self.nulls.finish())?;
        Ok(Arc::new(array.with_data_type(self.data_type.clone())))
    }
}

struct Nulls(usize);

impl Leaf for Nulls {
    fn push(&mut self, _: &[u8]) -> bool {
        false
    }

    fn push_null(&mut self) {
        self.0 += 1;
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(arrow::array::NullArray::new(std::mem::take(&mut self.0))))
    }
}

struct Booleans {
    words: [Vec<u8>; 2],
    values: BooleanBufferBuilder,
    nulls: NullBufferBuilder,
}

impl Booleans {
    fn new(words: [Vec<u8>; 2]) -> Self {
        Self { words, values: BooleanBufferBuilder::new(0), nulls: NullBufferBuilder::new(0) }
    }
}

impl Leaf for Booleans {
    fn push(&mut self, text: &[u8]) -> bool {
        let value = if text == self.words[1] {
            true
        } else if text == self.words[0] {
            false
        } else if text.eq_ignore_ascii_case(b"true") {
            true
        } else if text.eq_ignore_ascii_case(b"false") {
            false
        } else {
            return false;
        };
        self.values.append(value);
        self.nulls.append_non_null();
        true
    }

    fn push_null(&mut self) {
        self.values.append(false);
        self.nulls.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(BooleanArray::new(self.values.finish(), self.nulls.finish())))
    }
}

/// Rows of bytes one behind the other.
struct Rows {
    offsets: Vec<i32>,
    bytes: Vec<u8>,
    nulls: NullBufferBuilder,
}

impl Default for Rows {
    fn default() -> Self {
        Self { offsets: vec![0], bytes: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }
}

impl Rows {
    /// Ends a row; `false` where all rows together are more than an array of this layout holds.
    fn end(&mut self, valid: bool) -> bool {
        let Ok(end) = i32::try_from(self.bytes.len()) else {
            return false;
        };
        self.offsets.push(end);
        self.nulls.append(valid);
        true
    }

    fn take(&mut self) -> Result<(OffsetBuffer<i32>, Vec<u8>, Option<arrow::buffer::NullBuffer>)> {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes.reserve(bytes.len());
        self.offsets.reserve(offsets.len());
        Ok((OffsetBuffer::new(ScalarBuffer::from(offsets)), bytes, self.nulls.finish()))
    }
}

#[derive(Default)]
struct Texts {
    rows: Rows,
}

impl Leaf for Texts {
    #[inline]
    fn push(&mut self, text: &[u8]) -> bool {
        self.rows.bytes.extend_from_slice(text);
        self.rows.end(true)
    }

    #[inline]
    fn push_null(&mut self) {
        self.rows.end(false);
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let (offsets, bytes, nulls) = self.rows.take()?;
        match StringArray::try_new(offsets, bytes.into(), nulls) {
            Ok(array) => Ok(Arc::new(array)),
            Err(_) => Err(Error::new(ErrorKind::Data, "text that is not UTF-8")),
        }
    }
}

struct Bytes {
    rows: Rows,
    width: Option<i32>,
    uuid: bool,
    style: BinaryText,
}

impl Bytes {
    fn new(field: &Field, style: &Style) -> Self {
        Self { rows: Rows::default(), width: None, uuid: is_uuid(field), style: style.binary }
    }
}

impl Leaf for Bytes {
    fn push(&mut self, text: &[u8]) -> bool {
        let start = self.rows.bytes.len();
        let bytes = &mut self.rows.bytes;
        let read = match self.style {
            _ if self.uuid => parse::uuid(text, bytes),
            BinaryText::Base64 => parse::base64(text, bytes),
            BinaryText::Hex => parse::hexadecimal(text, bytes),
        };
        let fits = self.width.is_none_or(|width| bytes.len() - start == width as usize);
        if !read || !fits {
            bytes.truncate(start);
            return false;
        }
        self.rows.end(true)
    }

    fn push_null(&mut self) {
        let width = self.width.unwrap_or(0) as usize;
        self.rows.bytes.extend(std::iter::repeat_n(0, width));
        self.rows.end(false);
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let (offsets, bytes, nulls) = self.rows.take()?;
        Ok(match self.width {
            None => Arc::new(arrow::array::BinaryArray::try_new(offsets, bytes.into(), nulls)?),
            Some(width) => Arc::new(FixedSizeBinaryArray::try_new(width, bytes.into(), nulls)?),
        })
    }
}

/// A column that is gathered as another type and cast at the end, for layouts that differ in nothing but their form.
struct Converted {
    inner: Box<dyn Leaf>,
    data_type: DataType,
}

fn converted(through: &DataType, field: &Field, style: &Style) -> Result<Box<dyn Leaf>> {
    let inner = leaf(&field.clone().with_data_type(through.clone()), style)?;
    Ok(Box::new(Converted { inner, data_type: field.data_type().clone() }))
}

impl Leaf for Converted {
    fn push(&mut self, text: &[u8]) -> bool {
        self.inner.push(text)
    }

    fn push_null(&mut self) {
        self.inner.push_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(cast(&self.inner.finish()?, &self.data_type)?)
    }
}
