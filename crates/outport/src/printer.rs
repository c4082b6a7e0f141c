//! The one door to stdout and stderr.

use std::io::{IsTerminal, Write};

use outport_core::{Error, ErrorKind, Result};
use serde::Serialize;

use crate::args::{Global, Output, When};
use crate::report::{self, Style};

/// Prints results to stdout and messages to stderr, in the form that was asked for.
#[derive(Clone, Debug)]
pub struct Printer {
    output: Output,
    quiet: bool,
    out: Style,
    err: Style,
    progress: bool,
}

impl Printer {
    /// A printer for these options; `no_color` is whether the environment forbids colours.
    pub fn new(global: &Global, no_color: bool) -> Self {
        let color = |terminal: bool| match global.color {
            When::On => true,
            When::Off => false,
            When::Auto => terminal && !no_color,
        };
        let progress = match global.progress {
            When::On => true,
            When::Off => false,
            When::Auto => std::io::stderr().is_terminal() && !global.quiet && global.verbose == 0,
        };
        Self {
            output: global.output,
            quiet: global.quiet,
            out: Style { color: color(std::io::stdout().is_terminal()) },
            err: Style { color: color(std::io::stderr().is_terminal()) },
            progress,
        }
    }

    /// The form of results.
    pub fn output(&self) -> Output {
        self.output
    }

    /// The style of text on stdout.
    pub fn style(&self) -> Style {
        self.out
    }

    /// Whether bars are drawn.
    pub fn draws_progress(&self) -> bool {
        self.progress
    }

    /// Text on stdout, with a line end behind it.
    ///
    /// # Errors
    /// [`ErrorKind::Write`] where stdout cannot be written; a reader that went away is no error.
    pub fn line(&self, text: &str) -> Result<()> {
        self.write(&format!("{text}\n"))
    }

    /// Text on stdout as it is.
    pub fn write(&self, text: &str) -> Result<()> {
        match std::io::stdout().lock().write_all(text.as_bytes()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(outport_core::error::from_io(ErrorKind::Write, error).context("writing to stdout"))
            }
            _ => Ok(()),
        }
    }

    /// A message on stderr, unless it is to be quiet.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.stderr(&format!("{text}\n"));
        }
    }

    /// An error on stderr.
    pub fn error(&self, error: &Error) {
        self.stderr(&report::render(error, self.err));
    }

    fn stderr(&self, text: &str) {
        // There is no one left to tell when stderr fails.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    /// Data as JSON on stdout.
    pub fn json(&self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|e| Error::new(ErrorKind::Internal, format!("the result could not be made JSON: {e}")))?;
        self.line(&text)
    }

    /// Rows as a table, as CSV or as JSON objects.
    pub fn table(&self, table: &Table) -> Result<()> {
        match self.output {
            Output::Text => self.write(&table.to_text(self.out)),
            Output::Csv => self.write(&table.to_csv()),
            Output::Json => self.json(&table.to_json()),
        }
    }
}

/// A value of a table: people read it with separators and units, machines as it is.
#[derive(Clone, Debug)]
pub enum Cell {
    /// Nothing.
    Empty,
    /// Text.
    Text(String),
    /// A number as a system wrote it.
    Number(String),
    /// A number of things.
    Count(u64),
    /// A size.
    Bytes(u64),
    /// A duration.
    Seconds(f64),
    /// A moment; people read it to the second.
    Time(jiff::Timestamp),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        if text.is_empty() { Self::Empty } else { Self::Text(text) }
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Empty, Into::into)
    }
}

impl Cell {
    fn is_number(&self) -> bool {
        matches!(self, Self::Number(_) | Self::Count(_) | Self::Bytes(_) | Self::Seconds(_))
    }

    fn to_text(&self) -> String {
        match self {
            Self::Count(number) => thousands(*number),
            Self::Bytes(number) => bytes(*number),
            Self::Seconds(seconds) => format!("{seconds:.1}"),
            Self::Time(time) => time.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
            // An error may have several lines; a row has one.
            Self::Text(text) => text.replace('\n', " "),
            Self::Number(text) => text.clone(),
            Self::Empty => String::new(),
        }
    }

    fn to_plain(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) | Self::Number(text) => text.clone(),
            Self::Count(number) | Self::Bytes(number) => number.to_string(),
            Self::Seconds(seconds) => format!("{seconds:.3}"),
            Self::Time(time) => time.to_string(),
        }
    }

    fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Empty => serde_json::Value::Null,
            Self::Count(number) | Self::Bytes(number) => (*number).into(),
            Self::Seconds(seconds) => (*seconds).into(),
            other => other.to_plain().into(),
        }
    }
}

/// Rows with a header.
#[derive(Debug, Default)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<Cell>>,
    empty: &'static str,
}

impl Table {
    /// A table; `empty` is what a person reads where there are no rows.
    pub fn new(header: &[&'static str], empty: &'static str) -> Self {
        Self::of_columns(header.iter().map(|&name| name.to_owned()).collect(), empty)
    }

    /// A table whose columns a system names.
    pub fn of_columns(header: Vec<String>, empty: &'static str) -> Self {
        Self { header, rows: Vec::new(), empty }
    }

    /// Adds a row, as long as the header.
    pub fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    fn to_text(&self, style: Style) -> String {
        if self.rows.is_empty() {
            return format!("{}\n", self.empty);
        }
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(Cell::to_text).collect()).collect();
        let width = |i: usize| {
            let cells = rows.iter().map(|row| row[i].chars().count());
            cells.chain([self.header[i].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let numeric = |i: usize| {
            self.rows.iter().any(|row| row[i].is_number())
                && self.rows.iter().all(|row| row[i].is_number() || matches!(row[i], Cell::Empty))
        };
        let numbers: Vec<bool> = (0..self.header.len()).map(numeric).collect();
        let render = |cells: &mut dyn Iterator<Item = &str>| {
            let padded: Vec<String> = cells
                .enumerate()
                .map(|(i, cell)| {
                    let pad = " ".repeat(widths[i] - cell.chars().count());
                    if numbers[i] { format!("{pad}{cell}") } else { format!("{cell}{pad}") }
                })
                .collect();
            padded.join("  ").trim_end().to_owned()
        };
        let mut out = style.bold(&render(&mut self.header.iter().map(String::as_str)));
        out.push('\n');
        for row in &rows {
            out.push_str(&render(&mut row.iter().map(String::as_str)));
            out.push('\n');
        }
        out
    }

    fn to_csv(&self) -> String {
        let quote = |cell: &str| {
            if cell.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", cell.replace('"', "\"\""))
            } else {
                cell.to_owned()
            }
        };
        let header = self.header.join(",").to_lowercase().replace(' ', "_");
        let rows =
            self.rows.iter().map(|row| row.iter().map(|cell| quote(&cell.to_plain())).collect::<Vec<_>>().join(","));
        std::iter::once(header).chain(rows).map(|line| line + "\n").collect()
    }

    fn to_json(&self) -> serde_json::Value {
        let object = |row: &Vec<Cell>| {
            self.header.iter().map(|h| h.to_lowercase().replace(' ', "_")).zip(row.iter().map(Cell::to_json)).collect()
        };
        serde_json::Value::Array(self.rows.iter().map(|row| serde_json::Value::Object(object(row))).collect())
    }
}

/// A count that a database keeps signed.
pub fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// `1234567` as `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 export`, `2 exports`.
pub fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// Bytes in the unit that gives one to three digits before the point.
pub fn bytes(number: u64) -> String {
    let mut value = number as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{number} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}
