//! `outport schema`.

use outport_core::Result;
use outport_core::config::json_schema;

use crate::printer::Printer;

/// Prints the JSON Schema of the configuration.
pub fn run(printer: &Printer) -> Result<u8> {
    printer.json(&json_schema(&outport::wiring::connection_types()))?;
    Ok(0)
}
