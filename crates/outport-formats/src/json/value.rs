//! JSON values out of Arrow arrays.

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, GenericStringArray, MapArray, OffsetSizeTrait,
    StringViewArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use outport_core::{Error, ErrorKind, Result};

use crate::text::cell::{self, Cell, Kind, Visit};
use crate::text::style::Style;

/// How values look in JSON.
#[derive(Clone, Debug, Default)]
pub(crate) struct JsonStyle {
    /// The scalars; words for numbers that JSON does not have come with their quotes.
    pub(crate) scalars: Style,
    /// Whether integers of 64 bits are strings.
    pub(crate) bigint_as_text: bool,
    /// Whether decimal numbers are strings.
    pub(crate) decimal_as_text: bool,
    /// Whether members that are NULL are left out of objects.
    pub(crate) ignore_nulls: bool,
}

/// Writes the values of one column.
pub(crate) trait Value {
    /// Whether there is no value at `row`.
    fn is_null(&self, row: usize) -> bool;

    /// Appends the value at `row`, which is not NULL.
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()>;

    /// Appends the value at `row`, or `null`.
    fn write_nullable(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        self.write(row, out)
    }
}

/// Says why a type has no form in JSON, where it has none.
pub(crate) fn refusal(data_type: &DataType) -> Option<String> {
    use DataType as D;
    match data_type {
        D::Null => None,
        D::List(item) | D::LargeList(item) | D::FixedSizeList(item, _) => refusal(item.data_type()),
        D::Struct(fields) => fields.iter().find_map(|field| refusal(field.data_type())),
        D::Map(entries, _) => match entries.data_type() {
            D::Struct(pair) if pair.len() == 2 => {
                let key = pair[0].data_type();
                if cell::is_scalar(key) || is_text(key) {
                    refusal(pair[1].data_type())
                } else {
                    Some(format!("a map whose keys are {key} has no form as a JSON object"))
                }
            }
            other => Some(format!("a map of {other} is malformed")),
        },
        D::Dictionary(_, values) => refusal(values),
        D::RunEndEncoded(_, values) => refusal(values.data_type()),
        other if cell::is_scalar(other) || cell::is_text(other) => None,
        other => Some(format!("{other} has no form as text")),
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => cell::is_text(values),
        other => cell::is_text(other),
    }
}

/// The values of a column, whose type was found to have a form ([`refusal`]).
pub(crate) fn values(array: &ArrayRef, field: &Field, style: &JsonStyle) -> Result<Box<dyn Value>> {
    use DataType as D;
    let array = &cell::plain(array)?;
    Ok(match array.data_type() {
        D::Null => Box::new(Nulls),
        D::Utf8 => Box::new(Texts::new(array.as_string::<i32>().clone())),
        D::LargeUtf8 => Box::new(Texts::new(array.as_string::<i64>().clone())),
        D::Utf8View => Box::new(Texts::new(array.as_string_view().clone())),
        D::List(item) => list(array.as_list::<i32>(), item, style)?,
        D::LargeList(item) => list(array.as_list::<i64>(), item, style)?,
        D::FixedSizeList(item, _) => {
            let array = array.as_fixed_size_list();
            Box::new(FixedLists { items: values(array.values(), item, style)?, array: array.clone() })
        }
        D::Struct(fields) => {
            let array = array.as_struct();
            let members = members(fields, array.columns(), style)?;
            Box::new(Structs { members, nulls: array.nulls().cloned() })
        }
        D::Map(..) => {
            let array = array.as_map();
            let (keys, items) = array.entries_fields();
            Box::new(Maps {
                keys: key_values(array.keys(), keys, style)?,
                items: values(array.values(), items, style)?,
                array: array.clone(),
            })
        }
        _ => cell::visit(array, field, &style.scalars, Wrap { style, key: false })?,
    })
}

/// The names and values of the columns of a table or struct.
pub(crate) fn members(fields: &Fields, columns: &[ArrayRef], style: &JsonStyle) -> Result<Members> {
    let members = fields.iter().zip(columns).map(|(field, column)| {
        let mut name = Vec::new();
        string(field.name().as_bytes(), &mut name);
        name.push(b':');
        Ok((name, values(column, field, style)?))
    });
    Ok(Members { members: members.collect::<Result<_>>()?, ignore_nulls: style.ignore_nulls })
}

/// The members of objects.
pub(crate) struct Members {
    members: Vec<(Vec<u8>, Box<dyn Value>)>,
    ignore_nulls: bool,
}

impl Members {
    /// Appends the object of `row`.
    #[inline]
    pub(crate) fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        out.push(b'{');
        let mut first = true;
        for (name, value) in &self.members {
            if self.ignore_nulls && value.is_null(row) {
                continue;
            }
            if !first {
                out.push(b',');
            }
            first = false;
            out.extend_from_slice(name);
            value.write_nullable(row, out)?;
        }
        out.push(b'}');
        Ok(())
    }
}

/// The keys of a map: strings, whatever they are.
fn key_values(array: &ArrayRef, field: &Field, style: &JsonStyle) -> Result<Box<dyn Value>> {
    let array = cell::plain(array)?;
    if cell::is_text(array.data_type()) {
        return values(&array, field, style);
    }
    cell::visit(&array, field, &style.scalars, Wrap { style, key: true })
}

fn list<O: OffsetSizeTrait>(array: &GenericListArray<O>, item: &Field, style: &JsonStyle) -> Result<Box<dyn Value>> {
    Ok(Box::new(Lists { items: values(array.values(), item, style)?, array: array.clone() }))
}

struct Nulls;

impl Value for Nulls {
    fn is_null(&self, _: usize) -> bool {
        true
    }

    fn write(&self, _: usize, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(b"null");
        Ok(())
    }
}

/// Puts scalars in quotes where JSON wants them.
struct Wrap<'a> {
    style: &'a JsonStyle,
    key: bool,
}

impl Visit for Wrap<'_> {
    type Out = Box<dyn Value>;

    fn cells<C: Cell + 'static>(self, cells: C) -> Self::Out {
        let quoted = match cells.kind() {
            Kind::Number | Kind::Boolean => self.key,
            Kind::BigInt => self.key || self.style.bigint_as_text,
            Kind::Decimal => self.key || self.style.decimal_as_text,
            Kind::Plain | Kind::Bytes => true,
            Kind::Free => return Box::new(Escaped(cells)),
        };
        if quoted { Box::new(Quoted(cells)) } else { Box::new(Bare(cells)) }
    }
}

struct Bare<C>(C);

impl<C: Cell> Value for Bare<C> {
    fn is_null(&self, row: usize) -> bool {
        self.0.is_null(row)
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        self.0.write(row, out)
    }
}

struct Quoted<C>(C);

impl<C: Cell> Value for Quoted<C> {
    fn is_null(&self, row: usize) -> bool {
        self.0.is_null(row)
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        out.push(b'"');
        self.0.write(row, out)?;
        out.push(b'"');
        Ok(())
    }
}

/// Text out of a user's pattern may need escapes.
struct Escaped<C>(C);

impl<C: Cell> Value for Escaped<C> {
    fn is_null(&self, row: usize) -> bool {
        self.0.is_null(row)
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        let mut text = Vec::new();
        self.0.write(row, &mut text)?;
        string(&text, out);
        Ok(())
    }
}

/// Arrays of text of any layout.
pub(crate) trait TextRows: 'static {
    /// Whether there is no text at `row`.
    fn null(&self, row: usize) -> bool;
    /// The text at `row`.
    fn text(&self, row: usize) -> &[u8];
    /// The bytes of all rows in one piece, where they are in one.
    fn all(&self) -> Option<&[u8]>;
}

impl<O: OffsetSizeTrait> TextRows for GenericStringArray<O> {
    #[inline]
    fn null(&self, row: usize) -> bool {
        self.is_null(row)
    }

    #[inline]
    fn text(&self, row: usize) -> &[u8] {
        self.value(row).as_bytes()
    }

    fn all(&self) -> Option<&[u8]> {
        let offsets = self.value_offsets();
        self.value_data().get(offsets.first()?.as_usize()..offsets.last()?.as_usize())
    }
}

impl TextRows for StringViewArray {
    #[inline]
    fn null(&self, row: usize) -> bool {
        self.is_null(row)
    }

    #[inline]
    fn text(&self, row: usize) -> &[u8] {
        self.value(row).as_bytes()
    }

    fn all(&self) -> Option<&[u8]> {
        None
    }
}

/// Whether `test` holds for any byte; written so that the compiler can look at many bytes at once.
pub(crate) fn any_byte(bytes: &[u8], test: impl Fn(u8) -> bool) -> bool {
    let (blocks, rest) = bytes.as_chunks::<64>();
    blocks.iter().any(|block| block.iter().fold(false, |found, byte| found | test(*byte)))
        || rest.iter().any(|byte| test(*byte))
}

#[inline]
fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

struct Texts<A> {
    array: A,
    /// Whether no row needs an escape, found out by one look at all of them.
    clean: bool,
}

impl<A: TextRows> Texts<A> {
    fn new(array: A) -> Self {
        let clean = array.all().is_some_and(|bytes| !any_byte(bytes, needs_escape));
        Self { array, clean }
    }
}

impl<A: TextRows> Value for Texts<A> {
    fn is_null(&self, row: usize) -> bool {
        self.array.null(row)
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        let text = self.array.text(row);
        if self.clean {
            out.push(b'"');
            out.extend_from_slice(text);
            out.push(b'"');
        } else {
            string(text, out);
        }
        Ok(())
    }
}

/// Appends UTF-8 text as a JSON string.
pub(crate) fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut done = 0;
    for (at, byte) in text.iter().enumerate() {
        if !needs_escape(*byte) {
            continue;
        }
        out.extend_from_slice(&text[done..at]);
        done = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0C => out.extend_from_slice(b"\\f"),
            other => {
                out.extend_from_slice(b"\\u00");
                crate::text::write::hexadecimal(std::slice::from_ref(other), out);
            }
        }
    }
    out.extend_from_slice(&text[done..]);
    out.push(b'"');
}

struct Lists<O: OffsetSizeTrait> {
    array: GenericListArray<O>,
    items: Box<dyn Value>,
}

impl<O: OffsetSizeTrait> Value for Lists<O> {
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        let offsets = self.array.value_offsets();
        items(self.items.as_ref(), offsets[row].as_usize()..offsets[row + 1].as_usize(), out)
    }
}

struct FixedLists {
    array: FixedSizeListArray,
    items: Box<dyn Value>,
}

impl Value for FixedLists {
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        let length = self.array.value_length() as usize;
        items(self.items.as_ref(), row * length..(row + 1) * length, out)
    }
}

fn items(values: &dyn Value, rows: std::ops::Range<usize>, out: &mut Vec<u8>) -> Result<()> {
    out.push(b'[');
    for (at, row) in rows.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        values.write_nullable(row, out)?;
    }
    out.push(b']');
    Ok(())
}

struct Structs {
    members: Members,
    nulls: Option<NullBuffer>,
}

impl Value for Structs {
    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        self.members.write(row, out)
    }
}

struct Maps {
    array: MapArray,
    keys: Box<dyn Value>,
    items: Box<dyn Value>,
}

impl Value for Maps {
    fn is_null(&self, row: usize) -> bool {
        self.array.is_null(row)
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        let offsets = self.array.value_offsets();
        out.push(b'{');
        for (at, entry) in (offsets[row] as usize..offsets[row + 1] as usize).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            if self.keys.is_null(entry) {
                return Err(Error::new(
                    ErrorKind::Data,
                    "a map has a key that is NULL, which a JSON object cannot hold",
                ));
            }
            self.keys.write(entry, out)?;
            out.push(b':');
            self.items.write_nullable(entry, out)?;
        }
        out.push(b'}');
        Ok(())
    }
}
