//! The log on stderr.

use tracing_subscriber::EnvFilter;

use crate::args::{Global, LogFormat};
use crate::printer::Printer;

/// Starts the log. `OUTPORT_LOG` takes the usual filter directives and wins over `-v` and `-q`.
pub fn start(global: &Global, printer: &Printer) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (_, 0) => "warn,outport=info",
        (_, 1) => "info,outport=debug",
        _ => "debug,outport=trace",
    };
    let filter = EnvFilter::try_from_env("OUTPORT_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match global.log_format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text => builder.with_ansi(printer.style().color).with_target(global.verbose > 0).init(),
    }
}
