//! The text of one cell, for every scalar type but text itself.

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, GenericByteArray, PrimitiveArray,
    types::GenericBinaryType,
};
use arrow::array::{BinaryViewArray, FixedSizeBinaryArray, OffsetSizeTrait};
use arrow::compute::cast;
use arrow::datatypes::{self as dt, DataType, Field, IntervalUnit, TimeUnit};
use outport_core::{Error, ErrorKind, Result};

use super::pattern::{Civil, Pattern};
use super::style::{BinaryText, NotFinite, Style};
use super::write;
use super::zone::Zone;

/// What a cell's text consists of, so that a format knows whether it has to be quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An integer of up to 32 bits, or a floating-point number.
    Number,
    /// An integer of 64 bits.
    BigInt,
    /// A decimal number.
    Decimal,
    /// One of the two words for a truth value.
    Boolean,
    /// ASCII letters, digits and `+-.:`: dates, times, intervals.
    Plain,
    /// Base64, hexadecimal digits or a UUID; nothing at all where there are no bytes.
    Bytes,
    /// Whatever the user's pattern produces.
    Free,
}

/// Writes the cells of one column.
pub(crate) trait Cell {
    /// What the text consists of.
    fn kind(&self) -> Kind;

    /// Whether there is no value at `row`.
    fn is_null(&self, row: usize) -> bool;

    /// Appends the text of the value at `row`, which is not NULL.
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()>;
}

/// Takes a column's cells as the type they have, so that what is built around them is compiled for it.
pub(crate) trait Visit {
    /// What is built.
    type Out;

    /// Builds it.
    fn cells<C: Cell + 'static>(self, cells: C) -> Self::Out;
}

/// Whether a type's cells are written by [`visit`].
pub(crate) fn is_scalar(data_type: &DataType) -> bool {
    use DataType as D;
    match data_type {
        D::Dictionary(_, values) => is_scalar(values),
        D::RunEndEncoded(_, values) => is_scalar(values.data_type()),
        D::Boolean | D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => true,
        D::Date32 | D::Date64 | D::Time32(_) | D::Time64(_) | D::Timestamp(..) | D::Duration(_) | D::Interval(_) => {
            true
        }
        other => other.is_numeric(),
    }
}

/// Whether a type is text.
pub(crate) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The column without dictionary or run-length encoding.
pub(crate) fn plain(array: &ArrayRef) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Dictionary(_, values) => plain(&cast(array, values)?),
        DataType::RunEndEncoded(_, values) => plain(&cast(array, values.data_type())?),
        _ => Ok(array.clone()),
    }
}

/// Builds something around the cells of `array`, whose type is scalar ([`is_scalar`]) and not encoded ([`plain`]).
pub(crate) fn visit<V: Visit>(array: &ArrayRef, field: &Field, style: &Style, visitor: V) -> Result<V::Out> {
    use DataType as D;
    Ok(match array.data_type() {
        D::Boolean => visitor.cells(Booleans { array: array.as_boolean().clone(), words: style.booleans.clone() }),
        D::Int8 => integers::<dt::Int8Type, V>(array, Kind::Number, visitor),
        D::Int16 => integers::<dt::Int16Type, V>(array, Kind::Number, visitor),
        D::Int32 => integers::<dt::Int32Type, V>(array, Kind::Number, visitor),
        D::Int64 => integers::<dt::Int64Type, V>(array, Kind::BigInt, visitor),
        D::UInt8 => integers::<dt::UInt8Type, V>(array, Kind::Number, visitor),
        D::UInt16 => integers::<dt::UInt16Type, V>(array, Kind::Number, visitor),
        D::UInt32 => integers::<dt::UInt32Type, V>(array, Kind::Number, visitor),
        D::UInt64 => integers::<dt::UInt64Type, V>(array, Kind::BigInt, visitor),
        D::Float16 => floats::<dt::Float32Type, V>(&cast(array, &D::Float32)?, field, style, visitor),
        D::Float32 => floats::<dt::Float32Type, V>(array, field, style, visitor),
        D::Float64 => floats::<dt::Float64Type, V>(array, field, style, visitor),
        D::Decimal32(..) | D::Decimal64(..) | D::Decimal128(..) => {
            let (precision, scale) = decimal_shape(array.data_type());
            let wide = cast(array, &D::Decimal128(precision, scale))?;
            primitive::<dt::Decimal128Type, V, _>(&wide, Kind::Decimal, visitor, move |value, out| {
                write::decimal128(value, scale, out);
                Ok(())
            })
        }
        D::Decimal256(_, scale) => {
            let scale = *scale;
            primitive::<dt::Decimal256Type, V, _>(array, Kind::Decimal, visitor, move |value, out| {
                write::decimal256(value, scale, out);
                Ok(())
            })
        }
        D::Date32 => dates::<dt::Date32Type, V>(array, style, visitor, |days| (i64::from(days), 0)),
        D::Date64 => dates::<dt::Date64Type, V>(array, style, visitor, |millis| {
            (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000))
        }),
        D::Time32(TimeUnit::Second) => times::<dt::Time32SecondType, V>(array, 1, visitor),
        D::Time32(_) => times::<dt::Time32MillisecondType, V>(array, 1_000, visitor),
        D::Time64(TimeUnit::Microsecond) => times::<dt::Time64MicrosecondType, V>(array, 1_000_000, visitor),
        D::Time64(_) => times::<dt::Time64NanosecondType, V>(array, 1_000_000_000, visitor),
        D::Timestamp(unit, zone) => {
            let zone = zone.as_deref().map(Zone::parse).transpose()?;
            match unit {
                TimeUnit::Second => timestamps::<dt::TimestampSecondType, V, 1>(array, zone, style, visitor),
                TimeUnit::Millisecond => {
                    timestamps::<dt::TimestampMillisecondType, V, 1_000>(array, zone, style, visitor)
                }
                TimeUnit::Microsecond => {
                    timestamps::<dt::TimestampMicrosecondType, V, 1_000_000>(array, zone, style, visitor)
                }
                TimeUnit::Nanosecond => {
                    timestamps::<dt::TimestampNanosecondType, V, 1_000_000_000>(array, zone, style, visitor)
                }
            }
        }
        D::Duration(unit) => {
            let nanos = nanos_per(*unit);
            let ticks = cast(array, &D::Int64)?;
            primitive::<dt::Int64Type, V, _>(&ticks, Kind::Plain, visitor, move |value, out| {
                write::interval(0, 0, i128::from(value) * i128::from(nanos), out);
                Ok(())
            })
        }
        D::Interval(IntervalUnit::YearMonth) => {
            primitive::<dt::IntervalYearMonthType, V, _>(array, Kind::Plain, visitor, |months, out| {
                write::interval(months.into(), 0, 0, out);
                Ok(())
            })
        }
        D::Interval(IntervalUnit::DayTime) => {
            primitive::<dt::IntervalDayTimeType, V, _>(array, Kind::Plain, visitor, |value, out| {
                write::interval(0, value.days.into(), i128::from(value.milliseconds) * 1_000_000, out);
                Ok(())
            })
        }
        D::Interval(IntervalUnit::MonthDayNano) => {
            primitive::<dt::IntervalMonthDayNanoType, V, _>(array, Kind::Plain, visitor, |value, out| {
                write::interval(value.months.into(), value.days.into(), value.nanoseconds.into(), out);
                Ok(())
            })
        }
        D::Binary => bytes(array.as_binary::<i32>().clone(), field, style, visitor),
        D::LargeBinary => bytes(array.as_binary::<i64>().clone(), field, style, visitor),
        D::BinaryView => bytes(array.as_binary_view().clone(), field, style, visitor),
        D::FixedSizeBinary(_) => bytes(array.as_fixed_size_binary().clone(), field, style, visitor),
        other => {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("column \"{}\" of type {other} is no scalar", field.name()),
            ));
        }
    })
}

/// Precision and scale of a decimal type; zeros for any other.
pub(crate) fn decimal_shape(data_type: &DataType) -> (u8, i8) {
    match data_type {
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => (*p, *s),
        _ => (0, 0),
    }
}

/// How many nanoseconds a unit has.
pub(crate) fn nanos_per(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// Whether a column of 16 bytes is marked as UUID, as Arrow's canonical extension types have it.
pub(crate) fn is_uuid(field: &Field) -> bool {
    field.extension_type_name() == Some("arrow.uuid")
}

struct Primitive<T: ArrowPrimitiveType, F> {
    array: PrimitiveArray<T>,
    kind: Kind,
    text: F,
}

impl<T: ArrowPrimitiveType, F: Fn(T::Native, &mut Vec<u8>) -> Result<()>> Cell for Primitive<T, F> {
    fn kind(&self) -> Kind {
        self.kind
    }

    #[inline]
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    #[inline]
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        (self.text)(self.array.value(row), out)
    }
}

fn primitive<T, V, F>(array: &ArrayRef, kind: Kind, visitor: V, text: F) -> V::Out
where
    T: ArrowPrimitiveType,
    V: Visit,
    F: Fn(T::Native, &mut Vec<u8>) -> Result<()> + 'static,
{
    visitor.cells(Primitive::<T, F> { array: array.as_primitive::<T>().clone(), kind, text })
}

fn integers<T: ArrowPrimitiveType, V: Visit>(array: &ArrayRef, kind: Kind, visitor: V) -> V::Out
where
    T::Native: itoa::Integer,
{
    primitive::<T, V, _>(array, kind, visitor, |value, out| {
        write::integer(value, out);
        Ok(())
    })
}

struct Floats<T: ArrowPrimitiveType> {
    array: PrimitiveArray<T>,
    column: String,
    policy: NotFinite,
    words: [Vec<u8>; 3],
}

impl<T: ArrowPrimitiveType> Cell for Floats<T>
where
    T::Native: zmij::Float + Into<f64>,
{
    fn kind(&self) -> Kind {
        Kind::Number
    }

    #[inline]
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row) || (self.policy == NotFinite::Null && !self.array.value(row).into().is_finite())
    }

    #[inline]
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        let value = self.array.value(row);
        let wide: f64 = value.into();
        if wide.is_finite() {
            write::float(value, out);
            return Ok(());
        }
        if self.policy == NotFinite::Error {
            return Err(Error::new(
                ErrorKind::Data,
                format!("column \"{}\": {wide} is not a finite number", self.column),
            )
            .hint("set the option `nan` to `null` or `string`, or filter such rows out"));
        }
        out.extend_from_slice(&self.words[if wide.is_nan() { 0 } else { 1 + usize::from(wide < 0.0) }]);
        Ok(())
    }
}

fn floats<T: ArrowPrimitiveType, V: Visit>(array: &ArrayRef, field: &Field, style: &Style, visitor: V) -> V::Out
where
    T::Native: zmij::Float + Into<f64>,
{
    visitor.cells(Floats::<T> {
        array: array.as_primitive::<T>().clone(),
        column: field.name().clone(),
        policy: style.not_finite,
        words: style.words.clone(),
    })
}

struct Booleans {
    array: BooleanArray,
    words: [Vec<u8>; 2],
}

impl Cell for Booleans {
    fn kind(&self) -> Kind {
        Kind::Boolean
    }

    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&self.words[usize::from(self.array.value(row))]);
        Ok(())
    }
}

fn dates<T: ArrowPrimitiveType, V: Visit>(
    array: &ArrayRef,
    style: &Style,
    visitor: V,
    split: impl Fn(T::Native) -> (i64, i64) + Copy + 'static,
) -> V::Out {
    match style.date.clone() {
        None => primitive::<T, V, _>(array, Kind::Plain, visitor, move |value, out| {
            let (days, millis) = split(value);
            write::date(days, out);
            if millis != 0 {
                out.push(b'T');
                write::time((millis / 1_000) as u32, (millis % 1_000) as u32 * 1_000_000, out);
            }
            Ok(())
        }),
        Some(pattern) => primitive::<T, V, _>(array, Kind::Free, visitor, move |value, out| {
            let (days, millis) = split(value);
            let seconds = days * write::SECONDS_PER_DAY + millis / 1_000;
            pattern.write(&Civil::new(seconds, (millis % 1_000) as u32 * 1_000_000), out)
        }),
    }
}

fn times<T: ArrowPrimitiveType, V: Visit>(array: &ArrayRef, per_second: i64, visitor: V) -> V::Out
where
    T::Native: Into<i64>,
{
    primitive::<T, V, _>(array, Kind::Plain, visitor, move |value, out| {
        let ticks: i64 = value.into();
        let nanos = ticks.rem_euclid(per_second) * (1_000_000_000 / per_second);
        match u32::try_from(ticks.div_euclid(per_second)) {
            Ok(seconds) => {
                write::time(seconds, nanos as u32, out);
                Ok(())
            }
            Err(_) => Err(Error::new(ErrorKind::Data, format!("{ticks} ticks since midnight are no time of day"))),
        }
    })
}

fn timestamps<T, V, const PER_SECOND: i64>(array: &ArrayRef, zone: Option<Zone>, style: &Style, visitor: V) -> V::Out
where
    T: ArrowPrimitiveType<Native = i64>,
    V: Visit,
{
    let split = |ticks: i64| {
        (ticks.div_euclid(PER_SECOND), (ticks.rem_euclid(PER_SECOND) * (1_000_000_000 / PER_SECOND)) as u32)
    };
    let pattern: Option<Pattern> = if zone.is_some() { style.timestamp.clone() } else { style.timestamp_ntz.clone() };
    match (pattern, zone) {
        (None, None) => primitive::<T, V, _>(array, Kind::Plain, visitor, move |ticks, out| {
            let (seconds, nanos) = split(ticks);
            write::timestamp(seconds, nanos, out);
            Ok(())
        }),
        (None, Some(zone)) => primitive::<T, V, _>(array, Kind::Plain, visitor, move |ticks, out| {
            let (seconds, nanos) = split(ticks);
            match zone.offset(seconds) {
                // RFC 3339 has no offsets with seconds, which local mean time had; the instant is the same in UTC.
                Some(offset) if offset % 60 == 0 => {
                    write::timestamp(seconds + i64::from(offset), nanos, out);
                    write::offset(offset, true, out);
                }
                _ => {
                    write::timestamp(seconds, nanos, out);
                    out.push(b'Z');
                }
            }
            Ok(())
        }),
        (Some(pattern), zone) => primitive::<T, V, _>(array, Kind::Free, visitor, move |ticks, out| {
            let (seconds, nanos) = split(ticks);
            let civil = match &zone {
                None => Civil::new(seconds, nanos),
                Some(zone) => {
                    let offset = zone.offset(seconds).unwrap_or(0);
                    Civil::new(seconds + i64::from(offset), nanos).with_zone(offset, zone.name())
                }
            };
            pattern.write(&civil, out)
        }),
    }
}

/// Arrays of bytes of any layout.
trait ByteRows: 'static {
    fn null(&self, row: usize) -> bool;
    fn bytes(&self, row: usize) -> &[u8];
}

impl<O: OffsetSizeTrait> ByteRows for GenericByteArray<GenericBinaryType<O>> {
    fn null(&self, row: usize) -> bool {
        self.is_null(row)
    }
    fn bytes(&self, row: usize) -> &[u8] {
        self.value(row)
    }
}

impl ByteRows for BinaryViewArray {
    fn null(&self, row: usize) -> bool {
        self.is_null(row)
    }
    fn bytes(&self, row: usize) -> &[u8] {
        self.value(row)
    }
}

impl ByteRows for FixedSizeBinaryArray {
    fn null(&self, row: usize) -> bool {
        self.is_null(row)
    }
    fn bytes(&self, row: usize) -> &[u8] {
        self.value(row)
    }
}

struct Bytes<A> {
    array: A,
    text: fn(&[u8], &mut Vec<u8>),
}

impl<A: ByteRows> Cell for Bytes<A> {
    fn kind(&self) -> Kind {
        Kind::Bytes
    }

    fn is_null(&self, row: usize) -> bool {
        self.array.null(row)
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        (self.text)(self.array.bytes(row), out);
        Ok(())
    }
}

fn bytes<A: ByteRows, V: Visit>(array: A, field: &Field, style: &Style, visitor: V) -> V::Out {
    let text = match style.binary {
        _ if is_uuid(field) => write::uuid,
        BinaryText::Base64 => write::base64,
        BinaryText::Hex => write::hexadecimal,
    };
    visitor.cells(Bytes { array, text })
}
