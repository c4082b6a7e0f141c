//! Arrays and composite values, whose elements travel as columns of their own would.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, NullBufferBuilder, StructArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{FieldRef, Fields};
use outport_core::{Error, ErrorKind, Result};

use super::super::config::OutOfRange;
use super::super::types::Kind;
use super::{Column, column, malformed};

/// A column of arrays.
pub(super) struct Lists {
    item: FieldRef,
    elements: Box<dyn Column>,
    /// The number of elements so far.
    len: i32,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Lists {
    pub(super) fn new(element: &Kind, policy: OutOfRange) -> Self {
        Self {
            item: element.item(),
            elements: column(element, policy),
            len: 0,
            offsets: vec![0],
            nulls: NullBufferBuilder::new(0),
        }
    }
}

impl Column for Lists {
    fn append(&mut self, field: &[u8]) -> Result<()> {
        // The number of dimensions, whether there are NULLs, and the element's type; a length and a lower bound a dimension.
        let (dimensions, rest) = take_i32(field)?;
        let rest = rest.get(8..).ok_or_else(|| malformed("an array that ends early"))?;
        match dimensions {
            0 => {}
            1 => {
                let (count, mut rest) = take_i32(rest)?;
                rest = rest.get(4..).ok_or_else(|| malformed("an array that ends early"))?;
                if count < 0 {
                    return Err(malformed("an array with a negative length"));
                }
                for _ in 0..count {
                    rest = append_next(self.elements.as_mut(), rest)?;
                }
                self.len =
                    self.len.checked_add(count).ok_or_else(|| malformed("an array of more than 2^31 elements"))?;
            }
            more => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("an array of {more} dimensions was found, expected one"),
                )
                .hint(
                    "set `arrays: text` on the connection, or read the column as text (column::text) in a source_query",
                ));
            }
        }
        self.offsets.push(self.len);
        self.nulls.append_non_null();
        Ok(())
    }

    fn append_null(&mut self) {
        self.offsets.push(self.len);
        self.nulls.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let mut next = Vec::with_capacity(self.offsets.len());
        next.push(0);
        self.len = 0;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.offsets, next)));
        Ok(Arc::new(ListArray::try_new(self.item.clone(), offsets, self.elements.finish()?, self.nulls.finish())?))
    }

    fn take_replaced(&mut self) -> u64 {
        self.elements.take_replaced()
    }
}

/// A column of composite values.
pub(super) struct Structs {
    fields: Fields,
    columns: Vec<Box<dyn Column>>,
    len: usize,
    nulls: NullBufferBuilder,
}

impl Structs {
    pub(super) fn new(fields: &[(String, Kind)], policy: OutOfRange) -> Self {
        Self {
            fields: fields.iter().map(|(name, kind)| kind.field(name)).collect(),
            columns: fields.iter().map(|(_, kind)| column(kind, policy)).collect(),
            len: 0,
            nulls: NullBufferBuilder::new(0),
        }
    }
}

impl Column for Structs {
    fn append(&mut self, field: &[u8]) -> Result<()> {
        let (count, mut rest) = take_i32(field)?;
        if usize::try_from(count) != Ok(self.columns.len()) {
            return Err(malformed(format_args!(
                "a composite value of {count} fields, expected {}",
                self.columns.len()
            )));
        }
        for column in &mut self.columns {
            // Each field follows the oid of its type.
            rest = append_next(
                column.as_mut(),
                rest.get(4..).ok_or_else(|| malformed("a composite value that ends early"))?,
            )?;
        }
        self.len += 1;
        self.nulls.append_non_null();
        Ok(())
    }

    fn append_null(&mut self) {
        for column in &mut self.columns {
            column.append_null();
        }
        self.len += 1;
        self.nulls.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let arrays = self.columns.iter_mut().map(|c| c.finish()).collect::<Result<Vec<_>>>()?;
        let len = std::mem::take(&mut self.len);
        Ok(Arc::new(StructArray::try_new_with_length(self.fields.clone(), arrays, self.nulls.finish(), len)?))
    }

    fn take_replaced(&mut self) -> u64 {
        self.columns.iter_mut().map(|c| c.take_replaced()).sum()
    }
}

#[inline]
fn take_i32(bytes: &[u8]) -> Result<(i32, &[u8])> {
    let (head, rest) = bytes.split_first_chunk().ok_or_else(|| malformed("a nested value that ends early"))?;
    Ok((i32::from_be_bytes(*head), rest))
}

/// Appends the element that begins here, behind its length, and gives what is behind it.
#[inline]
fn append_next<'a>(column: &mut dyn Column, bytes: &'a [u8]) -> Result<&'a [u8]> {
    let (length, rest) = take_i32(bytes)?;
    let Ok(length) = usize::try_from(length) else {
        column.append_null();
        return Ok(rest);
    };
    let (element, rest) =
        rest.split_at_checked(length).ok_or_else(|| malformed("an element that is longer than its value"))?;
    column.append(element)?;
    Ok(rest)
}
