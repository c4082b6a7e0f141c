//! Records and fields of CSV: where they start and end.

use memchr::{memchr, memchr2, memrchr};

/// How a file separates and quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// What stands between two fields.
    pub(crate) sep: Vec<u8>,
    pub(crate) quote: Option<u8>,
    /// What stands before a quote inside quotes.
    pub(crate) escape: Option<u8>,
    /// What stands before an escape inside quotes, where that differs from the quote.
    pub(crate) escape_escape: Option<u8>,
    /// The last byte of a line end.
    pub(crate) line: u8,
    /// The character that starts a line to pass over.
    pub(crate) comment: Option<u8>,
}

/// Where a field's text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    /// The end, and in its highest two bits how the field was written.
    end: u32,
}

const SHAPE: u32 = 30;

/// How a field was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Bare,
    Quoted,
    /// In quotes, with escapes inside.
    Escaped,
    /// Not at all: the line ended before it.
    Missing,
}

/// The most bytes that one piece may have, so that a [`Span`] can point into it.
pub(crate) const MOST_BYTES: usize = 1 << SHAPE;

impl Span {
    /// A field that a record is too short for.
    pub(crate) const MISSING: Self = Self { start: 0, end: 3 << SHAPE };

    fn new(start: usize, end: usize, shape: Shape) -> Self {
        let shape = match shape {
            Shape::Bare => 0,
            Shape::Quoted => 1,
            Shape::Escaped => 2,
            Shape::Missing => 3,
        };
        // Pieces are shorter than MOST_BYTES.
        Self { start: start as u32, end: end as u32 | shape << SHAPE }
    }

    #[inline]
    pub(crate) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.end & (MOST_BYTES as u32 - 1)) as usize
    }

    #[inline]
    pub(crate) fn shape(self) -> Shape {
        match self.end >> SHAPE {
            0 => Shape::Bare,
            1 => Shape::Quoted,
            2 => Shape::Escaped,
            _ => Shape::Missing,
        }
    }
}

/// What is wrong with a record, and the byte at which it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A quote that is not closed.
    Unterminated { at: usize },
    /// Something between a closing quote and the end of its field.
    BehindQuote { at: usize },
    /// Another number of fields than expected.
    Ragged { at: usize, found: usize },
}

/// Walks through the records of `data`.
pub(crate) struct Records<'a> {
    data: &'a [u8],
    dialect: &'a Dialect,
    at: usize,
    block: usize,
    mask: u64,
}

impl<'a> Records<'a> {
    /// Starts at the first byte, which begins a record.
    pub(crate) fn new(data: &'a [u8], dialect: &'a Dialect) -> Self {
        let mut records = Self { data, dialect, at: 0, block: 0, mask: 0 };
        records.look(0);
        records
    }

    /// The place of the next record.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Appends the fields of the next record; `false` at the end.
    ///
    /// `single` says that records have one field, so that an empty line is one.
    #[inline]
    pub(crate) fn next(&mut self, single: bool, spans: &mut Vec<Span>) -> Result<bool, Fault> {
        loop {
            let Some(first) = self.data.get(self.at) else {
                return Ok(false);
            };
            if Some(*first) == self.dialect.comment {
                self.skip_line();
            } else if !single && *first == self.dialect.line {
                self.at += 1;
            } else if !single && *first == b'\r' && self.data.get(self.at + 1) == Some(&self.dialect.line) {
                self.at += 2;
            } else {
                break;
            }
        }
        let sep = self.dialect.sep.as_slice();
        let mut start = self.at;
        loop {
            let end = if self.dialect.quote.is_some() && self.data.get(start).copied() == self.dialect.quote {
                let (span, end) = self.quoted(start)?;
                spans.push(span);
                end
            } else {
                let mut end = self.find(start);
                while sep.len() > 1 && self.data.get(end) == Some(&sep[0]) && !self.data[end..].starts_with(sep) {
                    end = self.find(end + 1);
                }
                let stop = if self.ends_in_return(start, end) { end - 1 } else { end };
                spans.push(Span::new(start, stop, Shape::Bare));
                end
            };
            match self.data.get(end) {
                None => {
                    self.at = end;
                    return Ok(true);
                }
                Some(byte) if *byte == self.dialect.line => {
                    self.at = end + 1;
                    return Ok(true);
                }
                Some(_) => start = end + sep.len(),
            }
        }
    }

    /// Whether a carriage return before the line end belongs to it.
    #[inline]
    fn ends_in_return(&self, start: usize, end: usize) -> bool {
        self.dialect.line == b'\n'
            && end > start
            && self.data[end - 1] == b'\r'
            && self.data.get(end).is_none_or(|byte| *byte == b'\n')
    }

    /// A field in quotes at `start`: its text, and the place of the separator or line end behind it.
    fn quoted(&self, start: usize) -> Result<(Span, usize), Fault> {
        let (close, escaped) =
            closing_quote(self.data, start, self.dialect).ok_or(Fault::Unterminated { at: start })?;
        let shape = if escaped { Shape::Escaped } else { Shape::Quoted };
        let mut end = close + 1;
        if self.dialect.line == b'\n'
            && self.data.get(end) == Some(&b'\r')
            && self.data.get(end + 1).is_none_or(|b| *b == b'\n')
        {
            end += 1;
        }
        match self.data.get(end) {
            None => {}
            Some(byte) if *byte == self.dialect.line => {}
            Some(_) if self.data[end..].starts_with(&self.dialect.sep) => {}
            Some(_) => return Err(Fault::BehindQuote { at: end }),
        }
        Ok((Span::new(start + 1, close, shape), end))
    }

    fn skip_line(&mut self) {
        self.at =
            memchr(self.dialect.line, &self.data[self.at..]).map_or(self.data.len(), |length| self.at + length + 1);
    }

    /// The next separator or line end from `from`; the length of the data where there is none.
    #[inline]
    fn find(&mut self, from: usize) -> usize {
        if from >= self.block + 64 || from < self.block {
            self.look(from);
        }
        let mut mask = self.mask & (u64::MAX << (from - self.block));
        while mask == 0 {
            let next = self.block + 64;
            if next >= self.data.len() {
                return self.data.len();
            }
            self.look(next);
            mask = self.mask;
        }
        self.block + mask.trailing_zeros() as usize
    }

    /// Marks the separators and line ends among the 64 bytes from `at`.
    #[inline]
    fn look(&mut self, at: usize) {
        self.block = at;
        let rest = self.data.get(at..).unwrap_or_default();
        self.mask = match rest.first_chunk::<64>() {
            Some(bytes) => marks(bytes, self.dialect.sep[0], self.dialect.line),
            None => {
                let mut bytes = [0; 64];
                bytes[..rest.len()].copy_from_slice(rest);
                marks(&bytes, self.dialect.sep[0], self.dialect.line) & !(u64::MAX << rest.len())
            }
        };
    }
}

/// One bit for each of 64 bytes that is `a` or `b`; eight bytes at a time in plain arithmetic.
#[inline]
fn marks(bytes: &[u8; 64], a: u8, b: u8) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
    let (a, b) = (ONES * u64::from(a), ONES * u64::from(b));
    // The highest bit of each byte of `word` that is zero.
    let zeros = |word: u64| !(((word & LOW) + LOW) | word | LOW);
    let mut mask = 0;
    for (at, word) in bytes.as_chunks::<8>().0.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = (zeros(word ^ a) | zeros(word ^ b)) >> 7;
        // The multiplication gathers the eight bits in the highest byte.
        mask |= (found.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (at * 8);
    }
    mask
}

/// The place of the quote that closes the one at `open`, and whether there are escapes between.
fn closing_quote(data: &[u8], open: usize, dialect: &Dialect) -> Option<(usize, bool)> {
    let quote = dialect.quote?;
    let escape = dialect.escape.unwrap_or(quote);
    let mut at = open + 1;
    let mut escaped = false;
    loop {
        at += memchr2(quote, escape, data.get(at..)?)?;
        let next = data.get(at + 1).copied();
        if data[at] == escape && next == Some(quote) {
            escaped = true;
            at += 2;
        } else if escape != quote && data[at] == escape {
            let pair = next.is_some() && next == dialect.escape && dialect.escape_escape == dialect.escape;
            escaped |= pair;
            at += 1 + usize::from(pair);
        } else {
            return Some((at, escaped));
        }
    }
}

/// Appends the text of a field with escapes in it.
pub(crate) fn unescape(text: &[u8], dialect: &Dialect, out: &mut Vec<u8>) {
    let mut rest = text.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        let next = rest.peek().copied();
        let before_quote = Some(byte) == dialect.escape && next == dialect.quote;
        let before_escape = Some(byte) == dialect.escape_escape && next == dialect.escape;
        if next.is_some() && (before_quote || before_escape) {
            out.extend(rest.next());
        } else {
            out.push(byte);
        }
    }
}

/// Where the records of a block end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The place behind the last line end outside of quotes.
    pub(crate) end: Option<usize>,
    /// The place of a quote that is not closed within the block.
    pub(crate) open: Option<usize>,
}

/// Finds the end of the last whole record of `data`, which starts with a record.
pub(crate) fn cut(data: &[u8], dialect: &Dialect) -> Cut {
    let mut end = None;
    let mut at = 0;
    loop {
        let quote = dialect.quote.and_then(|quote| memchr(quote, &data[at..])).map(|length| at + length);
        let outside = &data[at..quote.unwrap_or(data.len())];
        if let Some(line) = memrchr(dialect.line, outside) {
            end = Some(at + line + 1);
        }
        let Some(open) = quote else {
            return Cut { end, open: None };
        };
        let starts_field = open == 0 || data[open - 1] == dialect.line || data[..open].ends_with(&dialect.sep);
        if !starts_field {
            at = open + 1;
            continue;
        }
        match closing_quote(data, open, dialect) {
            // A quote at the very end may be the first of two.
            Some((close, _)) if close + 1 < data.len() => at = close + 1,
            _ => return Cut { end, open: Some(open) },
        }
    }
}
