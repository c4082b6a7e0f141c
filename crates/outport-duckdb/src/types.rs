//! DuckDB's Arrow as everyone's Arrow.
//!
//! With `arrow_lossless_conversion` DuckDB exports every type without loss, some of them as opaque bytes that nobody else
//! reads. Here these become standard types:
//!
//! | DuckDB | Arrow |
//! |---|---|
//! | HUGEINT, UHUGEINT | `Decimal128(38, 0)`; a value of 39 digits is an error that names the column |
//! | BIGNUM | text of its digits |
//! | UUID | `FixedSizeBinary(16)` with `arrow.uuid` |
//! | JSON | text with `arrow.json` |
//! | ENUM | text |
//! | BIT | text of zeros and ones |
//! | TIME WITH TIME ZONE | text such as `10:11:12.5+02:00` |
//! | TIMESTAMP WITH TIME ZONE | `Timestamp(µs, "UTC")` |
//! | UNION | a struct with one nullable field per member, of which at most one is not NULL |
//! | GEOMETRY | well-known binary with `geoarrow.wkb` |
//! | BOOLEAN, numbers, VARCHAR, BLOB, DATE, TIME, TIMESTAMP, INTERVAL, DECIMAL, LIST, ARRAY, STRUCT, MAP | as they are |
//!
//! The infinite dates and timestamps of DuckDB have no counterpart in Arrow and are errors that name the column.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, FixedSizeListArray, ListArray, MapArray, RecordBatch,
    StringArray, StructArray,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute;
use arrow::datatypes::{
    DataType, Date32Type, Field, FieldRef, Fields, Int8Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use num_bigint::BigUint;
use outport_core::{Error, ErrorKind, Result};

const EXTENSION_NAME: &str = "ARROW:extension:name";
const EXTENSION_METADATA: &str = "ARROW:extension:metadata";

/// Turns batches as DuckDB exports them into batches of `schema`.
pub(crate) struct Conversion {
    /// The schema that comes out.
    pub(crate) schema: SchemaRef,
    columns: Vec<Convert>,
}

impl Conversion {
    /// The conversion for results of `schema`, which DuckDB reported.
    pub(crate) fn new(schema: &Schema) -> Result<Self> {
        let mut names = HashSet::new();
        if let Some(twice) = schema.fields().iter().find(|f| !names.insert(f.name())) {
            return Err(Error::new(
                ErrorKind::SourceRead,
                format!("the query has two columns named \"{}\"", twice.name()),
            )
            .hint("give one of them another name with AS"));
        }
        let (fields, columns): (Vec<FieldRef>, Vec<Convert>) = schema.fields().iter().map(convert_field).unzip();
        Ok(Self { schema: Arc::new(Schema::new(fields)), columns })
    }

    /// Converts one chunk.
    pub(crate) fn apply(&self, chunk: StructArray) -> Result<RecordBatch> {
        let rows = chunk.len();
        let (_, arrays, _) = chunk.into_parts();
        let converted = arrays
            .into_iter()
            .zip(&self.columns)
            .zip(self.schema.fields())
            .map(|((array, convert), field)| {
                convert.apply(array).map_err(|problem| {
                    Error::new(ErrorKind::Data, format!("column \"{}\": {}", field.name(), problem.found))
                        .hint(problem.hint)
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), converted, &options).map_err(|e| {
            Error::new(ErrorKind::Internal, format!("a batch of DuckDB does not have its own schema: {e}"))
        })
    }
}

/// A value that has no counterpart.
#[derive(Debug)]
struct Problem {
    found: String,
    hint: &'static str,
}

/// What is done to an array.
#[derive(Debug)]
enum Convert {
    Keep,
    Bool,
    HugeInt,
    UnsignedHugeInt,
    BigNum,
    Bit,
    TimeTz,
    Text,
    Date,
    Timestamp(TimeUnit),
    TimestampUtc,
    List(FieldRef, Box<Convert>),
    FixedSizeList(FieldRef, i32, Box<Convert>),
    Map(FieldRef, bool, Box<Convert>),
    Struct(Fields, Vec<Convert>),
    Union(Fields, Vec<i8>, Vec<Convert>),
}

fn convert_field(field: &FieldRef) -> (FieldRef, Convert) {
    let metadata = field.metadata();
    let opaque = metadata.get(EXTENSION_METADATA).map_or("", String::as_str);
    let is = |name: &str| opaque.contains(&format!("\"{name}\""));
    let (data_type, convert) = match (metadata.get(EXTENSION_NAME).map(String::as_str), field.data_type()) {
        (Some("arrow.bool8"), _) => (DataType::Boolean, Convert::Bool),
        (Some("arrow.opaque"), _) if is("hugeint") => (DataType::Decimal128(38, 0), Convert::HugeInt),
        (Some("arrow.opaque"), _) if is("uhugeint") => (DataType::Decimal128(38, 0), Convert::UnsignedHugeInt),
        (Some("arrow.opaque"), _) if is("bignum") => (DataType::Utf8, Convert::BigNum),
        (Some("arrow.opaque"), _) if is("bit") => (DataType::Utf8, Convert::Bit),
        (Some("arrow.opaque"), _) if is("time_tz") => (DataType::Utf8, Convert::TimeTz),
        (_, data_type) => {
            let (data_type, convert) = convert_type(data_type);
            let same = Field::new(field.name(), data_type, field.is_nullable()).with_metadata(metadata.clone());
            return (Arc::new(same), convert);
        }
    };
    (Arc::new(Field::new(field.name(), data_type, field.is_nullable())), convert)
}

fn convert_type(data_type: &DataType) -> (DataType, Convert) {
    match data_type {
        DataType::Dictionary(_, values) => (values.as_ref().clone(), Convert::Text),
        DataType::Date32 => (DataType::Date32, Convert::Date),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), Convert::TimestampUtc)
        }
        DataType::Timestamp(unit, None) => (data_type.clone(), Convert::Timestamp(*unit)),
        DataType::List(item) => {
            let (item, convert) = convert_field(item);
            (DataType::List(item.clone()), convert.nested(|c| Convert::List(item, c)))
        }
        DataType::FixedSizeList(item, size) => {
            let (item, convert) = convert_field(item);
            (DataType::FixedSizeList(item.clone(), *size), convert.nested(|c| Convert::FixedSizeList(item, *size, c)))
        }
        DataType::Map(entries, sorted) => {
            let (entries, convert) = convert_field(entries);
            (DataType::Map(entries.clone(), *sorted), convert.nested(|c| Convert::Map(entries, *sorted, c)))
        }
        DataType::Struct(fields) => {
            let (fields, members): (Vec<FieldRef>, Vec<Convert>) = fields.iter().map(convert_field).unzip();
            let fields = Fields::from(fields);
            let convert = if members.iter().all(|m| matches!(m, Convert::Keep)) {
                Convert::Keep
            } else {
                Convert::Struct(fields.clone(), members)
            };
            (DataType::Struct(fields), convert)
        }
        DataType::Union(fields, _) => {
            let tags = fields.iter().map(|(tag, _)| tag).collect();
            let (fields, members): (Vec<FieldRef>, Vec<Convert>) = fields.iter().map(|(_, f)| convert_field(f)).unzip();
            let fields: Fields = fields.iter().map(|f| Arc::new(f.as_ref().clone().with_nullable(true))).collect();
            (DataType::Struct(fields.clone()), Convert::Union(fields, tags, members))
        }
        other => (other.clone(), Convert::Keep),
    }
}

impl Convert {
    /// Wraps a conversion of items; nothing needs to be done where the items stay as they are.
    fn nested(self, wrap: impl FnOnce(Box<Convert>) -> Convert) -> Convert {
        if matches!(self, Convert::Keep) { Convert::Keep } else { wrap(Box::new(self)) }
    }

    fn apply(&self, array: ArrayRef) -> Result<ArrayRef, Problem> {
        Ok(match self {
            Self::Keep => array,
            Self::Bool => {
                let bytes = array.as_primitive::<Int8Type>();
                let values = BooleanBuffer::collect_bool(bytes.len(), |i| bytes.values()[i] != 0);
                Arc::new(BooleanArray::new(values, bytes.nulls().cloned()))
            }
            Self::HugeInt => {
                huge_ints(&array, |bytes| Some(i128::from_le_bytes(bytes)), |b| i128::from_le_bytes(b).to_string())?
            }
            Self::UnsignedHugeInt => huge_ints(
                &array,
                |b| i128::try_from(u128::from_le_bytes(b)).ok(),
                |b| u128::from_le_bytes(b).to_string(),
            )?,
            Self::BigNum => texts(array.as_binary::<i32>().iter().map(|v| v.map(big_num))),
            Self::Bit => texts(array.as_binary::<i32>().iter().map(|v| v.map(bits))),
            Self::TimeTz => texts(array.as_fixed_size_binary().iter().map(|v| v.map(time_tz))),
            Self::Text => {
                let dictionary = array.as_any_dictionary();
                compute::take(dictionary.values(), dictionary.keys(), None).map_err(unexpected)?
            }
            Self::Date => {
                finite(&array, array.as_primitive::<Date32Type>().values(), "date", |v| {
                    v == i32::MAX || v == -i32::MAX
                })?;
                array
            }
            Self::Timestamp(unit) => {
                let values = match unit {
                    TimeUnit::Second => array.as_primitive::<TimestampSecondType>().values(),
                    TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().values(),
                    TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().values(),
                    TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().values(),
                };
                finite(&array, values, "timestamp", is_infinite)?;
                array
            }
            Self::TimestampUtc => {
                let instants = array.as_primitive::<TimestampMicrosecondType>();
                finite(&array, instants.values(), "timestamp", is_infinite)?;
                Arc::new(instants.clone().with_timezone("UTC"))
            }
            Self::List(item, convert) => {
                let list = array.as_list::<i32>();
                let values = convert.apply(list.values().clone())?;
                Arc::new(
                    ListArray::try_new(item.clone(), list.offsets().clone(), values, list.nulls().cloned())
                        .map_err(unexpected)?,
                )
            }
            Self::FixedSizeList(item, size, convert) => {
                let list = array.as_fixed_size_list();
                let values = convert.apply(list.values().clone())?;
                Arc::new(
                    FixedSizeListArray::try_new(item.clone(), *size, values, list.nulls().cloned())
                        .map_err(unexpected)?,
                )
            }
            Self::Map(entries, sorted, convert) => {
                let map = array.as_map();
                let converted = convert.apply(Arc::new(map.entries().clone()))?;
                let converted = converted.as_struct().clone();
                let offsets = map.offsets().clone();
                Arc::new(
                    MapArray::try_new(entries.clone(), offsets, converted, map.nulls().cloned(), *sorted)
                        .map_err(unexpected)?,
                )
            }
            Self::Struct(fields, members) => {
                let parts = array.as_struct();
                let converted =
                    parts.columns().iter().zip(members).map(|(a, m)| m.apply(a.clone())).collect::<Result<_, _>>()?;
                Arc::new(StructArray::try_new(fields.clone(), converted, parts.nulls().cloned()).map_err(unexpected)?)
            }
            Self::Union(fields, tags, members) => {
                let union = array.as_union();
                let converted = tags.iter().zip(members).map(|(tag, member)| {
                    let others: BooleanArray = union.type_ids().iter().map(|id| Some(id != tag)).collect();
                    let own = compute::nullif(union.child(*tag), &others).map_err(unexpected)?;
                    member.apply(own)
                });
                let converted = converted.collect::<Result<_, Problem>>()?;
                Arc::new(StructArray::try_new(fields.clone(), converted, None).map_err(unexpected)?)
            }
        })
    }
}

fn unexpected(error: arrow::error::ArrowError) -> Problem {
    Problem {
        found: format!("DuckDB exported it in a way that Arrow does not know: {error}"),
        hint: "cast the column in a query",
    }
}

fn is_infinite(ticks: i64) -> bool {
    ticks == i64::MAX || ticks == -i64::MAX
}

/// An error if a value that is not NULL is infinite. The pass over all values is branch-free, so it costs next to nothing.
fn finite<T: Copy>(array: &ArrayRef, values: &[T], what: &str, infinite: impl Fn(T) -> bool) -> Result<(), Problem> {
    if !values.iter().fold(false, |any, v| any | infinite(*v)) {
        return Ok(());
    }
    match values.iter().enumerate().any(|(i, v)| infinite(*v) && array.is_valid(i)) {
        false => Ok(()),
        true => Err(Problem {
            found: format!("the {what} \"infinity\" or \"-infinity\" has no place in Arrow"),
            hint: "leave such rows out, or replace the value with CASE WHEN isinf(…) in a query",
        }),
    }
}

fn huge_ints(
    array: &ArrayRef,
    value: impl Fn([u8; 16]) -> Option<i128>,
    text: impl Fn([u8; 16]) -> String,
) -> Result<ArrayRef, Problem> {
    const LIMIT: u128 = 10u128.pow(38);
    let bytes = array.as_fixed_size_binary();
    let mut values = Vec::with_capacity(bytes.len());
    for row in 0..bytes.len() {
        if bytes.is_null(row) {
            values.push(0);
            continue;
        }
        let raw = <[u8; 16]>::try_from(bytes.value(row)).map_err(|_| Problem {
            found: "a huge integer is not 16 bytes long".to_owned(),
            hint: "cast the column to VARCHAR in a query",
        })?;
        match value(raw).filter(|v| v.unsigned_abs() < LIMIT) {
            Some(v) => values.push(v),
            None => {
                return Err(Problem {
                    found: format!("{} has more than the 38 digits of DECIMAL(38, 0)", text(raw)),
                    hint: "cast the column to VARCHAR in a query",
                });
            }
        }
    }
    let decimals = Decimal128Array::new(values.into(), bytes.nulls().cloned());
    Ok(Arc::new(decimals.with_precision_and_scale(38, 0).map_err(unexpected)?))
}

fn texts(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

/// A BIGNUM: three bytes of sign and length, then the magnitude, big-endian; every bit is flipped where it is negative.
fn big_num(bytes: &[u8]) -> String {
    let negative = bytes.first().is_some_and(|b| b & 0x80 == 0);
    let magnitude: Vec<u8> = bytes.iter().skip(3).map(|b| if negative { !b } else { *b }).collect();
    let digits = BigUint::from_bytes_be(&magnitude);
    if negative { format!("-{digits}") } else { digits.to_string() }
}

/// A BIT: one byte with the number of padding bits, then the bits from the left, behind the padding.
fn bits(bytes: &[u8]) -> String {
    let Some((padding, bytes)) = bytes.split_first() else {
        return String::new();
    };
    let all = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| if byte >> bit & 1 == 1 { '1' } else { '0' }));
    all.skip(usize::from(*padding)).collect()
}

/// A TIMETZ: microseconds of the day in the upper 40 bits, and below them 57599 less the offset in seconds.
fn time_tz(bytes: &[u8]) -> String {
    const LARGEST_OFFSET: i64 = 16 * 3600 - 1;
    let raw = <[u8; 8]>::try_from(bytes).map_or(0, u64::from_le_bytes);
    let micros = raw >> 24;
    let offset = LARGEST_OFFSET - (raw & 0xff_ffff) as i64;
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction != 0 {
        text.push_str(format!(".{fraction:06}").trim_end_matches('0'));
    }
    let (sign, offset) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs());
    text.push_str(&format!("{sign}{:02}:{:02}", offset / 3600, offset / 60 % 60));
    if offset % 60 != 0 {
        text.push_str(&format!(":{:02}", offset % 60));
    }
    text
}

#[cfg(test)]
mod tests;
