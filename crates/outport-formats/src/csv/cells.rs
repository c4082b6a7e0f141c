//! The cells of one column among the fields of many records.

use super::record::{Dialect, Shape, Span, unescape};

/// What is NULL and what is empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blanks {
    /// What stands for NULL.
    pub(crate) null_value: Vec<u8>,
    /// Whether the user said so; else a typed column knows the usual words too.
    pub(crate) null_given: bool,
    /// What stands for the empty string where it is not written with quotes.
    pub(crate) empty_value: Vec<u8>,
    pub(crate) trim_start: bool,
    pub(crate) trim_end: bool,
}

/// What other tools write for NULL in columns of numbers, dates and truth values.
const NULL_WORDS: [&[u8]; 10] = [b"NULL", b"null", b"Null", b"NA", b"N/A", b"n/a", b"\\N", b"None", b"-", b"#N/A"];

impl Blanks {
    /// The text of a field that is not in quotes; `None` for NULL. In a column of text an empty field is NULL only where
    /// NULL is not written as something else.
    #[inline]
    pub(crate) fn bare<'a>(&self, text: &'a [u8], column_is_text: bool) -> Option<&'a [u8]> {
        let text = if self.trim_start { text.trim_ascii_start() } else { text };
        let text = if self.trim_end { text.trim_ascii_end() } else { text };
        if text == self.null_value {
            return None;
        }
        if column_is_text {
            return Some(if !text.is_empty() && text == self.empty_value { b"" } else { text });
        }
        if text.is_empty() || (!self.null_given && NULL_WORDS.contains(&text)) {
            return None;
        }
        Some(text)
    }
}

/// The cells of one column.
pub(crate) struct Cells<'a> {
    pub(super) data: &'a [u8],
    pub(super) spans: &'a [Span],
    /// Fields per record.
    pub(super) width: usize,
    pub(super) column: usize,
    pub(super) is_text: bool,
    pub(super) blanks: &'a Blanks,
    pub(super) dialect: &'a Dialect,
    pub(super) scratch: Vec<u8>,
}

impl Cells<'_> {
    /// How many there are.
    pub(crate) fn rows(&self) -> usize {
        self.spans.len() / self.width
    }

    /// Where one stands in the data.
    pub(super) fn range(&self, row: usize) -> std::ops::Range<usize> {
        self.spans[row * self.width + self.column].range()
    }

    /// The text of one; `None` for NULL.
    #[inline]
    pub(crate) fn cell(&mut self, row: usize) -> Option<&[u8]> {
        let span = self.spans[row * self.width + self.column];
        match span.shape() {
            Shape::Bare => self.blanks.bare(&self.data[span.range()], self.is_text),
            Shape::Quoted => {
                let text = &self.data[span.range()];
                // There is no empty number, whatever it is put in.
                (self.is_text || !text.is_empty()).then_some(text)
            }
            Shape::Escaped => {
                self.scratch.clear();
                unescape(&self.data[span.range()], self.dialect, &mut self.scratch);
                Some(&self.scratch)
            }
            Shape::Missing => None,
        }
    }
}
