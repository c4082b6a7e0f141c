//! The options of Arrow IPC.

use outport_core::format::{FormatOptions, OptionSpec};
use outport_core::{Error, ErrorKind, Result};

use super::Layout;

/// What the formats know, for validation and the manual.
pub(super) const SPECS: &[OptionSpec] = &[STREAM, BATCH_ROWS];

const STREAM: OptionSpec = OptionSpec {
    name: "stream",
    aliases: &["ipc_stream"],
    default: "",
    help: "whether the stream format is written instead of the file format",
};
const BATCH_ROWS: OptionSpec = OptionSpec {
    name: "batch_size",
    aliases: &["max_chunksize", "record_batch_size", "row_group_size"],
    default: "65536",
    help: "rows per record batch",
};

/// The options with their types.
pub(super) struct Options {
    pub(super) layout: Layout,
    pub(super) batch_rows: usize,
}

impl Options {
    /// Reads the options as the user wrote them; `layout` is that of the format's name.
    pub(super) fn parse(format: &str, options: &FormatOptions, layout: Layout) -> Result<Self> {
        options.check(format, SPECS)?;
        let wrong = |spec: &OptionSpec, expected: &str| {
            let found = options.get(spec);
            Error::new(
                ErrorKind::Config,
                format!("option {} of {format}: expected {expected}, found \"{found}\"", spec.name),
            )
            .hint(spec.help)
        };
        let layout = match options.get(&STREAM).to_lowercase().as_str() {
            "" => layout,
            "true" => Layout::Stream,
            "false" => Layout::File,
            _ => return Err(wrong(&STREAM, "true or false")),
        };
        let batch_rows = options
            .get(&BATCH_ROWS)
            .parse()
            .ok()
            .filter(|rows| *rows > 0)
            .ok_or_else(|| wrong(&BATCH_ROWS, "a number above 0"))?;
        Ok(Self { layout, batch_rows })
    }
}
