//! Columns that take JSON values.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeListArray, GenericListArray, MapArray, NullBufferBuilder, OffsetSizeTrait, StructArray,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use outport_core::{Error, ErrorKind, Result};

use super::cursor::{Cursor, Fault, is_number, unescape};
use crate::text::cell::is_text;
use crate::text::read::{Leaf, leaf};
use crate::text::style::Style;
use crate::text::types::describe;

/// A column that takes JSON values.
pub(super) enum Node {
    Scalar {
        name: String,
        expected: String,
        leaf: Box<dyn Leaf>,
        text: bool,
        scratch: Vec<u8>,
    },
    List {
        name: String,
        item: Box<Node>,
        field: FieldRef,
        offsets: Vec<i64>,
        nulls: NullBufferBuilder,
        shape: ListShape,
    },
    Struct(Object),
    Map {
        name: String,
        keys: Box<Node>,
        values: Box<Node>,
        data_type: DataType,
        offsets: Vec<i32>,
        nulls: NullBufferBuilder,
    },
    /// A member that is known but not wanted.
    Skip,
}

/// How a list is laid out.
#[derive(Clone, Copy, Debug)]
pub(super) enum ListShape {
    Small,
    Large,
    Fixed(i32),
}

impl Node {
    /// A column for `field`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a type that has no form in JSON.
    pub(super) fn new(field: &Field, style: &Style, strict: bool) -> Result<Self> {
        let name = field.name().clone();
        let list = |item: &FieldRef, shape| -> Result<Self> {
            Ok(Self::List {
                name: name.clone(),
                item: Box::new(Self::new(item, style, strict)?),
                field: item.clone(),
                offsets: vec![0],
                nulls: NullBufferBuilder::new(0),
                shape,
            })
        };
        Ok(match field.data_type() {
            DataType::List(item) => list(item, ListShape::Small)?,
            DataType::LargeList(item) => list(item, ListShape::Large)?,
            DataType::FixedSizeList(item, length) => list(item, ListShape::Fixed(*length))?,
            DataType::Struct(fields) => Self::Struct(Object::new(name, fields, style, strict)?),
            DataType::Map(entries, _) => {
                let DataType::Struct(pair) = entries.data_type() else {
                    return Err(Error::new(ErrorKind::Unsupported, format!("column \"{name}\": a malformed map type")));
                };
                Self::Map {
                    keys: Box::new(Self::new(&pair[0], style, strict)?),
                    values: Box::new(Self::new(&pair[1], style, strict)?),
                    name,
                    data_type: field.data_type().clone(),
                    offsets: vec![0],
                    nulls: NullBufferBuilder::new(0),
                }
            }
            data_type => {
                let text = match data_type {
                    DataType::Dictionary(_, values) => is_text(values),
                    other => is_text(other),
                };
                Self::Scalar {
                    leaf: leaf(field, style)?,
                    expected: describe(data_type),
                    name,
                    text,
                    scratch: Vec::new(),
                }
            }
        })
    }

    /// Takes the value at the cursor and goes over it.
    pub(super) fn push(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        if cursor.null() {
            self.push_null();
            return Ok(());
        }
        match self {
            Self::Scalar { name, expected, leaf, text, scratch } => {
                let at = cursor.at;
                let fits = match cursor.peek() {
                    b'"' => {
                        let (raw, escaped) = cursor.string()?;
                        if escaped {
                            scratch.clear();
                            if !unescape(raw, scratch) {
                                return Err(Fault::Syntax { at, expected: "a string with valid escapes" });
                            }
                            leaf.push(scratch)
                        } else {
                            leaf.push(raw)
                        }
                    }
                    // What is no string becomes its JSON text in a column of text.
                    b'{' | b'[' => {
                        let raw = cursor.skip()?;
                        *text && leaf.push(raw)
                    }
                    _ => match cursor.token() {
                        token @ (b"true" | b"false") => leaf.push(token),
                        token if is_number(token) => leaf.push(token),
                        _ => return Err(Fault::Syntax { at, expected: "a value" }),
                    },
                };
                if fits { Ok(()) } else { Err(misfit(at, cursor.at, name, expected)) }
            }
            Self::List { name, item, offsets, nulls, shape, .. } => {
                let at = cursor.at;
                if cursor.peek() != b'[' {
                    let end = cursor.skip()?.len() + at;
                    return Err(misfit(at, end, name, "an array"));
                }
                cursor.at += 1;
                let mut count = 0;
                cursor.blank();
                if cursor.peek() == b']' {
                    cursor.at += 1;
                } else {
                    loop {
                        cursor.blank();
                        item.push(cursor)?;
                        count += 1;
                        cursor.blank();
                        cursor.at += 1;
                        match cursor.data.get(cursor.at - 1) {
                            Some(b',') => {}
                            Some(b']') => break,
                            _ => {
                                return Err(Fault::Syntax {
                                    at: cursor.at - 1,
                                    expected: "a comma or the end of the array",
                                });
                            }
                        }
                    }
                }
                if let ListShape::Fixed(length) = shape
                    && count != i64::from(*length)
                {
                    return Err(misfit(at, cursor.at, name, &format!("an array of {length} items")));
                }
                offsets.push(offsets.last().copied().unwrap_or(0) + count);
                nulls.append_non_null();
                Ok(())
            }
            Self::Struct(object) => object.push(cursor),
            Self::Map { name, keys, values, offsets, nulls, .. } => {
                let at = cursor.at;
                if cursor.peek() != b'{' {
                    let end = cursor.skip()?.len() + at;
                    return Err(misfit(at, end, name, "an object"));
                }
                cursor.at += 1;
                let mut count = 0;
                cursor.blank();
                if cursor.peek() == b'}' {
                    cursor.at += 1;
                } else {
                    loop {
                        cursor.blank();
                        if cursor.peek() != b'"' {
                            return Err(cursor.syntax("the name of a member"));
                        }
                        keys.push(cursor)?;
                        cursor.expect(b':', "a colon")?;
                        values.push(cursor)?;
                        count += 1;
                        cursor.blank();
                        cursor.at += 1;
                        match cursor.data.get(cursor.at - 1) {
                            Some(b',') => {}
                            Some(b'}') => break,
                            _ => {
                                return Err(Fault::Syntax {
                                    at: cursor.at - 1,
                                    expected: "a comma or the end of the object",
                                });
                            }
                        }
                    }
                }
                offsets.push(offsets.last().copied().unwrap_or(0).saturating_add(count));
                nulls.append_non_null();
                Ok(())
            }
            Self::Skip => cursor.skip().map(|_| ()),
        }
    }

    /// Takes a NULL.
    pub(super) fn push_null(&mut self) {
        match self {
            Self::Scalar { leaf, .. } => leaf.push_null(),
            Self::List { item, offsets, nulls, shape, .. } => {
                let mut end = offsets.last().copied().unwrap_or(0);
                if let ListShape::Fixed(length) = shape {
                    (0..*length).for_each(|_| item.push_null());
                    end += i64::from(*length);
                }
                offsets.push(end);
                nulls.append_null();
            }
            Self::Struct(object) => object.push_null(),
            Self::Map { offsets, nulls, .. } => {
                offsets.push(offsets.last().copied().unwrap_or(0));
                nulls.append_null();
            }
            Self::Skip => {}
        }
    }

    /// The column, and makes room for the next.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match self {
            Self::Scalar { leaf, name, .. } => {
                leaf.finish().map_err(|error| error.context(format!("column \"{name}\"")))?
            }
            Self::List { item, field, offsets, nulls, shape, .. } => {
                let items = item.finish()?;
                let offsets = std::mem::replace(offsets, vec![0]);
                let nulls = nulls.finish();
                match shape {
                    ListShape::Small => list::<i32>(field, &offsets, items, nulls)?,
                    ListShape::Large => list::<i64>(field, &offsets, items, nulls)?,
                    ListShape::Fixed(length) => {
                        Arc::new(FixedSizeListArray::try_new(field.clone(), *length, items, nulls)?)
                    }
                }
            }
            Self::Struct(object) => Arc::new(object.finish()?),
            Self::Map { keys, values, data_type, offsets, nulls, .. } => {
                let DataType::Map(entries, ordered) = data_type else {
                    return Err(Error::new(ErrorKind::Internal, "a map without a map type"));
                };
                let DataType::Struct(pair) = entries.data_type() else {
                    return Err(Error::new(ErrorKind::Internal, "a map without entries"));
                };
                let entries_array = StructArray::try_new(pair.clone(), vec![keys.finish()?, values.finish()?], None)?;
                let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(offsets, vec![0])));
                Arc::new(MapArray::try_new(entries.clone(), offsets, entries_array, nulls.finish(), *ordered)?)
            }
            Self::Skip => return Err(Error::new(ErrorKind::Internal, "a member that is not wanted has no column")),
        })
    }
}

fn misfit(at: usize, end: usize, column: &str, expected: &str) -> Fault {
    Fault::Misfit { at, end, column: column.to_owned(), expected: expected.to_owned() }
}

fn list<O: OffsetSizeTrait>(
    field: &FieldRef,
    offsets: &[i64],
    items: ArrayRef,
    nulls: Option<arrow::buffer::NullBuffer>,
) -> Result<ArrayRef> {
    let offsets: Option<Vec<O>> = offsets.iter().map(|offset| O::from_usize(usize::try_from(*offset).ok()?)).collect();
    let offsets =
        offsets.ok_or_else(|| Error::new(ErrorKind::Data, "lists with more items than one batch can hold"))?;
    Ok(Arc::new(GenericListArray::<O>::try_new(
        field.clone(),
        OffsetBuffer::new(ScalarBuffer::from(offsets)),
        items,
        nulls,
    )?))
}

/// A column of objects, each with the same members.
pub(super) struct Object {
    name: String,
    fields: Fields,
    names: Vec<String>,
    pub(super) nodes: Vec<Node>,
    /// For each member the number of the last row that had it, from 1.
    last: Vec<usize>,
    rows: usize,
    nulls: NullBufferBuilder,
    /// Whether a member that is not known is a fault.
    strict: bool,
}

impl Object {
    /// Objects with members for `fields`.
    pub(super) fn new(name: String, fields: &Fields, style: &Style, strict: bool) -> Result<Self> {
        let nodes = fields.iter().map(|field| Node::new(field, style, strict)).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            name,
            fields: fields.clone(),
            names: fields.iter().map(|field| field.name().clone()).collect(),
            last: vec![0; nodes.len()],
            nodes,
            rows: 0,
            nulls: NullBufferBuilder::new(0),
            strict,
        })
    }

    /// Names a member that is known but not wanted.
    pub(super) fn skip(&mut self, name: String) {
        self.names.push(name);
        self.nodes.push(Node::Skip);
        self.last.push(0);
    }

    /// How many rows were taken since the last column was finished.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Takes the object at the cursor and goes over it.
    pub(super) fn push(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        let at = cursor.at;
        if cursor.peek() != b'{' {
            let end = cursor.skip()?.len() + at;
            return Err(misfit(at, end, &self.name, "an object"));
        }
        cursor.at += 1;
        self.rows += 1;
        let mut next = 0;
        cursor.blank();
        if cursor.peek() == b'}' {
            cursor.at += 1;
        } else {
            loop {
                cursor.blank();
                let at = cursor.at;
                let (raw, escaped) =
                    cursor.string().map_err(|_| Fault::Syntax { at, expected: "the name of a member" })?;
                let mut unescaped = Vec::new();
                let name = if escaped {
                    unescape(raw, &mut unescaped);
                    &unescaped[..]
                } else {
                    raw
                };
                cursor.expect(b':', "a colon")?;
                // Members mostly come in one order, so the next is tried first.
                let known = if self.names.get(next).is_some_and(|known| known.as_bytes() == name) {
                    Some(next)
                } else {
                    self.names.iter().position(|known| known.as_bytes() == name)
                };
                match known {
                    Some(member) => {
                        if self.last[member] == self.rows {
                            return Err(Fault::Twice { at, name: String::from_utf8_lossy(name).into_owned() });
                        }
                        self.last[member] = self.rows;
                        self.nodes[member].push(cursor)?;
                        next = member + 1;
                    }
                    None if self.strict => {
                        return Err(Fault::Unknown { at, name: String::from_utf8_lossy(name).into_owned() });
                    }
                    None => {
                        cursor.skip()?;
                    }
                }
                cursor.blank();
                cursor.at += 1;
                match cursor.data.get(cursor.at - 1) {
                    Some(b',') => {}
                    Some(b'}') => break,
                    _ => return Err(Fault::Syntax { at: cursor.at - 1, expected: "a comma or the end of the object" }),
                }
            }
        }
        for (node, last) in self.nodes.iter_mut().zip(&self.last) {
            if *last != self.rows {
                node.push_null();
            }
        }
        self.nulls.append_non_null();
        Ok(())
    }

    fn push_null(&mut self) {
        self.rows += 1;
        self.nodes.iter_mut().for_each(Node::push_null);
        self.nulls.append_null();
    }

    /// The columns of the members, and makes room for the next.
    pub(super) fn columns(&mut self) -> Result<Vec<ArrayRef>> {
        self.rows = 0;
        self.last.fill(0);
        self.nodes.iter_mut().filter(|node| !matches!(node, Node::Skip)).map(Node::finish).collect()
    }

    fn finish(&mut self) -> Result<StructArray> {
        let rows = self.rows;
        let columns = self.columns()?;
        let nulls = self.nulls.finish();
        if columns.is_empty() {
            return Ok(StructArray::new_empty_fields(rows, nulls));
        }
        Ok(StructArray::try_new(self.fields.clone(), columns, nulls)?)
    }
}

/// A column of JSON text in another format, such as a list in CSV.
pub(super) struct Embedded(pub(super) Node);

impl Leaf for Embedded {
    fn push(&mut self, text: &[u8]) -> bool {
        let mut cursor = Cursor { data: text, at: 0 };
        cursor.blank();
        let fits = self.0.push(&mut cursor).is_ok();
        cursor.blank();
        fits && cursor.at == text.len()
    }

    fn push_null(&mut self) {
        self.0.push_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        self.0.finish()
    }
}
