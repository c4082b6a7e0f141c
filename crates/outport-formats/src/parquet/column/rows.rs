//! Rows of bytes, whatever the layout of their array.

use std::ops::Range;

use arrow::array::{Array, GenericByteArray, GenericByteViewArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{ArrowNativeType, ByteArrayType, ByteViewType};

use super::length;

/// An array whose values are bytes.
pub(super) trait Rows {
    fn len(&self) -> usize;

    fn nulls(&self) -> Option<&NullBuffer>;

    /// The bytes of a row that is not NULL.
    fn value(&self, row: usize) -> &[u8];

    /// Appends the values of some rows, one after the other.
    fn copy(&self, range: Range<usize>, out: &mut Vec<u8>) {
        self.each(range, |value| out.extend_from_slice(value));
    }

    fn is_valid(&self, row: usize) -> bool {
        self.nulls().is_none_or(|nulls| nulls.is_valid(row))
    }

    fn nulls_in(&self, range: Range<usize>) -> usize {
        match self.nulls() {
            Some(nulls) if nulls.null_count() > 0 => {
                let count = range.len();
                count - nulls.inner().slice(range.start, count).count_set_bits()
            }
            _ => 0,
        }
    }

    /// Calls with every value that is not NULL.
    #[inline]
    fn each(&self, range: Range<usize>, mut visit: impl FnMut(&[u8])) {
        match self.nulls() {
            Some(nulls) if nulls.null_count() > 0 => {
                range.filter(|row| nulls.is_valid(*row)).for_each(|row| visit(self.value(row)));
            }
            _ => range.for_each(|row| visit(self.value(row))),
        }
    }

    /// Appends the values with the length before each.
    fn copy_plain(&self, range: Range<usize>, out: &mut Vec<u8>) {
        self.each(range, |value| {
            out.extend_from_slice(&length(value.len()));
            out.extend_from_slice(value);
        });
    }

    /// Appends the lengths of the values.
    fn lengths(&self, range: Range<usize>, out: &mut Vec<i64>) {
        self.each(range, |value| out.push(value.len() as i64));
    }
}

impl<T: ByteArrayType> Rows for &GenericByteArray<T> {
    fn len(&self) -> usize {
        Array::len(*self)
    }

    fn nulls(&self) -> Option<&NullBuffer> {
        Array::nulls(*self)
    }

    #[inline]
    fn value(&self, row: usize) -> &[u8] {
        let offsets = self.value_offsets();
        &self.value_data()[offsets[row].as_usize()..offsets[row + 1].as_usize()]
    }

    fn copy(&self, range: Range<usize>, out: &mut Vec<u8>) {
        if self.nulls_in(range.clone()) > 0 {
            self.each(range, |value| out.extend_from_slice(value));
        } else {
            let offsets = self.value_offsets();
            let (start, end) = (offsets[range.start].as_usize(), offsets[range.end].as_usize());
            out.extend_from_slice(&self.value_data()[start..end]);
        }
    }
}

impl<T: ByteViewType> Rows for &GenericByteViewArray<T> {
    fn len(&self) -> usize {
        Array::len(*self)
    }

    fn nulls(&self) -> Option<&NullBuffer> {
        Array::nulls(*self)
    }

    #[inline]
    fn value(&self, row: usize) -> &[u8] {
        GenericByteViewArray::value(self, row).as_ref()
    }
}
