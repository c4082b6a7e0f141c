//! Fields of CSV out of Arrow arrays.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field};
use outport_core::{Error, ErrorKind, Result};

use super::options::CsvOptions;
use crate::json::{JsonStyle, TextRows, Value, any_byte, values};
use crate::text::cell::{self, Cell, Kind, Visit};
use crate::text::style::{NotFinite, Style};

/// How fields are quoted.
pub(super) struct Quoting {
    options: CsvOptions,
    /// The bytes for which a field has to be quoted.
    special: [bool; 256],
    /// Whether dates and numbers can be written without a look at their text.
    plain_is_safe: bool,
    /// How nested values look.
    pub(super) json: JsonStyle,
}

impl Quoting {
    pub(super) fn new(options: CsvOptions) -> Self {
        let mut special = [false; 256];
        let quote = options.quote.filter(|_| options.escape_quotes);
        for byte in [b'\n', b'\r']
            .into_iter()
            .chain(options.sep.first().copied())
            .chain(quote)
            .chain(options.line_sep.first().copied())
        {
            special[usize::from(byte)] = true;
        }
        let plain = b"0123456789+-.:/= ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let plain_is_safe = !options.quote_all
            && options.null_value.is_empty()
            && options.comment.is_none()
            && !plain.iter().any(|byte| special[usize::from(*byte)]);
        let json = JsonStyle {
            scalars: Style {
                words: [b"\"NaN\"".to_vec(), b"\"Infinity\"".to_vec(), b"\"-Infinity\"".to_vec()],
                booleans: Style::default().booleans,
                not_finite: if options.style.not_finite == NotFinite::Error {
                    NotFinite::Error
                } else {
                    options.style.not_finite
                },
                ..options.style.clone()
            },
            ..JsonStyle::default()
        };
        Self { options, special, plain_is_safe, json }
    }

    pub(super) fn options(&self) -> &CsvOptions {
        &self.options
    }

    /// Whether any of `bytes` makes a field need quotes.
    fn is_special(&self, bytes: &[u8]) -> bool {
        bytes.iter().any(|byte| self.special[usize::from(*byte)])
    }

    /// Appends a field that is not NULL, with quotes where it needs them.
    ///
    /// # Errors
    /// [`ErrorKind::Data`] where it needs quotes and there are none to be used.
    pub(super) fn field(&self, column: &str, text: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let options = &self.options;
        let text = if options.trim_start { text.trim_ascii_start() } else { text };
        let text = if options.trim_end { text.trim_ascii_end() } else { text };
        if text.is_empty() {
            out.extend_from_slice(&options.empty_value);
            return Ok(());
        }
        let needed = self.is_special(text)
            || text == options.null_value
            || text == options.empty_value
            || options.comment.is_some_and(|comment| text.first() == Some(&comment));
        match options.quote {
            Some(quote) if needed || options.quote_all => {
                out.push(quote);
                let mut done = 0;
                for (at, byte) in text.iter().enumerate() {
                    let before = if *byte == quote {
                        options.escape
                    } else if Some(*byte) == options.escape {
                        options.escape_escape
                    } else {
                        None
                    };
                    if let Some(before) = before {
                        out.extend_from_slice(&text[done..at]);
                        out.push(before);
                        done = at;
                    }
                }
                out.extend_from_slice(&text[done..]);
                out.push(quote);
            }
            None if needed => {
                return Err(Error::new(
                    ErrorKind::Data,
                    format!(
                        "column \"{column}\": \"{}\" holds a separator or line end, and the option quote leaves no quotes to put it in",
                        String::from_utf8_lossy(text)
                    ),
                )
                .hint("set the option quote, or a sep that does not occur in the data"));
            }
            _ => out.extend_from_slice(text),
        }
        Ok(())
    }
}

/// Writes the fields of one column.
pub(super) trait FieldWriter {
    /// Appends the field of `row`, NULL or not.
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()>;
}

/// The writer for a column.
pub(super) fn writer(array: &ArrayRef, field: &Field, quoting: &Arc<Quoting>) -> Result<Box<dyn FieldWriter>> {
    let array = &cell::plain(array)?;
    let column = || field.name().clone();
    Ok(match array.data_type() {
        DataType::Utf8 => Box::new(Texts::new(array.as_string::<i32>().clone(), column(), quoting)),
        DataType::LargeUtf8 => Box::new(Texts::new(array.as_string::<i64>().clone(), column(), quoting)),
        DataType::Utf8View => Box::new(Texts::new(array.as_string_view().clone(), column(), quoting)),
        other if cell::is_scalar(other) => {
            cell::visit(array, field, &quoting.options.style, Wrap { quoting, column: field.name() })?
        }
        _ => Box::new(Nested {
            values: values(array, field, &quoting.json)?,
            column: column(),
            quoting: quoting.clone(),
        }),
    })
}

struct Wrap<'a> {
    quoting: &'a Arc<Quoting>,
    column: &'a str,
}

impl Visit for Wrap<'_> {
    type Out = Box<dyn FieldWriter>;

    fn cells<C: Cell + 'static>(self, cells: C) -> Self::Out {
        let safe = match cells.kind() {
            Kind::Number | Kind::BigInt | Kind::Decimal | Kind::Plain => self.quoting.plain_is_safe,
            Kind::Boolean | Kind::Bytes | Kind::Free => false,
        };
        let quoting = self.quoting.clone();
        if safe {
            Box::new(Bare { cells, quoting })
        } else {
            Box::new(Checked { cells, column: self.column.to_owned(), quoting })
        }
    }
}

/// Cells that never need quotes.
struct Bare<C> {
    cells: C,
    quoting: Arc<Quoting>,
}

impl<C: Cell> FieldWriter for Bare<C> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        if self.cells.is_null(row) {
            out.extend_from_slice(&self.quoting.options.null_value);
            return Ok(());
        }
        self.cells.write(row, out)
    }
}

/// Cells that need quotes where the dialect or the user's pattern has them clash.
struct Checked<C> {
    cells: C,
    column: String,
    quoting: Arc<Quoting>,
}

impl<C: Cell> FieldWriter for Checked<C> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        if self.cells.is_null(row) {
            out.extend_from_slice(&self.quoting.options.null_value);
            return Ok(());
        }
        let start = out.len();
        self.cells.write(row, out)?;
        let text = out.split_off(start);
        self.quoting.field(&self.column, &text, out)
    }
}

struct Texts<A> {
    array: A,
    column: String,
    /// Whether no text but the empty one needs more than to be copied, found out by one look at all of them.
    clean: bool,
    quoting: Arc<Quoting>,
}

impl<A: TextRows> Texts<A> {
    fn new(array: A, column: String, quoting: &Arc<Quoting>) -> Self {
        let options = &quoting.options;
        let literal = !options.quote_all
            && !options.spreadsheet_safe
            && !options.trim_start
            && !options.trim_end
            && options.null_value.is_empty()
            && options.comment.is_none()
            && options.quote.is_none_or(|quote| options.empty_value == [quote, quote]);
        let (sep, quote, line) = (options.sep[0], options.quote.unwrap_or(b'\n'), options.line_sep[0]);
        let clean = literal
            && array.all().is_some_and(|bytes| {
                !any_byte(bytes, |byte| byte == sep || byte == quote || byte == line || byte == b'\n' || byte == b'\r')
            });
        Self { array, column, clean, quoting: quoting.clone() }
    }
}

impl<A: TextRows> FieldWriter for Texts<A> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        if self.array.null(row) {
            out.extend_from_slice(&self.quoting.options.null_value);
            return Ok(());
        }
        let text = self.array.text(row);
        if self.clean && !text.is_empty() {
            out.extend_from_slice(text);
            return Ok(());
        }
        if self.quoting.options.spreadsheet_safe && is_formula(text) {
            return self.quoting.field(&self.column, &[b"'", text].concat(), out);
        }
        self.quoting.field(&self.column, text, out)
    }
}

/// Whether a spreadsheet takes this text for a formula; what is but a number with its sign is none.
fn is_formula(text: &[u8]) -> bool {
    match text.first() {
        Some(b'=' | b'@' | b'\t' | b'\r') => true,
        Some(b'+' | b'-') => {
            text[1..].iter().any(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b',' | b' ')) || text.len() == 1
        }
        _ => false,
    }
}

/// Lists, structs and maps as JSON text.
struct Nested {
    values: Box<dyn Value>,
    column: String,
    quoting: Arc<Quoting>,
}

impl FieldWriter for Nested {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        if self.values.is_null(row) {
            out.extend_from_slice(&self.quoting.options.null_value);
            return Ok(());
        }
        let mut text = Vec::new();
        self.values.write(row, &mut text)?;
        self.quoting.field(&self.column, &text, out)
    }
}
