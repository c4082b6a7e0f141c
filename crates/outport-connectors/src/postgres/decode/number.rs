//! Booleans, integers and floating-point numbers: big-endian on the wire.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, BooleanBufferBuilder, NullBufferBuilder, PrimitiveArray};
use arrow::datatypes::{ArrowPrimitiveType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, UInt32Type};
use outport_core::Result;

use super::{Column, malformed};

/// A number of fixed width.
pub(super) trait Number: ArrowPrimitiveType {
    /// The value of a field; `None` where it has another width.
    fn read(field: &[u8]) -> Option<Self::Native>;
}

macro_rules! number {
    ($($arrow:ty => $native:ty),* $(,)?) => {$(
        impl Number for $arrow {
            #[inline]
            fn read(field: &[u8]) -> Option<$native> {
                field.try_into().ok().map(<$native>::from_be_bytes)
            }
        }
    )*};
}

number!(Int16Type => i16, Int32Type => i32, Int64Type => i64, UInt32Type => u32, Float32Type => f32, Float64Type => f64);

/// A column of numbers.
pub(super) struct Numbers<T: Number> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
}

impl<T: Number> Default for Numbers<T> {
    fn default() -> Self {
        Self { values: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }
}

impl<T: Number> Column for Numbers<T> {
    #[inline]
    fn append(&mut self, field: &[u8]) -> Result<()> {
        let Some(value) = T::read(field) else {
            return Err(malformed(format_args!("{} bytes for a {}", field.len(), T::DATA_TYPE)));
        };
        self.values.push(value);
        self.nulls.append_non_null();
        Ok(())
    }

    fn append_null(&mut self) {
        self.values.push(T::Native::default());
        self.nulls.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let next = Vec::with_capacity(self.values.len());
        let values = std::mem::replace(&mut self.values, next);
        Ok(Arc::new(PrimitiveArray::<T>::try_new(values.into(), self.nulls.finish())?))
    }
}

/// A column of booleans.
pub(super) struct Booleans {
    values: BooleanBufferBuilder,
    nulls: NullBufferBuilder,
}

impl Default for Booleans {
    fn default() -> Self {
        Self { values: BooleanBufferBuilder::new(0), nulls: NullBufferBuilder::new(0) }
    }
}

impl Column for Booleans {
    #[inline]
    fn append(&mut self, field: &[u8]) -> Result<()> {
        let [value] = field else { return Err(malformed(format_args!("{} bytes for a boolean", field.len()))) };
        self.values.append(*value != 0);
        self.nulls.append_non_null();
        Ok(())
    }

    fn append_null(&mut self) {
        self.values.append(false);
        self.nulls.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(BooleanArray::new(self.values.finish(), self.nulls.finish())))
    }
}
