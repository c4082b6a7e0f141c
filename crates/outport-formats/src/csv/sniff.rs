//! What a CSV file does not say, found out from a sample of all its parts: dialect, header, types.

use arrow::datatypes::{DataType, Field, Schema};

use super::cells::{Blanks, Cells};
use super::options::CsvOptions;
use super::record::{Dialect, Records, Span};
use crate::text::blocks::Block;
use crate::text::infer::Guess;

/// Separators in the order of preference where two do as well.
const SEPARATORS: [u8; 9] = [b',', b'\t', b';', b'|', b':', b'~', b'^', 0x1F, 0x01];
/// How many records of the head decide about the dialect.
const RECORDS: usize = 500;

/// What was found out.
pub(super) struct Sniffed {
    pub(super) dialect: Dialect,
    pub(super) header: bool,
    /// The columns of the file in order, with the types that hold every sampled value.
    pub(super) schema: Schema,
}

/// Finds out what the options do not say.
pub(super) fn sniff(blocks: &[Block], options: &CsvOptions, blanks: &Blanks, wanted: Option<&Schema>) -> Sniffed {
    let head = blocks.first().map_or(&b""[..], |block| block.bytes.as_slice());
    let whole = blocks.first().is_none_or(|block| block.tail);
    let dialect = dialect(head, whole, options);
    let first = first_record(head, &dialect);
    let width = first.len();
    let mut guesses = vec![Guess::default(); width];
    for (at, block) in blocks.iter().enumerate() {
        let skip = usize::from(at == 0);
        see(&block.bytes, at == 0, block.tail, skip, &dialect, blanks, &mut guesses);
    }
    let types: Vec<DataType> = guesses.iter().map(Guess::data_type).collect();
    // Names that are known are a header wherever they stand in the first record.
    let named = |schema: &Schema| {
        schema.fields().iter().all(|field| first.iter().any(|(text, _)| text == field.name().as_bytes()))
    };
    let header = options.header.unwrap_or_else(|| wanted.is_some_and(named) || is_header(&first, &guesses, &types));
    if !header {
        see_cells(&first, blanks, &mut guesses);
    }
    let names = names(header.then_some(first.as_slice()), width);
    let fields = names.into_iter().zip(&guesses).map(|(name, guess)| {
        let data_type = if options.infer_schema { guess.data_type() } else { DataType::Utf8 };
        Field::new(name, data_type, true)
    });
    Sniffed { dialect, header, schema: Schema::new(fields.collect::<Vec<_>>()) }
}

/// A cell of the first record, and whether it is in quotes.
type Cell = (Vec<u8>, bool);

fn first_record(head: &[u8], dialect: &Dialect) -> Vec<Cell> {
    let mut spans = Vec::new();
    let mut records = Records::new(head, dialect);
    // A fault is reported when the file is read; here there is merely nothing to learn from it.
    let _ = records.next(false, &mut spans);
    let blanks = Blanks::default();
    let width = spans.len().max(1);
    (0..spans.len())
        .map(|column| {
            let shape = spans[column].shape();
            let mut cells = Cells {
                data: head,
                spans: &spans,
                width,
                column,
                is_text: true,
                blanks: &blanks,
                dialect,
                scratch: Vec::new(),
            };
            (cells.cell(0).unwrap_or_default().to_vec(), shape != super::record::Shape::Bare)
        })
        .collect()
}

fn dialect(head: &[u8], whole: bool, options: &CsvOptions) -> Dialect {
    let line = if options.line_sep_given {
        options.line_sep.last().copied().unwrap_or(b'\n')
    } else if memchr::memchr(b'\n', head).is_none() && memchr::memchr(b'\r', head).is_some() {
        b'\r'
    } else {
        b'\n'
    };
    let given = Dialect {
        sep: options.sep.clone(),
        quote: options.quote,
        escape: options.escape,
        escape_escape: options.escape_escape,
        line,
        comment: options.comment,
    };
    let seps =
        if options.sep_given { vec![options.sep.clone()] } else { SEPARATORS.iter().map(|sep| vec![*sep]).collect() };
    let backslash = Dialect { escape: Some(b'\\'), escape_escape: Some(b'\\'), ..given.clone() };
    let single = Dialect { quote: Some(b'\''), escape: Some(b'\''), escape_escape: None, ..given.clone() };
    let mut quotings = vec![given.clone()];
    if !options.quote_given && options.escape == options.quote {
        if memchr::memmem::find(head, b"\\\"").is_some() {
            quotings.push(backslash);
        }
        if memchr::memchr(b'\'', head).is_some() {
            quotings.push(single);
        }
    }
    let mut best = (given, 0.0);
    for quoting in &quotings {
        for sep in &seps {
            let candidate = Dialect { sep: sep.clone(), ..quoting.clone() };
            let score = score(head, whole, &candidate);
            if score > best.1 + 1e-9 {
                best = (candidate, score);
            }
        }
    }
    best.0
}

/// How well a dialect explains the head of a file: the share of records of the usual width, more where there are more columns.
fn score(head: &[u8], whole: bool, dialect: &Dialect) -> f64 {
    let mut records = Records::new(head, dialect);
    let mut widths: Vec<usize> = Vec::new();
    let mut spans = Vec::new();
    let mut quoted = 0;
    while widths.len() < RECORDS {
        spans.clear();
        match records.next(false, &mut spans) {
            Ok(true) if records.position() < head.len() || whole || widths.is_empty() => {
                widths.push(spans.len());
                quoted += spans.iter().filter(|span| span.shape() != super::record::Shape::Bare).count();
            }
            Ok(_) => break,
            // The last record of the head is cut off, and with it perhaps a quote.
            Err(super::record::Fault::Unterminated { .. }) if !whole && widths.len() > 8 => break,
            Err(_) => return 0.0,
        }
    }
    let Some(width) = widths.first().copied() else {
        return 0.0;
    };
    let share = |width: usize| widths.iter().filter(|other| **other == width).count() as f64 / widths.len() as f64;
    let same = share(width);
    if width == 1 {
        return 0.1 * same;
    }
    // A header that does not fit its rows is a fault to be told, and no reason to take whole lines for values.
    if let [_, second, ..] = widths[..]
        && second > 1
        && share(second) > same
    {
        return 0.5 * share(second);
    }
    // Fields in quotes speak for a dialect in which they are quotes and not letters.
    let bonus = if quoted > 0 { 0.05 } else { 0.0 };
    same * same + bonus + 0.001 * width.min(40) as f64
}

/// Looks at the records of a block. One that starts anywhere in a record may start inside quotes: the reading in which most
/// records have the right width wins.
fn see(data: &[u8], head: bool, tail: bool, skip: usize, dialect: &Dialect, blanks: &Blanks, guesses: &mut [Guess]) {
    let width = guesses.len();
    if width == 0 {
        return;
    }
    let starts: Vec<usize> = if head { vec![0] } else { starts(data, dialect) };
    let readings = starts.into_iter().map(|start| {
        let (mut spans, mut right, mut all) = (Vec::new(), 0usize, 0usize);
        let mut records = Records::new(&data[start..], dialect);
        loop {
            let before = spans.len();
            match records.next(width == 1, &mut spans) {
                Ok(true) if tail || records.position() < data.len() - start => {
                    all += 1;
                    if spans.len() - before == width {
                        right += 1;
                    } else {
                        spans.truncate(before);
                    }
                }
                _ => {
                    spans.truncate(before);
                    break;
                }
            }
        }
        (start, spans, right, all)
    });
    let best = readings.max_by(|a, b| (a.2 * (b.3 + 1)).cmp(&(b.2 * (a.3 + 1))));
    let Some((start, spans, right, all)) = best else {
        return;
    };
    if !head && right * 10 < all * 9 {
        return;
    }
    see_spans(&data[start..], spans.get(skip * width..).unwrap_or_default(), dialect, blanks, guesses);
}

/// Where records may start in a block that starts anywhere: behind the first line end, or behind the first that follows a
/// closing quote.
fn starts(data: &[u8], dialect: &Dialect) -> Vec<usize> {
    let behind_line = |from: usize| memchr::memchr(dialect.line, &data[from..]).map(|length| from + length + 1);
    let mut starts: Vec<usize> = behind_line(0).into_iter().collect();
    if let Some(quote) = dialect.quote {
        starts.extend(memchr::memchr(quote, data).and_then(behind_line));
    }
    starts
}

fn see_spans(data: &[u8], spans: &[Span], dialect: &Dialect, blanks: &Blanks, guesses: &mut [Guess]) {
    let width = guesses.len();
    for (column, guess) in guesses.iter_mut().enumerate() {
        let mut cells = Cells { data, spans, width, column, is_text: false, blanks, dialect, scratch: Vec::new() };
        for row in 0..cells.rows() {
            if let Some(text) = cells.cell(row) {
                guess.see(text);
            }
        }
    }
}

fn see_cells(cells: &[Cell], blanks: &Blanks, guesses: &mut [Guess]) {
    for ((text, quoted), guess) in cells.iter().zip(guesses) {
        let text =
            if *quoted { Some(text.as_slice()).filter(|text| !text.is_empty()) } else { blanks.bare(text, false) };
        if let Some(text) = text {
            guess.see(text);
        }
    }
}

/// Whether the first record holds names: it does not fit a column whose other values are not text; or nothing in it looks
/// like a number or date, and all of it is different and not empty.
fn is_header(first: &[Cell], guesses: &[Guess], types: &[DataType]) -> bool {
    let alone = |text: &[u8]| {
        let mut guess = Guess::default();
        guess.see(text);
        guess.data_type()
    };
    let misfit = first.iter().zip(types).zip(guesses).any(|(((text, _), data_type), guess)| {
        *data_type != DataType::Utf8 && !guess.is_empty() && !text.is_empty() && alone(text) == DataType::Utf8
    });
    if misfit {
        return true;
    }
    let named = first.iter().all(|(text, _)| !text.is_empty() && alone(text) == DataType::Utf8);
    let distinct = first.iter().enumerate().all(|(at, (text, _))| first[..at].iter().all(|(other, _)| other != text));
    named && distinct && !first.is_empty()
}

/// The names of the columns: those of the header, made different where they are not, or `column0`, `column1`, ….
fn names(header: Option<&[Cell]>, width: usize) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(width);
    for at in 0..width {
        let given = header.and_then(|cells| cells.get(at)).map(|(text, _)| String::from_utf8_lossy(text).into_owned());
        let base = given.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("column{at}"));
        let mut name = base.clone();
        let mut number = 1;
        while names.contains(&name) {
            name = format!("{base}_{number}");
            number += 1;
        }
        names.push(name);
    }
    names
}
