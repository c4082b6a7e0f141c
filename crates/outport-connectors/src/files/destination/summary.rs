//! What the manifest says of each column: NULLs, smallest and largest value.

use std::sync::Mutex;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes as dt;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use outport_core::Result;
use outport_core::manifest::ColumnSummary;
use outport_core::value::Value;

/// Summaries of all columns, filled from many threads.
pub(super) struct Summaries {
    schema: SchemaRef,
    columns: Mutex<Vec<Column>>,
}

#[derive(Clone, Default)]
struct Column {
    nulls: u64,
    range: Option<(Value, Value)>,
}

impl Summaries {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        Self { schema: schema.clone(), columns: Mutex::new(vec![Column::default(); schema.fields().len()]) }
    }

    /// Counts in some batches; the costly part holds no lock.
    pub(super) fn add(&self, batches: &[RecordBatch]) -> Result<()> {
        let mut added = vec![Column::default(); self.schema.fields().len()];
        for batch in batches {
            for (column, array) in added.iter_mut().zip(batch.columns()) {
                column.nulls += array.logical_null_count() as u64;
                column.widen(range(array)?);
            }
        }
        let mut columns = self.columns.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (column, more) in columns.iter_mut().zip(added) {
            column.nulls += more.nulls;
            column.widen(more.range);
        }
        Ok(())
    }

    /// The summaries in the order of the schema.
    pub(super) fn list(&self) -> Vec<ColumnSummary> {
        let columns = self.columns.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let summary = |(field, column): (&dt::FieldRef, &Column)| ColumnSummary {
            name: field.name().clone(),
            data_type: field.data_type().to_string(),
            nullable: field.is_nullable(),
            nulls: column.nulls,
            min: column.range.as_ref().map(|(low, _)| low.to_string()),
            max: column.range.as_ref().map(|(_, high)| high.to_string()),
        };
        self.schema.fields().iter().zip(columns.iter()).map(summary).collect()
    }
}

impl Column {
    fn widen(&mut self, other: Option<(Value, Value)>) {
        let Some((low, high)) = other else { return };
        self.range = Some(match self.range.take() {
            None => (low, high),
            Some((l, h)) => (if low < l { low } else { l }, if high > h { high } else { h }),
        });
    }
}

/// The range of numbers and times; `None` for other types, where there are only NULLs, and beyond the years that [`Value`] has.
fn range(array: &ArrayRef) -> Result<Option<(Value, Value)>> {
    macro_rules! of {
        ($($pattern:pat => $kind:ty),+ $(,)?) => {
            match array.data_type() {
                $($pattern => bounds::<$kind>(array.as_primitive()),)+
                _ => Ok(None),
            }
        };
    }
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    of! {
        DataType::Int8 => dt::Int8Type,
        DataType::Int16 => dt::Int16Type,
        DataType::Int32 => dt::Int32Type,
        DataType::Int64 => dt::Int64Type,
        DataType::UInt8 => dt::UInt8Type,
        DataType::UInt16 => dt::UInt16Type,
        DataType::UInt32 => dt::UInt32Type,
        DataType::UInt64 => dt::UInt64Type,
        DataType::Float32 => dt::Float32Type,
        DataType::Float64 => dt::Float64Type,
        DataType::Decimal128(..) => dt::Decimal128Type,
        DataType::Date32 => dt::Date32Type,
        DataType::Timestamp(Second, _) => dt::TimestampSecondType,
        DataType::Timestamp(Millisecond, _) => dt::TimestampMillisecondType,
        DataType::Timestamp(Microsecond, _) => dt::TimestampMicrosecondType,
        DataType::Timestamp(Nanosecond, _) => dt::TimestampNanosecondType,
    }
}

fn bounds<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>) -> Result<Option<(Value, Value)>>
where
    T::Native: PartialOrd,
{
    let (Some(low), Some(high)) = (min(array), max(array)) else { return Ok(None) };
    let value = |native| {
        let one = PrimitiveArray::<T>::from_value(native, 1).with_data_type(array.data_type().clone());
        Value::from_array(&(std::sync::Arc::new(one) as ArrayRef), 0)
    };
    // A date outside of the calendar is no reason to fail an export that can write it.
    Ok(match (value(low), value(high)) {
        (Ok(Some(low)), Ok(Some(high))) => Some((low, high)),
        _ => None,
    })
}
