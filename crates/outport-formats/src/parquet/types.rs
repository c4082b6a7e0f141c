//! Which Arrow types Parquet holds, and what becomes of the others.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use outport_core::format::{Fidelity, logical};
use outport_core::{Error, ErrorKind, Result};

use super::options::Unit;

/// The reader that a file is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Profile {
    /// Any reader of today.
    #[default]
    Default,
    /// Apache Spark: no unsigned integers, no nanoseconds, decimals up to 38 digits.
    Spark,
    /// BigQuery: the same, with decimals up to 76 digits.
    BigQuery,
    /// Microsoft Fabric: as Spark, and no times of day.
    Fabric,
}

/// How well a type survives.
pub(super) fn fidelity(data_type: &DataType, profile: Profile, unit: Option<Unit>) -> Fidelity {
    match stored(data_type, profile, unit) {
        Err(why) => Fidelity::Refused(why),
        Ok(stored) if logical(&stored) == logical(data_type) => match duration(data_type) {
            true => {
                Fidelity::Lossy("parquet has no durations: other readers than those of Arrow see a number".to_owned())
            }
            false => Fidelity::Exact,
        },
        Ok(stored) => Fidelity::Lossy(format!("it is stored as {stored}")),
    }
}

/// The schema as it is stored.
///
/// # Errors
/// [`ErrorKind::Unsupported`] that names every column whose type cannot be stored.
pub(super) fn stored_schema(schema: &Schema, profile: Profile, unit: Option<Unit>) -> Result<SchemaRef> {
    let mut fields = Vec::with_capacity(schema.fields().len());
    let mut errors = Vec::new();
    for field in schema.fields() {
        match stored(field.data_type(), profile, unit) {
            Ok(data_type) => fields.push(with_type(field, data_type)),
            Err(why) => errors.push(
                Error::new(
                    ErrorKind::Unsupported,
                    format!("column \"{}\" of type {}: {why}", field.name(), field.data_type()),
                )
                .hint(format!("convert it in the query, such as cast(\"{}\" as varchar)", field.name())),
            ),
        }
    }
    if !errors.is_empty() {
        return Err(Error::many(errors, "parquet cannot hold several columns"));
    }
    if fields.is_empty() {
        return Err(Error::new(ErrorKind::Unsupported, "parquet cannot hold a table without columns, found none")
            .hint("export at least one column"));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// The type that `data_type` is stored as, or why it cannot be.
fn stored(data_type: &DataType, profile: Profile, unit: Option<Unit>) -> Result<DataType, String> {
    let old = profile != Profile::Default;
    let inner = |field: &FieldRef| Ok::<_, String>(with_type(field, stored(field.data_type(), profile, unit)?));
    Ok(match data_type {
        DataType::Interval(_) => {
            return Err(
                "parquet has no interval that its readers agree on; convert it to text or to a number".to_owned()
            );
        }
        DataType::Union(..) => return Err("parquet has no unions; pick one of the types in the query".to_owned()),
        DataType::Struct(fields) if fields.is_empty() => {
            return Err("parquet has no struct without fields; leave the column out".to_owned());
        }
        DataType::Timestamp(have, zone) => DataType::Timestamp(timestamp_unit(*have, profile, unit), zone.clone()),
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) if profile == Profile::Fabric => {
            return Err("fabric has no times of day; convert it to text".to_owned());
        }
        DataType::Time32(_) if old => DataType::Time64(TimeUnit::Microsecond),
        DataType::Time32(_) => DataType::Time32(TimeUnit::Millisecond),
        DataType::Time64(_) if old => DataType::Time64(TimeUnit::Microsecond),
        DataType::UInt8 if old => DataType::Int16,
        DataType::UInt16 if old => DataType::Int32,
        DataType::UInt32 if old => DataType::Int64,
        DataType::UInt64 if old => DataType::Decimal128(20, 0),
        DataType::Float16 if old => DataType::Float32,
        DataType::Decimal256(precision, _)
            if *precision > 38 && matches!(profile, Profile::Spark | Profile::Fabric) =>
        {
            return Err(format!("its reader has decimals up to 38 digits, found {precision}; convert it to text"));
        }
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::RunEndEncoded(_, values) => stored(values.data_type(), profile, unit)?,
        DataType::Dictionary(key, values) => match stored(values, profile, unit)? {
            same if same == **values && flat(&same) => DataType::Dictionary(key.clone(), values.clone()),
            other => other,
        },
        DataType::List(field) => DataType::List(inner(field)?),
        DataType::LargeList(field) => DataType::LargeList(inner(field)?),
        DataType::ListView(field) => DataType::List(inner(field)?),
        DataType::LargeListView(field) => DataType::LargeList(inner(field)?),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(inner(field)?, *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect::<Result<_, _>>()?),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries)?, *sorted),
        other => other.clone(),
    })
}

fn timestamp_unit(have: TimeUnit, profile: Profile, wanted: Option<Unit>) -> TimeUnit {
    match wanted {
        Some(Unit::Millisecond) => TimeUnit::Millisecond,
        Some(Unit::Microsecond) => TimeUnit::Microsecond,
        Some(Unit::Nanosecond) => TimeUnit::Nanosecond,
        None if profile != Profile::Default => TimeUnit::Microsecond,
        // Parquet counts milliseconds at its coarsest.
        None if have == TimeUnit::Second => TimeUnit::Millisecond,
        None => have,
    }
}

/// Whether the dictionary of such values can be written as it is.
fn flat(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
    )
}

fn duration(data_type: &DataType) -> bool {
    match data_type {
        DataType::Duration(_) => true,
        DataType::List(f) | DataType::LargeList(f) | DataType::FixedSizeList(f, _) | DataType::Map(f, _) => {
            duration(f.data_type())
        }
        DataType::Struct(fields) => fields.iter().any(|f| duration(f.data_type())),
        _ => false,
    }
}

fn with_type(field: &FieldRef, data_type: DataType) -> FieldRef {
    if *field.data_type() == data_type {
        field.clone()
    } else {
        Arc::new(Field::clone(field).with_data_type(data_type))
    }
}
